//! A heap whose memory comes from a host, as it is needed.

use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use super::hosting::{Hosting, Order};
use super::load::Follow;
use super::rescue::{Measure, Request};
use super::side::Side;
use super::stats::HostStats;
use super::{Heap, Shared};
use crate::base::available::Available;
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::GRANULE;
use crate::region::host::{Contents, HostMemory, Notifier};
use crate::region::span::{ClaimError, Geometry, MIN_SPAN};

/// What a claim asks with.
const CLAIMING: Criticality = Criticality::Process;

/// How far a heap may grow, and when it shrinks again. All is rounded up to the host's steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Growth {
    /// Bytes of addresses: the most that the heap can have. Bookkeeping for all of it, about 1.7 %, lies in the first part.
    pub reserve: usize,
    /// Bytes that are committed at the claim, and stay; at least the bookkeeping and a little more.
    pub initial: usize,
    /// When memory is given back, so much stays free, in percent of what is in use: the more, the later it has to be committed
    /// again. With 255 nothing is given back.
    pub slack: u8,
}

impl Growth {
    /// Reserves so many bytes, commits what must be, and keeps 12 percent free.
    pub const fn new(reserve: usize) -> Growth {
        Growth {
            reserve,
            initial: 0,
            slack: 12,
        }
    }

    /// With so many bytes from the start, and for good.
    #[must_use]
    pub const fn with_initial(self, initial: usize) -> Growth {
        Growth { initial, ..self }
    }

