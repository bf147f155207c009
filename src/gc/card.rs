//! Which bricks were written to, and where in a brick objects start.
//!
//! ```text
//!   card   0   clean
//!          1   dirty: a slot may refer to anything. What a store sets, for the slot's own address
//!          2   aged: dirty before the last collection of generation 0, so that a slot may refer to generation 1, but not to 0
//! ```
//!
//! The objects that overlap a card are found by `firsts`:
//!
//! ```text
//!   0 ..= 63     the first old object that starts in the brick starts at this granule
//!   64 ..= 254   none starts there: look 1 to 191 bricks further down
//!   255          none starts there or below it in this segment
//! ```
//!
//! **Invariant `FIRST`**: that holds for all objects that were old after the last collection, but that a brick may lead
//! further down than need be. What has become old in gaps between them since then is met by a walk from one's start.

use super::object;
use super::segment::Segment;
use super::space::{BRICK, BRICK_BYTES, BRICK_SHIFT, Space};
use super::visit::Visitor;
use crate::base::fill::fill;
use crate::base::granule::GRANULE_SHIFT;

const NONE: u8 = u8::MAX;

const CLEAN: u8 = 0;
const DIRTY: u8 = 1;
const AGED: u8 = 2;

/// A byte, eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Takes note of a store to the slot at `address`, if that lies in the heap. The write barrier.
#[inline(always)]
pub(crate) fn dirty(space: &Space, address: usize) {
    if let Some(offset) = space.offset(address) {
        // SAFETY: SPACE: every address of the span has a card.
        unsafe { *space.cards.add(offset / BRICK_BYTES) = DIRTY };
    }
}

/// The cards of `first..end`, whole bricks of one segment.
///
/// # Safety
/// SPACE: positions of this arena's segments; nobody else uses these cards meanwhile.
unsafe fn cards<'a>(space: &Space, first: u32, end: u32) -> &'a mut [u8] {
    // SAFETY: SPACE: the cards exist, are initialised and ours.
    unsafe { core::slice::from_raw_parts_mut(space.cards.add(first as usize), (end - first) as usize) }
}

/// Takes note of stores to the slots in `bytes` from `address` on, if these lie in the heap.
#[inline(always)]
pub(crate) fn dirty_all(space: &Space, address: usize, bytes: usize) {
    if bytes != 0 {
        (0..bytes)
            .step_by(BRICK_BYTES)
            .for_each(|offset| dirty(space, address + offset));
        dirty(space, address + bytes - 1);
    }
}

/// Makes the cards of `first..end` alike.
///
/// # Safety
/// SPACE: as for [`cards`].
#[cfg_attr(terrace_small, inline(never))]
unsafe fn fill_cards(space: &Space, first: u32, end: u32, card: u8) {
    // SAFETY: the caller's.
    unsafe { fill(space.cards.add(first as usize), (end - first) as usize, card) };
}

/// Dirties the cards that `from..to` touches.
///
/// # Safety
/// SPACE: positions of this arena's segments; `from < to`.
pub(super) unsafe fn soil(space: &Space, from: u32, to: u32) {
    // SAFETY: the caller's.
    unsafe { fill_cards(space, from >> BRICK_SHIFT, ((to - 1) >> BRICK_SHIFT) + 1, DIRTY) };
}

/// Cleans the cards of a segment.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn clean(space: &Space, segment: &Segment) {
    // SAFETY: the caller's.
    unsafe { fill_cards(space, segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT, CLEAN) };
}

/// Makes the dirty cards of a segment aged ones.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn age(space: &Space, segment: &Segment) {
    // SAFETY: the caller's.
    for card in unsafe { cards(space, segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT) } {
        *card = (*card | *card << 1) & AGED;
    }
}

/// How far the visit of a segment has come.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// What starts before was visited, or does not reach the next brick.
    resume: u32,
    /// The object that was visited last, and how many of its elements: what overlaps two dirty bricks is visited once.
    position: u32,
    elements: usize,
}

