//! How a region's free space is spread: one cell for each stretch of equal length.

use super::Region;
use crate::base::granule::GRANULE;

/// Free bytes in each of `N` stretches of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cells<const N: usize> {
    /// Free bytes of each stretch.
    pub free: [usize; N],
    /// Bytes in a stretch; the last one may be shorter.
    pub stretch: usize,
    /// Bytes in all.
    pub total: usize,
}

impl Region {
    /// Spreads the free bytes over `N` cells. O(free blocks + N).
    pub(crate) fn cells<const N: usize>(&self) -> Cells<N> {
        let total = self.granules as usize;
        let stretch = total.div_ceil(N.max(1)).max(1);
        let mut free = [0; N];
        // The visitor never fails, so neither does the visit.
        let _ = self.each_free(|_, block, size| {
            let (mut from, to) = (block as usize - 1, (block + size) as usize - 1);
            while from < to {
                let cell = from / stretch;
                let end = to.min((cell + 1) * stretch);
                free[cell] += (end - from) * GRANULE;
                from = end;
            }
            Ok(())
        });
        Cells {
            free,
            stretch: stretch * GRANULE,
            total: total * GRANULE,
        }
    }
}
