//! The load of all memory: the heap's, that of arenas, and what is in use elsewhere; and the host's word instead.
//!
//! Source: seed `001_f38423a55030a0f1.txt` (`GetMemoryLoad`: percent, and bytes that are still to be had).

use core::fmt;

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::arena::error::OutOfMemory;
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::GRANULE;
use crate::region::host::{HostLoad, HostMemory};

/// What is in use, and what is still to be had. In bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct MemoryLoad {
    /// In blocks of the heap, rounded up to granules of 8 bytes; arenas apart.
    pub native: usize,
    /// In segments and tables of arenas, free or not.
    pub managed: usize,
    /// Outside of the heap, as [`Heap::acquired`] was told.
    pub external: usize,
    /// All three.
    pub total: usize,
    /// What the heap has, and the allowance of [`Heap::set_external_allowance`].
    pub capacity: usize,
    /// What the heap can still give to the most critical requests, in however many pieces, with what may yet be committed; or what
    /// the host says.
    pub available: usize,
    /// The total in percent of the capacity, rounded down: 0 to 100; or what the host says.
    pub percent: u8,
}

impl fmt::Display for MemoryLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} % ({} of {} bytes: {} native, {} managed, {} external), {} available",
            self.percent, self.total, self.capacity, self.native, self.managed, self.external, self.available
        )
    }
}

/// Tells the load, given what the heap itself would say; outside of all locks.
pub type LoadOverride = fn(&MemoryLoad) -> HostLoad;

/// Makes the watch follow the host's load.
///
/// # Safety
/// The pointer is that of the heap. No lock is held.
pub(super) type Follow = unsafe fn(heap: *const ());

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// The load of all memory; percent and available bytes are the host's word, if it wants to have one. O(contexts), besides
    /// what the host takes. Not for interrupts.
    ///
    /// # Examples
    /// ```
    /// use terrace::{CriticalSectionHeap, HostLoad};
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// terrace::init!(HEAP, 4096).unwrap();
    /// HEAP.acquired(0x2000_0000, 1024).unwrap(); // a DMA buffer
    /// let load = HEAP.memory_load();
    /// assert_eq!((load.external, load.total), (1024, 1024 + load.native));
    ///
    /// HEAP.set_load_override(Some(|load| HostLoad {
    ///     percent: 90,
    ///     available: load.available / 2,
    /// }))
    /// .unwrap();
    /// assert_eq!(HEAP.memory_load().percent, 90);
    /// ```
    pub fn memory_load(&self) -> MemoryLoad {
        let (mut load, own, host) = self.enter_all(|all, shared| {
            let own = shared.side_if_any().and_then(|side| side.load_override);
            let is_measured = shared.watch.is_measured();
            let host = shared.host().filter(|_| is_measured);
            (shared.memory_load(all.idle()), own, host)
        });
        let told = match own {
            Some(own) => Some(own(&load)),
            None => host.and_then(HostMemory::load),
        };
        if let Some(HostLoad { percent, available }) = told {
            (load.percent, load.available) = (percent.min(100), available);
        }
        load
    }

    /// Sets who tells the load instead of the heap, and instead of the host that its memory comes from. Watermarks follow his word
    /// then, at each poll, and nothing else; soft limits are not in force. `None` gives the heap its own view back. O(contexts). Not
    /// for interrupts.
    ///
    /// # Errors
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    pub fn set_load_override(&self, host: Option<LoadOverride>) -> Result<(), OutOfMemory> {
        self.with_side(|side| {
            side.load_override = host;
            side.follow = host.map(|_| Self::follow as Follow);
        })?;
        self.enter_all(|all, shared| {
            shared.has_news = true;
            shared.watch.set_measured(host.is_some());
            shared.follow_scale(all.idle());
            all.each(|context| shared.pool.settle(context));
        });
        Ok(())
    }

    /// The one [`Follow`] of this type of heap.
    ///
    /// # Safety
    /// As for [`Follow`].
    pub(super) unsafe fn follow(heap: *const ()) {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let load = heap.memory_load();
        heap.enter_all(|all, shared| {
            let used = shared.watched(all.idle());
            if shared.watch.observe_measured(load.percent, load.available, used) {
                shared.journal.recovered |= !shared.watch.is_high();
            }
        });
    }
}

impl Shared {
    /// Bytes in use outside of the heap.
    pub(super) fn external(&self) -> usize {
        self.side_to_look_at().map_or(0, |side| side.external.total())
    }

    /// Bytes in use, as watermarks see it, of which those elsewhere are a part; `idle` bytes of what is taken are not in use.
    pub(super) fn watched(&self, idle: usize) -> usize {
        (self.taken() - idle).saturating_add(self.external())
    }

    /// The load as the heap sees it.
    fn memory_load(&mut self, idle: usize) -> MemoryLoad {
        let (capacity, external) = (self.scale().capacity, self.external());
        let total = self.watched(idle);
        let managed = self.managed * GRANULE;
        let load = crate::notify::load::Load { used: total, capacity };
        MemoryLoad {
            native: self.taken() - idle - managed,
            managed,
            external,
            total,
            capacity,
            available: self.free(idle).saturating_sub(self.floor_of(Criticality::Process)),
            percent: load.percent(),
        }
    }
}