/// Visits the slots in those bricks of a segment that may refer to what a collection of `generation` condemns, each once.
///
/// # Safety
/// SPACE, LIVE and FIRST hold for the segment.
pub(super) unsafe fn visit_dirty(segment: &Segment, generation: u8, visitor: &mut Visitor) {
    let space = visitor.space;
    let (first, end) = (segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT);
    let mask = if generation == 0 { DIRTY } else { DIRTY | AGED };
    let (mut brick, mut progress) = (first, Progress::default());
    while brick < end {
        // SAFETY: SPACE: the card exists; a brick of the segment.
        unsafe {
            brick = next_dirty(&space, brick, end, mask);
            if brick < end {
                visitor.cards += 1;
                visit_brick(segment, brick, &mut progress, visitor);
                brick += 1;
            }
        }
    }
}

/// The first brick in `from..to` whose card has a bit of `mask`, or `to`.
///
/// # Safety
/// SPACE: bricks of a segment.
#[inline(always)]
unsafe fn next_dirty(space: &Space, from: u32, to: u32, mask: u8) -> u32 {
    // SAFETY: SPACE: the caller's.
    let cards = unsafe { cards(space, from, to) };
    if cfg!(terrace_small) {
        let first = cards.iter().position(|card| card & mask != 0);
        return first.map_or(to, |first| from + first as u32);
    }
    let (eights, _) = cards.as_chunks::<8>();
    let is_clean = |cards: &[u8; 8]| u64::from_ne_bytes(*cards) & eight(mask) == 0;
    let skipped = eights.iter().take_while(|cards| is_clean(cards)).count() * 8;
    let rest = cards[skipped..].iter().position(|card| card & mask != 0);
    rest.map_or(to, |rest| from + (skipped + rest) as u32)
}

/// Visits the slots that lie in a brick.
///
/// # Safety
/// As for [`visit_dirty`].
unsafe fn visit_brick(segment: &Segment, brick: u32, progress: &mut Progress, visitor: &mut Visitor) {
    let space = visitor.space;
    let (from, to) = (brick << BRICK_SHIFT, (brick + 1) << BRICK_SHIFT);
    // SAFETY: FIRST: the walk begins at the start of an object or at that of the segment; a run of set bits starts with an
    // object (LIVE), and objects in a run lie side by side.
    unsafe {
        let mut at = start_of_walk(&space, segment, brick).max(progress.resume);
        loop {
            at = space.find(at, to, true);
            if at >= to {
                return;
            }
            let object = space.at(at);
            let end = at + object::size(object);
            if end > from {
                let bytes = |position: u32| (position.saturating_sub(at) as usize) << GRANULE_SHIFT;
                let visited = if progress.position == at { progress.elements } else { 0 };
                let elements = object::trace_part(object, bytes(from), bytes(to), visited, visitor);
                *progress = Progress {
                    resume: if end > to { at } else { end },
                    position: at,
                    elements,
                };
                visitor.work();
            }
            at = end;
        }
    }
}

/// The start of an object at or before the brick's start, such that none between overlaps it unseen; or the segment's start.
///
/// # Safety
/// As for [`visit_dirty`].
pub(super) unsafe fn start_of_walk(space: &Space, segment: &Segment, brick: u32) -> u32 {
    if segment.is_large {
        return segment.start; // of its only object; its bricks are not linked
    }
    let lowest = segment.start >> BRICK_SHIFT;
    // SAFETY: SPACE: the entries of the segment's bricks exist.
    unsafe {
        if *space.firsts.add(brick as usize) == 0 {
            return brick << BRICK_SHIFT;
        }
        let mut below = brick;
        while below > lowest {
            below -= 1;
            let first = *space.firsts.add(below as usize);
            if u32::from(first) < BRICK {
                return (below << BRICK_SHIFT) + u32::from(first);
            }
            if first == NONE {
                break;
            }
            // One less than the distance: the loop takes the last step.
            below = (below + BRICK).saturating_sub(u32::from(first)).max(lowest);
        }
    }
    segment.start
}

