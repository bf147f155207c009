//! The plan phase: where each live object would go if the heap were compacted, without moving any.
//!
//! Objects slide down in address order through the *holes*: the condemned segments, cut up by the pinned objects in them.
//!
//! ```text
//!   segment 1                       segment 2
//!   | hole  |PIN| hole |PIN| hole | | hole                |
//! ```
//!
//! An object that does not fit into what is left of a hole goes to the next one. Since the objects lie in such an
//! arrangement already, and each is put at the lowest place that the ones before it leave, none goes up: that is why
//! there is always a hole, and why moving them in order overwrites nothing that is yet to be moved.
//!
//! Before the condemned segments come some gaps of the generation that the objects are promoted to, wherever they lie: nothing
//! is there to be overwritten, and what goes there leaves the more room to the rest. So a collection of what is young needs no
//! segment for its few survivors, and the gaps that a sweep has left are filled.
//!
//! The plan goes by *plugs*, runs of set live bits; single objects are looked at where a plug does not fit as a whole. Where there
//! are several plugs in each brick, a fast processor goes by bricks.

use super::Collector;
use super::brick::Writer;
use super::object;
use super::pins;
use super::segment::{Gap, OLDEST, Segment};
use super::space::{BRICK, Space};
use super::table::Table;

/// Gaps of the older generation that a plan uses at most, of those with so many granules.
const GAPS: u32 = 8;
const GAP_MIN: u32 = 32;

/// Smaller ones that it passes over at most.
const PASSED: u32 = 64;

/// Turns that a plan makes at most: where a hole begins, and for each pin at it, behind it, and for the hole that it ends.
pub(super) fn most_turns(segments: usize, pins: usize) -> usize {
    segments + GAPS as usize + 3 * pins
}

/// Fills that a plan makes at most: one for each hole and each pin.
pub(super) fn most_fills(segments: usize, pins: usize) -> usize {
    segments + GAPS as usize + 2 * pins + 1
}

/// A pinned object's granules, or a stretch that is filled after compaction.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub start: u32,
    pub end: u32,
}

/// What the plan found. All in granules.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Plan {
    /// In the condemned segments that can be compacted.
    pub extent: usize,
    /// Live ones in them.
    pub live: usize,
    /// Live ones that would move.
    pub moving: usize,
}

impl Segment {
    /// Whether a compaction up to `generation` moves what lies in it.
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn is_compactable(&self, generation: u8) -> bool {
        self.generation <= generation && !self.is_large && !self.is_pinned
    }
}

impl Collector {
    /// Plans the compaction of the generations up to `generation`: writes bricks, turns and fills.
    ///
    /// # Safety
    /// What lives is marked.
    pub(super) unsafe fn plan(&mut self, generation: u8) -> Plan {
        self.pins.truncate(0);
        if let Some(work) = self.pinning {
            // SAFETY: the caller's.
            unsafe { work(self, pins::Step::List(generation)) };
        }
        let space = &self.space;
        let segments = self.segments.as_slice();
        self.fills.truncate(0);
        let mut planner = Planner {
            space,
            holes: Holes::new(space, segments, self.pins.as_slice(), generation),
            pins: self.pins.as_slice(),
            writer: Writer::new(space, &mut self.turns),
            fills: &mut self.fills,
            turning: true,
            plan: Plan::default(),
        };
        for segment in segments.iter().filter(|segment| segment.is_compactable(generation)) {
            planner.plan.extent += segment.granules() as usize;
            // SAFETY: SPACE: positions of a segment; LIVE: marked objects have all bits set, so a run of set bits is one of
            // whole objects.
            unsafe {
                let (mut from, mut end) = space.run(segment.start, segment.end);
                while from < segment.end {
                    match planner.place_bricks(from, end, segment.end) {
                        Some(behind) => end = behind,
                        None => planner.place(from, end),
                    }
                    (from, end) = space.run(end, segment.end);
                }
            }
        }
        planner.finish()
    }
}

