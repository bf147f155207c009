//! Allocation: a pointer that is bumped through a gap or a fresh segment, and what happens at its end.
//!
//! The order at the end of a stretch: gaps of generation 0, in ascending order; a fresh segment; any gap. The gaps of older
//! segments come last, as their cards must be dirtied and what survives there becomes as old as the segment; that they are
//! not wasted is the plan's business, which moves survivors there. Nothing is collected here.

use core::ptr::NonNull;

use super::card;
use super::collect::{Counters, Step};
use super::large;
use super::segment::{Gap, MIN_GAP, OLDEST, Segment, sink};
use super::space::{BRICK, BRICK_BYTES};
use super::{Collector, SEGMENT_MIN};
use crate::base::granule::GRANULE_SHIFT;

/// A gap that is too small for a request is dropped until the next collection if it has fewer granules than this.
const CRUMB: u32 = 16;

/// Segments whose first gap is too small that are passed over in a search.
const PASSED: u32 = 8;

/// Where the next objects go.
///
/// **Invariant `CONTEXT`**: the bytes from `next` up to `limit` are granules of one segment, which is touched, and in nobody's
/// use; both are null if there are none.
pub(crate) struct Context {
    pub(super) next: *mut u8,
    pub(super) limit: *mut u8,
    /// Index of the segment below which no gap is worth a look.
    pub(super) scan: usize,
}

impl Context {
    /// Bytes that are left.
    #[inline(always)]
    pub(crate) fn rest(&self) -> usize {
        self.limit as usize - self.next as usize
    }

    /// Takes `bytes`, a multiple of the granule and not 0, if so many are left.
    #[inline(always)]
    pub(crate) fn bump(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        if bytes > self.rest() {
            return None;
        }
        let object = self.next;
        self.next = object.wrapping_add(bytes);
        // SAFETY: CONTEXT: where something is left, `next` is not null. The hint spares callers a comparison.
        unsafe {
            core::hint::assert_unchecked(!object.is_null());
            Some(NonNull::new_unchecked(object))
        }
    }
}

impl Collector {
    /// Takes `bytes` from the context if so many are left, and the object gets no segment of its own.
    #[inline(always)]
    pub(crate) fn bump_small(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        // Objects of less than a brick never do: for types of a known size that decides it.
        if bytes >= BRICK_BYTES && bytes >> GRANULE_SHIFT >= self.own.min(self.large) as usize {
            return None;
        }
        self.context.bump(bytes)
    }

