//! An allocator as the harness sees it: behind one lock, over one region that it is given once.
//!
//! Free of `std`: the program for the board (`m4/`) includes this file too. The type parameter `R` is the lock: a spin
//! lock on the host, the critical section on the board.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::{NonNull, null_mut},
};
use lock_api::{Mutex, RawMutex};

/// What the harness needs to know of an allocator.
///
/// # Safety
/// An implementor is a correct [`GlobalAlloc`] once it was claimed, and returns null before.
pub unsafe trait Subject: GlobalAlloc + Sync + Sized + 'static {
    const NAME: &'static str;
    /// Lives in the region it is given and nowhere else. The yardsticks of the host take memory from the system.
    const FIXED: bool = true;
    /// How many threads have a part of the heap to themselves.
    const CONTEXTS: usize = 1;

    /// A heap without memory.
    fn fresh() -> Self;

    /// Gives the heap its region. False if the heap can't use it.
    ///
    /// # Safety
    /// `len` bytes from `start` on belong to the heap from now on; called once per heap.
    unsafe fn claim(&self, start: *mut u8, len: usize) -> bool;
}

/// An allocator that takes `&mut self`.
///
/// # Safety
/// The contracts are those of [`GlobalAlloc`].
pub unsafe trait Raw: Send + 'static {
    const NAME: &'static str;
    /// Has a `realloc` of its own, better than allocate, copy, free.
    const RESIZES: bool = false;

    fn empty() -> Self;
    /// # Safety
    /// As [`Subject::claim`].
    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool;
    /// # Safety
    /// As [`GlobalAlloc::alloc`].
    unsafe fn take(&mut self, layout: Layout) -> *mut u8;
    /// # Safety
    /// As [`GlobalAlloc::dealloc`].
    unsafe fn put(&mut self, block: NonNull<u8>, layout: Layout);
    /// # Safety
    /// As [`GlobalAlloc::realloc`]; called only if `RESIZES`.
    unsafe fn resize(&mut self, _block: NonNull<u8>, _layout: Layout, _size: usize) -> *mut u8 {
        null_mut()
    }
}

/// A [`Raw`] allocator behind a lock.
pub struct Locked<R, T>(Mutex<R, T>);

impl<R: RawMutex, T> Locked<R, T> {
    pub const fn new(heap: T) -> Self {
        Locked(Mutex::new(heap))
    }
}

// SAFETY: every call goes to a `Raw`, whose contracts are the same, with the lock held.
unsafe impl<R: RawMutex, T: Raw> GlobalAlloc for Locked<R, T> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().take(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; a block in use is not null.
        unsafe { self.0.lock().put(NonNull::new_unchecked(block), layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if T::RESIZES {
            // SAFETY: the caller's promise; a block in use is not null.
            return unsafe { self.0.lock().resize(NonNull::new_unchecked(block), layout, size) };
        }
        // As `GlobalAlloc::realloc` does it by default.
        // SAFETY: the caller promises that `size` makes a layout with this alignment and that the block is in use;
        // the new block is another one and at least `min` bytes long.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

// SAFETY: see `GlobalAlloc` above.
unsafe impl<R: RawMutex + Sync + Send + 'static, T: Raw> Subject for Locked<R, T> {
    const NAME: &'static str = T::NAME;

    fn fresh() -> Self {
        Locked::new(T::empty())
    }

    unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().give(start, len) }
    }
}

// SAFETY: terrace's own `GlobalAlloc`.
unsafe impl<R: RawMutex + Sync + Send + 'static> Subject for terrace::Heap<R> {
    const NAME: &'static str = "terrace";

    fn fresh() -> Self {
        terrace::Heap::new()
    }

    unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.claim_raw(start, len) }.is_ok()
    }
}
