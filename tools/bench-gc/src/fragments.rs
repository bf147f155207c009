//! Fragmentation: a region is filled with blocks of mixed sizes, nine of ten are freed, and then larger ones are asked for.
//! Moving what is left makes one piece of the rest; what cannot be moved keeps it in pieces.

use core::alloc::Layout;
use std::io;

use terrace::{Arena, Byte, Cx, Root, Slot, SpinHeap};
use terrace_measure::random::Random;
use terrace_measure::region::Region;
use terrace_measure::table::Table;

use crate::options::Options;
use crate::peers::{LinkedList, Rlsf, Talc};
use crate::subject::Subject;

const REGION: usize = 8 << 20;

/// Blocks that are asked for, bytes.
const ASKED: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// Which of the blocks that are left are pinned.
#[derive(Clone, Copy)]
struct Pins {
    /// So many in 1000.
    per_mille: usize,
    /// They are made as pinned ones, rather than pinned where they happen to lie.
    from_birth: bool,
}

#[rustfmt::skip]
const PINS: [(&str, Pins); 5] = [
    ("terrace, in an arena", Pins { per_mille: 0, from_birth: false }),
    ("the same, 1 % of the blocks pinned later", Pins { per_mille: 10, from_birth: false }),
    ("the same, 5 % of the blocks pinned later", Pins { per_mille: 50, from_birth: false }),
    ("the same, 1 % pinned from birth", Pins { per_mille: 10, from_birth: true }),
    ("the same, 5 % pinned from birth", Pins { per_mille: 50, from_birth: true }),
];

type Lock = spin::Mutex<()>;

/// Fills a region, frees, and asks for blocks of some size until there is none.
type Measure = fn(asked: usize, random: Random) -> Outcome;

/// What could be had.
struct Outcome {
    /// Bytes of what was left.
    live: usize,
    /// Bytes of those that were asked for and given.
    given: usize,
}

pub fn run(options: &Options) -> io::Result<()> {
    let seeds = if options.quick { 1 } else { 3 };
    let mut table = Table::new(
        "Large blocks in a fragmented region",
        format!(
            "8 MiB are filled with blocks of 16 bytes to 16 KiB, and nine of ten freed at random. Of the bytes that are free \
             then, how many percent can be had in blocks of a size. Mean of {seeds}."
        ),
        ASKED.map(|asked| format!("{} KiB", asked >> 10)),
    );
    let natives: [(&str, Measure); 4] = [
        (<LinkedList<Lock>>::NAME, native::<LinkedList<Lock>>),
        (<Talc<Lock>>::NAME, native::<Talc<Lock>>),
        (<Rlsf<Lock>>::NAME, native::<Rlsf<Lock>>),
        ("terrace, as a native heap", native::<terrace::Heap<Lock>>),
    ];
    let percents = |measure: &dyn Fn(usize, Random) -> Outcome| {
        ASKED.map(|asked| {
            let parts = (1..=seeds).map(|seed| measure(asked, Random::new(seed)).part());
            format!("{:.1}", 100.0 * parts.sum::<f64>() / seeds as f64)
        })
    };
    for (name, measure) in natives {
        table.row(name, percents(&measure));
    }
    for (name, pins) in PINS {
        table.row(name, percents(&|asked, random| managed(asked, pins, random)));
    }
    println!("{table}");
    Ok(())
}

impl Outcome {
    fn part(&self) -> f64 {
        self.given as f64 / (REGION - self.live) as f64
    }
}

/// Mostly small, log-uniform.
fn size(random: &mut Random) -> usize {
    let (small, unit) = (random.below(100) < 95, random.unit());
    let bytes = if small {
        16.0 * 128f64.powf(unit)
    } else {
        2048.0 * 8f64.powf(unit)
    };
    (bytes as usize).next_multiple_of(8)
}

fn native<S: Subject>(asked: usize, mut random: Random) -> Outcome {
    let region = Region::new(REGION);
    let heap = S::fresh();
    let layout = |bytes| Layout::from_size_align(bytes, 8).expect("sizes are small");
    let mut live = 0;
    // SAFETY: the region is the heap's for as long as that is used; blocks are freed once, with their layouts, none is of no
    // bytes, and none is read.
    unsafe {
        assert!(heap.claim(region.start(), region.len()), "{} takes the region", S::NAME);
        let mut dead = Vec::new();
        loop {
            let (layout, lives) = (layout(size(&mut random)), random.one_in(10));
            let block = heap.alloc(layout);
            if block.is_null() {
                break;
            }
            if lives {
                live += layout.size();
            } else {
                dead.push((block, layout));
            }
        }
        for (block, layout) in dead {
            heap.dealloc(block, layout);
        }
        let given = core::iter::repeat_with(|| heap.alloc(layout(asked))).take_while(|block| !block.is_null());
        Outcome {
            live,
            given: given.count() * asked,
        }
    }
}

fn managed(asked: usize, pins: Pins, random: Random) -> Outcome {
    let region = Region::new(REGION);
    let heap: &'static SpinHeap = Box::leak(Box::new(SpinHeap::new()));
    // SAFETY: the region outlives the arena, and the heap is used by nobody afterwards.
    unsafe { heap.claim_raw(region.start(), region.len()) }.expect("a region for a heap");
    let mut arena = Arena::new(heap).expect("one arena at a time");
    arena.enter(|cx| fragment(cx, asked, pins, random))
}

fn fragment(cx: &mut Cx, asked: usize, pins: Pins, mut random: Random) -> Outcome {
    type Places = [Slot<'static, [Byte]>];
    let places: Root<Places> = cx
        .new_slice::<Slot<[Byte]>>(REGION / 256, |_, _| Slot::null())
        .expect("room for a table");
    let (mut live, mut dead) = (size_of_val(places.get(cx).get()), Vec::new());
    let (mut pinned, mut chance) = (Vec::new(), Random::new(1));
    for place in 0.. {
        let (bytes, lives) = (size(&mut random), random.one_in(10));
        let is_pinned = lives && chance.below(1000) < pins.per_mille;
        if is_pinned && pins.from_birth {
            let Ok(pin) = cx.new_pinned_buffer(bytes) else {
                break;
            };
            pinned.push(pin);
        } else {
            let Ok(block) = cx.new_buffer(bytes) else {
                break;
            };
            let block = block.get(cx);
            places.get(cx)[place].set(cx, Some(block));
            if is_pinned {
                // Before memory is full: a pin needs some.
                let Ok(pin) = cx.pin(block) else {
                    break;
                };
                pinned.push(pin);
            }
        }
        if lives {
            live += bytes;
        } else {
            dead.push(place);
        }
    }
    for place in dead {
        places.get(cx)[place].set(cx, None);
    }
    let blocks: Vec<Root<[Byte]>> = core::iter::from_fn(|| cx.new_buffer(asked).ok()).collect();
    Outcome {
        live,
        given: blocks.len() * asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mixed() {
        let mut random = Random::new(1);
        let sizes: Vec<usize> = (0..10_000).map(|_| size(&mut random)).collect();
        assert!(
            sizes
                .iter()
                .all(|size| (16..=16 << 10).contains(size) && size.is_multiple_of(8))
        );
        assert!(sizes.iter().filter(|size| **size > 2048).count() > 100);
    }

    #[test]
    fn a_heap_that_cannot_move_blocks_has_no_large_ones() {
        let part = native::<Talc<Lock>>(256 << 10, Random::new(1)).part();
        assert!((0.0..0.2).contains(&part), "{part}");
    }
}
