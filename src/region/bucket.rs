//! The buckets: one list of free blocks for each size class, and a bitmap of those that are not empty.
//!
//! ```text
//!  map    ...0 0 1 0 0 1 1 0     bit c: bucket c holds a block
//!  heads  ... 0 9 0 0 4 7 0      position of the first block, 0 for none
//!               |     | '-> 7 <-> 31 <-> 12
//!               '-> 9 '-> 4 <-> 60
//! ```
//!
//! A list is kept in rough address order: a block that lies before the head becomes the head, any other one comes
//! second. So the head is a low address, an insertion takes constant time, and the newest block is always among the
//! first two, where a bounded scan finds it (no false failure after a free).
//!
//! Sources: seed `002_df465834f6fa1758.txt`, "Free-list allocator" (buckets by size range, items threaded through the
//! heap); M. Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems", 2004 (two-level bitmap).

use super::class::CLASSES;

type Word = usize;

const WORDS: usize = CLASSES.div_ceil(Word::BITS as usize);

/// The list heads and the bitmap of one region. The links are in the blocks, see [`block`](super::block).
///
/// **Invariant `BUCKETS`**: bit `c` of `map` is set exactly if `heads[c]` is not 0; a head other than 0 is the position
/// of a free block of class `c`. There is no class 0: its head is 0.
pub(crate) struct Buckets {
    map: [Word; WORDS],
    heads: [u32; CLASSES],
}

impl Buckets {
    pub(crate) const EMPTY: Buckets = Buckets {
        map: [0; WORDS],
        heads: [0; CLASSES],
    };

    /// The first block of `class`, or 0.
    #[inline(always)]
    pub(crate) fn head(&self, class: u32) -> u32 {
        debug_assert!((class as usize) < CLASSES);
        // SAFETY: `class_of` and `next` return numbers below CLASSES only, which a test verifies; the bound is not checked
        // here, as the allocator must not contain a way to panic.
        unsafe { *self.heads.get_unchecked(class as usize) }
    }

    /// Makes `position` the first block of `class`; `was_empty` if there may have been none.
    #[inline(always)]
    pub(crate) fn set_head(&mut self, class: u32, position: u32, was_empty: bool) {
        self.write_head(class, position);
        if was_empty {
            let (word, bit) = split(class);
            // SAFETY: WORDS words hold CLASSES bits; `class` is below CLASSES, as in `head`.
            unsafe { *self.map.get_unchecked_mut(word) |= 1 << bit };
        }
    }

    /// Makes `position`, which may be 0, the first block of `class`, which had one.
    #[inline(always)]
    pub(crate) fn replace_head(&mut self, class: u32, position: u32) {
        self.write_head(class, position);
        if position == 0 {
            let (word, bit) = split(class);
            // SAFETY: as in `set_head`.
            unsafe { *self.map.get_unchecked_mut(word) &= !(1 << bit) };
        }
    }

    #[inline(always)]
    fn write_head(&mut self, class: u32, position: u32) {
        debug_assert!((class as usize) < CLASSES);
        // SAFETY: as in `head`.
        unsafe { *self.heads.get_unchecked_mut(class as usize) = position };
    }

    /// The first non-empty class from `class` on, at most [`CLASSES`], or 0, which is always empty.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn next(&self, class: u32) -> u32 {
        let (mut word, mut bits) = self.word_from(class);
        while bits == 0 {
            word += 1;
            if word >= WORDS {
                return 0;
            }
            bits = self.map[word];
        }
        word as u32 * Word::BITS + bits.trailing_zeros()
    }

    /// The word of the bitmap that `class`, at most [`CLASSES`], is in, and what there is of it from that on.
    #[inline(always)]
    fn word_from(&self, class: u32) -> (usize, Word) {
        debug_assert!(class as usize <= CLASSES);
        const { assert!(CLASSES < WORDS * Word::BITS as usize) };
        let (word, bit) = split(class);
        // SAFETY: as in `head`; there are words for CLASSES + 1 bits.
        (word, unsafe { self.map.get_unchecked(word) } & (Word::MAX << bit))
    }

    /// The non-empty classes from `class` on, at most [`CLASSES`], in ascending order.
    #[inline(always)]
    pub(crate) fn non_empty(&self, class: u32) -> NonEmpty<'_> {
        let (word, bits) = self.word_from(class);
        NonEmpty {
            buckets: self,
            class,
            word,
            bits,
        }
    }

    /// The largest non-empty class, or 0.
    #[inline(always)]
    pub(crate) fn largest(&self) -> u32 {
        let mut word = WORDS - 1;
        loop {
            if self.map[word] != 0 {
                return word as u32 * Word::BITS + self.map[word].ilog2();
            }
            if word == 0 {
                return 0;
            }
            word -= 1;
        }
    }

    /// Whether the bitmap says that `class` holds a block.
    pub(crate) fn is_marked(&self, class: u32) -> bool {
        let (word, bit) = split(class);
        self.map[word] >> bit & 1 != 0
    }
}

#[inline(always)]
fn split(class: u32) -> (usize, u32) {
    ((class / Word::BITS) as usize, class % Word::BITS)
}

/// Iterator over non-empty classes.
pub(crate) struct NonEmpty<'a> {
    buckets: &'a Buckets,
    /// Where code has to be small, the first class to look at.
    class: u32,
    /// Elsewhere, the word to look at, and what is left of it.
    word: usize,
    bits: Word,
}

impl Iterator for NonEmpty<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        if cfg!(terrace_small) {
            let class = self.buckets.next(self.class);
            self.class = class + 1;
            return (class != 0).then_some(class);
        }
        while self.bits == 0 {
            self.word += 1;
            if self.word >= WORDS {
                return None;
            }
            self.bits = self.buckets.map[self.word];
        }
        let class = self.word as u32 * Word::BITS + self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_bitmap_follows_heads() {
        let mut buckets = Buckets::EMPTY;
        assert_eq!(buckets.largest(), 0);
        let last = CLASSES as u32 - 1;
        let classes = [1, 5, 31, 32, last - 1, last];
        for class in classes {
            buckets.set_head(class, class + 100, true);
            assert_eq!(buckets.largest(), class);
        }
        assert!(buckets.non_empty(1).eq(classes));
        assert!(buckets.non_empty(6).eq([31, 32, last - 1, last]));
        assert!(buckets.non_empty(CLASSES as u32).next().is_none());
        for class in classes {
            buckets.replace_head(class, 0);
            assert!(!buckets.is_marked(class));
        }
        assert!(buckets.non_empty(1).next().is_none());
    }
}
