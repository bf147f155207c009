//! The length of a span: what it is claimed with, and how it changes.
//!
//! ```text
//!  start                                 committed                      reserved
//!  | Header | tables for all of it |g0| granules 1 ... n |guard   addresses only   |
//! ```
//!
//! A span that can grow has addresses and tables for all that it may become, and memory up to a boundary. What lies behind that is
//! neither read nor written, in the tables neither: they are initialised as far as there are granules. At the boundary is a guard
//! bit, as at the end of any other span, so nothing else knows that there may be more.

use super::Region;
use super::audit::Audit;
use super::class::class_of;
use super::span::{Geometry, Header};
use crate::base::bits::Bits;
use crate::base::granule::GRANULE;

impl Region {
    /// Takes the span at `start` over, laid out as `geometry` says; `zeroed` if all of it is zero. To be called once, on
    /// [`Region::EMPTY`].
    ///
    /// # Safety
    /// `geometry` was made for `start` and a length that is valid for reads and writes, as far as it is committed, and is used by
    /// nothing else as long as the region is used.
    pub(crate) unsafe fn claim(&mut self, start: *mut u8, geometry: &Geometry, tag: u8, zeroed: bool) {
        let granules = geometry.committed;
        // SAFETY: the caller gives the span; `Geometry` places header, table and granules in it without overlap, all
        // aligned to a granule. SPAN holds then; granules 1 to `granules` are in no block yet, their bits are set.
        unsafe {
            start.cast::<Header>().write(geometry.header(tag));
            self.base = start.add(geometry.base_offset).cast();
            self.base_offset = geometry.base_offset as u32;
            self.bits = Bits::init(start.add(geometry.bits_offset).cast(), granules as usize + 2, true);
            self.audit = Audit::init(start.add(geometry.audit_offset).cast(), geometry.granules, granules);
            self.granules = granules;
            self.reserved = geometry.granules;
            self.fresh = if zeroed { 1 } else { granules + 1 };
            self.give(1, granules);
        }
    }

    /// Granules that the region may come to have.
    pub(crate) fn reserved(&self) -> u32 {
        self.reserved
    }

    /// Granules that there are in the first `bytes` of the span, which hold its tables.
    pub(crate) fn granules_in(&self, bytes: usize) -> u32 {
        let granules = (bytes - self.base_offset as usize) / GRANULE - 1;
        granules.min(self.reserved as usize) as u32
    }

    /// Bytes from the start of the span to the end of granule `granules`.
    pub(crate) fn bytes_to(&self, granules: usize) -> usize {
        (granules + 1)
            .saturating_mul(GRANULE)
            .saturating_add(self.base_offset as usize)
    }

    /// The granules of the free block at the end; 0 if the last granule is not free. O(1).
    pub(crate) fn tail(&self) -> u32 {
        // SAFETY: SPAN: granule 0 and the last one have bits; if the last one's is clear, a free block ends there (FREE).
        unsafe {
            if self.granules == 0 || self.bits.get(self.granules) {
                0
            } else {
                self.size_before(self.granules + 1)
            }
        }
    }

    /// Makes the region `granules` long; what comes is free, and zero if `zeroed`. O(new granules / 32).
    ///
    /// # Safety
    /// There are as many reserved, and more than there were. The new ones are valid for reads and writes, as SPAN asks.
    pub(crate) unsafe fn grow(&mut self, granules: u32, zeroed: bool) {
        let (old, tail) = (self.granules, self.tail());
        // SAFETY: SPAN: the tables have words for all that is reserved, and the caller gives the granules. Their bits are set, and
        // they are in no block: `old + 1` has had the guard. After they were given, `old` is not the last of its block, whose
        // first two granules are others, if that had three.
        unsafe {
            self.bits.lengthen(old as usize + 2, granules as usize + 2, true);
            self.audit.resize(granules);
            self.set_len(granules);
            self.give(old + 1, granules - old);
            if tail > 2 {
                // The size that was there would not be found if it counts as fresh.
                *self.granule(old) = [0, 0];
            }
        }
        if !zeroed {
            self.fresh = granules + 1;
        }
    }

    /// Makes the region `granules` long, the free block at its end so much shorter. What is behind is not touched any more. O(1).
    ///
    /// # Safety
    /// There are fewer than there were, and those that go are part of the free block at the end.
    pub(crate) unsafe fn shrink(&mut self, granules: u32) {
        let (old, tail) = (self.granules, self.tail());
        debug_assert!(granules < old && old - granules <= tail);
        let block = old + 1 - tail;
        let rest = granules + 1 - block;
        // SAFETY: FREE: the block at the end is one of that size. What is left of it has its first bit clear already. The granules
        // that go are in no block then, nor in use, and the guard has a bit, which was that of one of them.
        unsafe {
            self.unlink(block, class_of(tail));
            if rest != 0 {
                self.link(block, rest, class_of(rest));
                self.bits.clear(granules);
            }
            self.bits.set(granules + 1);
            self.audit.resize(granules);
            self.set_len(granules);
        }
        self.free -= old - granules;
        self.fresh = self.fresh.min(granules + 1);
        if rest == 0 && self.newest == block {
            self.newest = 0;
        }
    }

    /// Sets the length, here and in the header.
    ///
    /// # Safety
    /// SPAN holds for it.
    unsafe fn set_len(&mut self, granules: u32) {
        self.granules = granules;
        // SAFETY: SPAN: the header is there, and ours.
        unsafe { (*self.header()).granules = granules };
    }