    /// With so much kept free, in percent of what is in use.
    #[must_use]
    pub const fn with_slack(self, slack: u8) -> Growth {
        Growth { slack, ..self }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Gives the heap its first span of memory from a host: addresses for all that it may become, and memory for a part.
    ///
    /// A request that there is no room for has the host commit what it needs, in whole steps, before anything else is tried and
    /// outside of all locks; in an interrupt it fails instead. What is free at the end is given back, in whole steps, by
    /// [`Heap::trim`], [`Heap::poll`] and after full collections of an arena. Blocks lie at low addresses where they can, and
    /// objects are moved there, so that the end becomes free.
    ///
    /// The load is that of all that can be had; [`Stats::uncommitted`](crate::Stats::uncommitted) tells how much of it is not
    /// there. Not for interrupts. O(initial bytes / 64), and what the host takes.
    ///
    /// # Errors
    /// As for [`Heap::claim`]; `Host` if the host does not give the memory. Nothing is changed then, and what was reserved is
    /// released.
    pub fn claim_from<H: HostMemory>(&self, host: &'static H, growth: Growth) -> Result<(), ClaimError> {
        if self.enter(|_, shared| shared.pool.region.granules() != 0) {
            return Err(ClaimError::AlreadyClaimed);
        }
        let reserve = growth.reserve.checked_next_multiple_of(GRANULE);
        let reserved = reserve.unwrap_or(growth.reserve);
        // An address that any span can have: whether it is too short or too long is known before there is a host.
        Geometry::new(GRANULE, reserved, 0, CONTEXTS)?;
        let start = host.reserve(reserved, CLAIMING)?;
        let hosting = Hosting {
            host,
            start,
            give_back: give_back::<L, C, CONTEXTS>,
            least: 0,
            slack: growth.slack,
            busy: false,
            stats: HostStats {
                reserved,
                ..HostStats::default()
            },
        };
        let result = self.claim_hosted(hosting, growth.initial);
        if result.is_err() {
            // SAFETY: nothing has become of the reservation.
            let released = unsafe { host.release(NonNull::slice_from_raw_parts(start, reserved)) };
            // The first error is the one to tell.
            let _ = released;
        }
        result
    }

    /// Commits the first part of a reservation, and claims it.
    fn claim_hosted(&self, mut hosting: Hosting, initial: usize) -> Result<(), ClaimError> {
        let (host, start, reserved) = (hosting.host, hosting.start, hosting.stats.reserved);
        let geometry = Geometry::new(start.addr().get(), reserved, 0, CONTEXTS)?;
        let committed = hosting.boundary(initial.max(geometry.base_offset + MIN_SPAN + size_of::<Side>()));
        let geometry = geometry.committed(committed)?;
        let range = NonNull::slice_from_raw_parts(start, committed);
        // SAFETY: the range is the start of what was reserved for this, up to a boundary.
        let contents = unsafe { host.commit(range, CLAIMING) }?;
        let has_load = host.load().is_some();
        (hosting.least, hosting.stats.committed) = (committed, committed);
        self.enter_all(|all, shared| {
            // SAFETY: the reservation is this heap's for good, and committed as far as the geometry says.
            unsafe { shared.claim(all, start.as_ptr(), &geometry, contents == Contents::Zeroed)? };
            if let Some(side) = shared.side(all.first(), Self::BY_ALL) {
                side.hosting = Some(hosting);
                side.follow = has_load.then_some(Self::follow as Follow);
                side.arm(Measure::Commit, commit::<L, C, CONTEXTS>);
                shared.watch.set_measured(has_load);
            }
            shared.follow_scale(all.idle());
            all.each(|context| shared.pool.settle(context));
            Ok(())
        })
    }

    /// Gives the host the means to notify this heap of how much memory there is; tells whether there is a host. Calls it outside of
    /// all locks. Not for interrupts.
    pub fn register(&'static self) -> bool
    where
        Self: Sync,
    {
        let Some(host) = self.enter(|_, shared| shared.host()) else {
            return false;
        };
        // SAFETY: the heap lives for good and may be used from any thread; what notifies it takes no lock.
        host.register(unsafe { Notifier::new(ptr::from_ref(self).cast(), notify::<L, C, CONTEXTS>) });
        true
    }

    /// Whether the memory comes from a host.
    pub(super) fn is_hosted(&self) -> bool {
        self.enter(|_, shared| shared.host().is_some())
    }

    /// Gives back what is free at the end of a host's memory; tells whether there was anything.
    pub(super) fn give_back_idle(&self) -> bool {
        let give_back = self.enter(|_, shared| shared.hosting().map(|(hosting, _)| hosting.give_back));
        // SAFETY: it was made for this heap, and no lock is held.
        give_back.is_some_and(|give_back| unsafe { give_back(ptr::from_ref(self).cast()) })
    }

    /// Gives back what a host's memory has that is not needed after a full collection.
    pub(super) fn settle(&self) {
        if self.is_hosted() {
            self.trim();
        }
    }
}

/// Notifies a heap.
///
/// # Safety
/// The pointer is that of such a heap.
unsafe fn notify<L: RawMutex, C: CoreId, const CONTEXTS: usize>(heap: *const (), available: Available) {
    // SAFETY: the caller's.
    unsafe { &*heap.cast::<Heap<L, C, CONTEXTS>>() }.notify(available);
}

/// Has the host commit what a request needs; tells whether it is to be tried again.
///
/// # Safety
/// As for [`Take`](super::rescue::Take).
unsafe fn commit<L: RawMutex, C: CoreId, const CONTEXTS: usize>(
    heap: *const (),
    request: Request,
    progress: &mut usize,
) -> bool {
    // SAFETY: the heap is the one that this was armed for, as the caller says.
    let heap = unsafe { &*heap.cast::<Heap<L, C, CONTEXTS>>() };
    match heap.enter_all(|all, shared| shared.begin_commit(request, all.idle(), progress)) {
        Order::Stop => false,
        Order::Retry => true,
        Order::Wait(host) => host.pause(),
        Order::Commit(part) => {
            // SAFETY: HOSTED: the part lies behind what is committed, and nobody else calls as long as the hosting is busy.
            let result = unsafe { part.host.commit(part.range, request.criticality) };
            heap.enter_all(|all, shared| shared.end_commit(all, part, result));
            result.is_ok()
        }
    }
}

/// Gives back what is free at the end of the host's memory.
///
/// # Safety
/// As for [`GiveBack`](super::hosting::GiveBack).
unsafe fn give_back<L: RawMutex, C: CoreId, const CONTEXTS: usize>(heap: *const ()) -> bool {
    // SAFETY: the heap is the one that this was made for, as the caller says.
    let heap = unsafe { &*heap.cast::<Heap<L, C, CONTEXTS>>() };
    if C::in_interrupt() {
        return false;
    }
    let Some(part) = heap.enter_all(|all, shared| shared.begin_decommit(all)) else {
        return false;
    };
    // SAFETY: HOSTED: the part was cut off the region, so nobody has it, and nobody else calls as long as the hosting is busy.
    let result = unsafe { part.host.decommit(part.range) };
    heap.enter_all(|all, shared| shared.end_decommit(all, part, result));
    true
}

impl Shared {
    /// The host that the memory comes from.
    pub(super) fn host(&mut self) -> Option<&'static dyn HostMemory> {
        Some(self.hosting()?.0.host)
    }
}
