//! Heaps for several threads.

use terrace::{Heap, Spin};

use crate::support::memory::{Memory, for_good};

/// A heap for good, over as many bytes, which several threads can use.
pub fn spin_heap_for_good<C, const CONTEXTS: usize>(bytes: usize) -> &'static Heap<Spin, C, CONTEXTS> {
    let (heap, memory) = (for_good(Heap::new()), for_good(Memory::new(bytes)));
    // SAFETY: the memory is this heap's for good.
    unsafe { heap.claim_raw(memory.start(), bytes).unwrap() };
    heap
}
