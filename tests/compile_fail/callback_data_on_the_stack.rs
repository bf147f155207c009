// Callbacks outlive the function that registers them.

use terrace::{CriticalSectionHeap, LowMemory};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

fn callback(_: &LowMemory, _: &'static u32) {}

fn main() {
    let data = 7;
    HEAP.on_low_memory(callback, &data).unwrap();
}
