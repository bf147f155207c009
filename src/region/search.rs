//! Which free block serves a request: the policy on which density depends.
//!
//! For chunks, and for all requests while memory is plentiful in a large span ([`Fit::Quick`]), any block that is large
//! enough does: the head of the first non-empty class whose blocks are. Otherwise ([`Fit::Dense`]):
//!
//! 1. *Own class.* The smallest of the first blocks of the request's own class that is large enough.
//! 2. *Best fit*, for a large request, or where the next non-empty class holds the request's size exactly: the head of
//!    that class.
//! 3. *Lowest address*, for a small one, since the block will be split anyway: of the heads of the next few non-empty
//!    classes, the one with the lowest address.
//!
//! Splitting at low addresses keeps the large blocks large, which is what address-ordered first fit is good at; large
//! requests fit best into the blocks that this leaves; `cargo xtask bench density` measures what both are worth. Every step
//! looks at a bounded number of blocks, so the time does not depend on the region, and where any block of a higher class exists
//! one is found.
//!
//! What stays for long is put at one of the ends, whatever its size, so that it parts nothing: the tables of an arena at the first
//! one, objects that are pinned from birth at the last one.
//!
//! An aligned request takes the first block that holds it wherever that lies; else the newest free block or the first one of
//! the lowest class, if it happens to lie well: whoever freed such a block just now gets it again.

use super::Region;
use super::class::{EXACT, class_of};
use crate::base::granule::{GRANULE, GRANULE_SHIFT};

/// Blocks of the request's own class that are looked at.
const SCAN: usize = 4;

/// Requests of fewer granules are small ones.
const SMALL: u32 = 32;

/// Heads of larger classes that are compared by address.
const CANDIDATES: usize = 8;

/// How to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// The block that keeps the rest of memory most useful.
    Dense,
    /// The first block that is found.
    Quick,
    /// The free block that was made last, if it will do: where all others have been looked at.
    Newest,
}

/// An end of the memory: the way to take a block there. A program has in it only the ways that it uses.
#[derive(Clone, Copy)]
pub struct End(fn(&mut Region, u32, usize) -> Found);

impl End {
    /// The lowest address.
    pub(crate) const FIRST: End = End(|region, n, _| region.take_low(n));
    /// The highest address.
    pub(crate) const LAST: End = End(Region::take_last);

    /// Takes `n` granules there at a multiple of `align` bytes, a power of two; of one granule at most at the first end.
    #[inline(always)]
    pub(crate) fn take(self, region: &mut Region, n: u32, align: usize) -> Found {
        self.0(region, n, align)
    }
}

/// A free block and its class; block 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub block: u32,
    pub class: u32,
}

impl Found {
    const NONE: Found = Found { block: 0, class: 0 };
}

/// The first class all of whose blocks have `n` granules: blocks of its own class may be too small, unless it holds one size.
#[inline(always)]
fn class_above(n: u32) -> u32 {
    class_of(n) + u32::from(n >= EXACT)
}

impl Region {
    /// A free block of at least `n` granules, or none.
    #[inline(always)]
    pub(super) fn find(&self, n: u32, fit: Fit) -> Found {
        match fit {
            Fit::Quick => self.find_quick(n),
            Fit::Dense | Fit::Newest => self.find_dense(n),
        }
    }

    /// Whether a free block is found for `n` granules at a multiple of `align` bytes, a power of two. O(1).
    pub(crate) fn has_room(&self, n: u32, align: usize) -> bool {
        let found = if align <= GRANULE {
            self.find_dense(n)
        } else {
            self.find_aligned(n, align)
        };
        found.block != 0
    }

    /// As [`Region::find`], for [`Fit::Quick`].
    #[inline(always)]
    fn find_quick(&self, n: u32) -> Found {
        let found = self.first_of(class_above(n));
        if found.block != 0 { found } else { self.find_dense(n) }
    }

    /// The head of the first non-empty class from `class` on, or none.
    #[inline(always)]
    fn first_of(&self, class: u32) -> Found {
        let class = self.buckets.next(class);
        let block = self.buckets.head(class);
        Found { block, class }
    }

    /// As [`Region::find`], for [`Fit::Dense`].
    #[inline(never)]
    fn find_dense(&self, n: u32) -> Found {
        let own = class_of(n);
        let mut class = own;
        if n >= EXACT {
            let block = self.best_of(own, n);
            if block != 0 {
                return Found { block, class };
            }
            class += 1;
        }
        let mut classes = self.buckets.non_empty(class);
        let Some(class) = classes.next() else {
            return Found::NONE;
        };
        let mut lowest = Found {
            block: self.buckets.head(class),
            class,
        };
        if n >= SMALL || class == own {
            return lowest;
        }
        for class in classes.take(CANDIDATES - 1) {
            let block = self.buckets.head(class);
            if block < lowest.block {
                lowest = Found { block, class };
            }
        }
        lowest
    }

