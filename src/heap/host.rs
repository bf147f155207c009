//! The host's side: callbacks, watermarks and posts.

use lock_api::RawMutex;

use super::arenas::Collected;
use super::{Heap, Shared};
use crate::base::available::Available;
use crate::base::core_id::CoreId;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::notify::event::Sink;
use crate::notify::load::Load;
use crate::notify::post::Posting;
use crate::notify::table::{Callback, CallbackError, Priority};
use crate::notify::watch::{WatermarkError, Watermarks};
use crate::notify::{LowMemory, Pressure};

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Registers a low-memory callback: `function` will be called with `data` from [`Heap::poll`].
    ///
    /// The key is the pair of both. Nothing is allocated; there is room for [`CALLBACKS`](crate::CALLBACKS). O(callbacks).
    /// Not for interrupts. A callback registered by a callback is first called for the next event.
    ///
    /// # Errors
    /// `Full`, `Duplicate`.
    ///
    /// # Examples
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    /// use terrace::{CallbackError, CriticalSectionHeap, LowMemory, Pressure};
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// static DROP_CACHE: AtomicBool = AtomicBool::new(false);
    ///
    /// fn on_low_memory(_event: &LowMemory, flag: &'static AtomicBool) {
    ///     flag.store(true, Relaxed);
    /// }
    ///
    /// terrace::init!(HEAP, 4096).unwrap();
    /// HEAP.on_low_memory(on_low_memory, &DROP_CACHE).unwrap();
    /// assert_eq!(HEAP.on_low_memory(on_low_memory, &DROP_CACHE), Err(CallbackError::Duplicate));
    ///
    /// assert_eq!(HEAP.poll().callbacks, 0); // silent while there is no load
    /// HEAP.post(Pressure::Critical); // as an interrupt could
    /// assert_eq!(HEAP.poll().callbacks, 1);
    /// assert!(DROP_CACHE.load(Relaxed));
    /// ```
    pub fn on_low_memory<T: Sync>(
        &self,
        function: fn(&LowMemory, &'static T),
        data: &'static T,
    ) -> Result<(), CallbackError> {
        self.on_low_memory_at(Priority::Common, function, data)
    }

    /// As [`Heap::on_low_memory`], before or after the others: so caches can go before sessions do, whose callback sees in
    /// [`Heap::load`] what that has brought.
    ///
    /// # Errors
    /// As for [`Heap::on_low_memory`]; the priority is no part of the key.
    pub fn on_low_memory_at<T: Sync>(
        &self,
        priority: Priority,
        function: fn(&LowMemory, &'static T),
        data: &'static T,
    ) -> Result<(), CallbackError> {
        let callback = Callback::new(function, data);
        self.enter(|_, shared| shared.table.add(callback, priority))
    }

    /// Takes a callback out of the table. It is not called any more, unless another core is running it right now.
    /// O(callbacks). Not for interrupts.
    ///
    /// # Errors
    /// `Unknown` if this function was not registered with this data.
    pub fn remove_low_memory<T: Sync>(
        &self,
        function: fn(&LowMemory, &'static T),
        data: &'static T,
    ) -> Result<(), CallbackError> {
        let callback = Callback::new(function, data);
        self.enter(|_, shared| shared.table.remove(callback))
    }

    /// Sets the watermarks. They hold at once: if the load is at the high one, the callbacks are due at the next poll.
    /// O(spans). Not for interrupts.
    ///
    /// # Errors
    /// `OutOfRange`, `Crossed`; the old ones stay.
    pub fn set_watermarks(&self, watermarks: Watermarks) -> Result<(), WatermarkError> {
        self.enter_all(|all, shared| {
            shared.watch.set(watermarks, shared.scale())?;
            shared.watch.arm();
            shared.set_alarm();
            shared.observe(all.idle());
            all.each(|context| shared.pool.settle(context));
            Ok(())
        })
    }

    /// The watermarks in force. Not for interrupts.
    pub fn watermarks(&self) -> Watermarks {
        self.enter(|_, shared| shared.watch.watermarks())
    }

    /// Posts how much memory the host has available: *low* is as a post of [`Pressure::Moderate`], and has arenas collected at the next
    /// poll, and more often from then on; *neutral* ends that; *high* has them collected less often. Wait-free and without a lock: from
    /// any interrupt. A later post replaces an earlier one that no poll has seen.
    ///
    /// Source: `OnMemoryNotification` of CLR hosting (seed `001_f38423a55030a0f1.txt`).
    #[inline]
    pub fn notify(&self, available: Available) {
        self.posted.post(match available {
            Available::Low => Posting::Pressure(Pressure::Moderate),
            Available::Neutral => Posting::Pressure(Pressure::None),
            Available::High => Posting::Plenty,
        });
    }

    /// Tells of pressure: as [`Heap::post`], and if it is critical, all arenas that are parked are collected at once, those that are
    /// entered at their next safe point. From any thread or core; from interrupts it only posts. O(live objects) if critical.
    ///
    /// Source: `OH_JSVM_MemoryPressureNotification` (seed `003_406b49dbc1d5ad59.txt`).
    pub fn pressure(&self, level: Pressure) -> Collected {
        self.post(level);
        if level == Pressure::Critical {
            self.collect_all(Generation::Old, CollectionCause::Pressure)
        } else {
            Collected::default()
        }
    }

    /// Posts the host's view: `Moderate` and `Critical` make the low-memory callbacks due, `None` is only told to the
    /// sink. Wait-free and without a lock: from any interrupt. A later post replaces an earlier one that no poll has seen.
    #[inline]
    pub fn post(&self, level: Pressure) {
        self.posted.post(Posting::Pressure(level));
    }

    /// Sets where events go; `None` drops them. The sink is called from [`Heap::poll`], outside of any lock.
    pub fn set_sink(&self, sink: Option<Sink>) {
        self.enter(|_, shared| shared.journal.sink = sink);
    }

    /// Gives all cached blocks and the unused rests of chunks back to the buckets. O(cached blocks), under the lock: not
    /// for interrupts, nor where interrupts must not wait. [`Heap::poll`] does it after low memory.
    ///
    /// Memory from a [`HostMemory`](crate::HostMemory) that is free then is given back, as [`Growth`](crate::Growth) says.
    pub fn trim(&self) {
        self.enter_all(|all, shared| all.each(|context| shared.pool.flush(context)));
        self.give_back_idle();
    }
}

impl Shared {
    /// The load; `idle` bytes of what is taken are not in use.
    pub(super) fn load(&self, idle: usize) -> Load {
        Load {
            used: self.taken() - idle,
            capacity: self.capacity(),
        }
    }
}
