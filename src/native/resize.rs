//! Resizing a block where it is.

use super::pool::Pool;
use crate::base::granule::{GRANULE_SHIFT, MAX_GRANULES, granules};
use crate::native::context::Context;

impl Pool {
    /// Tries to make the block of `n` granules one of `wanted` granules without moving it; `n` is not 0. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size.
    #[inline]
    pub(crate) unsafe fn resize(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) -> bool {
        if wanted == n {
            return true;
        }
        if wanted == 0 || wanted > MAX_GRANULES {
            return false;
        }
        if wanted < n {
            // SAFETY: the block's tail is the caller's to give.
            unsafe { self.shrink(context, block, n, wanted) };
            return true;
        }
        if context.rest() != 0 && block.wrapping_add(n << GRANULE_SHIFT) as usize == context.chunk().0 {
            return !context.bump((wanted - n) << GRANULE_SHIFT).is_null();
        }
        let address = block as usize;
        let Some(region) = self.region_of(address) else {
            return false;
        };
        // SAFETY: the caller's block is an allocated one of the span that contains it.
        let grown = unsafe { region.grow(region.position_of(address), n as u32, wanted as u32) };
        self.follow_change();
        grown
    }

    /// # Safety
    /// As for [`Pool::resize`]; `wanted`, not 0, is less than `n`; both are granules.
    unsafe fn shrink(&mut self, context: &mut Context, block: *mut u8, n: usize, wanted: usize) {
        let tail = block.wrapping_add(wanted << GRANULE_SHIFT);
        let address = block as usize;
        let Some(region) = self.region_of(address) else { return };
        // SAFETY: the caller's block is an allocated one of this span.
        unsafe { region.split(region.position_of(address), wanted as u32, (n - wanted) as u32) };
        // SAFETY: the tail is a block of its own now, and nobody's.
        unsafe { self.release(context, tail, n - wanted) };
    }

    /// Makes room for `wanted` granules by joining the free blocks on both sides to the block of `n` granules; for when no
    /// other block is to be had. Returns the start and the bytes of what is now one allocated block, with the contents
    /// still at `block`, and the pool's leave to give its tail back by [`Pool::trim_to`]. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size; `wanted` is more.
    pub(crate) unsafe fn join(&mut self, block: *mut u8, n: usize, wanted: usize) -> Option<(*mut u8, usize)> {
        let address = block as usize;
        let region = self.region_of(address)?;
        let position = region.position_of(address);
        // SAFETY: the caller's block is an allocated one of this span.
        let joined = unsafe {
            if (region.room_around(position, n as u32).granules as usize) < wanted {
                return None;
            }
            region.join_around(position, n as u32)
        };
        let start = region.pointer_to(joined.position);
        self.follow_change();
        Some((start, (joined.granules as usize) << GRANULE_SHIFT))
    }

    /// Shortens the allocated block of `bytes` at `block` to `new` bytes. O(1).
    ///
    /// # Safety
    /// The block is the caller's; `new`, not 0, is at most `bytes`.
    pub(crate) unsafe fn trim_to(&mut self, context: &mut Context, block: *mut u8, bytes: usize, new: usize) {
        let (n, wanted) = (bytes >> GRANULE_SHIFT, granules(new));
        if wanted < n {
            // SAFETY: the tail is the caller's to give.
            unsafe { self.shrink(context, block, n, wanted) };
        }
    }
}
