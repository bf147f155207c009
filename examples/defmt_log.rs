//! What the heap and an arena tell through defmt: events from `poll`, and statistics. Feature `defmt`.
//!
//! ```text
//! cargo run --example defmt_log --features defmt --target thumbv7em-none-eabi | defmt-print -e <the program>
//! ```
//! The decoded log is to be that of `defmt_log.golden`.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::vec::Vec;
use core::hint::black_box;

use terrace::{Arena, CriticalSectionHeap, Generation, OutOfMemory, Pressure, Threshold, Watermarks};
use terrace_board::REGION_BYTES;

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

#[cfg(target_os = "none")]
mod log {
    pub use terrace::{arena_defmt_sink as arena_event, defmt_sink as event};

    pub fn stats(stats: &terrace::Stats) {
        defmt::info!("{}", stats);
    }
}

/// A host has no linker script that collects defmt's strings: there the same things are printed.
#[cfg(not(target_os = "none"))]
mod log {
    pub fn event(event: &terrace::Event) {
        println!("{event:?}");
    }

    pub fn arena_event(event: &terrace::ArenaEvent) {
        println!("{event:?}");
    }

    pub fn stats(stats: &terrace::Stats) {
        println!("{stats:?}");
    }
}

terrace_board::entry!(main);

fn main() {
    HEAP.set_sink(Some(log::event));
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    assert_eq!(HEAP.poll().events, 1, "the claim");

    HEAP.set_watermarks(Watermarks {
        high: Threshold::Percent(80),
        low: Threshold::Percent(60),
    })
    .expect("low is below high");
    let ballast: Vec<u8> = black_box(Vec::with_capacity(HEAP.load().capacity * 9 / 10));
    assert_eq!(HEAP.poll().events, 1, "low memory, by the watermark");
    drop(ballast);
    assert_eq!(HEAP.poll().events, 1, "the load is low again");

    let mut refused: Vec<u8> = Vec::new();
    refused
        .try_reserve_exact(2 * REGION_BYTES)
        .expect_err("that is more than there is");
    assert_eq!(HEAP.poll().events, 2, "the failure, and low memory");

    HEAP.post(Pressure::Moderate);
    assert_eq!(HEAP.poll().events, 2, "the post, and low memory");

    log::stats(&HEAP.stats());

    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    arena.enter(collection).expect("there is room for a few objects");
}

/// Two objects live, of which one is pinned, and eight are dead.
fn collection(cx: &mut terrace::Cx) -> Result<(), OutOfMemory> {
    cx.set_sink(Some(log::arena_event))?;
    for _ in 0..8 {
        cx.new::<[u32; 3]>(|_| [0; 3])?;
    }
    let kept = cx.new::<[u32; 3]>(|_| [1; 3])?;
    let pinned = cx.new::<[u32; 3]>(|_| [2; 3])?;
    let pin = cx.pin(pinned.get(cx))?;
    cx.collect(Generation::Young);
    cx.poll();
    assert_eq!((kept.get(cx)[0], pin[0]), (1, 2));
    Ok(())
}
