//! Criticality: reserves for what is more critical, the host's veto, and requests that tell how critical they are.
//!
//! Source: seed `001_f38423a55030a0f1.txt` (`EMemoryCriticalLevel`; a host that denies, has no memory right now, or fails).

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use lock_api::RawMutex;

use super::at::HeapAt;
use super::rescue::{Request, Rescue};
use super::{Heap, Shared};
use crate::arena::error::OutOfMemory;
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::fault::Fault;
use crate::base::granule::{GRANULE, granules};
use crate::native::context::Context;

/// What the host is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct MemoryRequest {
    /// Bytes that are asked for.
    pub bytes: usize,
    /// What depends on them.
    pub criticality: Criticality,
    /// Bytes not in use, in however many pieces.
    pub free: usize,
    /// Bytes that a request of this criticality must leave free.
    pub reserved: usize,
    /// Whether it would use some of a reserve that is open to it.
    pub enters_reserve: bool,
}

/// What the host says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// The request is served if there is room. Reserves that are not open to it stay closed.
    Allow,
    /// It is refused, now.
    Deny,
    /// It is refused, for something is wrong.
    Fail,
}

/// Decides about requests, outside of all locks. It runs within the request, so it must not make one that it is asked about
/// itself, nor touch an arena.
pub type Veto = fn(&MemoryRequest) -> Verdict;

/// Why a request was not served. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The memory is there, but not for this request.
    Denied {
        /// Bytes that were asked for.
        requested: usize,
        /// How critical it was.
        criticality: Criticality,
        /// Bytes not in use.
        free: usize,
        /// Bytes that it must leave free.
        reserved: usize,
        /// Whose word it is.
        by: Denier,
    },
    /// There is no room, or the heap's hard limit is in the way.
    OutOfMemory {
        /// Bytes that were asked for.
        requested: usize,
        /// Bytes not in use, in however many pieces.
        free: usize,
        /// Bytes that it must leave free, those beyond the hard limit among them.
        reserved: usize,
    },
    /// Something is wrong.
    Failed {
        /// Bytes that were asked for.
        requested: usize,
        /// What it is.
        failure: Failure,
    },
}

/// Who denied a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Denier {
    /// The rest is a reserve for what is more critical.
    Reserve,
    /// The host's veto.
    Host,
}

/// Why a request could not be decided upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// The heap has no memory yet.
    NotClaimed,
    /// The heap was found broken.
    Fault(Fault),
    /// The host's veto says so.
    Host,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Denied {
                requested,
                criticality,
                free,
                reserved,
                by,
            } => write!(
                f,
                "{requested} bytes were denied by the {}: {free} are free, of which a request of criticality {criticality:?} must \
                 leave {reserved}",
                if *by == Denier::Host { "host" } else { "reserve" }
            ),
            RequestError::OutOfMemory {
                requested,
                free,
                reserved,
            } => write!(
                f,
                "no room for {requested} bytes: {free} are free, of which {reserved} are to be left"
            ),
            RequestError::Failed { requested, failure } => match failure {
                Failure::NotClaimed => write!(f, "{requested} bytes were asked of a heap that has no memory yet"),
                Failure::Fault(fault) => write!(f, "{requested} bytes were asked of a heap that is broken: {fault}"),
                Failure::Host => write!(f, "{requested} bytes were asked for, and the host failed"),
            },
        }
    }
}

impl core::error::Error for RequestError {}

/// Why a reserve was refused. The old one stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReserveError {
    /// Nothing is less critical than a task, so no one would be kept from it.
    NoneBelow,
    /// All reserves together are more than the heap may use.
    OutOfRange {
        /// The reserves as they would be, in bytes.
        reserves: usize,
        /// The capacity or, if that is less, the hard limit, in bytes.
        capacity: usize,
    },
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    OutOfMemory,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReserveError::NoneBelow => f.write_str("nothing is less critical than a task"),
            ReserveError::OutOfRange { reserves, capacity } => {
                write!(f, "reserves of {reserves} bytes do not fit into {capacity}")
            }
            ReserveError::OutOfMemory => f.write_str("there is no memory to keep the reserve in"),
        }
    }
}

