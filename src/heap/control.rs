//! The host says what it takes care of, in one place.

use lock_api::RawMutex;

use super::Heap;
use super::criticality::Veto;
use super::handlers::GcHooks;
use super::load::LoadOverride;
use crate::arena::error::OutOfMemory;
use crate::base::core_id::CoreId;

/// What a host takes care of. Each part is optional: what is `None` remains as the heap has it.
///
/// Memory itself comes from a host by [`Heap::claim_from`], as nothing can be set before there is some.
///
/// Source: `IHostControl::GetHostManager` of CLR hosting (seed `001_f38423a55030a0f1.txt`), which answers `E_NOINTERFACE` for what
/// a host does not take care of.
pub trait HostControl: Sync {
    /// What runs around collections, see [`Heap::set_gc_hooks`].
    fn gc_hooks(&self) -> Option<&'static dyn GcHooks> {
        None
    }

    /// Who tells the load, see [`Heap::set_load_override`].
    fn memory_load(&self) -> Option<LoadOverride> {
        None
    }

    /// Who may deny requests, see [`Heap::set_veto`].
    fn veto(&self) -> Option<Veto> {
        None
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Asks the host what it takes care of, once for each part and outside of all locks, and has that from now on. What the host does
    /// not take care of is what it was before. Not for interrupts.
    ///
    /// Source: `ICLRRuntimeHost::SetHostControl` (seed `001_f38423a55030a0f1.txt`).
    ///
    /// # Errors
    /// There is no memory to keep it in; nothing was changed then.
    ///
    /// # Examples
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use terrace::*;
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    ///
    /// struct Host {
    ///     collections: AtomicU32,
    /// }
    ///
    /// impl GcHooks for Host {
    ///     fn suspension_ending(&self, _: Generation) {
    ///         self.collections.fetch_add(1, Relaxed);
    ///     }
    /// }
    ///
    /// impl HostControl for Host {
    ///     fn gc_hooks(&self) -> Option<&'static dyn GcHooks> {
    ///         Some(&HOST)
    ///     }
    /// }
    ///
    /// static HOST: Host = Host { collections: AtomicU32::new(0) };
    ///
    /// terrace::init!(HEAP, 64 * 1024).unwrap();
    /// HEAP.set_host_control(&HOST).unwrap();
    /// Arena::new(&HEAP).unwrap().enter(|cx| cx.collect(Generation::Old));
    /// assert_eq!(HOST.collections.load(Relaxed), 1);
    /// ```
    pub fn set_host_control(&self, control: &dyn HostControl) -> Result<(), OutOfMemory> {
        let (hooks, load, veto) = (control.gc_hooks(), control.memory_load(), control.veto());
        // All of it lies in one block: when the first has made that, the others find it.
        self.with_side(|_| ())?;
        if hooks.is_some() {
            // There is memory, so it does not fail.
            let _ = self.set_gc_hooks(hooks);
        }
        if load.is_some() {
            self.set_load_override(load)?;
        }
        if veto.is_some() {
            self.set_veto(veto)?;
        }
        Ok(())
    }
}
