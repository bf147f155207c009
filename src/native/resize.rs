//! Resizing a block where it is.

use core::ptr;

use super::pool::Pool;
use crate::base::granule::GRANULE_SHIFT;
use crate::native::context::Context;

impl Pool {
    /// Tries to extend the block of `n` granules to `wanted` without moving it: into the rest of the chunk, or into a free
    /// block behind it. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size; `wanted` is more.
    #[inline(always)]
    pub(crate) unsafe fn extend(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) -> bool {
        let end = block.wrapping_add(n << GRANULE_SHIFT);
        let more = wanted - n;
        if self.falls_short(context, more) {
            return false;
        }
        if context.extend(end, more) {
            return true;
        }
        let address = block as usize;
        if cfg!(not(terrace_small)) && self.region.contains(address) {
            let end = self.region.position_of(address) + n as u32;
            // SAFETY: the caller's block is an allocated one of this span, and ends there.
            let is_extended = unsafe { self.region.take_first(end, more) };
            if is_extended {
                self.follow_take(context, u32::MAX);
            }
            return is_extended;
        }
        // SAFETY: the caller's.
        unsafe { self.extend_anywhere(context, address, n as u32, more) }
    }

    /// As [`Pool::extend`], into a free block, with one way for all spans.
    ///
    /// # Safety
    /// As for [`Pool::extend`].
    #[cfg_attr(not(terrace_small), cold, inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn extend_anywhere(&mut self, context: &mut Context, address: usize, n: u32, more: usize) -> bool {
        let Some(region) = self.region_of(address) else {
            return false;
        };
        let end = region.position_of(address) + n;
        // SAFETY: the caller's block is an allocated one of this span, and ends there.
        let is_extended = unsafe { region.take_first(end, more) };
        if is_extended {
            self.follow_change(context);
        }
        is_extended
    }

    /// Follows that granules were taken in place, in whatever span. O(spans).
    #[cfg_attr(terrace_small, inline(never))]
    fn follow_change(&mut self, context: &mut Context) {
        self.count_others();
        self.follow_take(context, u32::MAX);
    }

    /// Shortens the block of `n` granules to `wanted`; tells whether there is time to drain, as [`Pool::release`] does. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size; `wanted`, not 0, is less.
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    pub(crate) unsafe fn shrink(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) -> bool {
        let tail = block.wrapping_add(wanted << GRANULE_SHIFT);
        let address = block as usize;
        let Some(region) = self.region_of(address) else {
            return false;
        };
        // SAFETY: the caller's block is an allocated one of this span; the tail is a block of its own then, and nobody's.
        unsafe {
            region.split(region.position_of(address), wanted as u32, (n - wanted) as u32);
            !context.keep(tail, n - wanted) && self.release(context, tail, n - wanted)
        }
    }

    /// Makes room for `wanted` granules by joining the free blocks on both sides to the block of `n` granules; for when no
    /// other block is to be had. Returns where the room begins, or null if there is not enough. That is lower by fewer than
    /// `wanted` granules if it is one allocated block with the old one now, whose tail is to be given back by [`Pool::shrink`]
    /// when the contents have moved; else it is a block of its own. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size; `wanted` is more.
    pub(crate) unsafe fn join(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) -> *mut u8 {
        let address = block as usize;
        let Some(region) = self.region_of(address) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's block is an allocated one of this span.
        let start = unsafe { region.join_around(region.position_of(address), n as u32, wanted) };
        if start == 0 {
            return ptr::null_mut();
        }
        let start = region.pointer_to(start);
        self.follow_change(context);
        start
    }
}
