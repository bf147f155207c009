//! Looking at what an arena holds: objects, segments, gaps, references. Nothing is changed.
//!
//! Only old objects are met: where a young one starts is known to whoever refers to it, and to nobody else, as the live bits
//! of young objects are clear (LIVE).

use super::Collector;
use super::handle::Kind;
use super::object;
use super::segment::{Gap, Segment};
use super::space::BRICK;
use super::visit::{Task, Visitor};
use crate::base::granule::GRANULE_SHIFT;

/// What a segment's list of gaps says.
#[derive(Clone, Copy, Default)]
pub(crate) struct GapSum {
    pub count: usize,
    pub largest: u32,
}

/// A function that is told of positions, for [`Task::Look`].
pub(super) struct Look {
    data: *mut (),
    tell: unsafe fn(*mut (), u32),
}

impl Look {
    /// # Safety
    /// The function outlives the value, and nobody else uses it meanwhile.
    pub(super) unsafe fn new<F: FnMut(u32)>(look: &mut F) -> Look {
        unsafe fn tell<F: FnMut(u32)>(data: *mut (), position: u32) {
            // SAFETY: `new` pairs this function with such data, which is used here only.
            unsafe { (*data.cast::<F>())(position) };
        }
        Look {
            data: core::ptr::from_mut(look).cast(),
            tell: tell::<F>,
        }
    }

    #[cold]
    pub(super) fn tell(&self, position: u32) {
        // SAFETY: the pair was made by `new`.
        unsafe { (self.tell)(self.data, position) };
    }
}

impl Collector {
    /// The first segment that ends behind `position`. O(log segments).
    pub(crate) fn segment_behind(&self, position: u32) -> Option<Segment> {
        let index = self.segment_of(position);
        self.segments.as_slice().get(index).copied()
    }

    /// The first old object in the segment that starts at `from` or behind it, which is no inner granule of one.
    pub(crate) fn next_old(&self, segment: &Segment, from: u32) -> Option<u32> {
        // SAFETY: SPACE: positions of the segment; LIVE: behind an object's end, a set bit is an object's first one.
        let at = unsafe {
            if segment.is_empty_large(&self.space) {
                return None;
            }
            self.space.find(from, segment.end, true)
        };
        (at < segment.end).then_some(at)
    }

    /// The generation that the object at `position` belongs to.
    ///
    /// # Safety
    /// An object lies there.
    pub(crate) unsafe fn generation_of(&self, position: u32) -> u8 {
        // SAFETY: SPACE: the caller's.
        if unsafe { !self.space.is_live(position) } {
            return 0;
        }
        self.segment_behind(position).map_or(0, |segment| segment.generation)
    }

    /// Whether a handle pins the object at `position`. O(handles).
    pub(crate) fn pins(&self, position: u32) -> bool {
        let pinned = (Kind::Pinned, position);
        self.handles.pins() != 0 && self.handles.iter().any(|handle| handle == pinned)
    }

    /// Bytes of objects that were made since the last collection.
    pub(crate) fn young_bytes(&self) -> usize {
        (self.young << GRANULE_SHIFT).saturating_sub(self.context.rest())
    }

    /// Live granules in `from..to`, whole bricks of a segment. O(bricks).
    pub(crate) fn live_between(&self, from: u32, to: u32) -> u32 {
        (from..to)
            .step_by(BRICK as usize)
            // SAFETY: SPACE: the caller's.
            .map(|brick| unsafe { self.space.count_live(brick, brick + BRICK) })
            .sum()
    }

    /// How many gaps are listed, and the largest. O(gaps).
    pub(crate) fn gaps_of(&self, segment: &Segment) -> GapSum {
        let (mut rest, mut sum) = (*segment, GapSum::default());
        while let Some(gap) = self.next_gap(&mut rest) {
            sum.count += 1;
            sum.largest = sum.largest.max(gap.granules);
        }
        sum
    }

    /// Takes the first gap from a copy of a segment, whose list has not changed since.
    pub(crate) fn next_gap(&self, copy: &mut Segment) -> Option<Gap> {
        let gap = copy.first_gap(&self.space);
        copy.pop_gap(&self.space);
        gap
    }
}

/// Calls `look` with the position in each filled slot of the object at `position`. `look` may do what it likes, but for a
/// collection.
///
/// # Safety
/// An object lies there, and nobody has an exclusive reference to its slots.
pub(crate) unsafe fn each_reference(space: super::space::Space, position: u32, mut look: impl FnMut(u32)) {
    // SAFETY: the visitor is dropped before the function.
    let task = Task::Look(unsafe { Look::new(&mut look) });
    // Nothing is marked, so the visitor needs no stack.
    let mut visitor = Visitor::new(space, task, &mut []);
    // SAFETY: OBJECT: the caller's.
    unsafe { object::trace(space.at(position), &mut visitor) };
}