    /// Takes `n` granules from wherever there are some, without a collection. Not 0.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_slowly(&mut self, n: u32) -> Option<NonNull<u8>> {
        // SAFETY: this step has no conditions.
        let apart = self
            .large_work
            .and_then(|work| unsafe { work(self, large::Step::Allocate(n)) });
        if apart.is_some() {
            return apart;
        }
        if !self.refill(n) {
            return None;
        }
        let object = self.context.bump((n as usize) << GRANULE_SHIFT);
        if self.counters.stress.is_some() {
            // So that the next one comes here as well.
            self.retire();
        }
        object
    }

    /// Takes `more` bytes behind the object at `object`, which has `bytes`, so that it becomes larger where it is; tells whether
    /// that could be: it is young, and was allocated last. All are multiples of the granule.
    pub(crate) fn extend(&mut self, object: *mut u8, bytes: usize, more: usize) -> bool {
        let end = object.wrapping_add(bytes);
        if end != self.context.next || more > self.context.rest() {
            return false;
        }
        // The bits of an old object are set, and are those of all of it; and a segment may begin where another one ends.
        let (from, to) = (self.space.position(object), self.space.position(end));
        // SAFETY: SPACE: the object's position.
        let is_young = unsafe { !self.space.is_live(from) };
        is_young && self.segment_of(from) == self.segment_of(to) && self.context.bump(more).is_some()
    }

    /// Makes the context hold at least `n` granules; tells whether it does.
    pub(super) fn refill(&mut self, n: u32) -> bool {
        let bytes = (n as usize) << GRANULE_SHIFT;
        if self.context.rest() >= bytes {
            return true;
        }
        self.retire();
        let step = if self.refill_from_gaps(n, 0) {
            Step::Gap
        } else if self.refill_from_segment(n) {
            Step::Segment
        } else if self.refill_from_gaps(n, OLDEST) {
            Step::OldGap
        } else {
            return false;
        };
        self.count(step);
        true
    }

    /// Gives the rest of the context back to its segment.
    pub(super) fn retire(&mut self) {
        let granules = (self.context.rest() >> GRANULE_SHIFT) as u32;
        if granules >= MIN_GAP {
            let position = self.space.position(self.context.next);
            let index = self.segment_of(position);
            let gap = Gap { position, granules };
            // SAFETY: CONTEXT: the rest is a segment's memory that nobody uses, and nobody will.
            unsafe { self.segments.at_mut(index as u32).push_gap(&self.space, gap) };
            self.context.scan = self.context.scan.min(index);
            self.young = self.young.saturating_sub(granules as usize);
        }
        self.drop_context();
    }

    /// Makes each safe point collect, or not.
    pub(crate) fn set_stress(&mut self, on: bool) {
        self.counters.stress = on.then_some(Counters::next_under_stress);
        self.retire();
    }

    /// Forgets what the context holds.
    pub(super) fn drop_context(&mut self) {
        self.context.next = core::ptr::null_mut();
        self.context.limit = core::ptr::null_mut();
    }

    /// Puts a stretch of a touched segment, which nobody uses, into the context.
    fn set_context(&mut self, position: u32, granules: u32) {
        self.context.next = self.space.at(position);
        self.context.limit = self.context.next.wrapping_add((granules as usize) << GRANULE_SHIFT);
        self.young += granules as usize;
    }

    /// Refills from the gaps of generations up to `oldest`. For generation 0 alone, the search is bounded.
    fn refill_from_gaps(&mut self, n: u32, oldest: u8) -> bool {
        let is_bounded = oldest == 0;
        let mut index = if is_bounded { self.context.scan } else { 0 };
        let mut passed = 0;
        while index < self.segments.len() && passed < PASSED {
            let space = self.space;
            let segment = &mut self.segments.as_mut_slice()[index];
            if segment.generation <= oldest && !segment.is_pinned {
                if let Some(gap) = take_gap(segment, &space, n) {
                    self.set_context(gap.position, gap.granules);
                    return true;
                }
                passed += u32::from(segment.gaps != 0 && is_bounded);
            }
            if is_bounded && index == self.context.scan && (segment.generation != 0 || segment.gaps == 0) {
                self.context.scan += 1;
            }
            index += 1;
        }
        false
    }

    fn refill_from_segment(&mut self, n: u32) -> bool {
        let mut granules = n.max(self.standard);
        let block = loop {
            let block = self.add_segment(granules, false);
            if !block.is_null() {
                break block;
            }
            if granules == n {
                return false;
            }
            // Room for whole objects of that size: what is left over would be lost.
            let smaller = granules / 4;
            granules = if smaller < SEGMENT_MIN {
                n
            } else {
                (smaller - smaller % n).max(n)
            };
        };
        let granules = granules.next_multiple_of(BRICK);
        self.young -= granules as usize; // counted once, by the context
        self.set_context(self.space.position(block), granules);
        true
    }

    /// Takes a segment of at least `n` granules from the heap; returns where it starts, or null.
    pub(super) fn add_segment(&mut self, n: u32, is_large: bool) -> *mut u8 {
        let mut block = core::ptr::null_mut();
        if let Some(layout) = Collector::segment_layout(n)
            && self.reserve_tables(self.segments.len() + 1, self.handles.pins())
        {
            let granules = (layout.size() >> GRANULE_SHIFT) as u32;
            if self.admits(granules) {
                block = self.source.take(layout, None);
            }
            if !block.is_null() {
                self.list_segment(block, granules, is_large);
            }
        }
        block
    }

    /// Makes a block of whole bricks a segment, for which the tables have room; returns its index.
    pub(super) fn list_segment(&mut self, block: *mut u8, granules: u32, is_large: bool) -> usize {
        let start = self.space.position(block);
        let segment = Segment {
            start,
            end: start + granules,
            generation: 0,
            is_large,
            is_pinned: false,
            is_touched: true,
            is_filled: false,
            gaps: 0,
            free: 0,
        };
        // SAFETY: SPACE: the block lies in the span and starts and ends at bricks; its entries are this arena's from now on.
        unsafe {
            card::wipe(&self.space, segment.start, segment.end);
        }
        self.segments.push(segment);
        let last = self.segments.len() - 1;
        let index = sink(self.segments.as_mut_slice(), last);
        if index <= self.context.scan {
            self.context.scan += 1;
        }
        self.young += granules as usize;
        self.hold(granules);
        index
    }
}

/// Takes the first gap of a segment's list if `n` granules fit; drops those before it that are hardly worth listing.
fn take_gap(segment: &mut Segment, space: &super::space::Space, n: u32) -> Option<Gap> {
    while let Some(gap) = segment.first_gap(space) {
        if gap.granules < n && gap.granules >= CRUMB {
            return None;
        }
        segment.pop_gap(space);
        if gap.granules >= n {
            segment.is_touched = true;
            if segment.generation > 0 {
                // What is made there may become old in place, and refer to what is younger or moves.
                // SAFETY: SPACE: a gap lies in its segment.
                unsafe { card::soil(space, gap.position, gap.position + gap.granules) };
            }
            return Some(gap);
        }
    }
    None
}
