//! What can go wrong.

use core::fmt;

/// Why there is no arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArenaError {
    /// The heap has no memory yet: claim some first.
    NotClaimed,
    /// An arena of this brand lives, or handles of one that was dropped do.
    BrandTaken,
    /// There is too little memory for the arena's tables, about 2.8 % of the heap's first span in one piece; or that span is
    /// larger than 16 GiB.
    OutOfMemory,
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArenaError::NotClaimed => "the heap has no memory yet",
            ArenaError::BrandTaken => "an arena of this brand, or a handle of one, lives",
            ArenaError::OutOfMemory => "too little memory for the tables of an arena",
        })
    }
}

impl core::error::Error for ArenaError {}

/// There is no room for an object or a handle, even after a full collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutOfMemory {
    /// Bytes that were asked for, header included; `usize::MAX` if no object can be that large.
    pub requested: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for {} bytes in the arena", self.requested)
    }
}

impl core::error::Error for OutOfMemory {}

/// There is no room without a collection, which a window does not permit. The value that was to be allocated is `value`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T> {
    /// What was not allocated.
    pub value: T,
    /// Bytes that were asked for, header included.
    pub requested: usize,
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full")
            .field("requested", &self.requested)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for {} bytes without a collection", self.requested)
    }
}

impl<T> core::error::Error for Full<T> {}

impl<T> From<Full<T>> for OutOfMemory {
    fn from(full: Full<T>) -> OutOfMemory {
        OutOfMemory {
            requested: full.requested,
        }
    }
}
