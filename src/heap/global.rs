//! The heap as a `#[global_allocator]`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use lock_api::RawMutex;

use super::rescue::Work;
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::granule::{GRANULE, GRANULE_SHIFT, granules};
use crate::native::context::Context;

// SAFETY: blocks are granules of the heap's own spans that are allocated in the region, so no two overlap and none moves
// (the invariants CACHE, BUMP and FREE); they are aligned as asked, a granule at least; no method panics or unwinds.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> GlobalAlloc for Heap<L, C, CONTEXTS> {
    /// O(1), also when it fails; but where there is no room and something can be done, what the host and the collections of parked
    /// arenas take. From interrupts as the lock permits, where nothing of that is done.
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
        if !cfg!(feature = "check")
            && layout.size() != 0
            && new_size != 0
            && granules(new_size) == granules(layout.size())
        {
            return block;
        }
        // SAFETY: the caller gives a block of this heap.
        unsafe { self.resize(block, layout, new_size) }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// A block for `layout` whose bytes are zero, or null.
    pub(super) fn allocate_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < FRESH_LEAST || layout.align() > GRANULE {
            let block = self.allocate(layout);
            if !block.is_null() {
                // SAFETY: the block has `layout.size()` bytes and is ours.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
        let serve = |context: &mut Context, shared: &mut Shared| {
            let fresh = shared.pool.region.fresh();
            let block = shared.serve(context, layout.size(), layout.align());
            (block, shared.pool.region.is_behind(block as usize, fresh))
        };
        let (block, is_fresh) = if cfg!(feature = "check") {
            self.check_and((ptr::null_mut(), false), |context, shared| {
                let served = serve(context, shared);
                // SAFETY: the block, if there is one, was handed out right now.
                unsafe { shared.note_taken(served.0, layout) };
                Ok(served)
            })
        } else {
            self.enter(serve)
        };
        let (block, is_fresh) = if block.is_null() {
            (self.rescue(layout), false)
        } else {
            (block, is_fresh)
        };
        if !block.is_null() {
            // SAFETY: the block has `layout.size()` bytes, more than three granules, and is ours; fresh memory is zero but
            // for where links and sizes of a free block may have been.
            unsafe {
                block.write_bytes(0, if is_fresh { 2 * GRANULE } else { layout.size() });
                block.add(layout.size() - GRANULE).write_bytes(0, GRANULE);
            }
        }
        block
    }

    /// The block with `new_size` bytes, in place or elsewhere, or null; then it is as it was.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[inline(never)]
    pub(super) unsafe fn resize(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if cfg!(feature = "check") {
            let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
                return ptr::null_mut();
            };
            // SAFETY: the caller gives the block, if it is one of this heap.
            return unsafe { self.change_checked(block, layout, new_layout) };
        }
        // Neither 0 nor more than any block can have, in one comparison.
        if layout.size() == 0 || new_size.wrapping_sub(1) >= isize::MAX as usize {
            // SAFETY: the caller gives the block.
            return unsafe { self.resize_oddly(block, layout, new_size) };
        }
        // SAFETY: the caller's block is one of this heap, with this layout.
        unsafe {
            let new_block = self.enter(|context, shared| {
                if cfg!(terrace_small) {
                    shared.resize_or_miss(context, block, layout, new_size)
                } else {
                    shared.resize(context, block, layout, new_size)
                }
            });
            if new_block == block {
                return block;
            }
            if cfg!(terrace_small) {
                if new_block.is_null() {
                    return self.enlarge(block, layout, new_size);
                }
                self.take_over(block, layout, new_block, new_size);
            } else {
                if new_block.is_null() {
                    return self.resize_slowly(block, layout, new_size);
                }
                ptr::copy_nonoverlapping(block, new_block, layout.size());
                self.release(block, layout);
            }
            new_block
        }
    }

    /// As [`Heap::resize`], once more where that has found no room: also around the block. In a function of its own this is not in the
    /// way of the others.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn resize_slowly(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe {
            let new_block = self.enter(|context, shared| shared.resize_or_miss(context, block, layout, new_size));
            if new_block.is_null() {
                return self.enlarge(block, layout, new_size);
            }
            self.take_over(block, layout, new_block, new_size);
            new_block
        }
    }

    /// As [`Heap::resize`], from or to no bytes, or to more than there can be.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn resize_oddly(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() == 0 {
            let new_layout = Layout::from_size_align(new_size, layout.align());
            return new_layout.map_or(ptr::null_mut(), |layout| self.allocate(layout));
        }
        if new_size != 0 {
            return ptr::null_mut();
        }
        // SAFETY: the caller gives the block up.
        unsafe { self.release(block, layout) };
        ptr::without_provenance_mut(layout.align())
    }

    /// Moves the contents of the block to the new one, if that is another, and frees what is not needed any more.
    ///
    /// # Safety
    /// [`Shared::resize_or_join`] has returned the new block for the old one, which has this layout.
    #[cfg_attr(not(terrace_small), inline(always))]
    unsafe fn take_over(&self, block: *mut u8, old: Layout, new_block: *mut u8, new_size: usize) {
        if new_block == block {
            return;
        }
        let wanted = granules(new_size);
        let joined = joined(block, granules(old.size()), new_block, wanted);
        // SAFETY: the caller's. What was joined is one block with the old one: it begins with at least `wanted` granules, within which the
        // old contents lie, and what is behind them is of no worth. All of it is the caller's, so the move needs no lock. Any other
        // new block is larger, and apart from the old one.
        unsafe {
            if joined != 0 {
                self.move_joined(block, old, new_block, joined, wanted);
            } else {
                ptr::copy_nonoverlapping(block, new_block, old.size());
                self.release(block, old);
            }
        }
    }

    /// Moves the contents of the block down to where the joined granules start, of which `wanted` are kept.
    ///
    /// # Safety
    /// As for [`Heap::take_over`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn move_joined(&self, block: *mut u8, old: Layout, start: *mut u8, joined: usize, wanted: usize) {
        // SAFETY: the caller's.
        unsafe {
            move_down(block, start, old.size());
            self.enter(|context, shared| shared.shrink(context, start, joined, wanted));
        }
    }

    /// Makes the block larger, for which there was no room, if `rescue` makes some, which is given the new layout and what to attempt;
    /// else null, and it is as it was.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`]; the block is to grow.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    pub(super) unsafe fn move_rescued(
        &self,
        block: *mut u8,
        old: Layout,
        new_size: usize,
        rescue: impl FnOnce(Layout, Work<'_>) -> *mut u8,
    ) -> *mut u8 {
        let Ok(layout) = Layout::from_size_align(new_size, old.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's block is one of this heap, with this layout.
        let mut attempt = |context: &mut Context, shared: &mut Shared| unsafe {
            let new_block = shared.resize_or_join(context, block, old, new_size);
            if new_block.is_null() && shared.pool.is_barred() {
                return shared.serve_quietly(context, new_size, old.align());
            }
            new_block
        };
        let new_block = rescue(layout, &mut attempt);
        if !new_block.is_null() {
            // SAFETY: the caller's.
            unsafe { self.take_over(block, old, new_block, new_size) };
        }
        new_block
    }
}