impl core::error::Error for ReserveError {}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Sets the bytes that only requests of this criticality, or a higher one, may use; 0 sets them free. A request must leave
    /// the reserves of all higher criticalities free: one of `Task` those of `Domain` and `Process`, one of `Domain` that of
    /// `Process`. What is not in use counts as free, in however many pieces. Whether a request has to wait for the reserve is no
    /// matter of luck: what it would leave free is known exactly, with any number of contexts.
    ///
    /// It holds at once, also if less is free now. Rounded up to 8 bytes. O(contexts). Not for interrupts. Requests that come
    /// near a reserve take the slow ways; programs without one pay a comparison there.
    ///
    /// # Errors
    /// `NoneBelow`, `OutOfRange`, `OutOfMemory`. The old one stays.
    ///
    /// # Examples
    /// ```
    /// use core::alloc::Layout;
    /// use terrace::{Criticality, CriticalSectionHeap, RequestError};
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// terrace::init!(HEAP, 8 * 1024).unwrap();
    /// HEAP.set_reserve(Criticality::Process, 4 * 1024).unwrap();
    ///
    /// let layout = Layout::new::<[u8; 4 * 1024]>();
    /// let task = HEAP.allocate_critical(layout, Criticality::Task);
    /// assert!(matches!(task, Err(RequestError::Denied { reserved: 4096, .. })));
    /// assert!(HEAP.allocate_critical(layout, Criticality::Process).is_ok());
    /// ```
    pub fn set_reserve(&self, criticality: Criticality, bytes: usize) -> Result<(), ReserveError> {
        let index = (criticality as usize).checked_sub(1).ok_or(ReserveError::NoneBelow)?;
        self.arrange(|shared| {
            let capacity = shared.capacity();
            let side = shared.side_if_any().ok_or(ReserveError::OutOfMemory)?;
            let capacity = side.use_limits.hard.unwrap_or(capacity).min(capacity);
            let own = granules(bytes).saturating_mul(GRANULE);
            let reserves = own.saturating_add(side.reserves.iter().sum::<usize>() - side.reserves[index]);
            if reserves > capacity || own < bytes {
                return Err(ReserveError::OutOfRange { reserves, capacity });
            }
            side.reserves[index] = own;
            Ok(())
        })
    }

    /// The bytes that only requests of this criticality, or a higher one, may use. Not for interrupts.
    pub fn reserve(&self, criticality: Criticality) -> usize {
        let of = |index: usize| self.enter(|_, shared| shared.side_if_any().map_or(0, |side| side.reserves[index]));
        (criticality as usize).checked_sub(1).map_or(0, of)
    }

    /// Sets the criticality of requests that do not tell: those of the `#[global_allocator]`, of `Allocator`, and of arenas;
    /// [`Criticality::Process`] at first. O(1). Not for interrupts.
    ///
    /// # Errors
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    pub fn set_default_criticality(&self, criticality: Criticality) -> Result<(), OutOfMemory> {
        self.with_side(|side| side.criticality = criticality)
    }

    /// Sets who is asked before a request is served that tells its criticality ([`Heap::allocate_critical`], [`Heap::at`]), and
    /// before any other one uses a reserve; `None` asks nobody. Arenas do not ask, nor do interrupts, as
    /// [`CoreId::in_interrupt`] knows them. O(1). Not for interrupts.
    ///
    /// # Errors
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    pub fn set_veto(&self, veto: Option<Veto>) -> Result<(), OutOfMemory> {
        self.with_side(|side| side.veto = veto)
    }

    /// A block for `layout`, as a request of this criticality; for no bytes, a dangling pointer. It is freed by `dealloc`, with
    /// the same layout. O(1); O(contexts) near a reserve; and what the host, or the measures of the heap, take.
    ///
    /// # Errors
    /// `Denied` by a reserve or by the host, `OutOfMemory`, `Failed`.
    pub fn allocate_critical(&self, layout: Layout, criticality: Criticality) -> Result<NonNull<u8>, RequestError> {
        let mut rescue = Rescue::default();
        let block = self.request(&mut rescue, layout, criticality);
        NonNull::new(block).ok_or_else(|| self.refusal(&rescue, layout.size(), criticality))
    }

    /// The heap, for requests of this criticality: a `GlobalAlloc` and, under the features, an `Allocator`.
    pub const fn at(&self, criticality: Criticality) -> HeapAt<'_, L, C, CONTEXTS> {
        HeapAt::new(self, criticality)
    }

    /// A block for `layout`, as a request that tells its criticality, or null; `rescue` tells what the host said.
    pub(super) fn request(&self, rescue: &mut Rescue, layout: Layout, criticality: Criticality) -> *mut u8 {
        if layout.size() == 0 {
            return core::ptr::without_provenance_mut(layout.align());
        }
        if !self.is_permitted(rescue, layout.size(), criticality) {
            return core::ptr::null_mut();
        }
        let block = self.run(core::ptr::null_mut(), |context, shared| shared.take(context, layout));
        if !block.is_null() {
            return block;
        }
        let mut attempt = |context: &mut Context, shared: &mut Shared| shared.take_unbarred(context, layout);
        self.rescue_with(rescue, layout, Some(criticality), &mut attempt)
    }

    /// Asks the host, if it wants to be asked; tells whether the request may be served.
    pub(super) fn is_permitted(&self, rescue: &mut Rescue, bytes: usize, criticality: Criticality) -> bool {
        let request = Request {
            bytes,
            align: GRANULE,
            criticality,
        };
        if let Some((veto, question)) = self.question(request) {
            self.ask(veto, &question, rescue);
        }
        !rescue.is_refused()
    }

    /// Why a request was not served.
    #[cold]
    fn refusal(&self, rescue: &Rescue, requested: usize, criticality: Criticality) -> RequestError {
        self.enter_all(|all, shared| {
            let free = shared.free(all.idle());
            let (reserved, beyond) = (shared.floor_of(criticality), shared.floor_of(Criticality::Process));
            let failed = |failure| RequestError::Failed { requested, failure };
            let denied = |by| RequestError::Denied {
                requested,
                criticality,
                free,
                reserved,
                by,
            };
            match rescue.verdict {
                Some(Verdict::Deny) => return denied(Denier::Host),
                Some(Verdict::Fail) => return failed(Failure::Host),
                _ => {}
            }
            if shared.pool.granules() == 0 {
                return failed(Failure::NotClaimed);
            }
            if let Some(fault) = shared.journal.fault() {
                return failed(Failure::Fault(fault));
            }
            let wanted = granules(requested).saturating_mul(GRANULE);
            let fits = |floor: usize| free.checked_sub(wanted).is_some_and(|left| left >= floor);
            if fits(beyond) && !fits(reserved) {
                shared.deny();
                return denied(Denier::Reserve);
            }
            RequestError::OutOfMemory {
                requested,
                free,
                reserved,
            }
        })
    }
}
