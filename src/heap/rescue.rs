//! What is done for a request that there is no room for, before it fails: each *measure* makes room where it can, outside of all
//! locks, and the request is tried again.
//!
//! ```text
//!   no room --> measure 0 --> again --> measure 1 --> again --> ... --> null, and low memory is due
//! ```
//!
//! A measure is linked only with what it is for: whoever needs it arms it, and the heap gets to it through a pointer.

use core::alloc::Layout;
use core::ptr;

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::GRANULE;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::gc::source::How;
use crate::native::context::Context;

/// What can be done, in the order in which it is.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// Ask the host for more.
    Commit,
}

impl Measure {
    pub(super) const COUNT: usize = Measure::Commit as usize + 1;
}

/// What there is no room for.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub bytes: usize,
    pub criticality: Criticality,
}

/// Does one step of a measure for a request, and tells whether there may be more room now. It is called again
/// until it tells no; what it has to remember until then is in `progress`, which is 0 at first.
///
/// # Safety
/// The pointer is that of the heap that the measure was armed for. No lock is held.
pub(super) type Take = unsafe fn(heap: *const (), request: Request, progress: &mut usize) -> bool;

/// How far the measures have been taken for one request.
#[derive(Clone, Copy, Default)]
pub(super) struct Rescue {
    measure: usize,
    progress: usize,
}

impl Rescue {
    /// As two numbers, for whoever keeps it in another layer.
    pub(super) fn to_numbers(self) -> [usize; 2] {
        [self.measure, self.progress]
    }

    pub(super) fn from_numbers([measure, progress]: [usize; 2]) -> Rescue {
        Rescue { measure, progress }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Takes the next measure that may have made room; tells whether there was one. After those that were armed, the parked arenas are
    /// collected, one after the other.
    #[cold]
    #[inline(never)]
    pub(super) fn take_measure(&self, rescue: &mut Rescue, request: Request) -> bool {
        while rescue.measure < Measure::COUNT {
            let take = self.enter(|_, shared| shared.side_if_any().and_then(|side| side.measures[rescue.measure]));
            // SAFETY: whoever armed it did so for this heap; no lock is held here.
            if take.is_some_and(|take| unsafe { take(ptr::from_ref(self).cast(), request, &mut rescue.progress) }) {
                return true;
            }
            *rescue = Rescue {
                measure: rescue.measure + 1,
                progress: 0,
            };
        }
        let how = How::Now(Generation::Old, CollectionCause::Native);
        self.collect_next_of(&mut rescue.progress, how)
    }

    /// A block for `layout`, which is not empty and for which there was no room; null if no measure makes any.
    #[cold]
    #[inline(never)]
    pub(super) fn rescue(&self, layout: Layout) -> *mut u8 {
        let (has_measures, is_barred) = self.enter(|_, shared| (shared.has_measures(), shared.pool.is_barred()));
        if !has_measures {
            return ptr::null_mut(); // the failure is noted
        }
        if is_barred {
            if self.is_barred() {
                return self.refuse();
            }
            let block = self.attempt(layout);
            if !block.is_null() {
                return block;
            }
        }
        let mut rescue = Rescue::default();
        let request = Request {
            bytes: layout.size(),
            criticality: Criticality::default(),
        };
        while !C::in_interrupt() && self.take_measure(&mut rescue, request) {
            let block = self.attempt(layout);
            if !block.is_null() {
                return block;
            }
        }
        self.enter(|context, shared| shared.fail(context, layout.size()));
        ptr::null_mut()
    }

    /// Refuses a request of a GC handler.
    fn refuse(&self) -> *mut u8 {
        self.enter(|_, shared| {
            if let Some(side) = shared.side_if_any() {
                side.refused = side.refused.wrapping_add(1);
            }
        });
        ptr::null_mut()
    }

    /// A block for `layout`, which is not empty, or null; also while a GC handler runs.
    fn attempt(&self, layout: Layout) -> *mut u8 {
        if cfg!(feature = "check") {
            return self.attempt_checked(layout);
        }
        self.enter(|context, shared| {
            let mut block = ptr::null_mut();
            if layout.align() <= GRANULE {
                block = context.pop(layout.size());
            }
            if block.is_null() {
                block = shared.serve_unbarred(context, layout.size(), layout.align());
            }
            block
        })
    }
}

impl Shared {
    /// Whether something can be done for a request that there is no room for.
    #[inline(always)]
    pub(super) fn has_measures(&self) -> bool {
        self.side.is_some() || !self.arenas.is_null()
    }

    /// Takes note that there was no room for a request: it has failed, if nothing can be done.
    #[cold]
    #[inline(never)]
    pub(super) fn miss(&mut self, context: &Context, bytes: usize) {
        if !self.has_measures() {
            self.fail(context, bytes);
        }
    }
}
