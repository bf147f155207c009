//! The boundary-bit table: the one door to the bits of a region.
//!
//! ```text
//!  word 0                           word 1
//!  | 31 ........................ 0 | 63 ....................... 32 | ...
//!    bit p describes granule p: word p / 32, bit p % 32 of that word
//! ```
//!
//! The hot operations work on single words. Ranges, fills and counts outside of the hot paths go through
//! [`bitvec`], which sees the same words.

use bitvec::{order::Lsb0, slice::BitSlice};

const WORD_BITS: u32 = u32::BITS;

/// A table of bits somewhere in a region.
///
/// **Invariant `TABLE`**: `words` points at `len.div_ceil(32)` words that belong to this table alone and are
/// initialised. Every method's safety condition is that its bit indices are below `len`.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    words: *mut u32,
}

impl Bits {
    /// No table; nothing may be asked of it.
    pub(crate) const NONE: Bits = Bits {
        words: core::ptr::null_mut(),
    };

    /// Bytes that a table of `len` bits takes.
    pub(crate) const fn bytes(len: usize) -> usize {
        len.div_ceil(WORD_BITS as usize) * size_of::<u32>()
    }

    /// Makes a table at `words` with every bit as `value` says.
    ///
    /// # Safety
    /// `words` is aligned and valid for writes of [`Bits::bytes`]`(len)` bytes, which nothing else uses from now on.
    pub(crate) unsafe fn init(words: *mut u32, len: usize, value: bool) -> Bits {
        let word = if value { u32::MAX } else { 0 };
        // SAFETY: the caller vouches for the bytes; `bytes` is a multiple of the word size.
        unsafe { fill(words, Bits::bytes(len) / size_of::<u32>(), word) };
        Bits { words }
    }

    /// Makes the table longer, from `old` bits to `len`; the new ones are as `value` says.
    ///
    /// # Safety
    /// The table has `old` bits; behind them are words for `len`, which nothing else uses.
    pub(crate) unsafe fn lengthen(self, old: usize, len: usize, value: bool) {
        let width = WORD_BITS as usize;
        let (first, end) = (old.div_ceil(width), len.div_ceil(width));
        let (word, last) = (if value { u32::MAX } else { 0 }, u32::MAX << (old % width));
        // SAFETY: TABLE: a word that is in part of the old table exists and is initialised; the caller gives the others.
        unsafe {
            if !old.is_multiple_of(width) {
                let place = self.words.add(old / width);
                *place = *place & !last | word & last;
            }
            fill(self.words.add(first), end - first, word);
        }
    }

    /// Where the table starts.
    pub(crate) fn address(self) -> usize {
        self.words as usize
    }

    /// Whether bit `at` is set.
    ///
    /// # Safety
    /// `at` is below the table's length.
    #[inline(always)]
    pub(crate) unsafe fn get(self, at: u32) -> bool {
        // SAFETY: TABLE: the word exists and is initialised.
        let word = unsafe { *self.words.add((at / WORD_BITS) as usize) };
        word & (1u32 << (at % WORD_BITS)) != 0
    }