    /// Of the heads of all classes whose blocks have `n` granules, the one with the lowest address, or none. O(classes).
    pub(super) fn find_low(&self, n: u32) -> Found {
        let mut lowest = Found::NONE;
        self.buckets.non_empty(class_above(n)).for_each(|class| {
            let block = self.buckets.head(class);
            // No block at all is higher than any.
            if block.wrapping_sub(1) < lowest.block.wrapping_sub(1) {
                lowest = Found { block, class };
            }
        });
        lowest
    }

    /// The smallest of the first blocks of `class` that has at least `n` granules, or 0.
    #[inline]
    fn best_of(&self, class: u32, n: u32) -> u32 {
        let (mut best, mut best_size) = (0, u32::MAX);
        let mut block = self.buckets.head(class);
        for _ in 0..SCAN {
            if block == 0 {
                break;
            }
            // SAFETY: BUCKETS and FREE: a block of a list is free, of at least 2 granules in these classes, and its
            // first granule holds its links.
            let (size, next) = unsafe { ((*self.granule(block + 1))[0], (*self.granule(block))[0]) };
            if size >= n && size < best_size {
                (best, best_size) = (block, size);
                if size == n {
                    break;
                }
            }
            block = next;
        }
        best
    }

    /// A free block that holds `n` granules from an address on that is a multiple of `align` bytes, or none.
    #[inline(always)]
    pub(super) fn find_aligned(&self, n: u32, align: usize) -> Found {
        let with_slack = n as usize + (align >> GRANULE_SHIFT) - 1;
        if with_slack <= self.granules as usize {
            let found = self.first_of(class_above(with_slack as u32));
            if found.block != 0 {
                return found;
            }
        }
        // Blocks that are large enough only if they happen to lie well: the newest, and the first one of the lowest class.
        let newest = self.fitting(self.newest, n, align);
        if newest.block != 0 {
            return newest;
        }
        self.fitting(self.first_of(class_of(n)).block, n, align)
    }

    /// `block` if it is one and holds `n` granules from an aligned address on, else none.
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn fitting(&self, block: u32, n: u32, align: usize) -> Found {
        if block != 0 {
            // SAFETY: `block` is the head of a list or the newest block: a free one (FREE).
            let size = unsafe { self.size_at(block) };
            if self.gap(block, align) + n as usize <= size as usize {
                let class = class_of(size);
                return Found { block, class };
            }
        }
        Found::NONE
    }

    /// The free block that holds `n` granules at a multiple of `align` bytes furthest up, and where in it; or none.
    pub(super) fn find_last(&self, n: u32, align: usize) -> (Found, u32) {
        let mut best = (Found::NONE, 0);
        for class in self.buckets.non_empty(class_of(n)) {
            let mut block = self.buckets.head(class);
            while block != 0 {
                // SAFETY: BUCKETS and FREE: a block of a list is free, and its first granule holds its links.
                let (size, next) = unsafe { (self.size_at(block), (*self.granule(block))[0]) };
                let gap = self.gap(block, align);
                if gap + n as usize <= size as usize {
                    let (first, last) = (block + gap as u32, block + size - n);
                    let place = last - (last - first) % (align >> GRANULE_SHIFT).max(1) as u32;
                    if place > best.1 {
                        best = (Found { block, class }, place);
                    }
                }
                block = next;
            }
        }
        best
    }

    /// Granules from `position` to the next address that is a multiple of `align`. There may be fewer.
    #[inline(always)]
    pub(super) fn gap(&self, position: u32, align: usize) -> usize {
        let address = self.pointer_to(position) as usize;
        (address.wrapping_neg() & (align - 1)) >> GRANULE_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::span::Geometry;

    #[test]
    fn e4_what_is_taken_last_lies_where_no_later_place_is() {
        let mut memory = std::vec![0u64; 4096];
        let start = memory.as_mut_ptr().cast::<u8>();
        let geometry = Geometry::new(start as usize, 4096 * 8, 0, 1).unwrap();
        let mut region = Region::EMPTY;
        // SAFETY: the memory is the region's until the end.
        unsafe { region.claim(start, &geometry, 0, false) };
        let (end, mut seed) = (region.granules() + 1, 1u32);
        let mut below = |limit: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % limit
        };
        let mut used = std::vec![false; end as usize];
        let mut blocks = std::vec::Vec::new();
        for _ in 0..3000 {
            let (n, align) = (1 + below(80), GRANULE << below(7));
            let is_aligned = |position: &u32| region.pointer_to(*position) as usize & (align - 1) == 0;
            let is_free = |position: &u32| {
                used[*position as usize..(*position + n) as usize]
                    .iter()
                    .all(|used| !used)
            };
            let last = (1..=end - n).rev().filter(is_aligned).find(is_free);
            let found = region.take_last(n, align).block;
            assert_eq!(found, last.unwrap_or(0));
            if found != 0 {
                used[found as usize..(found + n) as usize].fill(true);
                blocks.push((found, n));
            }
            while blocks.len() > 60 || found == 0 && !blocks.is_empty() && below(4) != 0 {
                let (position, n) = blocks.swap_remove(below(blocks.len() as u32) as usize);
                used[position as usize..(position + n) as usize].fill(false);
                // SAFETY: the block was taken, and nobody uses it.
                unsafe { region.give(position, n) };
            }
        }
    }
}
