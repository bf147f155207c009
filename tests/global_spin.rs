//! `e5_threads_share_the_global_allocator`: a program whose global allocator is a heap
//! behind a spin lock (rows A3, A6, E1, E5).

mod support;

use terrace::SpinHeap;

#[global_allocator]
static HEAP: SpinHeap = <SpinHeap>::new();

claim_before_main!(HEAP);

fn main() {
    support::program::run(&HEAP);
}
