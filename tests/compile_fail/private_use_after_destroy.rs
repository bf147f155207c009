//! What has been destroyed is used no more.

use std::alloc::Layout;
use terrace::*;

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

fn main() {
    let heap = HEAP.private_heap(1024).create().unwrap();
    heap.destroy();
    heap.alloc(Layout::new::<u32>()).unwrap();

    let heap = HEAP.private_heap(1024).create().unwrap();
    let mut leaks = heap.leaks();
    heap.destroy();
    leaks.next();
}
