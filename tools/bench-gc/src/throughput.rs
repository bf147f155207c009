//! What the collector does per second: bytes of live objects marked, and bytes moved, beside `memmove`.

use std::io;
use std::time::Duration;

use terrace::{Arena, Cx, Generation, Root, Slot, SpinHeap, Trace, size_of_object};
use terrace_measure::random::Random;
use terrace_measure::region::Region;
use terrace_measure::table::Table;

use crate::clock::cpu_time;
use crate::options::Options;
use crate::rounds::{digits, median};

const REGION: usize = 64 << 20;
const OBJECTS: usize = (24 << 20) / 64;

/// 64 bytes with its header.
#[derive(Trace)]
struct Cell64<'g> {
    next: Slot<'g, Cell64<'g>>,
    _data: [u32; 13],
}

const _: () = assert!(size_of_object::<Cell64>() == 64);

type Places = Root<[Slot<'static, Cell64<'static>>]>;

/// One figure, in bytes per second.
type Measure = fn() -> f64;

#[rustfmt::skip]
const MEASURES: [(&str, Measure); 8] = [
    ("marked, in the order of addresses", || managed(|cx| mark(cx, false))),
    ("marked, at random", || managed(|cx| mark(cx, true))),
    ("moved, every second object dead", || managed(|cx| compact(cx, 1).0)),
    ("the same, less the rest of the collection", || managed(|cx| compact(cx, 1).1)),
    ("moved, 4 KiB of every 8 KiB dead", || managed(|cx| compact(cx, 64).0)),
    ("the same, less the rest of the collection", || managed(|cx| compact(cx, 64).1)),
    ("memmove of 64 bytes each", || memmove(64)),
    ("memmove of 4 KiB each", || memmove(4096)),
];

pub fn run(options: &Options) -> io::Result<()> {
    let mut table = Table::new(
        "Throughput of the collector",
        format!(
            "Objects of 64 bytes, headers included, 24 MiB of them; a full collection, divided by the bytes that it marks, \
             or moves. memmove: the same bytes, moved as far. Median of {} rounds, in which the measures take turns.",
            options.rounds
        ),
        ["GB/s".to_owned()],
    );
    let mut rates = MEASURES.map(|_| Vec::new());
    for _ in 0..options.rounds {
        // In turns, so that what slows the machine down slows all of them.
        for ((_, measure), rates) in MEASURES.iter().zip(&mut rates) {
            rates.push(measure() / 1e9);
        }
    }
    for ((name, _), rates) in MEASURES.into_iter().zip(rates) {
        table.row(name, [digits(median(rates))]);
    }
    println!("{table}");
    Ok(())
}

/// A new arena.
fn managed<R>(work: impl FnOnce(&mut Cx) -> R) -> R {
    let region = Region::new(REGION);
    let heap: &'static SpinHeap = Box::leak(Box::new(SpinHeap::new()));
    // SAFETY: the region outlives the arena, and the heap is used by nobody afterwards.
    unsafe { heap.claim_raw(region.start(), region.len()) }.expect("a region for a heap");
    Arena::new(heap).expect("one arena at a time").enter(work)
}

fn time(work: impl FnOnce()) -> f64 {
    let before = cpu_time();
    work();
    (cpu_time() - before).max(Duration::from_nanos(1)).as_secs_f64()
}

/// Objects, each held by a slot of a table, in a heap that is settled.
fn settled(cx: &mut Cx) -> Places {
    let places = cx
        .new_slice::<Slot<Cell64>>(OBJECTS, |_, _| Slot::null())
        .expect("room for a table");
    for index in 0..OBJECTS {
        let object = cx.new::<Cell64>(|_| Cell64 {
            next: Slot::null(),
            _data: [0; 13],
        });
        let object = object.expect("room for an object");
        places.get(cx)[index].set(cx, Some(object.get(cx)));
    }
    for _ in 0..3 {
        cx.compact();
    }
    places
}

/// Bytes marked per second. At random: the table has the first objects of chains that lead anywhere.
fn mark(cx: &mut Cx, is_random: bool) -> f64 {
    let places = settled(cx);
    if is_random {
        let mut order: Vec<usize> = (0..OBJECTS).collect();
        Random::new(1).shuffle(&mut order);
        // As many chains as a program may have things to do at a time.
        let object = |index: usize| places.get(cx)[index].get(cx).expect("an object");
        for pair in order.chunks(1000).flat_map(|chain| chain.windows(2)) {
            object(pair[0]).next.set(cx, Some(object(pair[1])));
        }
        for &index in order.chunks(1000).flat_map(|chain| &chain[1..]) {
            places.get(cx)[index].set(cx, None);
        }
    }
    cx.collect(Generation::Old);
    let seconds = time(|| cx.collect(Generation::Old));
    (OBJECTS * 64) as f64 / seconds
}

/// Bytes moved per second when every second run of objects is dead: by the whole collection, and by what moving adds to it. What a
/// collection takes without moving is known of the heap that moving has left, where what lives is marked in less time than before, so
/// the second figure is rather too low.
fn compact(cx: &mut Cx, run: usize) -> (f64, f64) {
    let places = settled(cx);
    for (index, place) in places.get(cx).iter().enumerate() {
        if (index / run).is_multiple_of(2) {
            place.set(cx, None);
        }
    }
    let before = cx.stats().moved;
    let moving = time(|| cx.compact());
    let moved = (cx.stats().moved - before) as f64;
    assert!(moved >= (OBJECTS * 64 / 2) as f64 * 0.99, "half of the objects move");
    let staying = time(|| cx.collect(Generation::Old));
    (moved / moving, moved / (moving - staying).max(1e-9))
}

/// Moves every second piece of as many bytes down, next to the one before.
fn memmove(piece: usize) -> f64 {
    let mut bytes = vec![1u8; OBJECTS * 64];
    let pieces = bytes.len() / piece / 2;
    let seconds = time(|| {
        for index in 0..pieces {
            let from = (2 * index + 1) * piece;
            bytes.copy_within(from..from + piece, index * piece);
        }
        core::hint::black_box(&mut bytes);
    });
    (pieces * piece) as f64 / seconds
}
