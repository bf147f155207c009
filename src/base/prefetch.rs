//! A hint to the processor that memory will be read soon.

/// Has the cache line at `address`, which may be any, fetched.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    // SAFETY: a hint accesses nothing.
    unsafe { core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast()) };
}
