//! Which bricks were written to, and where in a brick objects start.
//!
//! A store into a slot sets the card of the slot's own address. The objects that overlap a dirty card are found by
//! `firsts`:
//!
//! ```text
//!   0 ..= 63     the first old object that starts in the brick starts at this granule
//!   64 ..= 254   none starts there: look 1 to 191 bricks further down
//!   255          none starts there or below it in this segment
//! ```
//!
//! **Invariant `FIRST`**: that holds for all objects that were old after the last collection. Those that became old in this
//! one lie in gaps between them, so that a walk from an old object's start meets them at their start.

use super::object;
use super::segment::Segment;
use super::space::{BRICK, BRICK_BYTES, BRICK_SHIFT, Space};
use super::visit::Visitor;
use crate::base::granule::GRANULE_SHIFT;

const NONE: u8 = u8::MAX;
const REACH: u32 = NONE as u32 - BRICK;

/// Takes note of a store to the slot at `address`, if that lies in the heap. The write barrier.
#[inline(always)]
pub(crate) fn dirty(space: &Space, address: usize) {
    if let Some(offset) = space.offset(address) {
        // SAFETY: SPACE: every address of the span has a card.
        unsafe { *space.cards.add(offset / BRICK_BYTES) = 1 };
    }
}

/// Dirties or cleans the cards that `from..to` touches.
///
/// # Safety
/// SPACE: positions of this arena's segments; `from < to`.
pub(super) unsafe fn fill(space: &Space, from: u32, to: u32, dirty: bool) {
    let (first, last) = (from >> BRICK_SHIFT, (to - 1) >> BRICK_SHIFT);
    // SAFETY: SPACE: the cards exist and are ours.
    unsafe {
        let cards = space.cards.add(first as usize);
        core::ptr::write_bytes(cards, dirty as u8, (last - first + 1) as usize);
    }
}

/// The object that was visited last, and how many of its elements: what overlaps two dirty bricks is visited once.
#[derive(Clone, Copy, Default)]
struct Visited {
    position: u32,
    elements: usize,
}

/// Visits the slots in the dirty bricks of a segment, each once.
///
/// # Safety
/// SPACE, LIVE and FIRST hold for the segment.
pub(super) unsafe fn visit_dirty(segment: &Segment, visitor: &mut Visitor) {
    let space = visitor.space;
    let (first, end) = (segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT);
    let (mut brick, mut last) = (first, Visited::default());
    while brick < end {
        // SAFETY: SPACE: the card exists; a brick of the segment.
        unsafe {
            brick = next_dirty(&space, brick, end);
            if brick < end {
                visit_brick(segment, brick, &mut last, visitor);
                brick += 1;
            }
        }
    }
}

/// The first dirty brick in `from..to`, or `to`.
///
/// # Safety
/// SPACE: bricks of a segment.
#[inline(always)]
unsafe fn next_dirty(space: &Space, from: u32, to: u32) -> u32 {
    // SAFETY: SPACE: the cards exist and are initialised.
    let cards = unsafe { core::slice::from_raw_parts(space.cards.add(from as usize), (to - from) as usize) };
    let clean = |eight: &[u8; 8]| u64::from_ne_bytes(*eight) == 0;
    let (eights, _) = cards.as_chunks::<8>();
    let skipped = eights.iter().take_while(|eight| clean(eight)).count() * 8;
    let rest = cards[skipped..].iter().position(|card| *card != 0);
    rest.map_or(to, |rest| from + (skipped + rest) as u32)
}

/// Visits the slots that lie in a brick.
///
/// # Safety
/// As for [`visit_dirty`].
unsafe fn visit_brick(segment: &Segment, brick: u32, last: &mut Visited, visitor: &mut Visitor) {
    let space = visitor.space;
    let (from, to) = (brick << BRICK_SHIFT, (brick + 1) << BRICK_SHIFT);
    // SAFETY: FIRST: the walk begins at the start of an object or at that of the segment; a run of set bits starts with an
    // object (LIVE), and objects in a run lie side by side.
    unsafe {
        let mut at = start_of_walk(&space, segment, brick);
        loop {
            at = space.find(at, to, true);
            if at >= to {
                return;
            }
            let object = space.at(at);
            let end = at + object::size(object);
            if end > from {
                let bytes = |position: u32| (position.saturating_sub(at) as usize) << GRANULE_SHIFT;
                let visited = if last.position == at { last.elements } else { 0 };
                let elements = object::trace_part(object, bytes(from), bytes(to), visited, visitor);
                *last = Visited { position: at, elements };
                visitor.drain();
            }
            at = end;
        }
    }
}

/// The start of an object at or before the brick's start, such that none between overlaps it unseen; or the segment's start.
///
/// # Safety
/// As for [`visit_dirty`].
unsafe fn start_of_walk(space: &Space, segment: &Segment, brick: u32) -> u32 {
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

/// Writes `firsts` anew for a segment, from what lives in it.
///
/// # Safety
/// SPACE and LIVE hold for the segment, and the bits are those after the collection.
pub(super) unsafe fn note_starts(space: &Space, segment: &Segment) {
    let (first, end) = (segment.start >> BRICK_SHIFT, segment.end >> BRICK_SHIFT);
    // SAFETY: SPACE: the entries exist and are ours; positions lie in the segment.
    unsafe {
        let firsts = core::slice::from_raw_parts_mut(space.firsts.add(first as usize), (end - first) as usize);
        firsts.fill(NONE);
        segment.each_live(space, |position, _| {
            let entry = &mut firsts[((position >> BRICK_SHIFT) - first) as usize];
            if *entry == NONE {
                *entry = (position % BRICK) as u8;
            }
        });
        let mut last = None;
        for (index, entry) in firsts.iter_mut().enumerate() {
            if *entry != NONE {
                last = Some(index);
            } else if let Some(last) = last {
                *entry = (((index - last) as u32).min(REACH) + BRICK - 1) as u8;
            }
        }
    }
}
