//! The heap as an `Allocator`, for collections that are told where to allocate.
//!
//! The trait of the standard library is unstable, that of the crate `allocator-api2` mirrors it on stable; one macro
//! implements both.

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
macro_rules! implement {
    ($owner:ident, $target:ty, $($trait:ident)::+, $($error:ident)::+) => {
        // SAFETY: a block stays valid until it is freed, since the heap is borrowed for as long as any allocator is in
        // use, and copies of the reference are the same heap. The rest is as for `GlobalAlloc`.
        unsafe impl<L, C, const CONTEXTS: usize> $($trait)::+ for $target
        where
            L: lock_api::RawMutex,
            C: $crate::CoreId,
        {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                slice($owner::allocate(self, layout), layout.size()).ok_or($($error)::+)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                if layout.size() == 0 {
                    return slice($owner::allocate(self, layout), 0).ok_or($($error)::+);
                }
                slice($owner::allocate_zeroed(self, layout), layout.size()).ok_or($($error)::+)
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller gives the block up.
                unsafe { $owner::release(self, block.as_ptr(), layout) };
            }

            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: the caller gives a block of this heap and a layout that is no smaller.
                slice(unsafe { $owner::change(self, block.as_ptr(), old, new) }, new.size()).ok_or($($error)::+)
            }

            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: as for `grow`; the bytes behind the old size are the block's.
                unsafe {
                    let block = $owner::change(self, block.as_ptr(), old, new);
                    if !block.is_null() {
                        block.add(old.size()).write_bytes(0, new.size() - old.size());
                    }
                    slice(block, new.size()).ok_or($($error)::+)
                }
            }

            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: the caller gives a block of this heap and a layout that is no larger.
                slice(unsafe { $owner::change(self, block.as_ptr(), old, new) }, new.size()).ok_or($($error)::+)
            }
        }
    };
}

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
mod implementations {
    use core::alloc::Layout;
    use core::ptr::{self, NonNull};

    use lock_api::RawMutex;

    use crate::base::core_id::CoreId;
    use crate::heap::Heap;
    use crate::heap::at::HeapAt;

    #[cfg(feature = "allocator-api2")]
    implement!(Heap, &Heap<L, C, CONTEXTS>, allocator_api2::alloc::Allocator, allocator_api2::alloc::AllocError);
    #[cfg(feature = "allocator-api2")]
    implement!(
        HeapAt,
        HeapAt<'_, L, C, CONTEXTS>,
        allocator_api2::alloc::Allocator,
        allocator_api2::alloc::AllocError
    );

    #[cfg(feature = "nightly")]
    implement!(Heap, &Heap<L, C, CONTEXTS>, core::alloc::Allocator, core::alloc::AllocError);
    #[cfg(feature = "nightly")]
    implement!(
        HeapAt,
        HeapAt<'_, L, C, CONTEXTS>,
        core::alloc::Allocator,
        core::alloc::AllocError
    );

    fn slice(block: *mut u8, bytes: usize) -> Option<NonNull<[u8]>> {
        NonNull::new(ptr::slice_from_raw_parts_mut(block, bytes))
    }

    impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
        /// The block with another layout, in place or elsewhere, or null; then it is as it was.
        ///
        /// # Safety
        /// The block was handed out by this heap for `old`.
        unsafe fn change(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
            // SAFETY: the caller gives the block; if its address is not aligned enough, it is copied to one that is.
            unsafe {
                if cfg!(feature = "check") {
                    return self.change_checked(block, old, new);
                }
                if (block as usize).is_multiple_of(new.align()) && new.align() <= old.align() {
                    return self.resize(block, old, new.size());
                }
                let new_block = self.allocate(new);
                if !new_block.is_null() {
                    ptr::copy_nonoverlapping(block, new_block, old.size().min(new.size()));
                    self.release(block, old);
                }
                new_block
            }
        }
    }
}