/// Finds a place for one plug after the other.
struct Planner<'a> {
    space: &'a Space,
    holes: Holes<'a>,
    /// The pinned objects that are not yet placed.
    pins: &'a [Range],
    writer: Writer<'a>,
    fills: &'a mut Table<Range>,
    /// What comes next does not go right behind what was placed last.
    turning: bool,
    plan: Plan,
}

impl Planner<'_> {
    /// Places the objects of `from..to`, side by side.
    ///
    /// # Safety
    /// LIVE: the range is one of marked objects, behind all that were placed.
    unsafe fn place(&mut self, mut from: u32, to: u32) {
        self.plan.live += (to - from) as usize;
        // SAFETY: the caller's; the pieces are of whole objects.
        unsafe {
            while from < to {
                let pin = self.pins.split_first().filter(|(pin, _)| pin.start < to);
                match pin {
                    Some((pin, rest)) if pin.start == from => {
                        self.writer.note(from, pin.end, from, true);
                        self.fills.push(*pin);
                        self.turning = true;
                        from = pin.end;
                        self.pins = rest;
                    }
                    _ => {
                        let n = self.fitting(from, pin.map_or(to, |(pin, _)| pin.start));
                        if n == 0 {
                            self.holes.close(|filled| self.fills.push(filled));
                            self.turning = true;
                        } else {
                            self.put(from, n);
                            from += n;
                        }
                    }
                }
            }
        }
    }

    /// Places what lives in whole bricks, beginning with the run `from..end`, as far as all of it moves and goes side by side: so
    /// many short runs need no look at each. Returns where that ends, which is not inside of a run.
    ///
    /// # Safety
    /// LIVE: a run, behind all that were placed, in a segment that ends at `limit`.
    #[inline(always)]
    unsafe fn place_bricks(&mut self, from: u32, end: u32, limit: u32) -> Option<u32> {
        let start = from / BRICK * BRICK;
        let next = start + BRICK;
        // SAFETY: SPACE: it is a brick of the segment.
        let has_more =
            || unsafe { self.space.find(end, next, true) < next && self.space.find(start, from, true) == from };
        if cfg!(terrace_small) || self.turning || self.holes.at == from || !has_more() {
            return None;
        }
        let to = self
            .pins
            .first()
            .map_or(limit, |pin| limit.min(pin.start / BRICK * BRICK));
        // SAFETY: BRICK: nothing lives before in the first brick, and what follows goes right behind what was placed last.
        let (behind, count) = unsafe {
            self.writer
                .note_bricks(start..to, limit, self.holes.at, self.holes.room())
        };
        // What moves leaves a gap behind or goes to another segment, so what follows moves as well.
        self.plan.live += count as usize;
        self.plan.moving += count as usize;
        self.holes.at += count;
        (count != 0).then_some(behind)
    }

    /// Puts the objects in `n` granules from `from` on into the hole, where they fit.
    ///
    /// # Safety
    /// As for [`Planner::place`].
    unsafe fn put(&mut self, from: u32, n: u32) {
        let to = self.holes.at;
        // SAFETY: the caller's.
        unsafe { self.writer.note(from, from + n, to, core::mem::take(&mut self.turning)) };
        self.plan.moving += if to == from { 0 } else { n as usize };
        self.holes.at += n;
    }

    /// The granules of the first objects in `from..to` that fit into what is left of the hole, all together.
    ///
    /// # Safety
    /// As for [`Planner::place`].
    unsafe fn fitting(&self, from: u32, to: u32) -> u32 {
        let room = self.holes.room();
        if to - from <= room {
            return to - from;
        }
        let mut fitting = 0;
        loop {
            // SAFETY: an object starts there, as they lie side by side.
            let size = unsafe { object::size(self.space.at(from + fitting)) };
            if size > room - fitting {
                return fitting;
            }
            fitting += size;
        }
    }

    fn finish(self) -> Plan {
        self.holes.finish(|filled| self.fills.push(filled));
        self.plan
    }
}

