//! Counts the instructions of an arena's operations and collections on the board.
//!
//! Output: a line per operation, fields separated by a tab: what was done, instructions.
#![no_std]
#![no_main]

mod ticks;

use core::hint::black_box;
use semihosting::println;
use terrace::{Arena, CriticalSectionHeap, Cx, Generation, Pressure, Root, Slot, Trace};
use ticks::{Ticks, instructions};

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

const REGION: usize = 64 << 10;
const ROOM: &str = "there is room";

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
    value: u32,
}

type List = Root<Node<'static>>;

#[cortex_m_rt::entry]
fn main() -> ! {
    let ticks = Ticks::start();
    terrace::init!(HEAP, REGION).expect("a region");
    host(&ticks);
    Arena::new(&HEAP).expect("an arena").enter(|cx| {
        objects(cx, &ticks);
        collections(cx, &ticks);
    });
    semihosting::process::exit(0);
}

/// The mean of some calls.
fn mean<T>(name: &str, ticks: &Ticks, mut call: impl FnMut() -> T) {
    const TURNS: u64 = 100;
    let sum: u64 = (0..TURNS).map(|_| ticks.count(&mut call).1).sum();
    println!("{name}\t{}", instructions(sum / TURNS));
}

fn once(name: &str, ticks: &Ticks, call: impl FnOnce()) {
    println!("{name}\t{}", instructions(ticks.count(call).1));
}

#[inline(never)]
fn post() {
    HEAP.post(Pressure::None);
}

/// What the host calls all the time.
fn host(ticks: &Ticks) {
    let _ = HEAP.poll();
    mean("a poll of the heap with nothing to do", ticks, || HEAP.poll());
    mean("a post", ticks, post);
    let _ = HEAP.poll();
}

#[inline(never)]
fn in_a_window(cx: &Cx, value: u32) -> bool {
    let node = Node {
        next: Slot::null(),
        value,
    };
    cx.try_new(node).is_ok()
}

#[inline(never)]
fn through_a_handle(cx: &mut Cx, value: u32) -> List {
    let node = cx.new::<Node>(|_| Node {
        next: Slot::null(),
        value,
    });
    node.expect(ROOM)
}

#[inline(never)]
fn read(cx: &Cx, list: &List) -> u32 {
    list.get(cx).value
}

fn objects(cx: &mut Cx, ticks: &Ticks) {
    cx.reserve(3 << 10).expect(ROOM);
    mean("an object of 12 bytes made in a window", ticks, || {
        in_a_window(cx, black_box(1))
    });
    let mut handles = [const { None }; 100];
    // The table of handles grows here, and not below.
    handles
        .iter_mut()
        .for_each(|place| *place = Some(through_a_handle(cx, 0)));
    handles.iter_mut().for_each(|place| *place = None);
    let mut free = handles.iter_mut();
    cx.reserve(3 << 10).expect(ROOM);
    let first = through_a_handle(cx, 0);
    mean("the same at a safe point, with its handle", ticks, || {
        if let Some(place) = free.next() {
            *place = Some(through_a_handle(cx, black_box(1)));
        }
    });
    mean("an object read through a handle", ticks, || read(cx, &first));
    let mut used = handles.iter_mut();
    mean("a handle dropped", ticks, || {
        if let Some(place) = used.next() {
            *place = None;
        }
    });
}

/// A list of so many nodes.
fn list(cx: &mut Cx, nodes: u32) -> List {
    let mut list = through_a_handle(cx, 0);
    for value in 1..nodes {
        let longer = cx.new::<Node>(|g| Node {
            next: Slot::new(g, list.get(g)),
            value,
        });
        list = longer.expect(ROOM);
    }
    list
}

fn collections(cx: &mut Cx, ticks: &Ticks) {
    cx.compact();
    mean("a safe point with nothing to do", ticks, || cx.safe_point());
    mean("a poll with nothing to do", ticks, || cx.poll());
    drop(list(cx, 200));
    once("generation 0, 200 objects, none of which lives", ticks, || {
        cx.collect(Generation::Young)
    });
    let kept = list(cx, 20);
    drop(list(cx, 180));
    once("generation 0, 200 objects, 20 of which live", ticks, || {
        cx.collect(Generation::Young)
    });
    let long = list(cx, 2000);
    cx.compact();
    once("all, 2020 objects that live and stay", ticks, || {
        cx.collect(Generation::Old)
    });
    drop(kept);
    once("all, 2000 objects that live and move", ticks, || cx.compact());
    drop(long);
    once("all, nothing lives", ticks, || cx.compact());
}
