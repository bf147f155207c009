// Callbacks run on whatever thread polls.

use std::cell::Cell;
use terrace::{CriticalSectionHeap, LowMemory};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

fn callback(_: &LowMemory, data: &'static Cell<u32>) {
    data.set(1);
}

fn main() {
    let data: &'static Cell<u32> = Box::leak(Box::new(Cell::new(0)));
    HEAP.on_low_memory(callback, data).unwrap();
}
