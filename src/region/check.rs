//! Verification of a region: every field against every other.

use super::Region;
use super::block::SINGLE;
use super::class::{CLASSES, class_of};
use super::span::{MAGIC, POINTER_LOG, VERSION};
use crate::base::fault::{Fault, FaultKind};
use crate::base::granule::GRANULE_SHIFT;

impl Region {
    /// Verifies the region; returns the number of free blocks. O(granules).
    ///
    /// # Errors
    /// The first broken rule, with the address of the block where it shows.
    pub(crate) fn check(&mut self) -> Result<u32, Fault> {
        if self.granules == 0 {
            return Ok(0);
        }
        self.check_header()?;
        self.check_used()?;
        let (mut blocks, mut sum) = (0u32, 0u64);
        for class in 1..CLASSES as u32 {
            self.check_bitmap(class)?;
            let mut prev = 0;
            let mut block = self.buckets.head(class);
            while block != 0 {
                let size = self.check_block(block, prev, class)?;
                blocks += 1;
                sum += u64::from(size);
                if sum > u64::from(self.granules) {
                    return Err(self.fault(FaultKind::WrongCount, block));
                }
                prev = block;
                // SAFETY: the block was just found to be sound.
                block = unsafe { (*self.granule(block))[0] };
            }
        }
        if sum != u64::from(self.free) {
            return Err(Fault::new(FaultKind::WrongCount, self.start()));
        }
        self.check_overlap()?;
        self.check_unused()?;
        Ok(blocks)
    }

    /// Whether the self-description is intact.
    fn check_header(&self) -> Result<(), Fault> {
        // SAFETY: SPAN: the header is there.
        let header = unsafe { *self.header() };
        let intact = header.magic == MAGIC
            && header.version == VERSION
            && header.pointer_log == POINTER_LOG
            && u32::from(header.granule_log) == GRANULE_SHIFT
            && header.granules == self.granules
            && header.bits_offset as usize == self.bits.address() - self.start();
        if intact {
            Ok(())
        } else {
            Err(Fault::new(FaultKind::Header, self.start()))
        }
    }

    fn check_bitmap(&self, class: u32) -> Result<(), Fault> {
        if self.buckets.is_marked(class) == (self.buckets.head(class) != 0) {
            return Ok(());
        }
        Err(self.fault(FaultKind::WrongBitmap, self.buckets.head(class)))
    }

    /// Verifies one block of a list and returns its size.
    fn check_block(&self, block: u32, prev: u32, class: u32) -> Result<u32, Fault> {
        if block > self.granules {
            return Err(self.fault(FaultKind::OutOfBounds, block));
        }
        // SAFETY: SPAN: the granule exists; any bits in it are a pair of words.
        let [next, prev_word] = unsafe { *self.granule(block) };
        if prev_word & !SINGLE != prev || next > self.granules || next == block {
            return Err(self.fault(FaultKind::BrokenLink, block));
        }
        let size = self.check_extent(block)?;
        if class_of(size) != class {
            return Err(self.fault(FaultKind::WrongSize, block));
        }
        Ok(size)
    }

    /// Verifies size and boundary bits of the free block at `block`, a granule of the region; returns the size.
    fn check_extent(&self, block: u32) -> Result<u32, Fault> {
        // SAFETY: SPAN: the granule exists; any bits in it are a pair of words.
        let [_, prev_word] = unsafe { *self.granule(block) };
        let size = if prev_word & SINGLE != 0 {
            1
        } else if block == self.granules {
            return Err(self.fault(FaultKind::OutOfBounds, block));
        } else {
            // SAFETY: SPAN: `block` is not the last granule, so there is one behind it.
            unsafe { (*self.granule(block + 1))[0] }
        };
        if size == 0 || size > self.granules + 1 - block {
            return Err(self.fault(FaultKind::OutOfBounds, block));
        }
        // SAFETY: SPAN: the granule before `block + size` exists.
        if unsafe { self.size_before(block + size) } != size {
            return Err(self.fault(FaultKind::WrongSize, block));
        }
        // SAFETY: SPAN: `block` is at least 1 and `block + size` at most `granules` + 1, which are bits of the table.
        let bits_right = unsafe {
            !self.bits.get(block)
                && !self.bits.get(block + size - 1)
                && self.bits.get(block - 1)
                && self.bits.get(block + size)
        };
        if bits_right {
            Ok(size)
        } else {
            Err(self.fault(FaultKind::WrongBits, block))
        }
    }

    /// Verifies the tables of the blocks in use, and the free blocks right behind such blocks, so that an overrun shows where
    /// it happened, not only as a broken list. O(granules).
    fn check_used(&self) -> Result<(), Fault> {
        let (mut from, mut sum) = (1, 0);
        for (start, end) in self.audit.blocks() {
            if start < from || end < start || !self.is_marked(start, end + 1 - start) {
                return Err(self.fault(FaultKind::WrongBits, start));
            }
            from = end + 1;
            sum += from - start;
            // SAFETY: SPAN: `from` is a granule or the guard, which have bits.
            if unsafe { !self.bits.get(from) } {
                self.check_place(from)?;
            }
        }
        if self.audit.is_paired() && sum == self.audit.used() {
            Ok(())
        } else {
            Err(Fault::new(FaultKind::WrongCount, self.start()))
        }
    }

