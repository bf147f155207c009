//! A private heap lies in the heap that it was made of.

use terrace::*;

fn main() {
    let private = {
        let heap = LocalHeap::new();
        heap.private_heap(1024).create().unwrap()
    };
    private.stats();
}
