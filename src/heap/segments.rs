//! The door to arenas: whole blocks of the first span.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use super::Heap;
use crate::base::core_id::CoreId;
use crate::base::granule::GRANULE_SHIFT;
use crate::gc::source::Source;

// SAFETY: the first span stays where it is once it was claimed, and all its blocks are reached through the region's pointer.
// A block that the pool hands out is the caller's; one of another span is not let out.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Source for Heap<L, C, CONTEXTS> {
    fn span(&self) -> Option<(NonNull<u8>, usize)> {
        self.enter(|_, shared| {
            let region = &shared.pool.region;
            let bytes = (region.granules() as usize) << GRANULE_SHIFT;
            NonNull::new(region.pointer_to(1))
                .filter(|_| bytes != 0)
                .map(|start| (start, bytes))
        })
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        let (block, is_inside) = self.enter(|context, shared| {
            let block = shared.serve_quietly(context, layout);
            if cfg!(feature = "check") && !block.is_null() {
                // SAFETY: the pool handed the block out just now, for this layout, which is not empty.
                unsafe { shared.note_taken(block, layout) };
            }
            (block, shared.pool.region.contains(block as usize))
        });
        if block.is_null() || is_inside {
            return block;
        }
        // SAFETY: the block is this heap's, and nobody has it.
        unsafe { self.release(block, layout) };
        ptr::null_mut()
    }

    unsafe fn give(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { self.release(block, layout) };
    }
}
