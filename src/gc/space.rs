//! Positions, and the side tables that are indexed by them.
//!
//! ```text
//!   position   0 ............. 64 ............ 128 ............ 192        in granules of 8 bytes, from `origin`
//!   brick      |       0        |       1        |       2       |        64 granules, 512 bytes
//!   live       | one bit for each granule: part of an object that is known to live
//!   bricks     | u32: where the brick's objects move to                     see `brick.rs`
//!   cards      | u8: whether a slot in the brick was written to             see `card.rs`
//!   firsts     | u8: where the first object in the brick starts             see `card.rs`
//! ```
//!
//! Together 14 bytes for 512, 2.7 %.
//!
//! Named invariants:
//!
//! - **`SPACE`**: `origin` plus a position's bytes is an address in the heap's span, for every position that this arena's
//!   segments have; each such position has entries in all four tables, which belong to this arena alone and are initialised.
//!   Segments start and end at bricks.
//! - **`LIVE`**: outside of a collection, the bits of a granule are set exactly if it is part of an object that the last
//!   collection found alive. Old objects are those with set bits; young ones, whose bits are clear, lie in segments of
//!   generation 0 or in gaps of older ones. A run of set bits starts at an object's start.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::source::Source;
use crate::base::fill::fill;
use crate::base::granule::{GRANULE, GRANULE_SHIFT};
use crate::region::End;

/// The unit in which bits are looked at.
pub(crate) type Word = usize;

const WORD_BITS: u32 = Word::BITS;

/// Granules in a brick.
pub(crate) const BRICK: u32 = 1 << BRICK_SHIFT;
pub(crate) const BRICK_SHIFT: u32 = 6;
pub(crate) const BRICK_BYTES: usize = BRICK as usize * GRANULE;

/// Bytes in the four tables for each brick.
const TABLE_BYTES: usize = BRICK as usize / 8 + size_of::<u32>() + 2;

/// Addresses of one arena, and its side tables. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Space {
    /// The address of position 0, which lies before the span; never accessed itself.
    origin: *mut u8,
    /// Bytes from `origin` to the end of the span.
    bytes: usize,
    live: *mut Word,
    pub(super) bricks: *mut u32,
    pub(super) cards: *mut u8,
    pub(super) firsts: *mut u8,
    count: usize,
}

impl Space {
    /// Sets up the tables for all of the source's span, in memory taken from there; nothing if there is too little.
    /// O(span).
    pub(crate) fn new(source: &dyn Source, (start, length): (NonNull<u8>, usize)) -> Option<Space> {
        let address = start.as_ptr() as usize;
        // A brick before the span, so that no position is 0.
        let lead = address % BRICK_BYTES + BRICK_BYTES;
        let bytes = length + lead;
        let count = bytes.div_ceil(BRICK_BYTES) + 1;
        let tables = NonNull::new(source.take(Space::layout(count)?, Some(End::FIRST)))?.as_ptr();
        // SAFETY: the block was taken just now, and is as large as the four tables, the widest entries first.
        unsafe {
            fill(tables, count * TABLE_BYTES, 0);
            let bricks = tables.add(count * BRICK as usize / 8);
            let cards = bricks.add(count * size_of::<u32>());
            Some(Space {
                origin: start.as_ptr().wrapping_sub(lead),
                bytes,
                live: tables.cast(),
                bricks: bricks.cast(),
                cards,
                firsts: cards.add(count),
                count,
            })
        }
    }

    fn layout(count: usize) -> Option<Layout> {
        Layout::from_size_align(count.checked_mul(TABLE_BYTES)?, GRANULE).ok()
    }

    /// Gives the tables back.
    ///
    /// # Safety
    /// No copy of this space is used any more; `source` is where it was made.
    pub(crate) unsafe fn free(self, source: &dyn Source) {
        if let Some(layout) = Space::layout(self.count) {
            // SAFETY: the tables are one block, taken with this layout.
            unsafe { source.give(self.live.cast(), layout) };
        }
    }

    /// The position behind the span's last brick.
    pub(crate) fn end(&self) -> u32 {
        (self.bytes.next_multiple_of(BRICK_BYTES) >> GRANULE_SHIFT) as u32
    }

    /// Bytes that the tables take.
    pub(crate) fn table_bytes(&self) -> usize {
        self.count * TABLE_BYTES
    }

    /// The address of a position, with leave to access the span.
    #[inline(always)]
    pub(crate) fn at(&self, position: u32) -> *mut u8 {
        self.origin.wrapping_add((position as usize) << GRANULE_SHIFT)
    }

    /// The position of an address in the span.
    #[inline(always)]
    pub(crate) fn position(&self, address: *const u8) -> u32 {
        ((address as usize).wrapping_sub(self.origin as usize) >> GRANULE_SHIFT) as u32
    }

    /// Bytes from the origin to `address` if that lies in the span's bricks.
    #[inline(always)]
    pub(crate) fn offset(&self, address: usize) -> Option<usize> {
        let offset = address.wrapping_sub(self.origin as usize);
        (offset < self.bytes).then_some(offset)
    }

    /// Whether the granule is part of an object known to live.
    ///
    /// # Safety
    /// SPACE: a position of this arena's segments. So for all methods below; of a range, that goes for all but its end.
    #[inline(always)]
    pub(crate) unsafe fn is_live(&self, position: u32) -> bool {
        // SAFETY: SPACE: the word exists.
        let word = unsafe { *self.live.add((position / WORD_BITS) as usize) };
        word & ((1 as Word) << (position % WORD_BITS)) != 0
    }

