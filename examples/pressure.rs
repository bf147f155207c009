//! Pressure: all the ways in which a host and its heap tell each other how much memory there is.
//!
//! The heap tells by callbacks from `poll` and by handlers around collections; the host tells by posts from interrupts, by
//! notifications of how much is available, and by pressure that collects at once.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use terrace::{
    Arena, Available, Budget, CriticalSectionHeap, GcEvent, GcType, Generation, LowMemory, Plain, Pressure, Trigger,
};
use terrace_board::{REGION_BYTES, every, idle, println, stop};

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// What was called how often. Loads and stores only: some of the boards have no compare-and-swap.
struct Counts {
    callbacks: AtomicU32,
    before: AtomicU32,
    after: AtomicU32,
}

static COUNTS: Counts = Counts {
    callbacks: AtomicU32::new(0),
    before: AtomicU32::new(0),
    after: AtomicU32::new(0),
};

fn bump(count: &AtomicU32) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

fn on_low_memory(event: &LowMemory, counts: &'static Counts) {
    bump(&counts.callbacks);
    println!(
        "  callback {}: {:?}, {:?}, load {}",
        event.count, event.level, event.cause, event.load
    );
}

fn on_collection(event: &GcEvent, counts: &'static Counts) {
    bump(match event.trigger {
        Trigger::Before => &counts.before,
        Trigger::After => &counts.after,
    });
    // A handler must not allocate: it would get null.
    assert!(Vec::<u8>::new().try_reserve(16).is_err());
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    HEAP.on_low_memory(on_low_memory, &COUNTS).expect("there is room");
    for trigger in [Trigger::Before, Trigger::After] {
        HEAP.add_gc_handler(trigger, GcType::FULL, on_collection, &COUNTS)
            .expect("there is room");
    }
    let mut arena = Arena::new(&HEAP).expect("there is room");
    let _ = HEAP.poll();

    println!("garbage that owns native memory, and a request that does not fit beside it");
    let kept = arena.enter(|cx| {
        cx.set_budget(REGION_BYTES);
        let kept = cx.new_str("kept").expect("there is room");
        while HEAP.load().percent() < 80 {
            cx.new::<[u32; 16]>(|_| [7; 16]).expect("there is room");
        }
        kept
    });
    let half = HEAP.load().capacity / 2;
    let buffer: Vec<u8> = Vec::with_capacity(half); // collects the arena, which is parked, and fits
    let stats = HEAP.gc_stats();
    println!("  {half} bytes were had by {} collection", stats.for_others);
    assert!(stats.for_others >= 1 && HEAP.stats().failures == 0);
    drop(buffer);

    println!("pressure from an interrupt, told at the next poll");
    every(1000, || HEAP.notify(Available::Low));
    let mut polled = HEAP.poll();
    while polled.callbacks == 0 {
        idle();
        polled = HEAP.poll();
    }
    stop();
    let _ = HEAP.poll();
    assert!(COUNTS.callbacks.load(Relaxed) >= 1);
    HEAP.notify(Available::Neutral);

    println!("critical pressure collects at once; destructors wait for a poll, which keeps to a budget");
    arena.enter(|cx| {
        for value in 0..3 {
            cx.new::<Plain<Vec<u8>>>(|_| Plain(alloc::vec![value; 100]))
                .expect("there is room");
        }
    });
    let full = COUNTS.after.load(Relaxed);
    let did = HEAP.pressure(Pressure::Critical);
    assert_eq!((did.collected, COUNTS.after.load(Relaxed)), (1, full + 1));
    let (mut polls, mut dropped) = (0, 0);
    loop {
        let polled = HEAP.poll_with(Budget::steps(2), &mut arena);
        polls += 1;
        dropped += polled.finalizers;
        if !polled.more {
            break;
        }
    }
    println!("  {dropped} destructors in {polls} polls of two steps");
    assert!(dropped == 3 && polls > 2);

    arena.enter(|cx| assert_eq!(&*kept.get(cx), "kept"));
    assert_eq!(HEAP.collect(Generation::Old).collected, 1);
    assert_eq!(COUNTS.before.load(Relaxed), COUNTS.after.load(Relaxed));
    println!("{} full collections", COUNTS.after.load(Relaxed));
    HEAP.check().expect("the heap is sound");
}
