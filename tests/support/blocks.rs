//! Blocks of private heaps, by what is in them.

use std::alloc::Layout;
use std::ptr::NonNull;

use terrace::LocalHeap;

use super::Memory;

const REGION: usize = 64 << 10;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Runs `work` with a heap, which is sound at the end, and of which nothing is in use.
pub fn with_heap(work: impl FnOnce(&LocalHeap)) {
    let (heap, memory) = (LocalHeap::new(), Memory::new(REGION));
    // SAFETY: the memory outlives the heap's use, and nobody else uses it.
    unsafe { heap.claim_raw(memory.start(), REGION) }.unwrap();
    work(&heap);
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
}

/// Writes `tag` over a block.
pub fn fill(block: NonNull<u8>, bytes: usize, tag: u8) {
    // SAFETY: the caller's block has so many bytes.
    unsafe { block.write_bytes(tag, bytes) };
}

/// Whether a block is still full of `tag`.
pub fn is_full(block: NonNull<u8>, bytes: usize, tag: u8) -> bool {
    // SAFETY: the caller's block has so many bytes, which were written.
    (0..bytes).all(|at| unsafe { block.add(at).read() } == tag)
}