    /// Sets the bits of `from..to`, at least one.
    ///
    /// # Safety
    /// As for [`Space::is_live`].
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn set_live(&self, from: u32, to: u32) {
        debug_assert!(from < to);
        if cfg!(terrace_small) {
            let mut at = from;
            while at < to {
                let width = (WORD_BITS - at % WORD_BITS).min(to - at);
                // SAFETY: SPACE: the word exists and is ours.
                unsafe {
                    *self.live.add((at / WORD_BITS) as usize) |= Word::MAX >> (WORD_BITS - width) << (at % WORD_BITS)
                };
                at += width;
            }
            return;
        }
        let (first, last) = (from / WORD_BITS, (to - 1) / WORD_BITS);
        let head = Word::MAX << (from % WORD_BITS);
        let tail = Word::MAX >> (WORD_BITS - 1 - (to - 1) % WORD_BITS);
        // SAFETY: SPACE: the words from the first to the last exist and are ours.
        unsafe {
            let words = self.live.add(first as usize);
            if first == last {
                *words |= head & tail;
                return;
            }
            let between = (last - first) as usize;
            *words |= head;
            if between > 1 {
                fill(words.add(1).cast(), (between - 1) * size_of::<Word>(), u8::MAX);
            }
            *words.add(between) |= tail;
        }
    }

    /// Clears the bits of `from..to`, whole bricks.
    ///
    /// # Safety
    /// As for [`Space::is_live`].
    pub(crate) unsafe fn clear_live(&self, from: u32, to: u32) {
        debug_assert!(from.is_multiple_of(BRICK) && to.is_multiple_of(BRICK));
        // SAFETY: SPACE: the bits of whole bricks are whole words, which are ours.
        unsafe {
            let words = self.live.add((from / WORD_BITS) as usize);
            fill(words.cast(), (to - from) as usize / 8, 0);
        }
    }

    /// How many of the bits `from..to` are set; the two lie in one brick, or `to` is its end.
    ///
    /// # Safety
    /// As for [`Space::is_live`].
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn count_live(&self, from: u32, to: u32) -> u32 {
        // SAFETY: SPACE: the words of the brick exist.
        unsafe {
            if WORD_BITS == BRICK {
                let word = *self.live.add((from / WORD_BITS) as usize);
                let below = ((1 as Word) << ((to - from) % WORD_BITS)).wrapping_sub(1);
                let mask = if to - from == WORD_BITS { Word::MAX } else { below };
                return ((word >> (from % WORD_BITS)) & mask).count_ones();
            }
            let (mut at, mut count) = (from, 0);
            while at < to {
                let width = (WORD_BITS - at % WORD_BITS).min(to - at);
                let word = *self.live.add((at / WORD_BITS) as usize) >> (at % WORD_BITS);
                count += (word << (WORD_BITS - width)).count_ones();
                at += width;
            }
            count
        }
    }

    /// The first position in `from..to` whose bit is `set`, or `to`. O(words between).
    ///
    /// # Safety
    /// As for [`Space::is_live`].
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn find(&self, from: u32, to: u32, set: bool) -> u32 {
        if from >= to {
            return to;
        }
        let flip = if set { 0 } else { Word::MAX };
        let mut index = from / WORD_BITS;
        // SAFETY: SPACE: the words up to the one of `to - 1` exist.
        unsafe {
            let mut word = (*self.live.add(index as usize) ^ flip) & (Word::MAX << (from % WORD_BITS));
            while word == 0 {
                index += 1;
                if index * WORD_BITS >= to {
                    return to;
                }
                word = *self.live.add(index as usize) ^ flip;
            }
            (index * WORD_BITS + word.trailing_zeros()).min(to)
        }
    }

    /// The first run of set bits in `from..to`, the end of a brick: where it begins and where it ends. Both are `to` if there is
    /// none. O(words between).
    ///
    /// # Safety
    /// As for [`Space::is_live`].
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn run(&self, from: u32, to: u32) -> (u32, u32) {
        debug_assert!(to.is_multiple_of(BRICK));
        if cfg!(terrace_small) {
            // SAFETY: the caller's.
            return unsafe {
                let first = self.find(from, to, true);
                (first, self.find(first, to, false))
            };
        }
        if from >= to {
            return (to, to);
        }
        let mut index = from / WORD_BITS;
        // SAFETY: SPACE: the words up to the one of `to - 1` exist.
        unsafe {
            let mut word = *self.live.add(index as usize) & (Word::MAX << (from % WORD_BITS));
            while word == 0 {
                index += 1;
                if index * WORD_BITS >= to {
                    return (to, to);
                }
                word = *self.live.add(index as usize);
            }
            let first = index * WORD_BITS + word.trailing_zeros();
            // Adding the lowest bit carries through the run to where it ends, unless that is in another word.
            let (mut behind, mut goes_on) = word.overflowing_add(word & word.wrapping_neg());
            while goes_on {
                index += 1;
                if index * WORD_BITS >= to {
                    return (first, to);
                }
                (behind, goes_on) = (*self.live.add(index as usize)).overflowing_add(1);
            }
            (first, index * WORD_BITS + behind.trailing_zeros())
        }
    }
}
