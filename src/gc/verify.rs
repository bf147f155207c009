//! Verification of everything after a collection. Feature `check`.
//!
//! A broken rule ends the program: the collection aborts on panics.

use super::Collector;
use super::handle::Kind;
use super::object;
use super::segment::Segment;
use super::space::{BRICK, BRICK_SHIFT, Space};
use super::visit::Task;

/// Verifies that references lead to starts of live objects.
#[derive(Clone, Copy)]
pub(super) struct Verifier {
    space: Space,
    segments: *const Segment,
    count: usize,
}

impl Verifier {
    /// Verifies one reference.
    pub(super) fn edge(&self, position: u32) {
        // SAFETY: SEGMENT: the verifier is used while the table is not changed.
        let segments = unsafe { core::slice::from_raw_parts(self.segments, self.count) };
        let index = super::plan::index_of(segments, position);
        let segment = segments.get(index).expect("a reference leads into a segment");
        assert!(segment.start <= position, "a reference leads into a segment");
        // SAFETY: SPACE, LIVE and FIRST hold after a collection; the walk starts at the first object of a brick.
        unsafe {
            assert!(self.space.is_live(position), "a reference leads to a live object");
            let first = *self.space.firsts.add((position >> BRICK_SHIFT) as usize);
            assert!(u32::from(first) < BRICK, "a brick knows its first object");
            let mut at = (position & !(BRICK - 1)) + u32::from(first);
            while at < position {
                at = self.space.find(at + object::size(self.space.at(at)), segment.end, true);
            }
            assert_eq!(at, position, "a reference leads to the start of an object");
        }
    }
}

impl Collector {
    /// Verifies segments, objects, slots, handles and bricks.
    ///
    /// # Safety
    /// PARKED, and the collection is done.
    pub(super) unsafe fn verify(&mut self) {
        let space = self.space;
        let segments = self.segments.as_slice();
        let verifier = Verifier {
            space,
            segments: segments.as_ptr(),
            count: segments.len(),
        };
        assert!(
            segments.is_sorted_by(|a, b| a.end <= b.start),
            "segments do not overlap"
        );
        self.handles.each(|kind, position| {
            verifier.edge(*position);
            let _: Kind = kind;
        });
        let mut visitor = self.visitor(Task::Verify(verifier));
        for segment in self.segments.as_slice() {
            // SAFETY: the caller's.
            unsafe {
                verify_gaps(segment, &space);
                segment.each_live(&space, |position, size| {
                    let end = position + size;
                    assert!(size != 0 && end <= segment.end, "an object lies in its segment");
                    assert_eq!(space.find(position, end, false), end, "all of an object is live");
                    object::trace(space.at(position), &mut visitor);
                });
                let bricks = segment.start >> BRICK_SHIFT..segment.end >> BRICK_SHIFT;
                assert!(
                    bricks.clone().all(|brick| *space.bricks.add(brick as usize) == 0),
                    "the plan is forgotten"
                );
            }
        }
    }
}

/// Verifies the list of gaps.
///
/// # Safety
/// As for [`Collector::verify`].
unsafe fn verify_gaps(segment: &Segment, space: &Space) {
    let (mut walk, mut sum, mut last) = (*segment, 0, 0);
    while let Some(gap) = walk.first_gap(space) {
        let end = gap.position + gap.granules;
        assert!(gap.position >= segment.start && gap.position > last && end <= segment.end);
        // SAFETY: SPACE: the gap lies in the segment.
        assert_eq!(unsafe { space.find(gap.position, end, true) }, end, "a gap is empty");
        sum += gap.granules;
        last = gap.position;
        walk.pop_gap(space);
    }
    assert_eq!(sum, segment.free, "gaps are counted");
}