/// The smallest size, in bytes, for which it is looked whether its memory is known to be zero.
const FRESH_LEAST: usize = 16 * GRANULE;

/// Moves `bytes` bytes to a lower address, a granule or more away, or nowhere if both are the same. By way of
/// `copy_nonoverlapping`, which the program has anyway, unlike `memmove`.
///
/// # Safety
/// Both places are valid for so many bytes; `to` is `from` or at least a granule below it.
pub(super) unsafe fn move_down(from: *mut u8, to: *mut u8, bytes: usize) {
    let step = from as usize - to as usize;
    let mut done = 0;
    while step != 0 && done < bytes {
        let part = step.min(bytes - done);
        // SAFETY: the caller vouches for both places; a part is no longer than they are apart.
        unsafe { ptr::copy_nonoverlapping(from.add(done), to.add(done), part) };
        done += part;
    }
}

/// How many granules are one block with the old one, of `n` granules, if there is room for `wanted` ones at `start` now; 0 if that is
/// a block of its own, which never reaches into the old one.
#[inline(always)]
fn joined(block: *mut u8, n: usize, start: *mut u8, wanted: usize) -> usize {
    let before = (block as usize).wrapping_sub(start as usize) >> GRANULE_SHIFT;
    if before < wanted { wanted.max(before + n) } else { 0 }
}

