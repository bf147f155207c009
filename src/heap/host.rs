//! The host's side: callbacks, watermarks, posts and `poll`.

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::granule::GRANULE;
use crate::notify::event::{Event, Sink};
use crate::notify::load::Load;
use crate::notify::table::{Callback, CallbackError};
use crate::notify::watch::{WatermarkError, Watermarks};
use crate::notify::{Cause, LowMemory, Pressure};

/// What a poll did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Polled {
    /// Low-memory callbacks that were run.
    pub callbacks: u32,
    /// Events that were given to the sink, or dropped because there is none.
    pub events: u32,
    /// Whether something is waiting for another poll: it came up meanwhile, or a poll was under way already.
    pub more: bool,
}

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
        let callback = Callback::new(function, data);
        self.enter(|_, shared| shared.table.add(callback))
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
            shared.watch.set(watermarks, shared.pool.granules() * GRANULE)?;
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

    /// Posts the host's view: `Moderate` and `Critical` make the low-memory callbacks due, `None` is only told to the
    /// sink. Wait-free and without a lock: from any interrupt. A later post replaces an earlier one that no poll has seen.
    #[inline]
    pub fn post(&self, level: Pressure) {
        self.posted.post(level);
    }

    /// Sets where events go; `None` drops them. The sink is called from [`Heap::poll`], outside of any lock.
    pub fn set_sink(&self, sink: Option<Sink>) {
        self.enter(|_, shared| shared.journal.sink = sink);
    }

    /// Does what is due: takes the host's post, runs the low-memory callbacks, gives the sink its events. After low memory
    /// the caches are given back to the buckets as well.
    ///
    /// To be called from the main loop, an idle task or an executor; never from an interrupt, as callbacks run in it.
    /// They may allocate, free, register, remove and post. A poll inside of them does nothing and says `more`.
    /// O(spans) if nothing is due.
    pub fn poll(&self) -> Polled {
        let mut polled = Polled::default();
        let Some(due) = self.begin_poll(&mut polled) else {
            return polled;
        };
        let guard = EndPoll { heap: self };
        if let Some(level) = due.posted {
            self.tell(due.sink, Event::Posted(level), &mut polled);
        }
        if let Some(event) = due.low_memory {
            self.tell(due.sink, Event::LowMemory(event), &mut polled);
            while let Some(callback) = self.enter(|_, shared| shared.table.next()) {
                polled.callbacks += 1;
                callback.call(&event);
            }
            self.trim();
        }
        while let Some(event) = self.next_event() {
            self.tell(due.sink, event, &mut polled);
        }
        drop(guard);
        polled
    }

    /// Gives all cached blocks and the unused rests of chunks back to the buckets. O(cached blocks), under the lock: not
    /// for interrupts, nor where interrupts must not wait. [`Heap::poll`] does it after low memory.
    pub fn trim(&self) {
        self.enter_all(|all, shared| all.each(|context| shared.pool.flush(context)));
    }

    /// Collects what is due; none if a poll is under way.
    fn begin_poll(&self, polled: &mut Polled) -> Option<Due> {
        self.enter_all(|all, shared| {
            if shared.polling {
                polled.more = true;
                return None;
            }
            shared.polling = true;
            let idle = all.idle();
            shared.observe(idle);
            all.each(|context| shared.pool.settle(context));
            let posted = self.posted.take(&mut shared.post_seen);
            if let Some(level) = posted.filter(|level| *level != Pressure::None) {
                let used = shared.taken() - idle;
                shared.watch.raise(level, Cause::Posted, used);
            }
            let low_memory = shared.watch.take(shared.pool.granules() * GRANULE);
            if low_memory.is_some() {
                shared.table.start();
            }
            Some(Due {
                posted,
                low_memory,
                sink: shared.journal.sink,
            })
        })
    }

    fn next_event(&self) -> Option<Event> {
        self.enter_all(|all, shared| {
            let load = shared.load(all.idle());
            shared.journal.next(load)
        })
    }

    fn tell(&self, sink: Option<Sink>, event: Event, polled: &mut Polled) {
        polled.events += 1;
        if let Some(sink) = sink {
            sink(&event);
        }
    }
}

/// What one poll has to do.
struct Due {
    posted: Option<Pressure>,
    low_memory: Option<LowMemory>,
    sink: Option<Sink>,
}

/// Lets the next poll in, also when a callback unwinds.
struct EndPoll<'a, L: RawMutex, C: CoreId, const CONTEXTS: usize> {
    heap: &'a Heap<L, C, CONTEXTS>,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Drop for EndPoll<'_, L, C, CONTEXTS> {
    fn drop(&mut self) {
        self.heap.enter(|_, shared| shared.polling = false);
    }
}

impl Shared {
    /// The load; `idle` bytes of what is taken are not in use.
    pub(super) fn load(&self, idle: usize) -> Load {
        Load {
            used: self.taken() - idle,
            capacity: self.pool.granules() * GRANULE,
        }
    }
}
