//! Relocate and compact: references get their new positions, then plugs move, one `memmove` each.

use super::Collector;
use super::brick::{self, Forward};
use super::card;
use super::object;
use super::segment::{Segment, poison};
use super::visit::Task;
use crate::base::granule::GRANULE_SHIFT;

/// Live objects side by side that move by the same distance.
#[derive(Clone, Copy, Default)]
struct Plug {
    from: u32,
    to: u32,
    granules: u32,
}

impl Collector {
    /// Gives every reference to a condemned object its new position.
    ///
    /// # Safety
    /// The plan was made, and nothing has moved.
    pub(super) unsafe fn relocate(&mut self, generation: u8) {
        let space = self.space;
        let forward = Forward::new(space, self.turns.as_slice());
        // SAFETY: LIVE: handles and slots of live objects refer to marked objects; old ones that refer to condemned ones have
        // dirty cards, and so have the young ones in their gaps.
        unsafe {
            self.handles.each(|_, position| *position = forward.position(*position));
            self.drops.relocate(|position| forward.position(position));
            let mut visitor = self.visitor(Task::Relocate(forward));
            for segment in self.segments.as_slice() {
                if segment.generation > generation {
                    card::visit_dirty(segment, &mut visitor);
                } else {
                    segment.each_live(&space, |position, _| object::trace(space.at(position), &mut visitor));
                }
            }
        }
    }

    /// Moves the condemned objects, and makes the live bits those of the new places.
    ///
    /// # Safety
    /// All references were relocated.
    pub(super) unsafe fn compact(&mut self, generation: u8) {
        let space = self.space;
        let forward = Forward::new(space, self.turns.as_slice());
        let condemned = |segment: &&Segment| segment.is_compactable(generation);
        let mut plug = Plug::default();
        // SAFETY: the plan moves objects down only, in order: what a plug overwrites has moved before, or is part of it. The
        // walk reads headers at their old places, above all that was written.
        unsafe {
            for segment in self.segments.as_slice().iter().filter(condemned) {
                segment.each_live(&space, |from, n| {
                    let to = forward.position(from);
                    if from == plug.from + plug.granules && to == plug.to + plug.granules {
                        plug.granules += n;
                    } else {
                        self.move_plug(plug);
                        plug = Plug { from, to, granules: n };
                    }
                });
            }
            self.move_plug(plug);
            for segment in self.segments.as_slice().iter().filter(condemned) {
                space.clear_live(segment.start, segment.end);
                brick::clear(&space, segment.start, segment.end);
            }
            for fill in self.fills.as_slice() {
                space.set_live(fill.start, fill.end);
            }
        }
    }

    /// # Safety
    /// As for [`Collector::compact`].
    #[inline(always)]
    unsafe fn move_plug(&self, plug: Plug) {
        if plug.from != plug.to {
            debug_assert!(plug.to < plug.from);
            let (from, to) = (self.space.at(plug.from), self.space.at(plug.to));
            // SAFETY: both are memory of this arena's segments, of that many granules.
            unsafe {
                core::ptr::copy(from, to, (plug.granules as usize) << GRANULE_SHIFT);
                let vacated = plug.from.max(plug.to + plug.granules);
                poison(&self.space, vacated, plug.from + plug.granules);
            }
        }
    }

    /// Forgets the plan.
    ///
    /// # Safety
    /// Nothing was relocated or moved.
    pub(super) unsafe fn drop_plan(&mut self, generation: u8) {
        for segment in self.segments.as_slice() {
            if segment.is_compactable(generation) {
                // SAFETY: SPACE: a segment's bricks.
                unsafe { brick::clear(&self.space, segment.start, segment.end) };
            }
        }
    }
}
