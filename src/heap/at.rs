//! A heap for requests of one criticality.

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use super::Heap;
use super::rescue::Rescue;
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::granules;
use crate::gc::parking::Parking;
use crate::gc::source::{Notice, Source};
use crate::region::End;

/// A heap whose requests are of one criticality, made by [`Heap::at`]. Blocks are the heap's, so they can be freed there as well.
///
/// # Examples
/// ```
/// use core::alloc::{GlobalAlloc, Layout};
/// use terrace::{Criticality, CriticalSectionHeap};
///
/// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// terrace::init!(HEAP, 8 * 1024).unwrap();
/// HEAP.set_reserve(Criticality::Domain, 4 * 1024).unwrap();
///
/// let layout = Layout::new::<[u8; 4 * 1024]>();
/// // SAFETY: the layout is not empty.
/// unsafe {
///     assert!(HEAP.at(Criticality::Task).alloc(layout).is_null());
///     let block = HEAP.at(Criticality::Domain).alloc(layout);
///     assert!(!block.is_null());
///     HEAP.dealloc(block, layout);
/// }
/// ```
pub struct HeapAt<'a, L, C, const CONTEXTS: usize> {
    heap: &'a Heap<L, C, CONTEXTS>,
    criticality: Criticality,
}

impl<L, C, const CONTEXTS: usize> Clone for HeapAt<'_, L, C, CONTEXTS> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, C, const CONTEXTS: usize> Copy for HeapAt<'_, L, C, CONTEXTS> {}

impl<'a, L, C, const CONTEXTS: usize> HeapAt<'a, L, C, CONTEXTS> {
    pub(super) const fn new(heap: &'a Heap<L, C, CONTEXTS>, criticality: Criticality) -> Self {
        HeapAt { heap, criticality }
    }

    /// How critical its requests are.
    pub const fn criticality(&self) -> Criticality {
        self.criticality
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> HeapAt<'_, L, C, CONTEXTS> {
    /// A block for `layout`, or null. For no bytes: a dangling pointer that is aligned as asked.
    pub(super) fn allocate(&self, layout: Layout) -> *mut u8 {
        self.heap.request(&mut Rescue::default(), layout, self.criticality)
    }

    /// A block for `layout` whose bytes are zero, or null.
    pub(super) fn allocate_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = self.allocate(layout);
        if !block.is_null() {
            // SAFETY: the block has `layout.size()` bytes and is ours.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    /// # Safety
    /// As for [`Heap::release`].
    pub(super) unsafe fn release(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { self.heap.release(block, layout) };
    }

    /// The block with another layout, in place or elsewhere, or null; then it is as it was.
    ///
    /// # Safety
    /// The block was handed out by the heap for `old`.
    pub(super) unsafe fn change(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let may_stay = (block as usize).is_multiple_of(new.align()) && new.align() <= old.align();
        // SAFETY: the caller gives the block, and gives it up where another one takes its place.
        unsafe {
            if old.size() != 0 && new.size() != 0 && granules(new.size()) > granules(old.size()) && may_stay {
                return self.grow(block, old, new);
            }
            if old.size() != 0 && may_stay {
                return self.heap.resize(block, old, new.size());
            }
            let new_block = self.allocate(new);
            if !new_block.is_null() {
                ptr::copy_nonoverlapping(block, new_block, old.size().min(new.size()));
                self.release(block, old);
            }
            new_block
        }
    }

    /// As [`HeapAt::change`], for a block that has bytes and gets more granules, of an alignment that it has.
    ///
    /// # Safety
    /// As for [`HeapAt::change`].
    unsafe fn grow(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let HeapAt { heap, criticality } = *self;
        let mut rescue = Rescue::default();
        if !heap.is_permitted(&mut rescue, new.size() - old.size(), criticality) {
            return ptr::null_mut();
        }
        // SAFETY: the caller gives the block. A new block is larger, and apart from it.
        unsafe {
            if cfg!(feature = "check") {
                return heap.change_checked_at(&mut rescue, block, old, new, Some(criticality));
            }
            let new_block = heap.enter(|context, shared| {
                let new_block = shared.resize(context, block, old, new.size());
                if new_block.is_null() {
                    shared.miss(context, new.size());
                }
                new_block
            });
            if new_block.is_null() {
                return heap.move_rescued(block, old, new.size(), |layout, attempt| {
                    heap.rescue_with(&mut rescue, layout, Some(criticality), attempt)
                });
            }
            if new_block != block {
                ptr::copy_nonoverlapping(block, new_block, old.size());
                heap.release(block, old);
            }
            new_block
        }
    }
}

// SAFETY: as for the heap itself, whose blocks these are.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> GlobalAlloc for HeapAt<'_, L, C, CONTEXTS> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives the block up.
        unsafe { self.release(block, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.allocate_zeroed(layout)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller gives a block of the heap.
        unsafe { self.change(block, layout, new) }
    }
}

// SAFETY: it is the heap, which is one; all but `take` is the heap's own, and that too, but for who may have a block.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Source for HeapAt<'static, L, C, CONTEXTS> {
    fn span(&self) -> Option<(NonNull<u8>, usize)> {
        self.heap.span()
    }

    fn take(&self, layout: Layout, end: Option<End>) -> *mut u8 {
        self.heap.take_at(layout, end, Some(self.criticality))
    }

    unsafe fn give_part(&self, block: *mut u8, layout: Layout, part: Range<usize>) {
        // SAFETY: the caller's.
        unsafe { self.heap.give_part(block, layout, part) };
    }

    unsafe fn extend(&self, block: *mut u8, layout: Layout, more: usize) -> bool {
        // SAFETY: the caller's.
        unsafe { Source::extend(self.heap, block, layout, more) }
    }

    fn enrol(&self, arena: &'static Parking) {
        self.heap.enrol_arena(arena);
    }

    fn withdraw(&self, arena: &'static Parking) {
        self.heap.withdraw_arena(arena);
    }

    fn tell(&self, notice: Notice<'_>) -> u32 {
        self.heap.hear(notice)
    }

    fn door(&'static self, criticality: Criticality) -> Option<&'static dyn Source> {
        self.heap.door(criticality)
    }
}
