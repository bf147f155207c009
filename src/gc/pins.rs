//! Pinned objects among those that move: what a collection does for them.
//!
//! A program that pins nothing links none of this: the collector gets here through a pointer that the first pin sets. What is
//! pinned from birth lies elsewhere, see `pinned.rs`.

use super::Collector;
use super::handle::Kind;
use super::object;
use super::plan::{Range, holder};

/// Does a step of the work with pinned objects.
///
/// # Safety
/// As for what does the step.
pub(super) type Work = unsafe fn(&mut Collector, Step);

/// What there is to be done.
pub(super) enum Step {
    /// Before the plan of a collection up to this generation: list them.
    List(u8),
    /// Before that of a full compaction: take back the memory between segments.
    Widen,
    /// After it was carried out, or dropped: give back what is free between them.
    Trim,
}

/// The one [`Work`] there is.
unsafe fn work(collector: &mut Collector, step: Step) {
    // SAFETY: the caller's.
    unsafe {
        match step {
            Step::List(generation) => collector.list_pins(generation),
            Step::Widen => collector.widen(),
            Step::Trim => collector.trim(),
        }
    }
}

impl Collector {
    /// Makes sure that one more pin can be added without memory.
    pub(crate) fn reserve_pin(&mut self) -> bool {
        self.pinning = Some(work);
        self.reserve_tables(self.segments.len(), self.handles.pins() + 1)
    }

    /// Lists the pinned objects in what is compacted, in order, each once.
    ///
    /// # Safety
    /// As for [`Collector::plan`].
    unsafe fn list_pins(&mut self, generation: u8) {
        let (segments, space, pins) = (self.segments.as_mut_slice(), &self.space, &mut self.pins);
        if self.handles.pins() == 0 {
            return;
        }
        self.handles.each(|kind, position| {
            // SAFETY: HANDLE: an object lies there.
            if kind == Kind::Pinned && unsafe { holder(segments, *position) }.is_compactable(generation) {
                // SAFETY: as above.
                let end = *position + unsafe { object::size(space.at(*position)) };
                pins.push(Range { start: *position, end });
            }
        });
        sort(pins.as_mut_slice());
        let mut last = 0;
        pins.retain(|pin| core::mem::replace(&mut last, pin.start) != pin.start);
    }
}

/// Sorts by D. L. Shell's method, in place: the core library's way takes 7 KiB of code. O(n^1.5).
fn sort(ranges: &mut [Range]) {
    // D. E. Knuth's distances: 1, 4, 13, 40, ...
    let mut distance = 1;
    while distance < ranges.len() / 3 {
        distance = 3 * distance + 1;
    }
    while distance != 0 {
        for index in distance..ranges.len() {
            let mut at = index;
            while at >= distance && ranges[at].start < ranges[at - distance].start {
                ranges.swap(at, at - distance);
                at -= distance;
            }
        }
        distance /= 3;
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
