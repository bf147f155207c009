//! Where an arena's memory comes from: the door to the native heap.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

use crate::region::End;

/// A heap that gives whole blocks of one span to arenas and takes them back. Every [`Heap`](crate::Heap) is one.
///
/// # Safety
/// `span` is always the same once there is one. A block from `take` lies in it, is as aligned as asked, and belongs to
/// the caller until it is given back. All blocks may be accessed through the pointer that `span` returns.
pub unsafe trait Source {
    /// The first byte that blocks are taken from, and how many bytes there are; nothing before the heap has memory.
    fn span(&self) -> Option<(NonNull<u8>, usize)>;

    /// Takes a block, of at least one byte; null if there is none. Its contents are undefined. With `end`, it lies at that end
    /// of the free memory, unless all that is large enough is held idle. Blocks at the first one are aligned to a granule at
    /// most, and lie roughly there; those at the last one exactly, which takes O(free blocks of that size and larger).
    fn take(&self, layout: Layout, end: Option<End>) -> *mut u8;

    /// Gives a block back.
    ///
    /// # Safety
    /// It was taken from here with this layout, and is used by nobody any more.
    unsafe fn give(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's; all of a block is a part of it.
        unsafe { self.give_part(block, layout, 0..layout.size()) };
    }

    /// Gives a part of a block back; what is before it and behind it, if anything, are blocks of their own then, of the same
    /// alignment.
    ///
    /// # Safety
    /// As for [`Source::give`], for the part: a range of bytes from the block's start on, not empty, at whole granules.
    unsafe fn give_part(&self, block: *mut u8, layout: Layout, part: Range<usize>);

    /// Makes a block longer by the `more` bytes behind it, whole granules, if these are free; tells whether it did.
    ///
    /// # Safety
    /// The block was taken from here with this layout, and has whole granules.
    unsafe fn extend(&self, block: *mut u8, layout: Layout, more: usize) -> bool;
}
