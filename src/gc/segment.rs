//! Segments: blocks of the native heap that objects lie in.
//!
//! ```text
//!   start (a brick)                                              end (a brick)
//!   | object | object |  gap  | object | gap | object |   gap .. |
//!                       next, size --------> next, size ------> 0
//! ```
//!
//! Gaps of [`MIN_GAP`] granules and more are threaded through the memory itself, in ascending order; what is smaller waits
//! for the next compaction.
//!
//! **Invariant `SEGMENT`**: segments are blocks taken from the source, sorted, and do not overlap. A gap in the list is
//! memory of its segment that is in nobody's use, and its first granule holds the position of the next gap, or 0, and its
//! size in granules.

use super::card;
use super::space::Space;

/// Granules of the smallest gap that is listed.
pub(crate) const MIN_GAP: u32 = 4;

/// The oldest generation.
pub(crate) const OLDEST: u8 = 2;

/// One block that objects lie in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub start: u32,
    pub end: u32,
    pub generation: u8,
    /// It holds a single object, which does not move.
    pub is_large: bool,
    /// It is for objects that are pinned from birth.
    pub is_pinned: bool,
    /// Objects were allocated in it since the last collection.
    pub is_touched: bool,
    /// A compaction has moved objects into its gaps.
    pub is_filled: bool,
    /// The first listed gap, or 0.
    pub gaps: u32,
    /// Granules in listed gaps.
    pub free: u32,
}

/// A gap: where, and how many granules.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    pub position: u32,
    pub granules: u32,
}

impl Gap {
    /// The gap at `position`, and the position of the next one in the list.
    ///
    /// # Safety
    /// SEGMENT: a gap is listed there.
    #[inline(always)]
    pub(crate) unsafe fn read(space: &Space, position: u32) -> (Gap, u32) {
        // SAFETY: SEGMENT: a gap's first granule holds two words.
        let [next, granules] = unsafe { *space.at(position).cast::<[u32; 2]>() };
        (Gap { position, granules }, next)
    }
}

impl Segment {
    pub(crate) fn granules(&self) -> u32 {
        self.end - self.start
    }

    /// Lists the gaps between the live objects anew; returns the granules of all gaps. O(words of live bits).
    ///
    /// # Safety
    /// SPACE and LIVE hold for the segment, and no young objects lie in it.
    pub(crate) unsafe fn list_gaps(&mut self, space: &Space) -> u32 {
        let (mut at, mut dead) = (self.start, 0);
        (self.gaps, self.free) = (0, 0);
        let mut last = 0;
        // SAFETY: SPACE: positions of the segment; LIVE: what has no bits is in nobody's use.
        unsafe {
            loop {
                let gap = space.find(at, self.end, false);
                if gap >= self.end {
                    return dead;
                }
                at = space.find(gap, self.end, true);
                dead += at - gap;
                poison(space, gap, at);
                if at - gap >= MIN_GAP {
                    if last == 0 {
                        self.gaps = gap;
                    } else {
                        space.at(last).cast::<u32>().write(gap);
                    }
                    space.at(gap).cast::<[u32; 2]>().write([0, at - gap]);
                    self.free += at - gap;
                    last = gap;
                }
            }
        }
    }

    /// Whether nothing in it is marked. O(words of live bits) for one that is empty.
    ///
    /// # Safety
    /// SPACE holds for the segment.
    #[inline(always)]
    pub(super) unsafe fn is_empty(&self, space: &Space) -> bool {
        // SAFETY: SPACE: the caller's.
        unsafe { self.is_empty_large(space) || space.find(self.start, self.end, true) == self.end }
    }

    /// Whether it holds a large object that is not marked, some of whose bits may be set nevertheless, see
    /// [`forget_live`](card::forget_live).
    ///
    /// # Safety
    /// SPACE holds for the segment.
    #[inline(always)]
    pub(super) unsafe fn is_empty_large(&self, space: &Space) -> bool {
        // SAFETY: SPACE: the caller's.
        cfg!(not(terrace_small)) && self.is_large && unsafe { !space.is_live(self.start) }
    }

    /// Makes the segment, in which nothing lives, one gap of generation 0.
    ///
    /// # Safety
    /// SPACE holds for the segment; what lies in it is in nobody's use.
    pub(crate) unsafe fn empty(&mut self, space: &Space) {
        self.generation = 0;
        (self.is_touched, self.is_filled) = (false, false);
        if self.gaps == self.start && self.free == self.granules() {
            return;
        }
        (self.gaps, self.free) = (0, 0);
        // SAFETY: the caller's.
        unsafe {
            card::clean(space, self);
            poison(space, self.start, self.end);
            self.push_whole(space);
        }
    }

    /// Makes all of the segment a gap.
    ///
    /// # Safety
    /// It is in nobody's use, and has no gaps in its list.
    pub(crate) unsafe fn push_whole(&mut self, space: &Space) {
        let gap = Gap {
            position: self.start,
            granules: self.granules(),
        };
        // SAFETY: the caller's.
        unsafe { self.push_gap(space, gap) };
    }

    /// The first gap of the list.
    pub(crate) fn first_gap(&self, space: &Space) -> Option<Gap> {
        // SAFETY: SEGMENT: a gap is listed.
        (self.gaps != 0).then(|| unsafe { Gap::read(space, self.gaps).0 })
    }

    /// Takes the first gap off the list.
    pub(crate) fn pop_gap(&mut self, space: &Space) {
        if self.gaps != 0 {
            // SAFETY: SEGMENT: a gap is listed.
            let (gap, next) = unsafe { Gap::read(space, self.gaps) };
            self.gaps = next;
            self.free -= gap.granules;
        }
    }

    /// Puts a gap at the head of the list.
    ///
    /// # Safety
    /// It is memory of this segment, at least one granule, in nobody's use.
    pub(crate) unsafe fn push_gap(&mut self, space: &Space, gap: Gap) {
        // SAFETY: SPACE: the granule is the segment's, and nobody's now.
        unsafe {
            space
                .at(gap.position)
                .cast::<[u32; 2]>()
                .write([self.gaps, gap.granules])
        };
        self.gaps = gap.position;
        self.free += gap.granules;
    }
}

/// Moves the segment at `index` down to its place among those before it, which are sorted; returns its index then.
pub(super) fn sink(segments: &mut [Segment], mut index: usize) -> usize {
    while index > 0 && segments[index].start < segments[index - 1].start {
        segments.swap(index, index - 1);
        index -= 1;
    }
    index
}

/// Overwrites what must not be read any more. Feature `check`.
///
/// # Safety
/// The memory of `from..to` is a segment's, and in nobody's use.
#[inline(always)]
pub(crate) unsafe fn poison(space: &Space, from: u32, to: u32) {
    if cfg!(feature = "check") && from < to {
        let bytes = (to - from) as usize * crate::base::granule::GRANULE;
        // SAFETY: the caller's.
        unsafe { space.at(from).write_bytes(0xDB, bytes) };
    }
}
