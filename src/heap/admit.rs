//! Requests that may go below the floor: how much each criticality must leave free.
//!
//! ```text
//!   0                                                  used                                                 capacity
//!   | in use | free to all .................. | reserve of Domain | reserve of Process | beyond the hard limit |
//!                                             ^ floor of Task     ^ floor of Domain    ^ floor of Process
//! ```
//!
//! The floor of all is that of `Task`, and the fast ways end well above it. Who meets it comes here, by way of
//! [`Heap::rescue`], and is let in under all locks if the floor of his own criticality permits it.

use lock_api::RawMutex;

use super::criticality::{MemoryRequest, Veto};
use super::rescue::{Request, Rescue, Work};
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::{GRANULE, granules};

/// An attempt to serve a request that may be let below the floor.
pub(super) struct Trial<'a> {
    pub rescue: &'a mut Rescue,
    pub request: Request,
    /// Whether it is an arena's: it goes through the first context, and the host is not asked, as a collector may be at work.
    pub is_arena: bool,
    pub work: Work<'a>,
}

/// Makes the attempt, with the floor of the request's criticality; null if there is no room, or the host refuses.
///
/// # Safety
/// The pointer is that of the heap. No lock is held.
pub(super) type Admit = unsafe fn(heap: *const (), trial: Trial<'_>) -> *mut u8;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// The one [`Admit`] of this type of heap. O(contexts), besides the work.
    ///
    /// # Safety
    /// As for [`Admit`].
    pub(super) unsafe fn admit(heap: *const (), trial: Trial<'_>) -> *mut u8 {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let Trial {
            rescue,
            request,
            is_arena,
            work,
        } = trial;
        if !is_arena
            && rescue.verdict.is_none()
            && let Some((veto, question)) = heap.question(request)
            && question.enters_reserve
        {
            heap.ask(veto, &question, rescue);
            if rescue.is_refused() {
                return core::ptr::null_mut();
            }
        }
        let slot = if is_arena { &heap.slots[0] } else { heap.slot() };
        heap.enter_all(|all, shared| {
            let idle = all.idle() / GRANULE;
            let floor = shared.floor_in_buckets(request.criticality) / GRANULE;
            // SAFETY: `enter_all` holds all locks, and this is the only reference to a context meanwhile.
            let context = unsafe { &mut *slot.context.get() };
            let common = shared.pool.lower_floor(floor, idle - context.idle());
            let block = work.attempt(context, shared);
            shared.pool.set_floor(common);
            if core::mem::take(&mut shared.is_doubtful) {
                shared.observe(all.idle());
            }
            all.each(|context| shared.pool.settle(context));
            block
        })
    }

    /// What the host is to be asked about a request, if it wants to be, and can be: not in an interrupt. O(contexts).
    pub(super) fn question(&self, request: Request) -> Option<(Veto, MemoryRequest)> {
        let veto = self.enter(|_, shared| shared.side_if_any().and_then(|side| side.veto))?;
        if C::in_interrupt() {
            return None;
        }
        let question = self.enter_all(|all, shared| {
            let free = shared.free(all.idle());
            let left = free.checked_sub(granules(request.bytes) * GRANULE);
            let reserved = shared.floor_of(request.criticality);
            let is_within = |floor: usize| left.is_some_and(|left| left >= floor);
            MemoryRequest {
                bytes: request.bytes,
                criticality: request.criticality,
                free,
                reserved,
                enters_reserve: is_within(reserved) && !is_within(shared.floor_of(Criticality::Task)),
            }
        });
        Some((veto, question))
    }

    /// Asks the host, and notes what it says.
    pub(super) fn ask(&self, veto: Veto, question: &MemoryRequest, rescue: &mut Rescue) {
        rescue.verdict = Some(veto(question));
        if rescue.is_refused() {
            self.enter(|_, shared| shared.deny());
        }
    }
}

impl Shared {
    /// What lets requests go below the floor, if there is one.
    pub(super) fn admit(&mut self) -> Option<Admit> {
        self.side_if_any().and_then(|side| side.admit)
    }

    /// The criticality of requests that do not tell.
    pub(super) fn criticality(&mut self) -> Criticality {
        self.side_if_any()
            .map_or(Criticality::default(), |side| side.criticality)
    }

    /// Takes note that a request was denied.
    pub(super) fn deny(&mut self) {
        if let Some(side) = self.side_if_any() {
            side.denied = side.denied.wrapping_add(1);
        }
    }

    /// Bytes not in use, of which `idle` are in caches and chunks, with those that a host may commit yet.
    pub(super) fn free(&self, idle: usize) -> usize {
        self.pool.free() * GRANULE + idle + self.uncommitted()
    }

    /// Bytes that a host may commit yet.
    pub(super) fn uncommitted(&self) -> usize {
        (self.pool.reserved() - self.pool.granules()) * GRANULE
    }

    /// Bytes that a request of this criticality must leave free: the reserves of all that are more critical, and what is
    /// beyond the hard limit.
    pub(super) fn floor_of(&mut self, criticality: Criticality) -> usize {
        let capacity = self.capacity();
        let Some(side) = self.side_if_any() else { return 0 };
        let beyond = side
            .use_limits
            .hard
            .map_or(0, |hard| capacity.saturating_sub(hard / GRANULE * GRANULE));
        let reserved: usize = side.reserves[criticality as usize..].iter().sum();
        beyond + reserved
    }

    /// Of these, the bytes that must stay in the buckets: what is not committed is left free in any case.
    fn floor_in_buckets(&mut self, criticality: Criticality) -> usize {
        self.floor_of(criticality).saturating_sub(self.uncommitted())
    }

    /// Makes the pool follow the reserves, the hard limit and the capacity. All contexts are to be settled under the same locks.
    pub(super) fn set_floor(&mut self) {
        let floor = self.floor_in_buckets(Criticality::Task) / GRANULE;
        self.pool.set_floor(floor);
    }
}
