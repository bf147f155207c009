//! Moving memory down.

use super::granule::GRANULE;

/// Moves `count` granules from `from` to `to`, which lies lower or apart.
///
/// # Safety
/// Both are so many granules of memory that may be accessed, aligned to granules.
#[inline(always)]
pub(crate) unsafe fn shift(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: the caller's.
    unsafe { core::ptr::copy(from, to, count * GRANULE) };
}
