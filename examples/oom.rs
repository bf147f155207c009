//! Out of memory: what a program sees of it, in each of the three ways to ask for memory, and that the heap is as good as
//! new afterwards.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{alloc::alloc, vec::Vec};
use core::{alloc::Layout, hint::black_box};

use terrace::CriticalSectionHeap;
use terrace_board::{REGION_BYTES, expect_panic, println};

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// More than any board's region.
const TOO_MUCH: usize = 1 << 20;

/// Asks for memory in the raw way. The answer to a request that cannot be served is null.
fn raw() {
    let layout = Layout::new::<[u8; TOO_MUCH]>();
    // SAFETY: the layout's size is not 0.
    let block = black_box(unsafe { alloc(layout) });
    assert!(block.is_null());
    let stats = HEAP.stats();
    println!(
        "raw: null; {} failed request, the last one for {} bytes",
        stats.failures, stats.last_failed
    );
    assert_eq!((stats.failures, stats.last_failed), (1, TOO_MUCH));
}

/// Fills the heap with a collection that can be refused: the answer is an error, and what the collection has stays.
fn fallible() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let error = loop {
        let mut block = Vec::new();
        let room = blocks.try_reserve(1).and_then(|()| block.try_reserve_exact(100));
        if let Err(error) = room {
            break error;
        }
        block.resize(100, blocks.len() as u8);
        blocks.push(block);
    };
    println!(
        "fallible: \"{error}\" after {} blocks; {} % in use",
        blocks.len(),
        HEAP.load().percent()
    );
    for (number, block) in blocks.iter().enumerate() {
        assert!(
            block.iter().all(|byte| *byte == number as u8),
            "block {number} is whole"
        );
    }
    HEAP.check().expect("a full heap is sound");
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    println!("exhausting {} bytes", HEAP.stats().capacity);
    let before = HEAP.stats().used;

    raw();
    fallible();
    assert_eq!(HEAP.stats().used, before, "everything was given back");

    // The failures made low memory due. A poll answers it: it also joins what the heap kept for small requests.
    let _ = HEAP.poll();
    let half: Vec<u8> = Vec::with_capacity(REGION_BYTES / 2);
    println!("afterwards {} bytes in one piece are no problem", half.capacity());
    drop(half);
    HEAP.check().expect("the heap is sound");

    // A collection that cannot be refused ends the program through the panic handler, with the size in the message.
    println!("infallible: a panic, which the panic handler turns into exit status 0 if it is this very one");
    expect_panic("memory allocation of 1048576 bytes failed");
    black_box(Vec::<u8>::with_capacity(TOO_MUCH));
}
