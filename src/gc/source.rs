//! Where an arena's memory comes from: the door to the native heap.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

use super::event::CollectionCause;
use super::generation::Generation;
use super::parking::Parking;
use crate::base::criticality::Criticality;
use crate::region::End;

/// What an arena tells its heap, outside of all locks.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub enum Notice<'a> {
    /// It was made just now, and is not used yet.
    Made(&'a Parking),
    /// It waits for somebody who collects it.
    Waiting,
    /// A collection begins.
    Begin(&'a Collection<'a>),
    /// A collection has ended.
    End(&'a Collection<'a>),
    /// It is left, and a collection is due.
    Due,
    /// The next parked arena is to be collected, such as for an arena that has no room even after a full collection. The answer is not 0 if one was: it is the `progress` to tell the next time, which is 0
    /// the first time.
    CollectNext { how: How, progress: u32 },
    /// A full collection of all that is wanted is at its end: what is free can be given back.
    Settled,
    /// Whether the load is high is asked; the answer is a number that tells this time from others.
    IsLoaded,
}

/// How a parked arena is to be collected.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct How {
    // A pointer, so that who never collects what is due does not link that.
    pub(super) collect: unsafe fn(&Parking, Generation, CollectionCause) -> bool,
    pub(super) generation: Generation,
    pub(super) cause: CollectionCause,
}

impl How {
    /// If a budget is spent.
    pub(crate) const DUE: How = How {
        collect: Parking::collect_if_due,
        generation: Generation::Old,
        cause: CollectionCause::Budget,
    };

    /// For a request of the native heap, or of another arena.
    pub(crate) const FOR_NATIVE: How = How::now(Generation::Old, CollectionCause::Native);

    /// In any case.
    pub(crate) const fn now(generation: Generation, cause: CollectionCause) -> How {
        How {
            collect: Parking::collect,
            generation,
            cause,
        }
    }
}

/// What holds for arenas that are made from now on, in bytes.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct StartupLimits {
    /// A segment.
    pub segment: usize,
    /// Generation 0 at most.
    pub young: usize,
}

/// A collection.
#[doc(hidden)]
pub struct Collection<'a> {
    pub(crate) generation: Generation,
    pub(crate) cause: CollectionCause,
    /// Objects have moved.
    pub(crate) has_compacted: bool,
    pub(crate) parking: &'a Parking,
}

/// A heap that gives whole blocks of one span to arenas and takes them back. Every [`Heap`](crate::Heap) is one.
///
/// # Safety
/// `span` is always the same once there is one; not all of it need be there. A block from `take` lies in it, is as aligned as asked,
/// and belongs to the caller until it is given back. All blocks may be accessed through the pointer that `span` returns.
pub unsafe trait Source {
    /// The first byte that blocks are taken from, and how many bytes there are or may come to be; nothing before the heap has
    /// memory.
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

    /// Takes note of an arena, which may be collected from now on when it is parked.
    #[doc(hidden)]
    fn enrol(&self, arena: &'static Parking);

    /// Forgets an arena. Nobody collects it any more when this returns.
    #[doc(hidden)]
    fn withdraw(&self, arena: &'static Parking);

    /// Hears of something; the answer is to what was asked, if anything: 0 is no.
    #[doc(hidden)]
    fn tell(&self, notice: Notice<'_>) -> u32;

    /// The same memory, for requests of this criticality; nothing if there is no memory for the door itself.
    #[doc(hidden)]
    fn door(&'static self, criticality: Criticality) -> Option<&'static dyn Source>
    where
        Self: Sized;
}
