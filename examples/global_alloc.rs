//! The quick start: a static heap, one claim, and `Box`, `Vec`, `String` and the maps work.
//!
//! `cargo run --example global_alloc --target thumbv7em-none-eabi`, or without a target on this machine.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::fmt::Write;

use terrace::CriticalSectionHeap;
use terrace_board::{NAME, REGION_BYTES, println};

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    println!("terrace on {NAME}: a heap of {} bytes", HEAP.stats().capacity);
    let before = HEAP.stats();

    let answer = Box::new(42_u64);
    let squares: Vec<u32> = (1..=100).map(|n| n * n).collect();
    let mut greeting = String::new();
    write!(greeting, "the answer is {answer}").expect("a string takes anything");
    let lengths: BTreeMap<&str, usize> = ["granule", "bucket", "chunk"]
        .iter()
        .map(|word| (*word, word.len()))
        .collect();

    println!(
        "{greeting}; 1 + 4 + ... + 10000 = {}; {lengths:?}",
        squares.iter().sum::<u32>()
    );
    assert_eq!(squares.iter().sum::<u32>(), 338_350);
    assert_eq!(lengths["bucket"], 6);

    println!("{}", HEAP.stats());
    assert!(HEAP.stats().used >= before.used + 400 + 8);

    drop((answer, squares, greeting, lengths));
    assert_eq!(HEAP.stats().used, before.used, "everything was given back");
    HEAP.check().expect("the heap is sound");
}
