//! Segments are cut to what they hold, where pinned objects keep compaction from emptying them.
//!
//! ```text
//!   before   | live live PIN |          |     PIN      |          | PIN live |     three segments, and what was free between
//!   widened  | live live PIN            |     PIN                 | PIN live |     each reaches up to the next one
//!   trimmed  | live live PIN live |  free   | PIN |       free              |     the plan has filled what it could
//! ```
//!
//! Runs of free bricks go back to the heap, and what held them becomes shorter, or two. The next compaction takes them back
//! first, as far as nobody has made use of them: so what was pinned finds the way down when it is no more.

use super::card;
use super::segment::{OLDEST, Segment, sink};
use super::space::{BRICK, Space};
use super::{Collector, layout_of};
use crate::base::granule::GRANULE;

/// A run that goes back has this part of a common segment, as a shift, within limits: less is of more use as a gap.
const SHARE: u32 = 3;
const LEAST: u32 = 2 * BRICK;
const MOST: u32 = 8 * BRICK;

impl Collector {
    /// Lets segments reach up to the next one, where what is between is free. O(segments).
    ///
    /// # Safety
    /// All generations are condemned, and what lives is marked.
    pub(super) unsafe fn widen(&mut self) {
        let (space, source) = (self.space, self.source);
        for index in 1..self.segments.len() {
            let end = self.segments.as_slice()[index].start;
            let granules = end - self.segments.as_slice()[index - 1].end;
            let is_within = self.admits(granules);
            let segment = &mut self.segments.as_mut_slice()[index - 1];
            let more = granules as usize * GRANULE;
            if more == 0 || !is_within || !segment.is_compactable(OLDEST) {
                continue;
            }
            // SAFETY: SEGMENT: it is a block of this layout. SPACE: what it gets starts and ends at bricks, and its entries are
            // this arena's from now on.
            unsafe {
                if source.extend(space.at(segment.start), layout_of(segment.granules()), more) {
                    segment.end = end;
                    let added = Segment {
                        start: end - granules,
                        ..*segment
                    };
                    space.clear_live(added.start, end);
                    card::clean(&space, &added);
                    card::forget_starts(&space, &added);
                    self.held += more;
                }
            }
        }
    }

    /// Gives runs of free bricks back to the heap. O(words of live bits), and O(segments) for each that becomes two.
    ///
    /// # Safety
    /// All generations are condemned, LIVE holds, and no young objects are left.
    pub(super) unsafe fn trim(&mut self) {
        let mut index = 0;
        while let Some(segment) = self.segments.as_slice().get(index) {
            let segment = *segment;
            if segment.is_compactable(OLDEST) {
                // SAFETY: the caller's.
                unsafe { self.trim_segment(index as u32, segment) };
            }
            index += 1;
        }
    }

    /// Gives runs of free bricks back, up to one that makes two segments of this one: the second is the next in the list.
    ///
    /// # Safety
    /// As for [`Collector::trim`]; `segment` is the one at `index`.
    unsafe fn trim_segment(&mut self, index: u32, mut segment: Segment) {
        let least = (self.standard >> SHARE).clamp(LEAST, MOST);
        let (mut at, end) = (segment.start, segment.end);
        // SAFETY: SPACE: positions of the segment. SEGMENT: it is a block of this layout; nothing lives in the bricks.
        unsafe {
            while let Some((from, to)) = free_bricks(&self.space, &mut at, end, least) {
                let start = segment.start;
                let splits = from != start && to != end;
                let has_room = !splits || self.reserve_tables(self.segments.len() + 1, self.handles.pins());
                // One that is all free is given back as a whole.
                if !has_room || to - from == end - start {
                    continue;
                }
                let bytes = |position: u32| (position - start) as usize * GRANULE;
                self.held -= bytes(to) - bytes(from);
                let block = self.space.at(start);
                self.source
                    .give_part(block, layout_of(end - start), bytes(from)..bytes(to));
                if from == start {
                    segment.start = to;
                    *self.segments.at_mut(index) = segment;
                    continue;
                }
                self.segments.at_mut(index).end = from;
                if splits {
                    segment.start = to;
                    let last = self.segments.len();
                    self.segments.push(segment);
                    sink(self.segments.as_mut_slice(), last);
                }
                return;
            }
        }
    }
}

/// The next run of free bricks in `at..end` of at least so many granules; `at` is behind it then.
///
/// # Safety
/// SPACE: positions of a segment.
unsafe fn free_bricks(space: &Space, at: &mut u32, end: u32, least: u32) -> Option<(u32, u32)> {
    loop {
        // SAFETY: the caller's.
        let (from, to) = unsafe {
            let from = space.find(*at, end, false);
            *at = space.find(from, end, true);
            (from.next_multiple_of(BRICK), *at / BRICK * BRICK)
        };
        if to >= from + least {
            return Some((from, to));
        }
        if *at >= end {
            return None;
        }
    }
}
