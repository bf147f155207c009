//! The unit of the region: the granule, 8 bytes on every target.

/// Bytes in a granule: the smallest block, and the alignment of every block.
pub(crate) const GRANULE: usize = 8;

/// The base-two logarithm of [`GRANULE`].
pub(crate) const GRANULE_SHIFT: u32 = GRANULE.trailing_zeros();

/// Granules in the largest span. Positions use 31 bits, so that a link word has room for one flag.
pub(crate) const MAX_GRANULES: usize = (1 << 31) - 2;

/// `bytes` in granules, rounded up; wraps to 0 within a granule of the end of the address space, which no valid
/// [`Layout`](core::alloc::Layout) reaches.
#[inline(always)]
pub(crate) const fn granules(bytes: usize) -> usize {
    bytes.wrapping_add(GRANULE - 1) >> GRANULE_SHIFT
}
