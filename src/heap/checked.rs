//! The operations under feature `check`: what is asked is verified before anything is done.
//!
//! Each one locks everything, verifies the whole heap and then what the caller says about its block. A caller who is wrong,
//! or a heap that was overwritten, is noted as the heap's fault, and the operation does nothing. O(capacity).

use core::alloc::Layout;
use core::ops::Range;
use core::ptr;

use lock_api::RawMutex;

use super::global::move_down;
use super::rescue::Rescue;
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::fault::{Fault, FaultKind};
use crate::base::granule::{GRANULE, MAX_GRANULES, granules};
use crate::native::context::Context;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// As [`Heap::allocate`].
    #[inline(never)]
    pub(super) fn allocate_checked(&self, layout: Layout) -> *mut u8 {
        if layout.size() == 0 {
            return ptr::without_provenance_mut(layout.align());
        }
        let block = self.check_and(ptr::null_mut(), |context, shared| Ok(shared.take(context, layout)));
        if block.is_null() { self.rescue(layout) } else { block }
    }

    /// As [`Heap::release`].
    ///
    /// # Safety
    /// If the block is one of this heap with this layout, it is used by nobody any more.
    #[inline(never)]
    pub(super) unsafe fn release_checked(&self, block: *mut u8, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        self.check_and((), |context, shared| {
            shared.verify(block, layout)?;
            // SAFETY: the block was found to be in use, and the caller gives it up.
            unsafe { shared.put_back(context, block, layout) };
            Ok(())
        });
    }

    /// The block with another layout, in place or elsewhere, or null; then it is as it was.
    ///
    /// # Safety
    /// If the block is one of this heap with this layout, nobody else uses it.
    #[inline(never)]
    pub(super) unsafe fn change_checked(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.change_checked_at(&mut Rescue::default(), block, old, new, None) }
    }

    /// As [`Heap::change_checked`], as a request of this criticality, or of the heap's default.
    ///
    /// # Safety
    /// As for [`Heap::change_checked`].
    #[inline(never)]
    pub(super) unsafe fn change_checked_at(
        &self,
        rescue: &mut Rescue,
        block: *mut u8,
        old: Layout,
        new: Layout,
        criticality: Option<Criticality>,
    ) -> *mut u8 {
        if old.size() == 0 {
            return self.allocate_checked(new);
        }
        let (changed, is_sound) = self.check_and((ptr::null_mut(), false), |context, shared| {
            shared.verify(block, old)?;
            // SAFETY: the block was found to be in use, and it is the caller's.
            unsafe {
                if new.size() == 0 {
                    shared.put_back(context, block, old);
                    return Ok((ptr::without_provenance_mut(new.align()), true));
                }
                Ok((shared.change(context, block, old, new), true))
            }
        });
        if !changed.is_null() || !is_sound {
            return changed;
        }
        let mut attempt = |context: &mut Context, shared: &mut Shared| {
            if shared.verify(block, old).is_err() {
                return ptr::null_mut();
            }
            // SAFETY: the block was found to be in use, and it is the caller's.
            unsafe {
                let changed = shared.change(context, block, old, new);
                if changed.is_null() && shared.pool.is_barred() {
                    return shared.copy(context, block, old, new);
                }
                changed
            }
        };
        self.rescue_with(rescue, new, criticality, &mut attempt)
    }

    /// Runs `work` with the running core's context and everything locked if the heap is sound; notes the fault that this, or
    /// `work`, finds, and returns `refused` then.
    pub(super) fn check_and<R>(
        &self,
        refused: R,
        work: impl FnOnce(&mut Context, &mut Shared) -> Result<R, Fault>,
    ) -> R {
        let slot = self.slot();
        self.enter_all(|all, shared| {
            let result = shared.check(all).map_err(cause).and_then(|()| {
                // SAFETY: `enter_all` holds all locks, and this is the only reference to a context meanwhile.
                work(unsafe { &mut *slot.context.get() }, shared)
            });
            if core::mem::take(&mut shared.is_doubtful) {
                shared.observe(all.idle());
                all.each(|context| shared.pool.settle(context));
            }
            result.unwrap_or_else(|fault| {
                shared.note_fault(fault);
                refused
            })
        })
    }
}

/// The misuse behind a fault: what lies in free or cached blocks is wrong only if someone wrote there.
fn cause(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::OutOfBounds | FaultKind::BrokenLink | FaultKind::WrongSize | FaultKind::WrongCache => {
            Fault::new(FaultKind::Overrun, fault.address)
        }
        _ => fault,
    }
}

impl Shared {
    /// Verifies that the user has a block with this layout, which is not empty, at this address.
    fn verify(&self, block: *mut u8, layout: Layout) -> Result<(), Fault> {
        let address = block as usize;
        let fault = |kind| Fault::new(kind, address);
        let region = self.pool.regions().find(|region| region.contains(address));
        let Some(region) = region.filter(|_| address.is_multiple_of(GRANULE)) else {
            return Err(fault(FaultKind::ForeignPointer));
        };
        // More granules than a region can have are no block's size either.
        let n = granules(layout.size()).min(MAX_GRANULES + 1) as u32;
        region.audit.verify(region.position_of(address), n).map_err(fault)?;
        if address.is_multiple_of(layout.align()) {
            Ok(())
        } else {
            Err(fault(FaultKind::WrongLayout))
        }
    }

