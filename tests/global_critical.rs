//! `e5_threads_share_the_global_allocator`: a program whose global allocator is a heap
//! behind a critical section (rows A3, A6, E1, E5).

mod support;

use terrace::CriticalSectionHeap;

#[global_allocator]
static HEAP: CriticalSectionHeap = <CriticalSectionHeap>::new();

claim_before_main!(HEAP);

fn main() {
    support::program::run(&HEAP);
}
