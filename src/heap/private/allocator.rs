//! A private heap as an `Allocator`, in the two forms that a heap is one in.

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
macro_rules! implement {
    ($($trait:ident)::+, $($error:ident)::+) => {
        // SAFETY: a block stays valid until it is freed, since the private heap is borrowed for as long as any allocator is in
        // use, and copies of the reference are the same private heap. `free` takes any block that is its own.
        unsafe impl<M: RawMutex> $($trait)::+ for &PrivateHeap<'_, M> {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                let block = match layout.size() {
                    0 => Ok(dangling(layout)),
                    _ => self.alloc(layout),
                };
                let block = block.map_err(|_| $($error)::+)?;
                Ok(NonNull::slice_from_raw_parts(block, layout.size()))
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                if layout.size() != 0 {
                    // SAFETY: the caller gives the block up. If its header was overwritten, it stays, and is counted.
                    let _ = unsafe { self.free(block) };
                }
            }

            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: the caller gives a block of this private heap and a layout that is no smaller.
                let block = unsafe { self.change(block, old, new) }.map_err(|_| $($error)::+)?;
                Ok(NonNull::slice_from_raw_parts(block, new.size()))
            }

            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: as for `grow`; the bytes behind the old size are the block's.
                unsafe {
                    let block = self.change(block, old, new).map_err(|_| $($error)::+)?;
                    block.add(old.size()).write_bytes(0, new.size() - old.size());
                    Ok(NonNull::slice_from_raw_parts(block, new.size()))
                }
            }

            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $($error)::+> {
                // SAFETY: the caller gives a block of this private heap and a layout that is no larger.
                let block = unsafe { self.change(block, old, new) }.map_err(|_| $($error)::+)?;
                Ok(NonNull::slice_from_raw_parts(block, new.size()))
            }
        }
    };
}

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
mod implementations {
    use core::alloc::Layout;
    use core::ptr::NonNull;

    use lock_api::RawMutex;

    use crate::heap::private::{PrivateError, PrivateHeap};

    #[cfg(feature = "allocator-api2")]
    implement!(allocator_api2::alloc::Allocator, allocator_api2::alloc::AllocError);

    #[cfg(feature = "nightly")]
    implement!(core::alloc::Allocator, core::alloc::AllocError);

    /// What stands for a block of no bytes.
    fn dangling(layout: Layout) -> NonNull<u8> {
        layout.dangling_ptr()
    }

    impl<M: RawMutex> PrivateHeap<'_, M> {
        /// The block with another layout, where it is if that has room, or elsewhere; after an error it is as it was.
        ///
        /// # Safety
        /// The block was handed out by this allocator for `old`.
        unsafe fn change(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, PrivateError> {
            let address = block.addr().get();
            if old.size() != 0 && new.size() != 0 && address.is_multiple_of(new.align()) {
                let found = self.heap.lock().room(address);
                if let Some((block, _)) = found.filter(|(_, room)| new.size() <= *room) {
                    return Ok(block);
                }
            }
            let new_block = match new.size() {
                0 => dangling(new),
                _ => self.alloc(new)?,
            };
            if old.size() != 0 {
                // SAFETY: the new block is apart from the old one, which the caller gives up.
                unsafe {
                    block.copy_to_nonoverlapping(new_block, old.size().min(new.size()));
                    let _ = self.free(block);
                }
            }
            Ok(new_block)
        }
    }
}