    /// The self-description.
    pub(super) fn header(&self) -> *mut Header {
        // SPAN: the header is at the start of the span, `base_offset` bytes before granule 0.
        self.base.cast::<u8>().wrapping_sub(self.base_offset as usize).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::granule::GRANULE_SHIFT;
    use crate::region::search::Fit;

    const BYTES: usize = 1 << 16;
    const STEP: usize = 1 << 12;

    /// A region whose memory is lent step by step: what is not committed is filled with a pattern, and must keep it.
    struct Lent {
        memory: std::vec::Vec<u64>,
        region: Region,
        committed: usize,
    }

    impl Lent {
        fn new() -> Lent {
            let mut memory = std::vec![0u64; BYTES / 8];
            let start = memory.as_mut_ptr().cast::<u8>();
            let geometry = Geometry::new(start as usize, BYTES, 0, 1).unwrap();
            let committed = (geometry.base_offset + 512).next_multiple_of(STEP);
            let mut region = Region::EMPTY;
            let committed_geometry = geometry.committed(committed).unwrap();
            // SAFETY: the memory is the region's until the end, and goes with it.
            unsafe {
                start.add(committed).write_bytes(0xEE, BYTES - committed);
                region.claim(start, &committed_geometry, 0, true);
            }
            Lent {
                memory,
                region,
                committed,
            }
        }

        fn start(&mut self) -> *mut u8 {
            self.memory.as_mut_ptr().cast()
        }

        fn grow(&mut self, zeroed: bool) {
            let to = self.committed + STEP;
            let from = self.region.header().cast::<u8>().wrapping_add(self.committed);
            // SAFETY: the step is in the memory, and nobody's.
            unsafe {
                from.write_bytes(if zeroed { 0 } else { 0xDD }, STEP);
                self.region.grow(self.region.granules_in(to), zeroed);
            }
            self.committed = to;
        }

        fn shrink(&mut self) {
            let to = self.committed - STEP;
            // SAFETY: the caller has looked whether the last step is free.
            unsafe {
                self.region.shrink(self.region.granules_in(to));
                self.region.header().cast::<u8>().add(to).write_bytes(0xEE, STEP);
            }
            self.committed = to;
        }

        fn can_shrink(&self) -> bool {
            let to = self.committed - STEP;
            let least = self.region.base_offset as usize + 512;
            to >= least && self.region.granules - self.region.granules_in(to) <= self.region.tail()
        }

        /// Whether a block from here on is zero but for where links may be, if it counts as fresh.
        fn assert_fresh(&self, position: u32, n: u32, fresh: u32) {
            if position < fresh || n <= 3 {
                return;
            }
            for at in position + 2..position + n - 1 {
                // SAFETY: the granule is the region's.
                let words = unsafe { *self.region.granule(at) };
                assert_eq!(words, [0, 0], "granule {at} of {position}+{n}");
            }
        }

        fn assert_untouched(&mut self) {
            let committed = self.committed;
            let start = self.start();
            for at in committed..BYTES {
                // SAFETY: the byte is the memory's.
                assert_eq!(unsafe { *start.add(at) }, 0xEE, "byte {at} behind {committed}");
            }
        }
    }

    #[test]
    fn b1_a_region_grows_and_shrinks_and_touches_nothing_behind_its_end() {
        let mut seed = 7u32;
        let mut below = |limit: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % limit
        };
        let mut lent = Lent::new();
        let mut blocks = std::vec::Vec::<(u32, u32)>::new();
        let (mut grown, mut shrunk, mut fresh_blocks) = (0, 0, 0);
        for step in 0..6000 {
            match below(100) {
                // Several steps at once, so that what was the end lies between granules that count as fresh.
                0..2 => {
                    let zeroed = below(4) != 0;
                    for _ in 0..1 + below(3) {
                        if lent.committed < BYTES {
                            lent.grow(zeroed);
                            grown += 1;
                        }
                    }
                }
                2..4 => {
                    while below(4) != 0 && lent.can_shrink() {
                        lent.shrink();
                        shrunk += 1;
                    }
                }
                4..60 if step % 1000 < 700 => {
                    let n = 1 + below(60);
                    let fresh = lent.region.fresh();
                    let found = lent.region.take(n, GRANULE, Fit::Dense);
                    if found.block != 0 {
                        lent.assert_fresh(found.block, n, fresh);
                        fresh_blocks += usize::from(found.block >= fresh);
                        let place = lent.region.pointer_to(found.block);
                        // SAFETY: the block is ours.
                        unsafe { place.write_bytes(0x55, (n as usize) << GRANULE_SHIFT) };
                        // SAFETY: as above; the user has it from now on.
                        unsafe { lent.region.audit.note_taken(found.block, n) };
                        blocks.push((found.block, n));
                    }
                }
                _ if !blocks.is_empty() => {
                    let (position, n) = blocks.swap_remove(below(blocks.len() as u32) as usize);
                    // SAFETY: the block is given up.
                    unsafe {
                        lent.region.audit.note_freed(position, n);
                        lent.region.give(position, n);
                    }
                }
                _ => {}
            }
            if step % 16 == 0 {
                lent.region.check().unwrap();
                lent.assert_untouched();
            }
            assert!(lent.region.granules() <= lent.region.reserved());
        }
        assert!(
            grown > 30 && shrunk > 30 && fresh_blocks > 5,
            "{grown} {shrunk} {fresh_blocks}"
        );
    }
}
