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

use super::Collector;
use super::brick::Writer;
use super::handle::Kind;
use super::object;
use super::segment::Segment;

/// A pinned object's granules, or a stretch that is filled after compaction.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub start: u32,
    pub end: u32,
}

/// What the plan found. All in granules.
#[derive(Clone, Copy, Default)]
pub(super) struct Plan {
    /// In the condemned segments that can be compacted.
    pub extent: usize,
    /// Live ones in them.
    pub live: usize,
    /// Live ones that would move.
    pub moving: usize,
}

impl Segment {
    /// Whether a compaction up to `generation` moves what lies in it.
    pub(super) fn is_compactable(&self, generation: u8) -> bool {
        self.generation <= generation && !self.is_large
    }
}

impl Collector {
    /// Plans the compaction of the generations up to `generation`: writes bricks, turns and fills.
    ///
    /// # Safety
    /// What lives is marked.
    pub(super) unsafe fn plan(&mut self, generation: u8) -> Plan {
        // SAFETY: the caller's.
        unsafe { self.find_pins(generation) };
        let space = self.space;
        let segments = self.segments.as_slice();
        let mut holes = Holes::new(segments, self.pins.as_slice(), generation);
        let mut pins = self.pins.as_slice().iter().peekable();
        let mut writer = Writer::new(space, &mut self.turns);
        let fills = &mut self.fills;
        fills.truncate(0);
        let mut plan = Plan::default();
        let mut turning = true;
        for segment in segments.iter().filter(|segment| segment.is_compactable(generation)) {
            plan.extent += segment.granules() as usize;
            let place = |from: u32, n: u32| {
                plan.live += n as usize;
                // SAFETY: objects come in order, each marked.
                unsafe {
                    if let Some(pin) = pins.next_if(|pin| pin.start == from) {
                        writer.note(from, from, true);
                        fills.push(*pin);
                        turning = true;
                        return;
                    }
                    while holes.room() < n {
                        holes.close(|filled| fills.push(filled));
                        turning = true;
                    }
                    writer.note(from, holes.at, turning);
                }
                turning = false;
                plan.moving += if holes.at == from { 0 } else { n as usize };
                holes.at += n;
            };
            // SAFETY: the caller's.
            unsafe { segment.each_live(&space, place) };
        }
        holes.finish(|filled| fills.push(filled));
        plan
    }

    /// Lists the pinned objects in what is compacted, in order, each once.
    ///
    /// # Safety
    /// As for [`Collector::plan`].
    unsafe fn find_pins(&mut self, generation: u8) {
        let (segments, space, pins) = (self.segments.as_slice(), self.space, &mut self.pins);
        pins.truncate(0);
        if self.handles.pins() == 0 {
            return;
        }
        self.handles.each(|kind, position| {
            if kind == Kind::Pinned && segments[index_of(segments, *position)].is_compactable(generation) {
                // SAFETY: HANDLE: an object lies there.
                let end = *position + unsafe { object::size(space.at(*position)) };
                pins.push(Range { start: *position, end });
            }
        });
        sort(pins.as_mut_slice());
        let mut last = 0;
        pins.retain(|pin| core::mem::replace(&mut last, pin.start) != pin.start);
    }
}

/// Sorts by heaps, in place: the core library's way takes 7 KiB of code. O(n log n).
fn sort(ranges: &mut [Range]) {
    let sift = |ranges: &mut [Range], mut parent: usize| {
        loop {
            let mut child = 2 * parent + 1;
            if ranges
                .get(child + 1)
                .is_some_and(|other| other.start > ranges[child].start)
            {
                child += 1;
            }
            if ranges
                .get(child)
                .is_none_or(|child| child.start <= ranges[parent].start)
            {
                return;
            }
            ranges.swap(parent, child);
            parent = child;
        }
    };
    for parent in (0..ranges.len() / 2).rev() {
        sift(ranges, parent);
    }
    for end in (1..ranges.len()).rev() {
        ranges.swap(0, end);
        sift(&mut ranges[..end], 0);
    }
}

/// The index of the segment that a position lies in.
pub(super) fn index_of(segments: &[Segment], position: u32) -> usize {
    segments.partition_point(|segment| segment.end <= position)
}

/// The holes, one after the other.
struct Holes<'a> {
    segments: &'a [Segment],
    pins: &'a [Range],
    generation: u8,
    /// Of the segment that the hole lies in.
    index: usize,
    /// Of the first pin that is not before the hole.
    pin: usize,
    start: u32,
    /// Up to here the hole is filled.
    at: u32,
    end: u32,
}

impl<'a> Holes<'a> {
    fn new(segments: &'a [Segment], pins: &'a [Range], generation: u8) -> Holes<'a> {
        Holes {
            segments,
            pins,
            generation,
            index: usize::MAX,
            pin: 0,
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
        // A pin that starts where the segment ends lies in the next one.
        let limit = self.segments.get(self.index).map_or(0, |segment| segment.end);
        match self.pins.get(self.pin) {
            Some(pin) if pin.start == self.end && pin.start < limit => {
                self.start = pin.end;
                self.pin += 1;
            }
            _ => {
                self.index = self.index.wrapping_add(1);
                let rest = &self.segments[self.index..];
                let skipped = rest.iter().position(|segment| segment.is_compactable(self.generation));
                self.index += skipped.expect("objects go down, so there is room for each");
                self.start = self.segments[self.index].start;
            }
        }
        self.at = self.start;
        let end = self.segments[self.index].end;
        self.end = self.pins.get(self.pin).map_or(end, |pin| pin.start.min(end));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_pins_are_sorted() {
        for len in 0..60u32 {
            let mut ranges = [Range { start: 0, end: 0 }; 60];
            let ranges = &mut ranges[..len as usize];
            for (index, range) in ranges.iter_mut().enumerate() {
                range.start = (index as u32 * 37 + len) % 31;
            }
            sort(ranges);
            assert!(ranges.is_sorted_by_key(|range| range.start));
        }
    }
}
