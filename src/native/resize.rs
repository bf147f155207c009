//! Resizing a block where it is.

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
        // While memory is plentiful, chunks don't reach down to the floor.
        if !self.plentiful && self.falls_short(context, more) {
            return false;
        }
        if context.extend(end, more) {
            return true;
        }
        let address = block as usize;
        // SAFETY: the caller's block is an allocated one of the span that contains it.
        unsafe {
            if !self.region.contains(address) {
                return self.grow_elsewhere(context, address, n, wanted);
            }
            // Most neighbours are allocated, which one bit tells.
            let end = self.region.position_of(address) + n as u32;
            if self.region.is_allocated(end) || self.falls_short(context, more) || !self.region.take_first(end, more) {
                return false;
            }
        }
        self.follow_take(context, u32::MAX);
        true
    }

    /// # Safety
    /// As for [`Pool::extend`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn grow_elsewhere(&mut self, context: &mut Context, address: usize, n: usize, wanted: usize) -> bool {
        if self.falls_short(context, wanted - n) {
            return false;
        }
        let Some(region) = self.region_of(address) else {
            return false;
        };
        let end = region.position_of(address) + n as u32;
        // SAFETY: the caller's block is an allocated one of this span.
        let grown = unsafe { !region.is_allocated(end) && region.take_first(end, wanted - n) };
        self.follow_change(context);
        grown
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
    /// other block is to be had. Returns the start and the granules of what is now one allocated block, with the contents
    /// still at `block`; its tail is to be given back by [`Pool::shrink`]. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size; `wanted` is more.
    pub(crate) unsafe fn join(
        &mut self,
        context: &mut Context,
        block: *mut u8,
        n: usize,
        wanted: usize,
    ) -> Option<(*mut u8, usize)> {
        let address = block as usize;
        let region = self.region_of(address)?;
        let position = region.position_of(address);
        // SAFETY: the caller's block is an allocated one of this span.
        let around = unsafe { region.room_around(position, n as u32) };
        if (around.granules as usize) < wanted {
            return None;
        }
        // SAFETY: as above.
        unsafe { region.join_around(position, n as u32, around) };
        let start = region.pointer_to(around.position);
        self.follow_change(context);
        Some((start, around.granules as usize))
    }
}
