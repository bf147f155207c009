//! Relocate and compact: references get their new positions, and plugs move.
//!
//! What lies outside of the condemned segments is relocated first. Then the plugs move in address order, and the slots of
//! their objects are relocated on the way, as long as these are in the cache: those of a short run when all of it has moved,
//! others before, since it takes a look at each object to find where a plug ends. That needs the live bits and bricks of the
//! old places only, which stay until all is moved.

use core::ptr::NonNull;

use super::Collector;
use super::ahead;
use super::brick::{self, Forward};
use super::card;
use super::drops;
use super::object;
use super::plan::holder;
use super::segment::{Segment, poison};
use super::space::{BRICK, Space};
use super::visit::{Task, Visitor};
use crate::base::shift::shift;

/// A plug is moved in pieces of so many granules, 4 KiB, or one object more.
const PIECE: u32 = 512;

/// What lies so many granules further up is fetched when a short run moves: memory takes the time of several.
const AHEAD: u32 = 128;

/// Live objects side by side that move by the same distance.
#[derive(Clone, Copy)]
struct Plug {
    from: u32,
    to: u32,
    granules: u32,
}

impl Plug {
    /// Where the next object comes from, and where it goes.
    #[inline(always)]
    fn ends(&self) -> (u32, u32) {
        (self.from + self.granules, self.to + self.granules)
    }

    /// Moves it.
    ///
    /// # Safety
    /// Both ranges are memory of this arena's segments; nobody needs what the new one overwrites.
    unsafe fn shift(&self, space: &Space) {
        if self.from != self.to && self.granules != 0 {
            let (from, to) = (space.at(self.from), space.at(self.to));
            // SAFETY: the caller's.
            unsafe {
                shift(from, to, self.granules as usize);
                let (end, reached) = self.ends();
                let vacated = if self.to < self.from {
                    self.from.max(reached)
                } else {
                    self.from
                };
                poison(space, vacated, end);
            }
        }
    }
}

impl Collector {
    /// Gives every reference to a condemned object its new position, but for those in objects that may move.
    ///
    /// # Safety
    /// The plan was made, and nothing has moved.
    pub(super) unsafe fn relocate(&mut self, generation: u8) {
        let forward = Forward::new(self.turns.as_slice());
        // SAFETY: LIVE: handles and slots of live objects refer to marked objects; old ones that refer to condemned ones have
        // dirty cards, and so have the young ones in their gaps.
        unsafe {
            self.relocate_roots(&forward);
            let mut visitor = self.visitor(Task::Relocate(forward));
            for segment in self.segments.as_slice() {
                if segment.generation > generation {
                    card::visit_dirty(segment, generation, &mut visitor);
                } else if segment.is_large {
                    visitor.trace_live(segment);
                }
            }
        }
    }

    /// Gives handles and lists the new positions.
    ///
    /// # Safety
    /// As for [`Collector::relocate`].
    pub(super) unsafe fn relocate_roots(&mut self, forward: &Forward) {
        // SAFETY: LIVE: what handles and lists have are positions of marked objects.
        unsafe {
            let space = &self.space;
            self.handles
                .each(|_, position| *position = forward.position(space, *position));
            Collector::care_for_drops(NonNull::from_mut(self), drops::Step::Relocate(forward));
        }
    }