/// The entries of a segment's bricks.
///
/// # Safety
/// SPACE: a segment of this arena; nobody else uses these entries meanwhile.
#[cfg_attr(terrace_small, inline(never))]
unsafe fn firsts<'a>(space: &Space, segment: &Segment) -> &'a mut [u8] {
    let (first, end) = (segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT);
    // SAFETY: SPACE: the entries exist, are initialised and ours.
    unsafe { core::slice::from_raw_parts_mut(space.firsts.add(first as usize), (end - first) as usize) }
}

/// Empties the entries of a segment.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn forget_starts(space: &Space, segment: &Segment) {
    // SAFETY: the caller's.
    let entries = unsafe { firsts(space, segment) };
    // SAFETY: SPACE: the entries are ours.
    unsafe { fill(entries.as_mut_ptr(), entries.len(), NONE) };
}

/// Makes all entries of `from..to`, whole bricks, those of a segment in which nothing lies. Of the four tables, the bricks are that
/// way anyway outside of collections.
///
/// # Safety
/// SPACE; the bricks lie side by side in a block of this arena's.
pub(super) unsafe fn wipe(space: &Space, from: u32, to: u32) {
    let (first, count) = ((from >> BRICK_SHIFT) as usize, ((to - from) >> BRICK_SHIFT) as usize);
    // SAFETY: the caller's.
    unsafe {
        space.clear_live(from, to);
        fill(space.cards.add(first), count, CLEAN);
        fill(space.firsts.add(first), count, NONE);
    }
}

/// Notes that an object starts at `position`. What its brick's entry was for, an object further up or none, it is no more.
///
/// # Safety
/// SPACE.
#[inline(always)]
pub(super) unsafe fn note_start(space: &Space, position: u32) {
    // SAFETY: SPACE: the entry exists and is ours.
    let entry = unsafe { &mut *space.firsts.add((position >> BRICK_SHIFT) as usize) };
    *entry = (*entry).min((position % BRICK) as u8);
}

/// Forgets what lives in a segment, and where. Of a large object the first brick will do: it has what tells whether the object lives,
/// and the other bits will still be right if it does.
///
/// # Safety
/// SPACE.
pub(super) unsafe fn forget_live(space: &Space, segment: &Segment) {
    // SAFETY: the caller's.
    unsafe {
        if cfg!(not(terrace_small)) && segment.is_large {
            space.clear_live(segment.start, segment.start + BRICK);
        } else {
            space.clear_live(segment.start, segment.end);
            forget_starts(space, segment);
        }
    }
}

/// Takes note that the object at `position` lives: sets its bits, and notes its start. O(size), but O(1) for a large object that
/// lived before.
///
/// # Safety
/// SPACE; an object lies there. Its bits are clear, or those of its first brick are, if it is large and lived before.
#[cfg_attr(not(terrace_small), inline(always))]
#[cfg_attr(terrace_small, inline(never))]
pub(super) unsafe fn note_live(space: &Space, position: u32) {
    // SAFETY: the caller's.
    unsafe {
        let mut end = position + object::size(space.at(position));
        if cfg!(not(terrace_small)) && end - position > BRICK && space.is_live(end - 1) {
            end = position + BRICK;
        }
        space.set_live(position, end);
        note_start(space, position);
    }
}

/// Leads from the bricks in which nothing starts to the ones below, after all starts in an emptied segment were noted.
///
/// # Safety
/// SPACE.
#[cfg_attr(terrace_small, inline(never))]
pub(super) unsafe fn link_starts(space: &Space, segment: &Segment) {
    // What the brick above the one in question is led by: nothing, as long as there is no start below.
    let mut link = NONE;
    // SAFETY: the caller's.
    for entry in unsafe { firsts(space, segment) } {
        if *entry != NONE {
            link = BRICK as u8;
        } else if link != NONE {
            *entry = link;
            link = (link + 1).min(NONE - 1);
        }
    }
}
