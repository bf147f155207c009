//! The free block: what its granules hold, and the lists through it.
//!
//! ```text
//!  one granule          two granules or more
//!  | next | prev+FLAG | | next | prev | size | ... | ... | size |
//!    granule s            granule s     granule s+1        granule e-1
//! ```
//!
//! `next` and `prev` are positions in the same bucket, 0 for none. In a block of two granules, granule `s + 1` is also
//! the last and holds both sizes. The flag, bit 31 of `prev`, tells the one-granule case: read from the front it is
//! the second word of the first granule, read from the back the second word of the last one.

use super::Region;

/// Set in `prev` of a block of one granule. Positions and sizes are below it.
pub(crate) const SINGLE: u32 = 1 << 31;

impl Region {
    /// The words of the granule at `position`.
    ///
    /// # Safety
    /// `position` is at most the index of the last granule.
    #[inline(always)]
    pub(super) unsafe fn granule(&self, position: u32) -> *mut [u32; 2] {
        // SAFETY: SPAN: granules 0 to `granules` lie in the span, which `base` may access.
        unsafe { self.base.add(position as usize) }
    }

    /// The size of the free block that starts at `position`, in granules.
    ///
    /// # Safety
    /// FREE: a free block starts there.
    #[inline(always)]
    pub(super) unsafe fn size_at(&self, position: u32) -> u32 {
        // SAFETY: FREE: the block's first granule is in the span and initialised; unless the flag says that it is the
        // only one, the second is as well.
        unsafe {
            if (*self.granule(position))[1] & SINGLE != 0 {
                1
            } else {
                (*self.granule(position + 1))[0]
            }
        }
    }

    /// The size of the free block that ends before `end`, in granules.
    ///
    /// # Safety
    /// FREE: a free block ends there.
    #[inline(always)]
    pub(super) unsafe fn size_before(&self, end: u32) -> u32 {
        // SAFETY: FREE: the block's last granule is in the span and initialised.
        let word = unsafe { (*self.granule(end - 1))[1] };
        if word & SINGLE != 0 { 1 } else { word }
    }

    /// Puts the block of `size` granules at `position` into its bucket, `class`. Does not touch the boundary bits.
    ///
    /// # Safety
    /// The granules are in the span, belong to no other block and are in no list.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) unsafe fn link(&mut self, position: u32, size: u32, class: u32) {
        let head = self.buckets.head(class);
        let (mut next, mut prev) = (head, 0);
        // SAFETY: the block's granules are the caller's to give; the head, if there is one, and the block behind it are
        // free blocks in this bucket, whose first granules hold links (BUCKETS).
        unsafe {
            if head == 0 || position < head {
                self.buckets.set_head(class, position, cfg!(terrace_small) || head == 0);
            } else {
                let link = &mut (*self.granule(head))[0];
                (next, prev) = (*link, head);
                *link = position;
            }
            self.write_node(position, size, next, prev);
            if next != 0 {
                self.set_prev(next, position);
            }
        }
    }

    /// Takes the free block at `position` out of its bucket, `class`.
    ///
    /// # Safety
    /// FREE: such a block starts there.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) unsafe fn unlink(&mut self, position: u32, class: u32) {
        // SAFETY: FREE: the first granule holds the links; a link that is not 0 leads to a free block of the bucket.
        unsafe {
            let [next, prev] = *self.granule(position);
            let prev = prev & !SINGLE;
            if next != 0 {
                self.set_prev(next, prev);
            }
            if prev != 0 {
                (*self.granule(prev))[0] = next;
            } else {
                self.buckets.replace_head(class, next);
            }
        }
    }

    /// Replaces the free block at `position` by one at `to` of `size` granules, which is in the same class, in the same
    /// place of the list.
    ///
    /// # Safety
    /// FREE: such a block starts at `position`; the granules of the new one are in the span and belong to no block but
    /// the old one.
    #[inline]
    pub(super) unsafe fn relink(&mut self, position: u32, to: u32, size: u32, class: u32) {
        // SAFETY: FREE: as in `unlink`; the caller gives the granules of the new block.
        unsafe {
            let [next, prev] = *self.granule(position);
            let prev = prev & !SINGLE;
            self.write_node(to, size, next, prev);
            if next != 0 {
                self.set_prev(next, to);
            }
            if prev != 0 {
                (*self.granule(prev))[0] = to;
            } else {
                self.buckets.set_head(class, to, false);
            }
        }
    }

    /// Makes the free block at `position` one of `size` granules, which is more and in the same class.
    ///
    /// # Safety
    /// FREE: such a block starts at `position`; the granules of the new one are in the span and belong to no other block.
    #[inline(always)]
    pub(super) unsafe fn resize_node(&mut self, position: u32, size: u32) {
        // SAFETY: FREE: the old block's first granule holds its links; the caller gives the granules of the new block. A class of
        // several sizes has none of one granule, so no flag changes.
        unsafe {
            if cfg!(terrace_small) {
                (*self.granule(position + 1))[0] = size;
                (*self.granule(position + size - 1))[1] = size;
            } else {
                // The compiler has this code for `link` already, and makes faster code of it.
                let [next, prev] = *self.granule(position);
                self.write_node(position, size, next, prev & !SINGLE);
            }
        }
    }

    /// Writes links and sizes of a free block.
    ///
    /// # Safety
    /// The granules are in the span and the caller's to write.
    #[inline(always)]
    unsafe fn write_node(&mut self, position: u32, size: u32, next: u32, prev: u32) {
        // SAFETY: the caller gives the granules.
        unsafe {
            if size == 1 {
                *self.granule(position) = [next, prev | SINGLE];
            } else {
                *self.granule(position) = [next, prev];
                (*self.granule(position + 1))[0] = size;
                (*self.granule(position + size - 1))[1] = size;
            }
        }
    }

    /// Sets `prev` of the free block at `position` and keeps its flag.
    ///
    /// # Safety
    /// FREE: a free block starts there.
    #[inline(always)]
    unsafe fn set_prev(&mut self, position: u32, prev: u32) {
        // SAFETY: FREE: its first granule holds the links.
        unsafe {
            let word = &mut (*self.granule(position))[1];
            *word = *word & SINGLE | prev;
        }
    }
}
