//! What can be found wrong with a heap, and where.

use core::fmt;

/// A rule of the heap that was found broken, with the address of the evidence.
///
/// The causes of misuse (`DoubleFree` to `Overrun`) are found by the operation that commits it under feature `check`; the
/// others by [`Heap::check`](crate::Heap::check).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The address of the block concerned.
    pub address: usize,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum FaultKind {
    /// A block was freed that had been freed before and not been handed out since.
    DoubleFree = 1, // so that none is a zero, and a new heap all zeros
    /// A pointer was freed that never was the start of a block of this heap.
    ForeignPointer,
    /// A block was freed or resized with a size or alignment that it was not allocated with.
    WrongLayout,
    /// A free block was written to: an overrun of the block before it, or a use after free.
    Overrun,
    /// The free block's position or size leads out of the region.
    OutOfBounds,
    /// The free block's links do not agree with its neighbours in the list.
    BrokenLink,
    /// The free block's size at its end differs from the one at its start, or does not belong into its bucket.
    WrongSize,
    /// The free block's boundary bits, or those beside it, are not what they must be.
    WrongBits,
    /// Two free blocks overlap.
    Overlap,
    /// The bucket bitmap says otherwise than the bucket.
    WrongBitmap,
    /// The count of free bytes, or of cached bytes, is not the sum of the blocks.
    WrongCount,
    /// A cached block is not an allocated block of this region.
    WrongCache,
    /// The allocation context's unused space is not inside the region.
    WrongContext,
    /// The self-description at the start of the region was overwritten.
    Header,
}

impl Fault {
    pub(crate) const fn new(kind: FaultKind, address: usize) -> Fault {
        Fault { kind, address }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::DoubleFree => "double free of the block",
            FaultKind::ForeignPointer => "free of a pointer that is no block of this heap,",
            FaultKind::WrongLayout => "wrong layout given for the block",
            FaultKind::Overrun => "write into the free block",
            FaultKind::OutOfBounds => "free block out of bounds",
            FaultKind::BrokenLink => "broken links of the free block",
            FaultKind::WrongSize => "wrong size of the free block",
            FaultKind::WrongBits => "wrong boundary bits of the free block",
            FaultKind::Overlap => "overlap with the free block",
            FaultKind::WrongBitmap => "bucket bitmap wrong for the bucket",
            FaultKind::WrongCount => "wrong count of free or cached bytes in the region",
            FaultKind::WrongCache => "bad cached block",
            FaultKind::WrongContext => "bad unused space of the context",
            FaultKind::Header => "overwritten self-description",
        };
        write!(f, "{what} at {:#x}", self.address)
    }
}

impl core::error::Error for Fault {}
