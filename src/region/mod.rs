//! Layer 1: one span of memory and its free space.
//!
//! ```text
//!  granule   g0 |  1   2   3   4   5   6   7   8   9  10 | end
//!  content   .. | [ block A ] [    free     ] [ block B ]|
//!  bit        1 |  1   ?   1   0   ?   ?   0   1   ?   1 | 1
//!                          '-------------------'
//! ```
//!
//! An allocated block carries no header: its owner knows the size. One **boundary bit** per granule is all that freeing
//! needs: it is 1 at the first and the last granule of every allocated block and 0 at the first and the last granule of
//! every free block; between them it means nothing. To free `[s, e)`, look at bit `s - 1` (0: the block before is free,
//! its size is in its last granule) and at bit `e` (0: the block behind is free). Granule 0 and the bit behind the last
//! granule are guards that are always 1.
//!
//! Named invariants, which the `SAFETY` comments cite:
//!
//! - **`SPAN`**: `base` points at granule 0; granules 0 to `granules` lie in one claimed span that nothing else uses, and
//!   `base` may access all of it. `bits` has `granules + 2` bits, and words for `reserved + 2`.
//! - **`FREE`**: a free block's granules lie within 1 to `granules`, its words are as drawn in [`block`], it is in the
//!   bucket of its class, its first and last bits are 0, and the granules beside it are not free.
//! - **`BUCKETS`**: see [`bucket`].

#[cfg_attr(feature = "check", path = "audit_on.rs")]
#[cfg_attr(not(feature = "check"), path = "audit_off.rs")]
mod audit;
mod block;
mod bucket;
mod check;
pub(crate) mod class;
pub mod fixed;
mod grow;
pub mod host;
mod map;
#[cfg(all(feature = "std", target_os = "linux"))]
mod maps;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod os;
mod search;
#[cfg(feature = "mpu")]
pub mod shield;
pub(crate) mod span;

pub(crate) use map::Cells;
pub use search::End;
pub(crate) use search::{Fit, Found};

use core::ptr;

use crate::base::{
    bits::Bits,
    granule::{GRANULE, GRANULE_SHIFT},
};
use audit::Audit;
use bucket::Buckets;
pub(crate) use class::class_of;

/// One claimed span: where it is, and its free blocks.
#[cfg_attr(terrace_small, repr(C))]
pub(crate) struct Region {
    /// Granule 0.
    base: *mut [u32; 2],
    bits: Bits,
    /// Granules handed out, free or not; the index of the last one.
    granules: u32,
    /// Granules in free blocks.
    free: u32,
    /// The free block made last, or 0.
    newest: u32,
    /// Granules from here on, if there are any, were zero when they were committed and have not been handed out since.
    fresh: u32,
    /// Granules that there are addresses and tables for: more, if the span can grow.
    reserved: u32,
    /// Bytes from the start of the span to granule 0.
    base_offset: u32,
    /// The next span's region, inside that span; null for the last one.
    pub next: *mut Region,
    buckets: Buckets,
    /// What the user has of it.
    pub audit: Audit,
}

impl Region {
    /// A region without memory: it has no free block and contains no address.
    pub(crate) const EMPTY: Region = Region {
        base: ptr::null_mut(),
        bits: Bits::NONE,
        granules: 0,
        reserved: 0,
        free: 0,
        fresh: 0,
        newest: 0,
        base_offset: 0,
        buckets: Buckets::EMPTY,
        audit: Audit::EMPTY,
        next: ptr::null_mut(),
    };

    /// Granules handed out, free or not.
    #[inline(always)]
    pub(crate) fn granules(&self) -> u32 {
        self.granules
    }

    /// Granules in free blocks.
    #[inline(always)]
    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// The address of the span's start.
    pub(crate) fn start(&self) -> usize {
        (self.base as usize).wrapping_sub(self.base_offset as usize)
    }

    /// Bytes of bookkeeping before the first granule that is handed out.
    pub(crate) fn bookkeeping(&self) -> usize {
        if self.granules == 0 {
            0
        } else {
            self.base_offset as usize + GRANULE
        }
    }

