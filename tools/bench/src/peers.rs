//! The allocators of others.
//!
//! Free of `std`: the program for the board (`m4/`) includes this file too. The type parameter `R` is the lock.

use crate::subject::{Locked, Raw, Subject};
use core::{
    alloc::Layout,
    ptr::{NonNull, null_mut},
};
use lock_api::RawMutex;

/// talc comes with a lock of its own choice of type.
pub type Talc<R> = talc::TalcLock<R, talc::source::Manual>;

// SAFETY: talc's own `GlobalAlloc`.
unsafe impl<R: RawMutex + Sync + Send + 'static> Subject for Talc<R> {
    const NAME: &'static str = "talc";

    fn fresh() -> Self {
        talc::TalcLock::new(talc::source::Manual)
    }

    unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.lock().claim(start, len) }.is_some()
    }
}

/// TLSF with 16 lists per power of two and bitmaps of 32 bits: enough for 256 MiB on 32-bit machines, 512 MiB on
/// 64-bit ones.
pub type Rlsf<R> = Locked<R, rlsf::Tlsf<'static, u32, u16, 24, 16>>;

// SAFETY: rlsf's own contracts.
unsafe impl Raw for rlsf::Tlsf<'static, u32, u16, 24, 16> {
    const NAME: &'static str = "rlsf";
    const RESIZES: bool = true;

    fn empty() -> Self {
        rlsf::Tlsf::new()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        let region = core::ptr::slice_from_raw_parts_mut(start, len);
        // SAFETY: the caller's promise; a region is never null.
        unsafe { self.insert_free_block_ptr(NonNull::new_unchecked(region)) }.is_some()
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        self.allocate(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, layout.align()) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let layout = Layout::from_size_align_unchecked(size, layout.align());
            self.reallocate(block, layout).map_or(null_mut(), NonNull::as_ptr)
        }
    }
}

/// TLSF with the parameters that embedded-alloc chooses, and like there without a `realloc` of its own.
pub type WideTlsf<R> = Locked<R, rlsf::Tlsf<'static, usize, usize, { usize::BITS as usize }, { usize::BITS as usize }>>;

// SAFETY: rlsf's own contracts.
unsafe impl Raw for rlsf::Tlsf<'static, usize, usize, { usize::BITS as usize }, { usize::BITS as usize }> {
    const NAME: &'static str = "TLSF as in embedded-alloc";

    fn empty() -> Self {
        rlsf::Tlsf::new()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        let region = core::ptr::slice_from_raw_parts_mut(start, len);
        // SAFETY: the caller's promise; a region is never null.
        unsafe { self.insert_free_block_ptr(NonNull::new_unchecked(region)) }.is_some()
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        self.allocate(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, layout.align()) }
    }
}

/// First fit over one list, in address order; embedded-alloc's LLFF heap is this one.
pub type LinkedList<R> = Locked<R, linked_list_allocator::Heap>;

// SAFETY: the crate's own contracts.
unsafe impl Raw for linked_list_allocator::Heap {
    const NAME: &'static str = "linked_list_allocator";

    fn empty() -> Self {
        linked_list_allocator::Heap::empty()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.init(start, len) };
        true
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        self.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, layout) }
    }
}

/// Powers of two.
pub type Buddy<R> = Locked<R, buddy_system_allocator::Heap<32>>;

// SAFETY: the crate's own contracts.
unsafe impl Raw for buddy_system_allocator::Heap<32> {
    const NAME: &'static str = "buddy_system_allocator";

    fn empty() -> Self {
        buddy_system_allocator::Heap::new()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.init(start.expose_provenance(), len) };
        true
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        self.alloc(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.dealloc(block, layout) }
    }
}

/// The one region that dlmalloc may ask its system for.
pub struct OneSpan(core::cell::Cell<(*mut u8, usize)>);

// SAFETY: the span belongs to the heap that holds it; nothing in it is tied to a thread.
unsafe impl Send for OneSpan {}

// SAFETY: hands out the span once, whole, and never takes anything back.
unsafe impl dlmalloc::Allocator for OneSpan {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match self.0.get() {
            (start, len) if size <= len => {
                self.0.set((null_mut(), 0));
                (start, len, 0)
            }
            _ => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        32 * size_of::<usize>()
    }
}

/// dlmalloc over the region, with its passes that give memory back turned off.
pub type Dlmalloc<R> = Locked<R, dlmalloc::Dlmalloc<OneSpan>>;

pub const fn new_dlmalloc() -> dlmalloc::Dlmalloc<OneSpan> {
    let mut heap = dlmalloc::Dlmalloc::new_with_allocator(OneSpan(core::cell::Cell::new((null_mut(), 0))));
    // Asks for little, so that the first request does not exceed a small region.
    heap.set_granularity(32 * size_of::<usize>());
    heap.set_max_release_check_rate(0);
    heap
}

// SAFETY: the crate's own contracts.
unsafe impl Raw for dlmalloc::Dlmalloc<OneSpan> {
    const NAME: &'static str = "dlmalloc";
    const RESIZES: bool = true;

    fn empty() -> Self {
        new_dlmalloc()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        self.allocator().0.set((start, len));
        true
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.malloc(layout.size(), layout.align()) }
    }

    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.free(block.as_ptr(), layout.size(), layout.align()) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.realloc(block.as_ptr(), layout.size(), layout.align(), size) }
    }
}
