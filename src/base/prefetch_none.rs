//! Targets without caches, or without a stable way to give a hint to one.

/// Whether the hint does anything.
pub(crate) const IS_SUPPORTED: bool = false;

/// Nothing.
#[inline(always)]
pub(crate) fn prefetch(_: *const u8) {}
