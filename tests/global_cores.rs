//! `e5_threads_share_the_global_allocator`: a program whose global allocator is a heap
//! with four contexts (rows A3, A6, E1, E5, C22).

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use terrace::{CoreId, Heap, Spin};

/// Threads take turns with the contexts; the number of a thread needs no memory.
struct Threads;

impl CoreId for Threads {
    fn core_id() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        if NUMBER.get() == usize::MAX {
            NUMBER.set(NEXT.fetch_add(1, Relaxed) % 4);
        }
        NUMBER.get()
    }
}

#[global_allocator]
static HEAP: Heap<Spin, Threads, 4> = <Heap<Spin, Threads, 4>>::new();

claim_before_main!(HEAP);

fn main() {
    support::program::run(&HEAP);
}
