//! What an arena holds and did.

use core::fmt;

use crate::gc::Collector;

/// Statistics of an arena. Sizes in bytes; counts wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ArenaStats {
    /// In segments, free or not.
    pub held: usize,
    /// Native memory that objects own, as [`Cx::charge`](crate::Cx::charge) was told.
    pub native: usize,
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
    /// Alive in collections of each generation, in all; large objects apart. Those of the first two were promoted.
    pub survived: [usize; 3],
    /// Stretches of live objects that the last collection found, to be moved as a whole. Counted only while there is a sink
    /// or a clock.
    pub plugs: u32,
    /// Stretches between them, counted as these.
    pub gaps: u32,
    /// Pieces of 512 bytes of older generations that the last collection looked at, as they had been written to.
    pub cards: u32,
    /// How requests were served that did not fit into the stretch of memory that objects are made in.
    pub steps: ArenaSteps,
    /// Ticks of the clock that the last collection took; 0 without a clock.
    pub last_pause: u32,
    /// The most ticks that one took.
    pub largest_pause: u32,
}

/// The ways to serve a request that does not fit into the stretch of memory that objects are made in, in the order in which
/// they are tried; how often each was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ArenaSteps {
    /// A segment of its own, for a large object.
    pub large: u32,
    /// A gap of generation 0.
    pub gaps: u32,
    /// A fresh segment.
    pub segments: u32,
    /// A gap of an older generation.
    pub old_gaps: u32,
    /// A collection of what is young, and another attempt.
    pub young: u32,
    /// A full collection, and another attempt.
    pub full: u32,
    /// None: the request failed.
    pub failures: u32,
}

impl ArenaStats {
    pub(super) fn of(collector: &Collector) -> ArenaStats {
        let counters = &collector.counters;
        let last = collector.observer().and_then(|observer| observer.record);
        let [large, gaps, segments, old_gaps, young, full, failures] = counters.steps;
        ArenaStats {
            held: collector.held(),
            native: collector.native,
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
            survived: counters.survived,
            plugs: last.map_or(0, |record| record.plugs),
            gaps: last.map_or(0, |record| record.gaps),
            cards: counters.cards,
            steps: ArenaSteps {
                large,
                gaps,
                segments,
                old_gaps,
                young,
                full,
                failures,
            },
            last_pause: last.map_or(0, |record| record.pause),
            largest_pause: collector.observer().map_or(0, |observer| observer.largest_pause),
        }
    }
}

impl fmt::Display for ArenaStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [young, middle, old] = self.collections;
        let steps = &self.steps;
        write!(
            f,
            "{} bytes held, {} of bookkeeping; {} handles; {young} young, {middle} middle and {old} full collections, {} of \
             which moved {} bytes; refilled from {} gaps, {} segments and {} old gaps; {} large objects; {} failures",
            self.held,
            self.bookkeeping,
            self.handles,
            self.compactions,
            self.moved,
            steps.gaps,
            steps.segments,
            steps.old_gaps,
            steps.large,
            steps.failures
        )?;
        match self.largest_pause {
            0 => Ok(()),
            pause => write!(f, "; pauses of {pause} ticks at most"),
        }
    }
}