    /// Sets bit `at`.
    ///
    /// # Safety
    /// `at` is below the table's length.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn set(self, at: u32) {
        // SAFETY: TABLE: the word exists, is initialised and is ours.
        unsafe { *self.words.add((at / WORD_BITS) as usize) |= 1u32 << (at % WORD_BITS) };
    }

    /// Clears bit `at`.
    ///
    /// # Safety
    /// `at` is below the table's length.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn clear(self, at: u32) {
        // SAFETY: TABLE: the word exists, is initialised and is ours.
        unsafe { *self.words.add((at / WORD_BITS) as usize) &= !(1u32 << (at % WORD_BITS)) };
    }

    /// Sets the bits `from..to`, whole bytes at a time; used for chunks, whose length is bounded.
    ///
    /// # Safety
    /// `from < to`, and `to` is at most the table's length.
    #[inline]
    pub(crate) unsafe fn set_range(self, from: u32, to: u32) {
        let last = to - 1;
        let (first_word, last_word) = (from / WORD_BITS, last / WORD_BITS);
        let head = u32::MAX << (from % WORD_BITS);
        let tail = u32::MAX >> (WORD_BITS - 1 - last % WORD_BITS);
        // SAFETY: TABLE: all words from the first to the last exist, are initialised and are ours.
        unsafe {
            let words = self.words.add(first_word as usize);
            let span = (last_word - first_word) as usize;
            if cfg!(terrace_small) {
                let mut mask = head;
                for word in 0..span {
                    *words.add(word) |= mask;
                    mask = u32::MAX;
                }
                *words.add(span) |= mask & tail;
                return;
            }
            if span == 0 {
                *words |= head & tail;
                return;
            }
            *words |= head;
            fill(words.add(1), span - 1, u32::MAX);
            *words.add(span) |= tail;
        }
    }

    /// Calls `visit` with each bit that is set, in order. O(len / 32 + bits that are set).
    ///
    /// # Safety
    /// `len` is at most the table's length; `visit` does not change the table.
    #[cfg(feature = "private-heaps")]
    pub(crate) unsafe fn each_set(self, len: u32, mut visit: impl FnMut(u32)) {
        for index in 0..len.div_ceil(WORD_BITS) {
            // SAFETY: TABLE: the word exists and is initialised.
            let mut word = unsafe { *self.words.add(index as usize) };
            while word != 0 {
                let at = index * WORD_BITS + word.trailing_zeros();
                if at < len {
                    visit(at);
                }
                word &= word - 1;
            }
        }
    }

    /// The table as a bit slice, for work outside of the hot paths.
    ///
    /// # Safety
    /// `len` is at most the table's length, and no other reference into the table lives beside the result.
    pub(crate) unsafe fn as_slice<'a>(self, len: usize) -> &'a mut BitSlice<u32, Lsb0> {
        // SAFETY: TABLE: that many words exist, are initialised and are ours; the caller vouches for uniqueness.
        let words = unsafe { core::slice::from_raw_parts_mut(self.words, len.div_ceil(WORD_BITS as usize)) };
        &mut BitSlice::from_slice_mut(words)[..len]
    }
}

/// Writes `value`, all of whose bytes are alike, to `count` places.
///
/// Where the crate is optimised for size, a loop that the compiler does not turn into a call: the program would have to carry
/// `memset`, in several variants, for a few words.
///
/// # Safety
/// The places from `to` on are valid for writes.
#[inline(always)]
pub(crate) unsafe fn fill<T: Copy>(to: *mut T, count: usize, value: T) {
    for at in 0..count {
        // SAFETY: the caller gives so many places.
        unsafe {
            if cfg!(not(terrace_small)) {
                to.add(at).write(value);
            } else {
                to.add(at).write_volatile(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_ranges_equal_single_sets() {
        for from in 0..70u32 {
            for to in from + 1..=140 {
                let (mut a, mut b) = ([0u32; 5], [0u32; 5]);
                let (x, y) = (Bits { words: a.as_mut_ptr() }, Bits { words: b.as_mut_ptr() });
                // SAFETY: all indices are below 160, the length of both tables.
                unsafe {
                    x.set_range(from, to);
                    (from..to).for_each(|at| y.set(at));
                    assert!((from..to).all(|at| x.get(at)));
                    #[cfg(feature = "private-heaps")]
                    {
                        let mut set = std::vec::Vec::new();
                        x.each_set(160, |at| set.push(at));
                        assert!(set.iter().copied().eq(from..to));
                        x.each_set(from, |at| panic!("{at} is set"));
                    }
                    assert_eq!(x.as_slice(160).count_ones(), (to - from) as usize);
                    x.clear(from);
                    assert!(!x.get(from));
                    x.set(from);
                }
                assert_eq!(a, b, "{from}..{to}");
            }
        }
    }
}
