//! Where objects move to: a prefix sum for each brick.
//!
//! A brick's entry is the new position of its first live granule less the live granules before it, which are none: so
//! the new position of an object is the entry plus the live granules between the brick's start and the object, one
//! population count. No forwarding word is needed, and the heap stays walkable. `docs/relocation.md` compares it with trees of plugs.
//!
//! That takes the objects that start in a brick to move to one place. Where they do not, because a segment ends or a
//! pinned object is in the way, the entry leads to the brick's *turns*: the positions from which on objects go elsewhere,
//! the last one first.
//!
//! ```text
//!   entry   0              does not move
//!           base           the prefix sum
//!           TURN | index   turns[index] --before--> turns[i] --before--> base or 0
//! ```

use core::ops::Range;

use super::space::{BRICK, BRICK_SHIFT, Space};
use crate::base::fill::fill;

/// Set in an entry that leads to a turn.
const TURN: u32 = 1 << 31;

/// From `from` on, objects of the brick go to `to` and on.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    from: u32,
    to: u32,
    /// The entry for the objects before.
    before: u32,
}

/// Tells new positions from old ones.
///
/// **Invariant `BRICK`**: an entry that is not 0 is a base or leads to turns of that brick; turns lie in descending order of
/// `from`, which are starts of objects. Of what is compacted, an object that starts in a brick without turns goes right behind the
/// one before it. After a collection all entries are 0.
#[derive(Clone, Copy)]
pub(crate) struct Forward {
    turns: *const Turn,
}

impl Forward {
    pub(super) fn new(turns: &[Turn]) -> Forward {
        Forward { turns: turns.as_ptr() }
    }

    /// The new position of the object at `position`.
    ///
    /// # Safety
    /// LIVE: a marked object starts there; the plan is made and nothing is compacted yet, or all before it only.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) unsafe fn position(&self, space: &Space, position: u32) -> u32 {
        let brick = position >> BRICK_SHIFT;
        // SAFETY: SPACE: the entry and the bits exist.
        unsafe {
            let entry = *space.bricks.add(brick as usize);
            if entry == 0 {
                return position;
            }
            if entry & TURN != 0 {
                return self.turned(space, entry, position);
            }
            entry + space.count_live(brick << BRICK_SHIFT, position)
        }
    }

    /// Whether the brick of `position` is straight: it has no turns.
    ///
    /// # Safety
    /// As for [`Forward::position`].
    #[inline(always)]
    pub(super) unsafe fn is_straight(space: &Space, position: u32) -> bool {
        // SAFETY: SPACE: the entry exists.
        unsafe { *space.bricks.add((position >> BRICK_SHIFT) as usize) & TURN == 0 }
    }

    #[cold]
    unsafe fn turned(&self, space: &Space, mut entry: u32, position: u32) -> u32 {
        // SAFETY: BRICK: the indices are those of turns, and the bits of the brick exist.
        unsafe {
            while entry & TURN != 0 {
                let turn = &*self.turns.add((entry & !TURN) as usize);
                if position >= turn.from {
                    return turn.to + space.count_live(turn.from, position);
                }
                entry = turn.before;
            }
            if entry == 0 {
                return position;
            }
            entry + space.count_live(position & !(BRICK - 1), position)
        }
    }
}

/// Writes the entries while the plan goes through the objects in order.
pub(super) struct Writer<'a> {
    space: &'a Space,
    turns: &'a mut super::table::Table<Turn>,
    /// The last brick of what was noted last.
    brick: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(space: &'a Space, turns: &'a mut super::table::Table<Turn>) -> Writer<'a> {
        turns.truncate(0);
        Writer { space, turns, brick: 0 }
    }

    /// Notes that the objects of `from..end`, side by side, go to `to` and on; `turning`, if not right behind what was noted
    /// before.
    ///
    /// # Safety
    /// LIVE: the range is one of marked objects, at least one, and comes behind all that were noted.
    pub(super) unsafe fn note(&mut self, from: u32, end: u32, to: u32, turning: bool) {
        let (first, last) = (from >> BRICK_SHIFT, (end - 1) >> BRICK_SHIFT);
        // SAFETY: SPACE: the entries exist.
        unsafe {
            let entry = self.space.bricks.add(first as usize);
            if turning {
                let index = self.turns.len() as u32;
                let before = *entry;
                self.turns.push(Turn { from, to, before });
                *entry = TURN | index;
            } else if first != self.brick {
                // Nothing lives before in this brick.
                *entry = to;
            }
            let mut brick = first;
            while brick < last {
                brick += 1;
                *self.space.bricks.add(brick as usize) = to + ((brick << BRICK_SHIFT) - from);
            }
        }
        self.brick = last;
    }

    /// Notes that what lives in these bricks goes to `to` and on, side by side: up to one in which nothing lives, as far as `room`
    /// granules are enough, and only up to where no run of live granules goes on in the next brick. Returns where that is, and
    /// how many granules live before.
    ///
    /// # Safety
    /// LIVE: what lives there comes behind all that was noted, and the bricks lie in a segment that ends at `limit`. A run starts
    /// in the first one, but none before it reaches there.
    pub(super) unsafe fn note_bricks(&mut self, bricks: Range<u32>, limit: u32, to: u32, room: u32) -> (u32, u32) {
        let space = self.space;
        let (mut at, mut sum) = (bricks.start, 0);
        let mut noted = (at, sum);
        // SAFETY: SPACE: bricks of the segment, and their entries.
        unsafe {
            while at < bricks.end {
                let count = space.count_live(at, at + BRICK);
                if count == 0 || sum + count > room {
                    break;
                }
                set_base(space, at, to + sum);
                (at, sum) = (at + BRICK, sum + count);
                if at == limit || !space.is_live(at - 1) || !space.is_live(at) {
                    noted = (at, sum);
                }
            }
            if noted.0 != at {
                clear(space, noted.0, at);
            }
        }
        if noted.1 != 0 {
            self.brick = (noted.0 - 1) >> BRICK_SHIFT;
        }
        noted
    }
}

/// Notes that the object at `from`, the first one of its brick, goes to `to`.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn set_base(space: &Space, from: u32, to: u32) {
    // SAFETY: SPACE: the entry exists and is ours.
    unsafe { *space.bricks.add((from >> BRICK_SHIFT) as usize) = to };
}

/// Forgets where the objects of `from..to`, whole bricks, move to.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn clear(space: &Space, from: u32, to: u32) {
    // SAFETY: SPACE: the entries exist and are ours.
    unsafe {
        let entries = space.bricks.add((from >> BRICK_SHIFT) as usize);
        fill(
            entries.cast(),
            ((to - from) >> BRICK_SHIFT) as usize * size_of::<u32>(),
            0,
        );
    }
}