impl Shared {
    /// The block itself if it could be resized in place, else a new block that is larger, or null.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`]; neither size is 0.
    #[cfg_attr(not(terrace_small), inline(always))]
    pub(super) unsafe fn resize(
        &mut self,
        context: &mut Context,
        block: *mut u8,
        old: Layout,
        new_size: usize,
    ) -> *mut u8 {
        let (n, wanted) = (granules(old.size()), granules(new_size));
        // SAFETY: the caller's block is one of this heap, with this size.
        unsafe {
            if wanted <= n && wanted != 0 {
                self.shrink(context, block, n, wanted);
                return block;
            }
            if wanted != 0 && self.pool.extend(context, block, n, wanted) {
                self.account(context);
                return block;
            }
        }
        if old.align() <= GRANULE {
            let cached = context.pop_granules(wanted);
            if !cached.is_null() {
                return cached;
            }
        }
        if self.pool.is_barred() {
            return ptr::null_mut();
        }
        self.serve_quietly(context, new_size, old.align())
    }

    /// As [`Shared::resize`], or the start of the block joined with the free ones around it, see [`joined`].
    ///
    /// # Safety
    /// As for [`Shared::resize`].
    #[inline(never)]
    unsafe fn resize_or_join(
        &mut self,
        context: &mut Context,
        block: *mut u8,
        old: Layout,
        new_size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe {
            let new_block = self.resize(context, block, old, new_size);
            if !new_block.is_null() || old.align() > GRANULE {
                return new_block;
            }
            self.join_around(context, block, granules(old.size()), granules(new_size))
        }
    }

    /// As [`Shared::resize_or_join`]. If there is no room, a failure is noted, if nothing else can be done.
    ///
    /// # Safety
    /// As for [`Shared::resize`].
    #[inline(always)]
    unsafe fn resize_or_miss(
        &mut self,
        context: &mut Context,
        block: *mut u8,
        old: Layout,
        new_size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's.
        let new_block = unsafe { self.resize_or_join(context, block, old, new_size) };
        if new_block.is_null() {
            self.miss(context, new_size);
        }
        new_block
    }

    /// Makes room for `wanted` granules around the block, as [`Pool::join`](crate::native::pool::Pool::join) does, unless these are
    /// more than may be taken; null if there is none.
    ///
    /// # Safety
    /// As for `Pool::join`.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    unsafe fn join_around(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) -> *mut u8 {
        if self.pool.falls_short(context, wanted.wrapping_sub(n)) {
            return ptr::null_mut();
        }
        // SAFETY: the caller's.
        let start = unsafe { self.pool.join(context, block, n, wanted) };
        self.account(context);
        start
    }

    /// As [`Shared::join_around`], with the number of granules that are one block with the old one now, or 0.
    ///
    /// # Safety
    /// As for [`Shared::join_around`].
    pub(super) unsafe fn join(
        &mut self,
        context: &mut Context,
        block: *mut u8,
        n: usize,
        wanted: usize,
    ) -> Option<(*mut u8, usize)> {
        // SAFETY: the caller's.
        let start = unsafe { self.join_around(context, block, n, wanted) };
        (!start.is_null()).then(|| (start, joined(block, n, start, wanted)))
    }

    /// Shortens the block of `n` granules to `wanted`, not 0 and not more.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[inline(never)]
    pub(super) unsafe fn shrink(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) {
        if wanted < n {
            // SAFETY: the caller's block is one of this heap, with this size.
            let has_time = unsafe { self.pool.shrink(context, block, n, wanted) };
            self.follow_release(context, has_time);
        }
    }
}
