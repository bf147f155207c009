//! Low memory: a cache gives back what it can do without, when the heap asks for it.
//!
//! The heap notes the load; the callback runs only from `poll`, which the main loop calls when it suits. An interrupt,
//! here a timer that stands for a brown-out warning, posts pressure without waiting for anything.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{boxed::Box, collections::VecDeque};
use core::cell::Cell;

use critical_section::Mutex;
use terrace::{Cause, CriticalSectionHeap, LowMemory, Pressure, Threshold, Watermarks};
use terrace_board::{REGION_BYTES, every, idle, println, stop};

/// One cached thing: a page of 256 bytes.
type Page = Box<[u8; 256]>;

/// Pages in the order of their age. While one is added or dropped the queue is out of the cell, so that interrupts are
/// masked for a moment only.
struct Cache(Mutex<Cell<VecDeque<Page>>>);

impl Cache {
    fn open<R>(&self, work: impl FnOnce(&mut VecDeque<Page>) -> R) -> R {
        let mut pages = critical_section::with(|cs| self.0.borrow(cs).take());
        let result = work(&mut pages);
        critical_section::with(|cs| self.0.borrow(cs).set(pages));
        result
    }

    /// Adds pages until this percentage of the heap is in use.
    fn fill(&self, percent: u8) {
        self.open(|pages| {
            while HEAP.load().percent() < percent {
                pages.push_back(Box::new([0x5A; 256]));
            }
        });
    }

    /// Drops the oldest pages until less than this percentage is in use.
    fn shrink(&self, percent: u8) {
        self.open(|pages| while HEAP.load().percent() >= percent && pages.pop_front().is_some() {});
    }
}

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
static CACHE: Cache = Cache(Mutex::new(Cell::new(VecDeque::new())));

/// What `give_back` was told last.
static LAST: Mutex<Cell<Option<(Cause, Pressure)>>> = Mutex::new(Cell::new(None));

/// The callback: goes down to 70 % under moderate pressure, keeps nothing under critical pressure.
fn give_back(event: &LowMemory, cache: &'static Cache) {
    let before = event.load.percent();
    match event.level {
        Pressure::Critical => cache.open(|pages| *pages = VecDeque::new()),
        _ => cache.shrink(70),
    }
    println!(
        "low memory no. {}: {:?}, {:?}; load {before} % -> {} %",
        event.count,
        event.cause,
        event.level,
        HEAP.load().percent()
    );
    critical_section::with(|cs| LAST.borrow(cs).set(Some((event.cause, event.level))));
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    println!("watermarks at 80 % and 60 % of {} bytes", HEAP.stats().capacity);
    let before = HEAP.stats().used;
    HEAP.set_watermarks(Watermarks {
        high: Threshold::Percent(80),
        low: Threshold::Percent(60),
    })
    .expect("low is below high");
    HEAP.on_low_memory(give_back, &CACHE).expect("the table has room");

    // Below the high watermark nothing happens.
    CACHE.fill(75);
    assert_eq!(HEAP.poll().callbacks, 0);

    // Above it nothing happens either, until the main loop polls.
    CACHE.fill(85);
    assert!(HEAP.load().percent() >= 85);
    assert_eq!(HEAP.poll().callbacks, 1);
    assert!((60..70).contains(&HEAP.load().percent()));

    // Up again from between the watermarks: that is no new edge, so it does not flap.
    CACHE.fill(85);
    assert_eq!(HEAP.poll().callbacks, 0);

    // Below the low watermark the callback is armed again.
    CACHE.shrink(55);
    assert_eq!(HEAP.poll().callbacks, 0);
    CACHE.fill(85);
    assert_eq!(HEAP.poll().callbacks, 1);

    // From an interrupt.
    every(1000, || HEAP.post(Pressure::Critical));
    while HEAP.poll().callbacks == 0 {
        idle();
    }
    stop();
    let last = critical_section::with(|cs| LAST.borrow(cs).get());
    assert_eq!(last, Some((Cause::Posted, Pressure::Critical)));

    assert_eq!(HEAP.stats().used, before, "the cache is empty and nothing is lost");
    HEAP.check().expect("the heap is sound");
}