    /// Relocates and moves the condemned objects, and makes live bits and `firsts` those of the new places; bricks in which
    /// nothing starts are yet to be linked.
    ///
    /// # Safety
    /// All other references were relocated.
    pub(super) unsafe fn compact(&mut self, generation: u8) {
        let space = self.space;
        let forward = Forward::new(self.turns.as_slice());
        let condemned = |segment: &&Segment| segment.is_compactable(generation);
        let mut visitor = self.visitor(Task::Relocate(forward));
        let mut to = 0; // the first object's brick has a turn
        // SAFETY: the plan moves objects down, in order, or to gaps: what a plug overwrites has moved before, or is part of it, or
        // is nobody's. What is walked lies above all that was overwritten.
        unsafe {
            for segment in self.segments.as_slice().iter().filter(condemned) {
                // What goes here comes from here or from further up.
                card::forget_starts(&space, segment);
                let (mut from, mut end) = space.run(segment.start, segment.end);
                while from < segment.end {
                    to = if moves_as_one(&space, from, end) {
                        move_as_one(from, end, to, &mut visitor)
                    } else {
                        move_run(from, end, to, &forward, &mut visitor)
                    };
                    (from, end) = space.run(end, segment.end);
                }
            }
            for segment in self.segments.as_slice().iter().filter(condemned) {
                space.clear_live(segment.start, segment.end);
            }
        }
        for fill in self.fills.as_slice() {
            // SAFETY: SPACE: fills lie in segments.
            unsafe {
                holder(self.segments.as_mut_slice(), fill.start).is_filled = true;
                space.set_live(fill.start, fill.end);
            }
        }
    }

    /// Forgets the plan.
    ///
    /// # Safety
    /// Nothing was relocated or moved, or everything was.
    pub(super) unsafe fn drop_plan(&mut self, generation: u8) {
        for segment in self.segments.as_slice() {
            if segment.is_compactable(generation) {
                // SAFETY: SPACE: a segment's bricks.
                unsafe { brick::clear(&self.space, segment.start, segment.end) };
            }
        }
    }
}

/// Whether a run is short, and its objects go side by side behind what was moved last.
///
/// # Safety
/// As for [`Collector::compact`].
#[inline(always)]
unsafe fn moves_as_one(space: &Space, from: u32, end: u32) -> bool {
    let first = from / BRICK * BRICK;
    // SAFETY: BRICK: a run has at least a granule in each of these bricks.
    let is_straight = |brick| unsafe { Forward::is_straight(space, brick) };
    cfg!(not(terrace_small)) && end - from <= PIECE && (first..end).step_by(BRICK as usize).all(is_straight)
}

/// Moves the objects of `from..end` to `to` and on, and relocates them there; returns where the object behind them goes then.
///
/// # Safety
/// As for [`Collector::compact`]; it is a run that [moves as one](moves_as_one).
#[inline(always)]
unsafe fn move_as_one(from: u32, end: u32, to: u32, visitor: &mut Visitor) -> u32 {
    let space = visitor.space;
    let granules = end - from;
    let (mut at, reached) = (to, to + granules);
    ahead::fetch(&space, from + AHEAD);
    // SAFETY: LIVE: a run of set bits is one of whole objects, of which the first one starts it; BRICK: all go as far.
    unsafe {
        debug_assert_eq!(to, Forward::new(&[]).position(&space, from));
        Plug { from, to, granules }.shift(&space);
        while at < reached {
            let object = space.at(at);
            card::note_start(&space, at);
            at += object::size(object);
            object::trace(object, visitor);
        }
    }
    reached
}

/// Relocates and moves the objects of `from..end`, side by side, of which the first goes to `to` if its brick is straight; returns
/// where the object behind them goes then.
///
/// # Safety
/// As for [`Collector::compact`].
#[cfg_attr(not(terrace_small), inline(never))] // in a function of its own there are registers for what it needs
unsafe fn move_run(from: u32, end: u32, to: u32, forward: &Forward, visitor: &mut Visitor) -> u32 {
    let space = visitor.space;
    let mut plug = Plug { from, to, granules: 0 };
    // SAFETY: LIVE: a run of set bits is one of whole objects, of which the first one starts it; BRICK: where a brick is
    // straight, an object goes right behind the one before it.
    unsafe {
        loop {
            let (at, mut to) = plug.ends();
            if at == end {
                break;
            }
            let turns = !Forward::is_straight(&space, at);
            if turns || plug.granules >= PIECE {
                plug.shift(&space);
                if turns {
                    to = forward.position(&space, at);
                }
                plug = Plug {
                    from: at,
                    to,
                    granules: 0,
                };
            }
            debug_assert_eq!(to, forward.position(&space, at));
            let object = space.at(at);
            card::note_start(&space, to);
            plug.granules += object::size(object);
            object::trace(object, visitor);
        }
        plug.shift(&space);
    }
    plug.ends().1
}
