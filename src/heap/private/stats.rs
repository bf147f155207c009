//! Statistics of a private heap.

use core::fmt;

use crate::native::private::Private;

/// A snapshot of a private heap's figures. Counters wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct PrivateStats {
    /// Bytes that blocks and their headers can take.
    pub capacity: usize,
    /// Bytes that they take.
    pub used: usize,
    /// Bytes that are free, in all holes.
    pub free: usize,
    /// The most bytes that were ever taken.
    pub peak: usize,
    /// Blocks in use.
    pub blocks: usize,
    /// Bytes that were asked for in these.
    pub asked: usize,
    /// Requests served.
    pub allocations: usize,
    /// Requests that failed.
    pub failures: usize,
    /// The size of the last one of these, in bytes.
    pub last_failed: usize,
    /// Frees that were refused.
    pub misuses: usize,
}

impl PrivateStats {
    pub(super) fn of(heap: &Private) -> PrivateStats {
        let (capacity, used, counts) = (heap.capacity(), heap.used(), heap.counts);
        PrivateStats {
            capacity,
            used,
            free: capacity - used,
            peak: counts.peak,
            blocks: counts.blocks,
            asked: counts.asked,
            allocations: counts.allocations,
            failures: counts.failures,
            last_failed: counts.last_failed,
            misuses: counts.misuses,
        }
    }
}

impl fmt::Display for PrivateStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PrivateStats {
            capacity,
            used,
            peak,
            blocks,
            ..
        } = self;
        let plural = if *blocks == 1 { "" } else { "s" };
        write!(f, "{used} of {capacity} bytes in {blocks} block{plural}, peak {peak}")
    }
}
