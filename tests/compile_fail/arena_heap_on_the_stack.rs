//! An arena's heap outlives it.

use terrace::*;

fn work() {
    let heap = LocalHeap::new();
    let _ = Arena::new(&heap);
}

fn main() {}
