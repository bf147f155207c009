//! What an arena holds and did.

use core::fmt;

use crate::gc::Collector;

/// Statistics of an arena. Sizes in bytes; counts wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ArenaStats {
    /// In segments, free or not.
    pub held: usize,
    /// In the collector's tables.
    pub bookkeeping: usize,
    /// Alive in the generations that the last collection was about, as it found; large objects apart.
    pub live: usize,
    /// Made since the last collection, whether alive or not, and what was too small for them at the ends of gaps.
    pub young: usize,
    /// Handles of all kinds; each finaliser has one.
    pub handles: usize,
    /// Objects with destructors, of which `dying` wait for a poll.
    pub droppable: usize,
    /// Dead objects that wait for their destructors.
    pub dying: usize,
    /// Finalisers that are registered and not due.
    pub finalizable: usize,
    /// Finalisers that wait for a poll.
    pub queued: usize,
    /// Collections, by the oldest generation that each was about.
    pub collections: [u32; 3],
    /// Collections that moved objects.
    pub compactions: u32,
    /// Moved by compactions.
    pub moved: usize,
    /// Pinned objects that the last collection met.
    pub pinned: usize,
}

impl ArenaStats {
    pub(super) fn of(collector: &Collector) -> ArenaStats {
        let counters = &collector.counters;
        ArenaStats {
            held: collector.held(),
            bookkeeping: collector.bookkeeping(),
            live: counters.live,
            young: collector.young_bytes(),
            handles: collector.handles.count(),
            droppable: collector.drops.count(),
            dying: collector.drops.dying(),
            finalizable: collector.finals.registered(),
            queued: collector.finals.queued(),
            collections: counters.collections,
            compactions: counters.compactions,
            moved: counters.moved,
            pinned: counters.pinned as usize,
        }
    }
}

impl fmt::Display for ArenaStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [young, middle, old] = self.collections;
        write!(
            f,
            "{} bytes held, {} of bookkeeping; {} handles; {young} young, {middle} middle and {old} full collections, {} of \
             which moved {} bytes",
            self.held, self.bookkeeping, self.handles, self.compactions, self.moved
        )
    }
}
