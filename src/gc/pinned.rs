//! Objects that are pinned from birth: in segments of their own, at the far end of the span.
//!
//! ```text
//!   | segments of objects that move ... |          free          | pinned | large, pinned | pinned |
//! ```
//!
//! So they split nothing, neither the segments of what moves nor the memory that a compaction frees. Such a segment is of the
//! oldest generation, and its objects are called young until a collection has met them, like all in gaps of old segments; but
//! no collection moves them or moves others to them, and its gaps are for their like alone. They have no slots, so cards play
//! no part.

use super::Collector;
use super::event::CollectionCause;
use super::segment::{OLDEST, Segment};
use super::space::Space;
use crate::base::granule::GRANULE;
use crate::region::End;

/// A segment of pinned objects is this part of a common one, as a shift.
const SHARE: u32 = 2;

impl Segment {
    /// Takes `n` granules from the end of the first gap that has them; returns their position. O(gaps).
    ///
    /// # Safety
    /// SPACE holds for the segment.
    unsafe fn cut_gap(&mut self, space: &Space, n: u32) -> Option<u32> {
        let (mut last, mut at) = (0, self.gaps);
        while at != 0 {
            let words = space.at(at).cast::<[u32; 2]>();
            // SAFETY: SEGMENT: a gap's first granule holds two words: the next gap and the size.
            unsafe {
                let [next, size] = *words;
                if size < n {
                    (last, at) = (at, next);
                    continue;
                }
                self.free -= n;
                if size > n {
                    *words = [next, size - n];
                } else if last == 0 {
                    self.gaps = next;
                } else {
                    (*space.at(last).cast::<[u32; 2]>())[0] = next;
                }
                return Some(at + size - n);
            }
        }
        None
    }
}

impl Collector {
    /// Takes `n` granules for an object that never moves, and makes room for the handle that pins it and, if `drops`, for its
    /// destructor, with collections if need be; null if there is none.
    ///
    /// # Safety
    /// PARKED.
    pub(crate) unsafe fn allocate_pinned(&mut self, n: u32, drops: bool) -> *mut u8 {
        let source = self.source;
        let mut object = core::ptr::null_mut();
        let mut attempt = |collector: &mut Collector| {
            let has_room = collector.reserve_tables(collector.segments.len() + 1, collector.handles.pins() + 1)
                && collector.handles.reserve(source)
                && (!drops || collector.drops.reserve(source));
            if has_room && let Some(position) = collector.take_pinned(n) {
                object = collector.space.at(position);
            }
            !object.is_null()
        };
        // SAFETY: the caller's.
        unsafe { self.until(CollectionCause::Exhaustion, &mut attempt) };
        object
    }

    /// Takes `n` granules from a segment of pinned objects, for which the tables have room.
    fn take_pinned(&mut self, n: u32) -> Option<u32> {
        if n >= self.large {
            let index = self.add_last_segment(n, true)?;
            return Some(self.segments.as_slice()[index].start);
        }
        let pinned = |segment: &&mut Segment| segment.is_pinned;
        for segment in self.segments.as_mut_slice().iter_mut().rev().filter(pinned) {
            // SAFETY: SPACE: a segment of this arena.
            if let Some(position) = unsafe { segment.cut_gap(&self.space, n) } {
                segment.is_touched = true;
                self.young += n as usize;
                return Some(position);
            }
        }
        let common = self.add_last_segment(n.max(self.standard >> SHARE), false);
        let index = common.or_else(|| self.add_last_segment(n, false))?;
        let segment = &mut self.segments.as_mut_slice()[index];
        self.young += n as usize;
        // SAFETY: SPACE: as above; the segment is new, so all of it is nobody's.
        unsafe {
            segment.push_whole(&self.space);
            segment.cut_gap(&self.space, n)
        }
    }

    /// Takes a segment of at least `n` granules from the far end of the heap's span, for pinned objects, or for a single one.
    fn add_last_segment(&mut self, n: u32, is_large: bool) -> Option<usize> {
        let layout = Collector::segment_layout(n)?;
        let granules = (layout.size() / GRANULE) as u32;
        if !self.admits(granules) {
            return None;
        }
        let block = self.source.take(layout, Some(End::LAST));
        if block.is_null() {
            return None;
        }
        let index = self.list_segment(block, granules, is_large);
        let segment = &mut self.segments.as_mut_slice()[index];
        segment.is_pinned = true;
        if !is_large {
            segment.generation = OLDEST;
            self.young -= granules as usize; // counted object by object
        }
        Some(index)
    }
}
