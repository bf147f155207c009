//! Large objects: each in a segment of its own. A compaction passes them by; here they move down, when that is asked for or
//! when nothing else makes room.
//!
//! A program all of whose objects are known to have less than a brick links none of this: the collector gets here through a pointer
//! that the first request for more sets.
//!
//! ```text
//!   | small .... |  L1  |      free      |  L2  |   free  |          L2 goes to a lower place that has room for it.
//! ```

use core::ptr::NonNull;

use super::brick::{self, Forward};
use super::card;
use super::collect;
use super::handle::Kind;
use super::object;
use super::plan::holder;
use super::segment::{Segment, poison, sink};
use super::space::{BRICK, BRICK_BYTES};
use super::visit::Task;
use super::{Collector, give_segment, layout_of};
use crate::base::granule::{GRANULE, GRANULE_SHIFT};
use crate::base::shift::shift;

/// Does a step of the work with objects that have a brick or more; the answer is the memory that was asked for, if any.
///
/// # Safety
/// As for what does the step.
pub(super) type Work = unsafe fn(&mut Collector, Step) -> Option<NonNull<u8>>;

/// What there is to be done.
pub(super) enum Step {
    /// Take so many granules in a segment of their own, if that is where so many belong.
    Allocate(u32),
    /// Move large objects down.
    Slide,
}

/// The one [`Work`] there is.
unsafe fn work(collector: &mut Collector, step: Step) -> Option<NonNull<u8>> {
    match step {
        Step::Allocate(n) => collector.allocate_apart(n),
        Step::Slide => {
            // SAFETY: the caller's.
            unsafe { collector.slide() };
            None
        }
    }
}

impl Collector {
    /// Takes note that an object of `bytes` will be asked for. Where the size is known at compile time, this is nothing for less than
    /// a brick.
    #[inline(always)]
    pub(crate) fn announce(&mut self, bytes: usize) {
        if bytes >= BRICK_BYTES {
            self.large_work = Some(work);
        }
    }

    /// Takes `n` granules in a segment of their own, if that is where so many belong and there is room.
    #[inline(always)]
    fn allocate_apart(&mut self, n: u32) -> Option<NonNull<u8>> {
        if n < self.own.min(self.large) {
            return None;
        }
        let object = NonNull::new(self.add_segment(n, n >= self.large))?;
        self.count(collect::Step::Large);
        Some(object)
    }

    /// Moves large objects that are not pinned to lower places that have room for them. O(live objects), if any moves.
    ///
    /// # Safety
    /// PARKED; all generations were collected just now.
    #[inline(always)]
    pub(crate) unsafe fn slide_large(&mut self) {
        if let Some(work) = self.large_work {
            // SAFETY: the caller's.
            unsafe { work(self, Step::Slide) };
        }
    }

    /// As [`Collector::slide_large`].
    ///
    /// # Safety
    /// The same.
    unsafe fn slide(&mut self) {
        let segments = self.segments.as_mut_slice();
        self.handles.each(|kind, position| {
            if kind == Kind::Pinned {
                // SAFETY: HANDLE: an object lies there.
                unsafe { holder(segments, *position) }.is_filled = true;
            }
        });
        let mut moving = 0;
        for index in 0..self.segments.len() {
            let segment = &mut self.segments.as_mut_slice()[index];
            let stays = core::mem::take(&mut segment.is_filled);
            if segment.is_large && !segment.is_pinned && !stays {
                let segment = *segment;
                // SAFETY: the caller's.
                moving += usize::from(unsafe { self.find_lower(&segment) });
            }
        }
        if moving != 0 {
            // SAFETY: the caller's; the new places are known.
            unsafe {
                self.relocate_all();
                self.move_large();
            }
        }
    }

    /// Takes a block for a large object at a lower place, if there is one, and notes it as its brick's base.
    ///
    /// # Safety
    /// The segment is this arena's, and holds a large object that is alive.
    unsafe fn find_lower(&self, segment: &Segment) -> bool {
        // SAFETY: SEGMENT: it is the layout of a segment that there is.
        let layout = unsafe { layout_of(segment.granules()) };
        let block = self.source.take(layout, None);
        if block.is_null() {
            return false;
        }
        let to = self.space.position(block);
        // SAFETY: the block was taken just now; SPACE: the bricks of both.
        unsafe {
            if to > segment.start {
                self.source.give(block, layout);
                return false;
            }
            card::wipe(&self.space, to, to + segment.granules());
            brick::set_base(&self.space, segment.start, to);
        }
        true
    }

    /// Gives every reference its object's new position.
    ///
    /// # Safety
    /// LIVE and BRICK hold; nothing has moved yet.
    unsafe fn relocate_all(&mut self) {
        let forward = Forward::new(&[]);
        // SAFETY: LIVE: handles and slots refer to live objects.
        unsafe {
            self.relocate_roots(&forward);
            let mut visitor = self.visitor(Task::Relocate(forward));
            for segment in self.segments.as_slice() {
                visitor.trace_live(segment);
            }
        }
    }

    /// Moves the large objects that have a base.
    ///
    /// # Safety
    /// All references were relocated.
    unsafe fn move_large(&mut self) {
        let (space, source) = (self.space, self.source);
        let forward = Forward::new(&[]);
        let mut moved = 0;
        for segment in self.segments.as_mut_slice() {
            let old = *segment;
            // SAFETY: SPACE: both places are the arena's, and apart; the object is alive, so its bits are set.
            unsafe {
                let to = forward.position(&space, old.start);
                if !old.is_large || to == old.start {
                    continue;
                }
                let size = object::size(space.at(old.start));
                shift(space.at(old.start), space.at(to), size as usize);
                (segment.start, segment.end) = (to, to + old.granules());
                brick::set_base(&space, old.start, 0);
                card::note_live(&space, to);
                poison(&space, old.start, old.end);
                give_segment(source, &space, old.start, old.end);
                moved += (size as usize) << GRANULE_SHIFT;
            }
        }
        // Few have moved down.
        let segments = self.segments.as_mut_slice();
        (1..segments.len()).for_each(|index| _ = sink(segments, index));
        self.context.scan = 0;
        self.counters.moved = self.counters.moved.wrapping_add(moved);
        // Whoever goes by positions is to know.
        self.counters.compactions = self.counters.compactions.wrapping_add(1);
    }

    /// Sets the bytes from which on an object gets a segment of its own.
    pub(crate) fn set_large(&mut self, bytes: usize) {
        let granules = u32::try_from(bytes.div_ceil(GRANULE)).unwrap_or(u32::MAX);
        self.large = granules.clamp(BRICK, self.standard + 1);
    }
}