    /// Whether `address` lies in the granules that the region hands out. O(1).
    #[inline(always)]
    pub(crate) fn contains(&self, address: usize) -> bool {
        let offset = address.wrapping_sub(self.base as usize + GRANULE);
        offset < (self.granules as usize) << GRANULE_SHIFT
    }

    /// Whether `address` lies in the granules that the region hands out, from `position` on, which may be behind the last. O(1).
    #[inline(always)]
    pub(crate) fn is_behind(&self, address: usize, position: u32) -> bool {
        let offset = address.wrapping_sub(self.pointer_to(position) as usize);
        offset < ((self.granules + 1 - position) as usize) << GRANULE_SHIFT
    }

    /// The position of `address`, which the region contains.
    #[inline(always)]
    pub(crate) fn position_of(&self, address: usize) -> u32 {
        ((address - self.base as usize) >> GRANULE_SHIFT) as u32
    }

    /// The address of `position`, with leave to access the region.
    #[inline(always)]
    pub(crate) fn pointer_to(&self, position: u32) -> *mut u8 {
        debug_assert!(position <= self.granules + 1);
        // `wrapping_add`: a method without a safety condition; a position of the region stays inside it (SPAN).
        self.base
            .cast::<u8>()
            .wrapping_add((position as usize) << GRANULE_SHIFT)
    }

    /// Whether there is a free block of at least `class`. O(1).
    #[inline(always)]
    pub(crate) fn has_class(&self, class: u32) -> bool {
        self.buckets.next(class) != 0
    }

    /// From here on, granules are zero, but for the links and sizes of a free block: its first two granules and its last one.
    /// Behind the last granule if the memory was not zero when it was claimed.
    pub(crate) fn fresh(&self) -> u32 {
        self.fresh
    }

    /// Takes `n` granules, at least 1, whose address is a multiple of `align` bytes, a power of two. `fit` chooses the block; beyond the
    /// granule, [`Fit::Dense`] and [`Fit::Quick`] are one. Returns where they are, and the class of the block that they were cut from. Position 0: no free block holds them, or none
    /// was found that happens to lie well. O(1).
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn take(&mut self, n: u32, align: usize, fit: Fit) -> Found {
        let is_any = align <= GRANULE;
        let mut found = if fit == Fit::Newest {
            self.fitting(self.newest, n, align)
        } else if is_any {
            self.find(n, fit)
        } else {
            self.find_aligned(n, align)
        };
        if found.block != 0 {
            // SAFETY: what was found is a free block that holds `n` granules from its first aligned one on, and its class.
            unsafe {
                if cfg!(not(terrace_small)) && is_any {
                    self.carve(found, n);
                } else {
                    let gap = self.gap(found.block, align) as u32;
                    self.cut(found, gap, n);
                    found.block += gap;
                }
            }
        }
        found
    }

    /// As [`Region::take`], at a low address; of blocks that may hold them only those that surely do. O(classes).
    pub(crate) fn take_low(&mut self, n: u32) -> Found {
        let found = self.find_low(n);
        if found.block != 0 {
            // SAFETY: `find_low` returns free blocks of at least `n` granules, and their class.
            unsafe { self.cut(found, 0, n) };
        }
        found
    }

    /// The free block made last, or 0.
    #[inline(always)]
    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    /// Makes the free block that `position` was the start of the newest again, if it is not part of the newest now. `give`
    /// may have been called once since it was the newest, and nothing else.
    #[inline(always)]
    pub(crate) fn keep_newest(&mut self, position: u32) {
        // SAFETY: the newest block is a free block after `give`.
        let end = self.newest + unsafe { self.size_at(self.newest) };
        if position != 0 && !(self.newest..end).contains(&position) {
            self.newest = position;
        }
    }

    /// Takes the last `n` granules that are free at a multiple of `align` bytes, a power of two; returns their position, or 0, and
    /// the class of the block that they were cut from. No memory before them counts as fresh any more. O(free blocks of `n`
    /// granules or more).
    pub(crate) fn take_last(&mut self, n: u32, align: usize) -> Found {
        let (found, position) = self.find_last(n, align);
        if found.block != 0 {
            // SAFETY: `find_last` returns a free block that holds `n` granules from the position on, and its class.
            unsafe { self.cut(found, position - found.block, n) };
        }
        Found {
            block: position,
            class: found.class,
        }
    }

