//! The heap as a `#[global_allocator]`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::granule::{GRANULE, granules};

// SAFETY: blocks are granules of the heap's own spans that are allocated in the region, so no two overlap and none moves
// (the invariants CACHE, BUMP and FREE); they are aligned as asked, a granule at least; no method panics or unwinds.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> GlobalAlloc for Heap<L, C, CONTEXTS> {
    /// O(1), also when it fails. From interrupts as the lock permits.
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout)
    }

    /// O(1). From interrupts as the lock permits.
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives the block up.
        unsafe { self.release(block, layout) };
    }

    /// As `alloc`, plus clearing once what is not known to be zero.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.allocate_zeroed(layout)
    }

    /// In place where the size in granules stays, shrinks, or finds room behind the block: O(1). Otherwise a new block
    /// and one copy; if there is no block, into the free space on both sides and one move.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() != 0 && new_size != 0 && granules(new_size) == granules(layout.size()) {
            return block;
        }
        // SAFETY: the caller gives a block of this heap.
        unsafe { self.resize(block, layout, new_size) }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// A block for `layout` whose bytes are zero, or null.
    pub(super) fn allocate_zeroed(&self, layout: Layout) -> *mut u8 {
        let mut clear = Clear::All;
        let block = if layout.size() <= GRANULE * 16 || layout.align() > GRANULE {
            self.allocate(layout)
        } else {
            self.enter(|context, shared| {
                let block = context.pop(layout.size());
                if !block.is_null() {
                    return block;
                }
                let fresh = shared.pool.region.fresh();
                let block = shared.allocate(context, layout);
                shared.account(context);
                if shared.is_fresh(block, fresh) {
                    clear = Clear::Links;
                }
                block
            })
        };
        if !block.is_null() {
            // SAFETY: the block has `layout.size()` bytes and is ours; fresh memory is zero but for its ends.
            unsafe { clear.apply(block, layout.size()) };
        }
        block
    }

    /// The block with `new_size` bytes, in place or elsewhere, or null; then it is as it was.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[inline(never)]
    pub(super) unsafe fn resize(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        if layout.size() == 0 {
            return self.allocate(new_layout);
        }
        if new_size == 0 {
            // SAFETY: the caller gives the block up.
            unsafe { self.release(block, layout) };
            return ptr::without_provenance_mut(layout.align());
        }
        // SAFETY: the caller's block is one of this heap, with this size.
        let done = self.enter(|context, shared| unsafe {
            let done = shared.pool.resize(context, block, layout.size(), new_size);
            shared.account(context);
            done
        });
        if done {
            return block;
        }
        // SAFETY: `resize` shrinks always, so the block is to grow; old and new block are apart.
        unsafe {
            let new_block = self.allocate_quietly(new_layout);
            if new_block.is_null() {
                return self.join(block, layout, new_layout);
            }
            ptr::copy_nonoverlapping(block, new_block, layout.size());
            self.release(block, layout);
            new_block
        }
    }

    /// As [`Heap::allocate`], but a failure is not noted yet: there is something left to try.
    fn allocate_quietly(&self, layout: Layout) -> *mut u8 {
        self.enter(|context, shared| {
            let block = if layout.align() <= GRANULE {
                context.pop(layout.size())
            } else {
                ptr::null_mut()
            };
            if !block.is_null() {
                return block;
            }
            let block = shared.pool_allocate(context, layout);
            shared.account(context);
            block
        })
    }

    /// Moves the block down into the free space around it, if it fits there.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`]; the block is to grow.
    #[cold]
    unsafe fn join(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let joined = self.enter(|context, shared| {
            let joined = if new.align() > GRANULE {
                None
            } else {
                // SAFETY: the caller's block is one of this heap, with this size.
                unsafe { shared.pool.join(block, old.size(), new.size()) }
            };
            if joined.is_none() {
                shared.fail(context, new.size());
            }
            shared.pool.note_peak();
            joined
        });
        let Some((start, bytes)) = joined else {
            return ptr::null_mut();
        };
        // All of it is the caller's block now, so the move needs no lock.
        // SAFETY: `start` begins at least `new.size()` bytes, within which the old contents lie.
        unsafe { ptr::copy(block, start, old.size()) };
        self.enter(|context, shared| {
            // SAFETY: the block is the caller's, with nothing of worth behind the new size.
            unsafe { shared.pool.trim_to(context, start, bytes, new.size()) };
            shared.account(context);
        });
        start
    }
}

impl Shared {
    /// Whether the block, if there is one, lies where nothing was handed out before `fresh` rose.
    fn is_fresh(&self, block: *mut u8, fresh: u32) -> bool {
        let address = block as usize;
        !block.is_null() && self.pool.region.contains(address) && self.pool.region.position_of(address) >= fresh
    }
}

/// What of a block has to be cleared.
enum Clear {
    All,
    /// Only where links and sizes of a free block may have been.
    Links,
}

impl Clear {
    /// # Safety
    /// The block has `bytes` bytes and is the caller's; for `Links` it has more than 3 granules, and all that lies
    /// between its first two granules and its last one is zero.
    unsafe fn apply(self, block: *mut u8, bytes: usize) {
        // SAFETY: as the caller says.
        unsafe {
            match self {
                Clear::All => block.write_bytes(0, bytes),
                Clear::Links => {
                    block.write_bytes(0, 2 * GRANULE);
                    block.add(bytes - GRANULE).write_bytes(0, GRANULE);
                }
            }
        }
    }
}
