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
use crate::native::context::Context;

/// What can be done, in the order in which it is.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// Ask the host for more.
    Commit,
    /// Collect the arenas that are parked.
    Collect,
}

impl Measure {
    pub(super) const COUNT: usize = Measure::Collect as usize + 1;
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
#[derive(Default)]
pub(super) struct Rescue {
    measure: usize,
    progress: usize,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Takes the next measure that may have made room; tells whether there was one.
    #[cold]
    #[inline(never)]
    pub(super) fn take_measure(&self, rescue: &mut Rescue, request: Request) -> bool {
        while rescue.measure < Measure::COUNT {
            let take = self.enter(|_, shared| shared.measures[rescue.measure]);
            // SAFETY: whoever armed it did so for this heap; no lock is held here.
            if take.is_some_and(|take| unsafe { take(ptr::from_ref(self).cast(), request, &mut rescue.progress) }) {
                return true;
            }
            *rescue = Rescue {
                measure: rescue.measure + 1,
                progress: 0,
            };
        }
        false
    }

    /// A block for `layout`, which is not empty and for which there was no room; null if no measure makes any.
    #[cold]
    #[inline(never)]
    pub(super) fn rescue(&self, layout: Layout) -> *mut u8 {
        if !self.enter(|_, shared| shared.has_measures()) {
            return ptr::null_mut(); // the failure is noted
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

    /// A block for `layout`, which is not empty, or null.
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
                block = shared.serve(context, layout.size(), layout.align());
            }
            block
        })
    }
}

impl Shared {
    /// Whether something can be done for a request that there is no room for.
    #[inline(always)]
    pub(super) fn has_measures(&self) -> bool {
        self.measures.iter().any(Option::is_some)
    }

    /// Takes note that there was no room for a request: it has failed, if nothing can be done.
    #[cold]
    #[inline(never)]
    pub(super) fn miss(&mut self, context: &Context, bytes: usize) {
        if !self.has_measures() {
            self.fail(context, bytes);
        }
    }

    /// Makes a measure be taken from now on.
    pub(super) fn arm(&mut self, measure: Measure, take: Take) {
        self.measures[measure as usize] = Some(take);
    }
}