    /// Verifies the free block at `block`, a granule of the region, and its place between its neighbours in the list.
    fn check_place(&self, block: u32) -> Result<(), Fault> {
        let class = class_of(self.check_extent(block)?);
        // SAFETY: SPAN: the granule exists; any bits in it are a pair of words.
        let [next, prev_word] = unsafe { *self.granule(block) };
        let prev = prev_word & !SINGLE;
        if prev > self.granules || next > self.granules {
            return Err(self.fault(FaultKind::BrokenLink, block));
        }
        // SAFETY: SPAN: both granules exist if they are read.
        let (led_here, led_back) = unsafe {
            (
                prev == 0 && self.buckets.head(class) == block || prev != 0 && (*self.granule(prev))[0] == block,
                next == 0 || (*self.granule(next))[1] & !SINGLE == block,
            )
        };
        // Where a link leads to a free block of the list's class, the link is right, and the one that should answer is not.
        let culprit = |other| if self.is_of_class(other, class) { other } else { block };
        if !led_here {
            return Err(self.fault(FaultKind::BrokenLink, culprit(prev)));
        }
        if !led_back {
            return Err(self.fault(FaultKind::BrokenLink, culprit(next)));
        }
        Ok(())
    }

    /// Whether a free block of `class` starts at `position`, 0 or a granule of the region, as far as its granules tell.
    fn is_of_class(&self, position: u32, class: u32) -> bool {
        position != 0 && self.check_extent(position).is_ok_and(|size| class_of(size) == class)
    }

    /// Verifies that no free block is part of a block in use.
    fn check_unused(&self) -> Result<(), Fault> {
        self.each_free(|region, block, size| {
            if region.audit.touches(block, size) {
                Err(region.fault(FaultKind::Overlap, block))
            } else {
                Ok(())
            }
        })
    }

    /// Verifies that no free block lies inside another one. Bits inside a free block mean nothing, so they are all set
    /// first: a block that lies inside another one then has a set bit at its start or its end.
    fn check_overlap(&mut self) -> Result<(), Fault> {
        self.each_free(|region, block, size| {
            if size > 2 {
                // SAFETY: SPAN: the bits exist; no other reference into the table is alive.
                let table = unsafe { region.bits.as_slice(region.granules as usize + 2) };
                table[block as usize + 1..(block + size - 1) as usize].fill(true);
            }
            Ok(())
        })?;
        self.each_free(|region, block, size| {
            // SAFETY: SPAN: the bits exist.
            let clear = unsafe { !region.bits.get(block) && !region.bits.get(block + size - 1) };
            if clear {
                Ok(())
            } else {
                Err(region.fault(FaultKind::Overlap, block))
            }
        })
    }

    /// Calls `visit` with position and size of every free block, in no particular order. O(free blocks).
    pub(super) fn each_free(&self, mut visit: impl FnMut(&Region, u32, u32) -> Result<(), Fault>) -> Result<(), Fault> {
        for class in self.buckets.non_empty(1) {
            let mut block = self.buckets.head(class);
            while block != 0 {
                // SAFETY: BUCKETS and FREE: blocks of the lists are free blocks.
                let (size, next) = unsafe { (self.size_at(block), (*self.granule(block))[0]) };
                visit(self, block, size)?;
                block = next;
            }
        }
        Ok(())
    }

    /// The size of the largest free block, in granules. O(free blocks of the largest class).
    pub(crate) fn largest(&self) -> u32 {
        let mut largest = 0;
        let mut block = self.buckets.head(self.buckets.largest());
        while block != 0 {
            // SAFETY: BUCKETS and FREE: blocks of the lists are free blocks.
            unsafe {
                largest = largest.max(self.size_at(block));
                block = (*self.granule(block))[0];
            }
        }
        largest
    }

    /// Whether `n` granules at `position` look like an allocated block that the user does not have: inside the region, first
    /// and last bit set, not in use.
    pub(crate) fn looks_idle(&self, position: u32, n: u32) -> bool {
        self.is_marked(position, n) && !self.audit.touches(position, n)
    }

    /// Whether `n` granules at `position` are inside the region, and the first and the last bit are set.
    fn is_marked(&self, position: u32, n: u32) -> bool {
        if position == 0 || n == 0 || position > self.granules || n > self.granules + 1 - position {
            return false;
        }
        // SAFETY: SPAN: both are granules of the region and have bits.
        unsafe { self.bits.get(position) && self.bits.get(position + n - 1) }
    }

    fn fault(&self, kind: FaultKind, position: u32) -> Fault {
        Fault::new(kind, self.pointer_to(position.min(self.granules + 1)) as usize)
    }
}
