//! The load: how much of the heap is in use.

use core::fmt;

/// Bytes in use against bytes there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Load {
    /// Bytes in blocks that are in use, rounded up to granules of 8 bytes.
    pub used: usize,
    /// Bytes that blocks can be made of, also those that a host may commit yet; bookkeeping is not among them.
    pub capacity: usize,
}

impl Load {
    /// Bytes not in use, in however many pieces.
    pub const fn free(&self) -> usize {
        self.capacity.saturating_sub(self.used)
    }

    /// Bytes in use in percent of the capacity, rounded down: 0 to 100, also if more is in use; 0 if there is no memory.
    pub const fn percent(&self) -> u8 {
        let (used, capacity) = (self.used as u64, self.capacity as u64);
        if capacity == 0 {
            return 0;
        }
        if used >= capacity {
            return 100;
        }
        // The product need not fit the word that its factors fit.
        if capacity <= u64::MAX / 100 {
            (used * 100 / capacity) as u8
        } else {
            (used / (capacity / 100)) as u8
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % ({} of {} bytes)", self.percent(), self.used, self.capacity)
    }
}