    /// Gives `n` granules back, one allocated block or several that lie side by side, and joins them with free neighbours;
    /// returns the class of the block that they are part of then, or 0 if they had no free neighbour. O(1).
    ///
    /// # Safety
    /// The granules were taken, at least one, and are used by nobody any more. The bits of the first and the last one
    /// are set.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn give(&mut self, position: u32, n: u32) -> u32 {
        debug_assert!(position > 0 && n > 0 && position + n <= self.granules + 1);
        let (mut start, mut end) = (position, position + n);
        self.free += n;
        // SAFETY: SPAN: bits 0 to `granules` + 1 exist and the outermost are set, so no neighbour lies outside; a clear
        // bit beside allocated granules is the end of a free block (FREE).
        let class = unsafe {
            if self.bits.get(end) {
                self.bits.clear(end - 1);
            } else {
                let size = self.size_at(end);
                self.unlink(end, class_of(size));
                end += size;
            }
            if self.bits.get(start - 1) {
                self.bits.clear(start);
                let class = class_of(end - start);
                self.link(start, end - start, class);
                self.newest = start;
                return if end - start == n { 0 } else { class };
            }
            let before = self.size_before(start);
            start -= before;
            let size = end - start;
            let (old, class) = (class_of(before), class_of(size));
            if old == class {
                self.resize_node(start, size);
            } else {
                self.unlink(start, old);
                self.link(start, size, class);
            }
            if size == n { 0 } else { class }
        };
        self.newest = start;
        class
    }

    /// Takes the first `n` granules of the free block that was found.
    ///
    /// # Safety
    /// FREE: such a block, of that class and of at least `n` granules, starts there.
    #[inline(always)]
    unsafe fn carve(&mut self, found: Found, n: u32) {
        let Found { block, class } = found;
        let rest = block + n;
        // SAFETY: FREE: size and links are in the block; what remains of it becomes a free block with its first bit
        // cleared, while its last bit is clear already and its neighbours are allocated.
        unsafe {
            let rest_size = self.size_at(block) - n;
            if rest_size == 0 {
                self.unlink(block, class);
            } else {
                let rest_class = class_of(rest_size);
                if rest_class == class {
                    self.relink(block, rest, rest_size, class);
                } else {
                    self.unlink(block, class);
                    self.link(rest, rest_size, rest_class);
                }
                self.bits.clear(rest);
            }
            self.bits.set(block);
            self.bits.set(rest - 1);
        }
        self.note_taken(block, n, rest);
    }

    /// Takes `n` granules of the free block that was found, from the granule `before` on; what is left on both sides stays free.
    ///
    /// # Safety
    /// FREE: such a block, of that class and of at least `before + n` granules, starts there.
    #[inline(never)]
    unsafe fn cut(&mut self, found: Found, before: u32, n: u32) {
        let Found { block, class } = found;
        let position = block + before;
        let rest = position + n;
        // SAFETY: as in `carve`; what lies before the position becomes a free block with its last bit cleared, while its
        // first bit is clear already.
        unsafe {
            let rest_size = self.size_at(block) - before - n;
            self.unlink(block, class);
            self.leave(block, before, position.wrapping_sub(1));
            self.leave(rest, rest_size, rest);
            self.bits.set(position);
            self.bits.set(rest - 1);
        }
        self.note_taken(block, n, rest);
    }

    /// Makes what is left of a free block, unless nothing is, a free block of `size` granules, whose end at `clear` was none.
    ///
    /// # Safety
    /// The granules are in the span and belong to no other block; the bit of the block's other end is clear.
    #[inline(always)]
    unsafe fn leave(&mut self, position: u32, size: u32, clear: u32) {
        if size != 0 {
            // SAFETY: as the caller says; SPAN: the block's ends have bits.
            unsafe {
                self.link(position, size, class_of(size));
                self.bits.clear(clear);
            }
        }
    }

    /// Counts `n` granules out that were taken, up to `end`, from the free block at `block`.
    #[inline(always)]
    fn note_taken(&mut self, block: u32, n: u32, end: u32) {
        self.free -= n;
        if self.newest == block {
            self.newest = 0;
        }
        if end > self.fresh {
            self.fresh = end;
        }
    }

    /// Marks that the allocated block at `position` is now two, of `n` and `rest` granules. Either may be 0.
    ///
    /// # Safety
    /// An allocated block of `n + rest` granules starts there.
    pub(crate) unsafe fn split(&mut self, position: u32, n: u32, rest: u32) {
        if n != 0 && rest != 0 {
            // SAFETY: SPAN: the block's granules have bits.
            unsafe {
                self.bits.set(position + n - 1);
                self.bits.set(position + n);
            }
        }
    }

    /// Sets the bits of `n` allocated granules at `position`, so that they can be cut up without touching them.
    ///
    /// # Safety
    /// They are allocated, and the caller's.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn mark(&mut self, position: u32, n: u32) {
        // SAFETY: SPAN: the granules have bits.
        unsafe { self.bits.set_range(position, position + n) };
    }

    /// Whether the granule at `position`, which is that behind an allocated block, is allocated as well, or the end of the
    /// span.
    ///
    /// # Safety
    /// An allocated block ends before `position`.
    #[inline(always)]
    pub(crate) unsafe fn is_allocated(&self, position: u32) -> bool {
        // SAFETY: SPAN: the bit is a granule's or the guard's, which is set.
        unsafe { self.bits.get(position) }
    }

    /// The granules of the free block at `position`, or 0 if what begins there is allocated, or the end of the span. O(1).
    ///
    /// # Safety
    /// A block, free or allocated, begins there, or the span ends.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    unsafe fn free_at(&self, position: u32) -> u32 {
        // SAFETY: SPAN: the bit is a granule's or the guard's, which is set; if it is clear, a free block starts there (FREE).
        unsafe {
            if self.bits.get(position) {
                0
            } else {
                self.size_at(position)
            }
        }
    }

    /// The granules of the free block before `position`, or 0 if what ends there is allocated, or the start of the span. O(1).
    ///
    /// # Safety
    /// A block, free or allocated, ends there, or the span begins.
    #[inline(always)]
    unsafe fn free_before(&self, position: u32) -> u32 {
        // SAFETY: SPAN: the bit is a granule's or the guard's, which is set; if it is clear, a free block ends there (FREE).
        unsafe {
            if self.bits.get(position - 1) {
                0
            } else {
                self.size_before(position)
            }
        }
    }

    /// Takes the first `n` granules of the free block at `position`, if there is one that has them; then at least 1. O(1).
    ///
    /// # Safety
    /// A block, free or allocated, begins there, or the span ends.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn take_first(&mut self, position: u32, n: usize) -> bool {
        // SAFETY: as the caller says; a block that is that large holds its first `n` granules.
        unsafe {
            let size = self.free_at(position);
            if size == 0 || (size as usize) < n {
                return false;
            }
            let class = class_of(size);
            self.cut(Found { block: position, class }, 0, n as u32);
            true
        }
    }

    /// Makes room for `wanted` granules, more than `n`, from the start of the free block before the allocated block at `position` on, by
    /// joining the free blocks on both sides to that; or if the one before it is large enough, in that alone. Returns where the room
    /// begins, or 0 if there is not enough. The contents stay where they are. O(1).
    ///
    /// # Safety
    /// An allocated block of `n` granules starts there.
    pub(crate) unsafe fn join_around(&mut self, position: u32, n: u32, wanted: usize) -> u32 {
        let end = position + n;
        // SAFETY: the block is allocated, so the blocks on both sides begin and end there. What is taken of them is there.
        unsafe {
            let before = self.free_before(position);
            let (start, reach) = (position - before, (before + n) as usize);
            if reach + (self.free_at(end) as usize) < wanted {
                return 0;
            }
            self.take_first(start, wanted.min(before as usize));
            if reach < wanted {
                self.take_first(end, wanted - reach);
            }
            start
        }
    }
}
