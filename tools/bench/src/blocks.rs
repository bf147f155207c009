//! The blocks that a measurement holds in an open heap.

use crate::{allocators::Placed, mix::ALIGN};
use core::{alloc::Layout, marker::PhantomData};
use terrace_measure::region::Region;

/// A heap of allocator `A` and what is in use in it.
pub struct Blocks<'a, A> {
    live: Vec<(*mut u8, Layout)>,
    bytes: usize,
    heap: PhantomData<(&'a Region, A)>,
}

impl<'a, A: Placed> Blocks<'a, A> {
    /// A new heap over `region`; `None` if the region is too small for it.
    ///
    /// # Safety
    /// No other value of this type, and no other user of `A`, is in use while this one is.
    pub unsafe fn open(region: &'a Region) -> Option<Self> {
        // SAFETY: by the caller's promise nobody uses the old heap, and the borrow keeps the region.
        unsafe { A::open(region) }.then(|| Blocks {
            live: Vec::new(),
            bytes: 0,
            heap: PhantomData,
        })
    }

    /// The number of blocks in use.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Bytes in use, as requested.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks for a block; false if the heap refuses.
    pub fn alloc(&mut self, size: usize) -> bool {
        let layout = Layout::from_size_align(size, ALIGN).expect("sizes are small");
        // SAFETY: the heap is open and ours; no size is 0.
        let block = unsafe { A::heap().alloc(layout) };
        self.adopt(block, layout)
    }

    /// Takes over a block that was allocated by other means; false if it is null.
    pub fn adopt(&mut self, block: *mut u8, layout: Layout) -> bool {
        if block.is_null() {
            return false;
        }
        self.bytes += layout.size();
        self.live.push((block, layout));
        true
    }

    /// Gives block `i` to the caller; the last block takes its index.
    pub fn disown(&mut self, i: usize) -> (*mut u8, Layout) {
        let (block, layout) = self.live.swap_remove(i);
        self.bytes -= layout.size();
        (block, layout)
    }

    /// Frees block `i` and returns its size; the last block takes its index.
    pub fn free(&mut self, i: usize) -> usize {
        let (block, layout) = self.disown(i);
        // SAFETY: it was in use, with this layout.
        unsafe { A::heap().dealloc(block, layout) };
        layout.size()
    }
}