/// The index of the segment that a position lies in.
pub(super) fn index_of(segments: &[Segment], position: u32) -> usize {
    segments.partition_point(|segment| segment.end <= position)
}

/// The segment that a position lies in.
///
/// # Safety
/// There is one.
pub(super) unsafe fn holder(segments: &mut [Segment], position: u32) -> &mut Segment {
    let index = index_of(segments, position);
    debug_assert!(segments[index].start <= position);
    // SAFETY: SEGMENT: segments are sorted, so it is the first one that ends behind the position.
    unsafe { segments.get_unchecked_mut(index) }
}

/// The holes, one after the other.
struct Holes<'a> {
    /// Behind the one that the hole lies in.
    segments: core::slice::Iter<'a, Segment>,
    /// Those that are not before the hole.
    pins: &'a [Range],
    generation: u8,
    older: OlderGaps<'a>,
    /// The end of the segment that the hole lies in.
    limit: u32,
    start: u32,
    /// Up to here the hole is filled.
    at: u32,
    end: u32,
}

impl<'a> Holes<'a> {
    fn new(space: &'a Space, segments: &'a [Segment], pins: &'a [Range], generation: u8) -> Holes<'a> {
        Holes {
            segments: segments.iter(),
            pins,
            generation,
            older: OlderGaps::new(space, segments, generation),
            limit: 0,
            start: 0,
            at: 0,
            end: 0,
        }
    }

    /// Granules left in the hole.
    #[inline(always)]
    fn room(&self) -> u32 {
        self.end - self.at
    }

    /// Goes on to the next hole, after telling what of this one is filled.
    #[cold]
    fn close(&mut self, fill: impl FnOnce(Range)) {
        self.finish(fill);
        if let Some(gap) = self.older.next() {
            self.start = gap.position;
            self.end = gap.position + gap.granules;
        } else {
            self.advance();
        }
        self.at = self.start;
    }

    /// Goes on to the next hole in the condemned segments.
    fn advance(&mut self) {
        match self.pins.split_first() {
            // A pin that starts where the segment ends lies in the next one.
            Some((pin, rest)) if pin.start == self.end && pin.start < self.limit => {
                self.start = pin.end;
                self.pins = rest;
            }
            _ => {
                let next = self.segments.find(|segment| segment.is_compactable(self.generation));
                let next = next.expect("objects go down, so there is room for each");
                (self.start, self.limit) = (next.start, next.end);
            }
        }
        self.end = self.pins.first().map_or(self.limit, |pin| pin.start.min(self.limit));
    }

    /// Tells what of the hole is filled.
    fn finish(&self, fill: impl FnOnce(Range)) {
        if self.start != self.at {
            fill(Range {
                start: self.start,
                end: self.at,
            });
        }
    }
}

/// Gaps of the generation that is promoted to, one after the other; not all.
struct OlderGaps<'a> {
    space: &'a Space,
    /// Those that were not looked at.
    segments: &'a [Segment],
    generation: u8,
    /// The next gap of the segment that is looked at, or 0.
    next: u32,
    left: u32,
    passed: u32,
}

impl<'a> OlderGaps<'a> {
    fn new(space: &'a Space, segments: &'a [Segment], generation: u8) -> OlderGaps<'a> {
        OlderGaps {
            space,
            segments: if generation < OLDEST { segments } else { &[] },
            generation: generation + 1,
            next: 0,
            left: GAPS,
            passed: 0,
        }
    }

    fn next(&mut self) -> Option<Gap> {
        while self.left != 0 && self.passed < PASSED {
            if self.next == 0 {
                let (first, rest) = self.segments.split_first()?;
                self.segments = rest;
                if first.generation == self.generation && !first.is_pinned {
                    self.next = first.gaps;
                }
                continue;
            }
            // SAFETY: SEGMENT: it is a listed gap.
            let (gap, next) = unsafe { Gap::read(self.space, self.next) };
            self.next = next;
            if gap.granules >= GAP_MIN {
                self.left -= 1;
                return Some(gap);
            }
            self.passed += 1;
        }
        None
    }
}
