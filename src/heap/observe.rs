//! Looking at a heap: statistics, the map, verification.

use core::ptr;

use lock_api::RawMutex;

use super::{All, Heap, Shared};
use crate::base::fault::{Fault, FaultKind};
use crate::base::granule::{GRANULE, GRANULE_SHIFT};
use crate::heap::map::Map;
use crate::heap::stats::{HostStats, Stats};
use crate::native::context::Context;
use crate::native::pool::Pool;
use crate::notify::load::Load;

impl<L: RawMutex, C, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// The load: bytes in use against bytes there are. O(spans + contexts). From interrupts as the lock permits.
    pub fn load(&self) -> Load {
        self.enter_all(|all, shared| shared.load(all.idle()))
    }

    /// The statistics. O(spans + contexts + free blocks of the largest class). Not for interrupts.
    pub fn stats(&self) -> Stats {
        self.enter_all(|all, shared| shared.stats(all))
    }

    /// The map of the first span, in `N` cells. O(free blocks + N), under the lock. Not for interrupts.
    pub fn map<const N: usize>(&self) -> Map<N> {
        self.enter_all(|_, shared| Map {
            cells: shared.pool.region.cells(),
        })
    }

    /// Verifies everything that the heap knows: self-descriptions, lists, sizes, boundary bits, bitmap, overlaps, counts,
    /// caches. O(capacity), under the lock. Not for interrupts.
    ///
    /// # Errors
    /// The first broken rule, with the address of the evidence. It is also given to the sink at the next poll.
    pub fn check(&self) -> Result<(), Fault> {
        self.enter_all(|all, shared| {
            let result = shared.check(all);
            if let Err(fault) = result {
                shared.note_fault(fault);
            }
            result
        })
    }

    /// The first fault that was ever found, by [`Heap::check`] or, under feature `check`, by an operation.
    pub fn fault(&self) -> Option<Fault> {
        self.enter_all(|_, shared| shared.journal.fault())
    }
}

impl Shared {
    /// Notes a broken rule, to be told at the next poll.
    pub(super) fn note_fault(&mut self, fault: Fault) {
        self.journal.faulted(fault);
        self.has_news = true;
    }

    fn stats<L, const CONTEXTS: usize>(&mut self, all: &mut All<'_, L, CONTEXTS>) -> Stats {
        let idle = all.idle();
        let load = self.load(idle);
        let mut cache_hits = 0usize;
        all.each(|context| cache_hits = cache_hits.wrapping_add(context.hits()));
        let steps = self.pool.steps;
        let others = steps
            .bumped
            .wrapping_add(steps.refills)
            .wrapping_add(steps.direct)
            .wrapping_add(steps.rescued);
        let largest = self.pool.regions().map(|region| region.largest()).max().unwrap_or(0);
        Stats {
            capacity: load.capacity,
            used: load.used,
            free: self.pool.granules() * GRANULE - load.used,
            uncommitted: load.capacity - self.pool.granules() * GRANULE,
            idle,
            largest_free: (largest as usize) << GRANULE_SHIFT,
            peak: self.pool.peak() * GRANULE,
            managed: self.managed * GRANULE,
            external: self.external(),
            bookkeeping: self.pool.regions().map(|region| region.bookkeeping()).sum(),
            spans: self.pool.regions().filter(|region| region.granules() != 0).count(),
            allocations: cache_hits.wrapping_add(others),
            cache_hits,
            steps,
            failures: self.journal.failures,
            last_failed: self.journal.last_failed,
            denied: self.side_to_look_at().map_or(0, |side| side.denied),
            low_memory: self.watch.count(),
            low_memory_used: self.watch.used_at(),
            host: self
                .side_if_any()
                .map_or(HostStats::default(), |side| side.host_stats()),
        }
    }

    /// Verifies pool and contexts.
    pub(super) fn check<L, const CONTEXTS: usize>(&mut self, all: &mut All<'_, L, CONTEXTS>) -> Result<(), Fault> {
        let mut result = Ok(());
        self.pool.each_region(|region| {
            if result.is_ok() {
                result = region.check().map(|_| ());
            }
        });
        result?;
        self.pool.check()?;
        all.each(|context| {
            if result.is_ok() {
                result = check_context(context, &self.pool);
            }
        });
        result?;
        self.check_used(all.idle())
    }

    /// Verifies, under feature `check`, that the user has what is neither in the buckets nor idle.
    fn check_used(&self, idle: usize) -> Result<(), Fault> {
        let used: usize = self.pool.regions().map(|region| region.audit.used() as usize).sum();
        if !cfg!(feature = "check") || used * GRANULE + idle == self.taken() {
            return Ok(());
        }
        Err(Fault::new(FaultKind::WrongCount, self.pool.region.start()))
    }
}

/// Verifies that what the context holds is allocated in the pool, and as much as it says.
fn check_context(context: &Context, pool: &Pool) -> Result<(), Fault> {
    let (bump, limit) = context.chunk();
    let rest = context.rest();
    if bump > limit || (rest != 0 && !is_idle(pool, bump, rest)) {
        return Err(Fault::new(FaultKind::WrongContext, bump));
    }
    let (mut cached, claimed) = (0, context.cached());
    let mut last = (ptr::null_mut(), 0);
    let visit = |block: *mut u8, n: usize| {
        cached += n;
        let sound = (block as usize).is_multiple_of(GRANULE) && is_idle(pool, block as usize, n);
        if sound && cached <= claimed {
            last = (block, n);
            return Ok(());
        }
        // What led here was overwritten: the block before it in its list, if there is one.
        let culprit = if last.1 == n { last.0 } else { block };
        Err(Fault::new(FaultKind::WrongCache, culprit as usize))
    };
    // SAFETY: `visit` reads nothing of the block, and accepts granules of a region only, which can be read.
    unsafe { context.each_cached(visit)? };
    if cached == claimed {
        Ok(())
    } else {
        Err(Fault::new(FaultKind::WrongCount, bump))
    }
}

fn is_idle(pool: &Pool, address: usize, n: usize) -> bool {
    pool.regions()
        .any(|region| region.contains(address) && region.looks_idle(region.position_of(address), n as u32))
}
