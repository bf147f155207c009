//! Memory in use outside of the heap.
//!
//! Source: seed `001_f38423a55030a0f1.txt` (`NeedsVirtualAddressSpace`, `AcquiredVirtualAddressSpace`,
//! `ReleasedVirtualAddressSpace`).

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::arena::error::OutOfMemory;
use crate::base::core_id::CoreId;
use crate::base::granule::GRANULE;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::gc::source::How;
use crate::notify::external::{External, ExternalError};
use crate::notify::{Cause, Pressure};

/// Makes room for so many bytes outside of the heap; tells whether there may be more now. Outside of all locks.
pub type NeedsHook = fn(bytes: usize) -> bool;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Counts memory outside of the heap that is in use from now on: a DMA buffer, mapped flash, external RAM. It is a part of
    /// the load that watermarks see, and may make the low-memory callbacks due. There is room for
    /// [`EXTERNALS`](crate::EXTERNALS) pieces. O(pieces + spans + contexts). Not for interrupts.
    ///
    /// # Errors
    /// `Full`, `Duplicate`, `Overlap` (also with the heap), `Impossible`, `OutOfMemory`. Nothing is changed then.
    pub fn acquired(&self, address: usize, bytes: usize) -> Result<(), ExternalError> {
        let made = self.with_side(|_| ());
        made.map_err(|OutOfMemory { requested }| ExternalError::OutOfMemory { requested })?;
        let last = External::last(address, bytes)?;
        self.account_external(|shared| {
            for region in shared.pool.regions() {
                let (start, bytes) = (
                    region.start(),
                    region.bookkeeping() + region.reserved() as usize * GRANULE,
                );
                if bytes != 0 && address < start + bytes && start <= last {
                    return Err(ExternalError::Overlap { address: start, bytes });
                }
            }
            shared.with_external(|external| external.add(address, bytes))
        })
    }

    /// Takes back what [`Heap::acquired`] has counted at this address; returns its bytes. O(pieces + contexts). Not for
    /// interrupts.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn released(&self, address: usize) -> Result<usize, ExternalError> {
        if self.enter(|_, shared| shared.side.is_none()) {
            return Err(ExternalError::Unknown { address });
        }
        self.account_external(|shared| shared.with_external(|external| external.remove(address)))
    }

    /// Sets how many bytes may be in use outside of the heap: they are added to its capacity, for watermarks and
    /// [`Heap::memory_load`]. 0 at first, where all that is in use elsewhere leaves the less of the heap. O(contexts). Not for
    /// interrupts.
    ///
    /// # Errors
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    pub fn set_external_allowance(&self, bytes: usize) -> Result<(), OutOfMemory> {
        self.with_side(|side| side.allowance = bytes)?;
        let _ = self.account_external(|_| Ok(()));
        Ok(())
    }

    /// Says that there is no room for so many bytes outside of the heap; tells whether to try again, as less is in use now, or
    /// the hook of [`Heap::set_needs_hook`] says so. Low memory is due and critical, and a [`Heap::poll`] tells it to the
    /// callbacks right now; parked arenas are collected; then the hook is called. To be called where `poll` may be.
    pub fn needs(&self, bytes: usize) -> bool {
        let in_use = || self.enter_all(|all, shared| shared.watched(all.idle()));
        let before = in_use();
        let hook = self.enter_all(|all, shared| {
            let used = shared.watched(all.idle());
            shared.watch.raise(Pressure::Critical, Cause::External { bytes }, used);
            shared.has_news = true;
            shared.side_if_any().and_then(|side| side.needs)
        });
        let _ = self.poll();
        let how = How::now(Generation::Old, CollectionCause::Pressure);
        let mut progress = self.collect_next_of(0, how);
        while progress != 0 {
            progress = self.collect_next_of(progress, how);
        }
        hook.is_some_and(|hook| hook(bytes)) || in_use() < before
    }

    /// Sets what [`Heap::needs`] calls; `None` calls nothing. O(1). Not for interrupts.
    ///
    /// # Errors
    /// There is no memory to keep it in, some 500 bytes that a heap takes from itself once.
    pub fn set_needs_hook(&self, hook: Option<NeedsHook>) -> Result<(), OutOfMemory> {
        self.with_side(|side| side.needs = hook)
    }

    /// Lets `work` change what is in use elsewhere, and shows the watch the load then.
    fn account_external<R>(
        &self,
        work: impl FnOnce(&mut Shared) -> Result<R, ExternalError>,
    ) -> Result<R, ExternalError> {
        self.enter_all(|all, shared| {
            let result = work(shared)?;
            shared.follow_scale(all.idle());
            all.each(|context| shared.pool.settle(context));
            Ok(result)
        })
    }
}

impl Shared {
    /// Runs `work` with the table, which is there.
    fn with_external<R>(
        &mut self,
        work: impl FnOnce(&mut External) -> Result<R, ExternalError>,
    ) -> Result<R, ExternalError> {
        let requested = size_of::<super::side::Side>();
        let side = self.side_if_any().ok_or(ExternalError::OutOfMemory { requested })?;
        work(&mut side.external)
    }
}
