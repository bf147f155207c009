//! Size classes: which bucket a free block of so many granules is kept in.
//!
//! ```text
//!  granules   1 2 ... 15 | 16-19 20-23 24-27 28-31 | 32-39 ... | ... | >= TOP  >= 2 TOP  >= 4 TOP ...
//!  class      1 2 ... 15 |   16    17    18    19  |   20  ... | ... |  one class for each power of two
//!             exact      |  2^SPLIT classes for each power of two    |
//! ```
//!
//! So it is on 32-bit targets; on 64-bit ones there are twice as many of each, and no coarse classes. Small classes hold
//! one size each, so that what is found there fits exactly. The largest ones are coarse, to save static memory: few blocks
//! are that large, and the search of a class for the best fit looks at several.

/// Sizes below this have a class of their own.
pub(crate) const EXACT: u32 = if usize::BITS == 64 { 32 } else { 16 };

const EXACT_LOG: u32 = EXACT.trailing_zeros();

/// The base-two logarithm of the number of classes for each power of two.
const SPLIT: u32 = if usize::BITS == 64 { 3 } else { 2 };

/// From this size on (the base-two logarithm of it) there is one class for each power of two. Sizes have 31 bits at most,
/// so on 64-bit targets, where static memory is no concern, there are no coarse classes.
const TOP_LOG: u32 = if usize::BITS == 64 { 31 } else { 9 };

const TOP_CLASS: u32 = EXACT + ((TOP_LOG - EXACT_LOG) << SPLIT);

/// Number of classes; sizes have at most 31 bits.
pub(crate) const CLASSES: usize = (TOP_CLASS + (31 - TOP_LOG)) as usize;

/// The class of blocks of `n` granules. O(1).
#[cfg_attr(not(terrace_small), inline(always))]
#[cfg_attr(terrace_small, inline(never))]
pub(crate) const fn class_of(n: u32) -> u32 {
    if n < EXACT {
        return n;
    }
    let log = n.ilog2();
    if TOP_LOG < 31 && log >= TOP_LOG {
        return TOP_CLASS + (log - TOP_LOG);
    }
    // The bits of `n` below its leading one select the class within the power of two; the leading one itself adds
    // 1 << SPLIT, which the subtracted term takes back.
    (n >> (log - SPLIT)) + ((log - EXACT_LOG) << SPLIT) + (EXACT - (1 << SPLIT))
}

/// The smallest size that belongs to `class`. O(1).
#[cfg(test)]
pub(crate) const fn floor_of(class: u32) -> u32 {
    if class < EXACT {
        return class;
    }
    if class >= TOP_CLASS {
        return 1 << (TOP_LOG + (class - TOP_CLASS));
    }
    let above = class - EXACT;
    let log = EXACT_LOG + (above >> SPLIT);
    ((1 << SPLIT) + (above & ((1 << SPLIT) - 1))) << (log - SPLIT)
}

const _: () = assert!(class_of(EXACT - 1) + 1 == class_of(EXACT));
const _: () = assert!(TOP_LOG == 31 || class_of((1 << TOP_LOG) - 1) + 1 == class_of(1 << TOP_LOG));
const _: () = assert!(class_of(u32::MAX >> 1) as usize == CLASSES - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_classes_are_contiguous_and_ordered() {
        let mut last = 0;
        for n in 1..200_000u32 {
            let class = class_of(n);
            assert!(class == last || class == last + 1, "{n}: {last} -> {class}");
            assert!(
                floor_of(class) <= n && (class as usize + 1 == CLASSES || n < floor_of(class + 1)),
                "{n}"
            );
            last = class;
        }
        for class in 1..CLASSES as u32 {
            assert_eq!(class_of(floor_of(class)), class);
        }
    }
}
