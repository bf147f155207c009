//! Large objects: each in a segment of its own. A compaction passes them by; here they move down, when that is asked for or
//! when nothing else makes room.
//!
//! ```text
//!   | small .... |  L1  |      free      |  L2  |   free  |          L2 goes to a lower place that has room for it.
//! ```

use super::brick::{self, Forward};
use super::card;
use super::handle::Kind;
use super::object;
use super::plan::holder;
use super::segment::{Segment, poison, sink};
use super::space::BRICK;
use super::visit::Task;
use super::{Collector, give_segment, layout_of};
use crate::base::granule::{GRANULE, GRANULE_SHIFT};
use crate::base::shift::shift;

impl Collector {
    /// Moves large objects that are not pinned to lower places that have room for them. O(live objects), if any moves.
    ///
    /// # Safety
    /// PARKED; all generations were collected just now.
    pub(crate) unsafe fn slide_large(&mut self) {
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
