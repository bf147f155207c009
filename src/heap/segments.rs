//! The door to arenas: whole blocks of the first span.
//!
//! All goes through the first context, whatever core is running: arenas take much at a time, and no user code, such as that
//! of a `CoreId`, may run while a collector is at work.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use super::at::HeapAt;
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::{GRANULE_SHIFT, granules};
use crate::gc::parking::Parking;
use crate::gc::source::{Notice, Source};
use crate::native::context::Context;
use crate::region::End;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Runs `work` with the first context and the shared part.
    pub(super) fn enter_first<R>(&self, work: impl FnOnce(&mut Context, &mut Shared) -> R) -> R {
        let slot = &self.slots[0];
        self.lock_slot(slot);
        // SAFETY: locked in the line above.
        unsafe { self.with_shared(slot, work) }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// As [`Source::take`], as a request of this criticality, or of the heap's default.
    pub(super) fn take_at(&self, layout: Layout, end: Option<End>, criticality: Option<Criticality>) -> *mut u8 {
        let mut attempt = |context: &mut Context, shared: &mut Shared| shared.serve_arena(context, layout, end);
        let (block, take) = self.enter_first(|context, shared| {
            let block = attempt(context, shared);
            let rescuer = shared.rescuer.filter(|_| block.is_null());
            (block, rescuer.and_then(|rescuer| rescuer.take))
        });
        match take {
            // SAFETY: it is set for this heap only; no lock is held here.
            Some(take) => unsafe { take(ptr::from_ref(self).cast(), layout, criticality, &mut attempt) },
            None => block,
        }
    }
}

/// The doors of one heap, for each criticality.
///
/// **Invariant `DOORS`**: they lie in a block that the heap never gives back, and are not changed once they are made.
type Doors<L, C, const CONTEXTS: usize> = [HeapAt<'static, L, C, CONTEXTS>; Criticality::COUNT];

impl Shared {
    /// Makes the doors of the heap whose shared part this is, and whose side is there; nothing if there is no memory for them.
    fn make_doors<L: RawMutex, C: CoreId, const CONTEXTS: usize>(
        &mut self,
        context: &mut Context,
        heap: &'static Heap<L, C, CONTEXTS>,
    ) -> Option<NonNull<Doors<L, C, CONTEXTS>>> {
        let layout = Layout::new::<Doors<L, C, CONTEXTS>>();
        let doors = NonNull::new(self.serve_quietly(context, layout.size(), layout.align()))?;
        if cfg!(feature = "check") {
            // SAFETY: the pool handed the block out just now, for this layout, which is not empty.
            unsafe { self.note_taken(doors.as_ptr(), layout) };
        }
        let doors = doors.cast::<Doors<L, C, CONTEXTS>>();
        // SAFETY: the block was taken just now, for this.
        unsafe { doors.write(Criticality::ALL.map(|criticality| HeapAt::new(heap, criticality))) };
        self.side_if_any()?.doors = Some(doors.cast());
        Some(doors)
    }

    /// A block of the first span; null if there is none, also when nothing lies idle.
    fn serve_arena(&mut self, context: &mut Context, layout: Layout, end: Option<End>) -> *mut u8 {
        let n = granules(layout.size());
        for is_last in [false, true] {
            let mut block = ptr::null_mut();
            if let Some(end) = end
                && !self.pool.falls_short(context, n)
            {
                block = self.pool.allocate_at(context, end, n, layout.align());
                self.account(context);
            }
            if block.is_null() {
                block = self.serve_quietly(context, layout.size(), layout.align());
            }
            if self.pool.region.contains(block as usize) {
                if cfg!(feature = "check") {
                    // SAFETY: the pool handed the block out just now, for this layout, which is not empty.
                    unsafe { self.note_taken(block, layout) };
                }
                self.managed += n;
                return block;
            }
            if !block.is_null() {
                // SAFETY: the block was handed out just now, and nobody has it.
                unsafe { self.release(context, block, n) };
            }
            if is_last {
                break;
            }
            // What lies idle may be all that parts the free memory.
            self.pool.flush(context);
        }
        ptr::null_mut()
    }
}

// SAFETY: the first span stays where it is once it was claimed, and all its blocks are reached through the region's pointer.
// A block that the pool hands out is the caller's; one of another span is not let out.
unsafe impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Source for Heap<L, C, CONTEXTS> {
    fn span(&self) -> Option<(NonNull<u8>, usize)> {
        self.enter_first(|_, shared| {
            let region = &shared.pool.region;
            let bytes = (region.reserved() as usize) << GRANULE_SHIFT;
            if bytes == 0 {
                return None;
            }
            Some((NonNull::new(region.pointer_to(1))?, bytes))
        })
    }

    fn take(&self, layout: Layout, end: Option<End>) -> *mut u8 {
        self.take_at(layout, end, None)
    }

    unsafe fn give_part(&self, block: *mut u8, layout: Layout, part: Range<usize>) {
        let (n, from, to) = (granules(layout.size()), granules(part.start), granules(part.end));
        self.enter_first(|context, shared| {
            // SAFETY: the caller gives up this part of a block of the first span, which was handed out with this layout.
            unsafe {
                if cfg!(feature = "check") {
                    shared.note_parted(block, layout, &part);
                }
                shared.managed -= to - from;
                let region = &mut shared.pool.region;
                if to - from != n {
                    region.mark(region.position_of(block as usize), n as u32);
                }
                shared.release(context, block.add(part.start), to - from);
            }
        });
    }

    fn enrol(&self, arena: &'static Parking) {
        self.enrol_arena(arena);
    }

    fn withdraw(&self, arena: &'static Parking) {
        self.withdraw_arena(arena);
    }

    fn tell(&self, notice: Notice<'_>) -> u32 {
        self.hear(notice)
    }

    unsafe fn extend(&self, block: *mut u8, layout: Layout, more: usize) -> bool {
        let size = layout.size() + more;
        self.enter_first(|context, shared| {
            // SAFETY: the caller's block was handed out with this layout, which is a shorter one.
            unsafe {
                let region = &shared.pool.region;
                let end = region.position_of(block as usize) + granules(layout.size()) as u32;
                let is_free = !region.is_allocated(end) && !shared.pool.falls_short(context, granules(more));
                let is_longer = is_free && shared.pool.region.take_first(end, granules(more));
                if is_longer {
                    shared.managed += granules(more);
                    shared.pool.judge_for(context);
                    shared.account(context);
                    if cfg!(feature = "check") {
                        shared.note_freed(block, layout);
                        shared.note_taken(block, Layout::from_size_align_unchecked(size, layout.align()));
                    }
                }
                is_longer
            }
        })
    }

    fn door(&'static self, criticality: Criticality) -> Option<&'static dyn Source> {
        self.enter_first(|context, shared| {
            shared.side(context, Self::BY_ALL)?;
            let doors = match shared.side_if_any()?.doors {
                Some(doors) => doors.cast::<Doors<L, C, CONTEXTS>>(),
                None => shared.make_doors(context, self)?,
            };
            // SAFETY: DOORS: there are as many as there are criticalities, for good, of this type of heap.
            Some(unsafe { &doors.as_ref()[criticality as usize] } as &dyn Source)
        })
    }
}
