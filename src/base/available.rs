//! What the host says of the memory that it has.

/// How much memory the host has available.
///
/// Source: `EMemoryAvailable` of CLR hosting (seed `001_f38423a55030a0f1.txt`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Available {
    /// Little: what can be freed should be.
    Low,
    /// Neither little nor plenty.
    Neutral,
    /// Plenty: freeing can wait.
    High,
}