    /// Notes that the user has the block from now on; null is no block.
    ///
    /// # Safety
    /// The pool handed the block out for this layout, which is not empty; it is not noted yet.
    pub(super) unsafe fn note_taken(&mut self, block: *mut u8, layout: Layout) {
        if let Some(region) = self.pool.region_of(block as usize) {
            let position = region.position_of(block as usize);
            // SAFETY: the block's granules are the region's, and no part of a block in use, as the caller says.
            unsafe { region.audit.note_taken(position, granules(layout.size()) as u32) };
        }
    }

    /// Notes that the user has the block no more.
    ///
    /// # Safety
    /// [`Shared::verify`] accepts the block with this layout.
    pub(super) unsafe fn note_freed(&mut self, block: *mut u8, layout: Layout) {
        if let Some(region) = self.pool.region_of(block as usize) {
            let position = region.position_of(block as usize);
            // SAFETY: as the caller says.
            unsafe { region.audit.note_freed(position, granules(layout.size()) as u32) };
        }
    }

    /// Notes that the user has no more than what is before this part of the block, and behind it.
    ///
    /// # Safety
    /// [`Shared::verify`] accepts the block with this layout; the part lies in it, at whole granules.
    pub(super) unsafe fn note_parted(&mut self, block: *mut u8, layout: Layout, part: &Range<usize>) {
        // SAFETY: as the caller says; what is left of the block is no longer than it was.
        unsafe {
            self.note_freed(block, layout);
            for rest in [0..part.start, part.end..layout.size()] {
                if !rest.is_empty() {
                    let layout = Layout::from_size_align_unchecked(rest.len(), layout.align());
                    self.note_taken(block.add(rest.start), layout);
                }
            }
        }
    }

    /// # Safety
    /// [`Shared::verify`] accepts the block with this layout, and nobody uses it any more.
    unsafe fn put_back(&mut self, context: &mut Context, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block that was handed out with this layout.
        unsafe {
            self.note_freed(block, layout);
            let n = granules(layout.size());
            if !context.keep(block, n) {
                self.release(context, block, n);
            }
        }
    }

    /// The block with another layout, in place or elsewhere, or null; then it is as it was.
    ///
    /// # Safety
    /// [`Shared::verify`] accepts the block with the old layout; neither layout is empty.
    unsafe fn change(&mut self, context: &mut Context, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let may_stay = new.align() <= old.align() && (block as usize).is_multiple_of(new.align());
        // SAFETY: the caller's block is one of this heap with the old layout. A new block is larger, and apart from it.
        unsafe {
            if !may_stay {
                return if self.pool.is_barred() {
                    ptr::null_mut()
                } else {
                    self.copy(context, block, old, new)
                };
            }
            // What is wanted may be aligned less than what there is.
            let aligned = Layout::from_size_align_unchecked(old.size(), new.align());
            let changed = self.resize(context, block, aligned, new.size());
            if changed.is_null() {
                return self.move_around(context, block, old, new);
            }
            if changed == block {
                self.note_freed(block, old);
                self.note_taken(block, new);
                return block;
            }
            ptr::copy_nonoverlapping(block, changed, old.size());
            self.note_taken(changed, new);
            self.put_back(context, block, old);
            changed
        }
    }

    /// As [`Shared::change`], always into a new block, also while a GC handler runs.
    ///
    /// # Safety
    /// As for [`Shared::change`].
    unsafe fn copy(&mut self, context: &mut Context, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let copy = self.take_unbarred(context, new);
        if !copy.is_null() {
            // SAFETY: both blocks are the caller's, with these layouts, and apart.
            unsafe {
                ptr::copy_nonoverlapping(block, copy, old.size().min(new.size()));
                self.put_back(context, block, old);
            }
        }
        copy
    }

    /// As [`Shared::change`], into the free space around the block.
    ///
    /// # Safety
    /// As for [`Shared::change`]; the block is to grow.
    unsafe fn move_around(&mut self, context: &mut Context, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller's block is one of this heap with the old layout; it starts as many bytes as its new size has, at
        // least, in which the old contents lie.
        unsafe {
            let (n, wanted) = (granules(old.size()), granules(new.size()));
            let may_join = new.align() <= GRANULE;
            let joined = if may_join {
                self.join(context, block, n, wanted)
            } else {
                None
            };
            let Some((start, joined)) = joined else {
                self.miss(context, new.size());
                return ptr::null_mut();
            };
            self.note_freed(block, old);
            self.note_taken(start, new);
            move_down(block, start, old.size());
            if joined != 0 {
                self.shrink(context, start, joined, wanted);
            } else {
                self.release(context, block, n);
            }
            start
        }
    }
}
