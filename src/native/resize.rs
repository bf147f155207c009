//! Resizing a block where it is.

use super::pool::Pool;
use crate::base::granule::{GRANULE_SHIFT, MAX_GRANULES, round_up};
use crate::native::context::Context;
use crate::region::Region;

impl Pool {
    /// Tries to make the block of `old` bytes one of `new` bytes without moving it; neither is 0. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with `old` bytes.
    pub(crate) unsafe fn resize(&mut self, context: &mut Context, block: *mut u8, old: usize, new: usize) -> bool {
        let (old_bytes, new_bytes) = (round_up(old), round_up(new));
        if new_bytes == old_bytes {
            return true;
        }
        if new_bytes == 0 || new_bytes >> GRANULE_SHIFT > MAX_GRANULES {
            return false;
        }
        if new_bytes < old_bytes {
            // SAFETY: the block's tail is the caller's to give.
            unsafe { self.shrink(context, block, old_bytes, new_bytes) };
            return true;
        }
        if block.wrapping_add(old_bytes) == context.chunk().0 as *mut u8 {
            return !context.bump(new_bytes - old_bytes).is_null();
        }
        let address = block as usize;
        let (n, wanted) = ((old_bytes >> GRANULE_SHIFT) as u32, (new_bytes >> GRANULE_SHIFT) as u32);
        let grown = self.find_region(|region| {
            // SAFETY: the caller's block is an allocated one of the span that contains it.
            region
                .contains(address)
                .then(|| unsafe { region.grow(region.position_of(address), n, wanted) })
        });
        if grown == Some(true) {
            self.settle(context);
        }
        grown == Some(true)
    }

    /// # Safety
    /// As for [`Pool::resize`]; `new_bytes`, not 0, is less than `old_bytes`, both multiples of the granule.
    unsafe fn shrink(&mut self, context: &mut Context, block: *mut u8, old_bytes: usize, new_bytes: usize) {
        let tail = block.wrapping_add(new_bytes);
        // SAFETY: the block's tail is the caller's to give, so its granules are.
        if unsafe { self.unbump(context, tail, old_bytes - new_bytes) } {
            return;
        }
        let address = block as usize;
        self.find_region(|region| {
            region.contains(address).then(|| {
                let (n, rest) = (new_bytes >> GRANULE_SHIFT, (old_bytes - new_bytes) >> GRANULE_SHIFT);
                // SAFETY: the caller's block is an allocated one of this span.
                unsafe { region.split(region.position_of(address), n as u32, rest as u32) };
            })
        });
        // SAFETY: the tail is a block of its own now, and nobody's.
        unsafe { self.release(context, tail, old_bytes - new_bytes) };
    }

    /// Makes room for `new` bytes by joining the free blocks on both sides to the block of `old` bytes; for when no
    /// other block is to be had. Returns the start and the bytes of what is now one allocated block, with the contents
    /// still at `block`, and the pool's leave to give its tail back by [`Pool::trim_to`]. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with `old` bytes; `new` is more.
    pub(crate) unsafe fn join(&mut self, block: *mut u8, old: usize, new: usize) -> Option<(*mut u8, usize)> {
        let (n, wanted) = (round_up(old) >> GRANULE_SHIFT, round_up(new) >> GRANULE_SHIFT);
        let address = block as usize;
        self.find_region(|region: &mut Region| {
            region.contains(address).then(|| {
                let position = region.position_of(address);
                // SAFETY: the caller's block is an allocated one of this span.
                unsafe {
                    if (region.room_around(position, n as u32).granules as usize) < wanted {
                        return None;
                    }
                    let joined = region.join_around(position, n as u32);
                    Some((
                        region.pointer_to(joined.position),
                        (joined.granules as usize) << GRANULE_SHIFT,
                    ))
                }
            })
        })
        .flatten()
    }

    /// Shortens the allocated block of `bytes` at `block` to `new` bytes. O(1).
    ///
    /// # Safety
    /// The block is the caller's; `new`, not 0, is at most `bytes`.
    pub(crate) unsafe fn trim_to(&mut self, context: &mut Context, block: *mut u8, bytes: usize, new: usize) {
        let new_bytes = round_up(new);
        if new_bytes < bytes {
            // SAFETY: the tail is the caller's to give.
            unsafe { self.shrink(context, block, bytes, new_bytes) };
        }
    }
}
