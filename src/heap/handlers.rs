//! What runs around collections: the host's hooks and GC handlers.
//!
//! They run where the collection is, outside of all locks, while nobody can use the collector: `suspension_starting`, the handlers
//! before; the collection; the handlers after, `suspension_ending`. Meanwhile their task is *barred*: requests that it makes to the
//! heap are refused.

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::gc::generation::Generation;
use crate::gc::source::{Collection, Notice};
use crate::native::context::Context;
use crate::notify::handler::{GcEvent, GcType, Handler, HandlerError, Trigger};

/// The host's hooks around collections; each does nothing by default.
///
/// They are called outside of all locks, in the task that collects, which may be one that has asked the native heap for memory. They
/// must neither allocate from the heap, which refuses that, nor unwind, which ends the program, nor take long. Never called from
/// interrupts.
///
/// Source: `IHostGCManager` of CLR hosting (seed `001_f38423a55030a0f1.txt`).
pub trait GcHooks: Sync {
    /// The calling task waits until another one has collected its arena: a chance to let others run. Called again and again until
    /// then. (`ThreadIsBlockingForSuspension`)
    fn thread_is_blocking(&self) {}

    /// A collection begins. (`SuspensionStarting`)
    fn suspension_starting(&self) {}

    /// A collection of this generation has ended. (`SuspensionEnding`)
    fn suspension_ending(&self, generation: Generation) {
        let _ = generation;
    }
}

/// Runs what there is to run; linked only with those who set it.
///
/// # Safety
/// The pointer is that of the heap that it was set for. No lock is held.
pub(super) type Run = unsafe fn(heap: *const (), notice: Notice<'_>);

/// Tasks that can run handlers at the same time.
pub(super) const BARS: usize = 4;

/// The number that stands for the running task where handlers are barred from allocating. Not 0.
pub(super) fn bar_of<C: CoreId>() -> usize {
    C::task().wrapping_add(1).max(1)
}

/// Ends the program if a handler unwinds: it may have been called from an allocation. A panic while panicking aborts.
struct Unwinding;

impl Drop for Unwinding {
    fn drop(&mut self) {
        panic!("a GC handler has panicked");
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Adds a GC handler: `function` will be called with `data` before or after each collection of one of the `types`, of any arena of
    /// this heap. All handlers are called, in no particular order. There is room for [`GC_HANDLERS`](crate::GC_HANDLERS); the first
    /// one takes a block of the heap for the table. O(handlers). Not for interrupts, nor for GC handlers.
    ///
    /// A handler runs in the middle of things: it must not allocate from this heap (a request gets null), nor unwind (the program
    /// ends), nor take long. It may free, [post](Heap::post), and set whatever flag it is for. If it enters the arena that is being
    /// collected, it waits for itself, for ever.
    ///
    /// # Errors
    /// `Duplicate` if there is such a handler, whatever its types; `Full`, `OutOfMemory`.
    ///
    /// # Examples
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use terrace::*;
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// static FULL: AtomicU32 = AtomicU32::new(0);
    ///
    /// fn count(event: &GcEvent, counter: &'static AtomicU32) {
    ///     assert_eq!(event.trigger, Trigger::After);
    ///     counter.fetch_add(1, Relaxed);
    /// }
    ///
    /// terrace::init!(HEAP, 64 * 1024).unwrap();
    /// HEAP.add_gc_handler(Trigger::After, GcType::FULL, count, &FULL).unwrap();
    /// let again = HEAP.add_gc_handler(Trigger::After, GcType::ALL, count, &FULL);
    /// assert_eq!(again, Err(HandlerError::Duplicate));
    ///
    /// let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     cx.collect(Generation::Young);
    ///     cx.collect(Generation::Old);
    /// });
    /// HEAP.collect(Generation::Old); // the arena is parked
    /// assert_eq!(FULL.load(Relaxed), 2);
    /// HEAP.remove_gc_handler(Trigger::After, count, &FULL).unwrap();
    /// ```
    pub fn add_gc_handler<T: Sync>(
        &self,
        trigger: Trigger,
        types: GcType,
        function: fn(&GcEvent, &'static T),
        data: &'static T,
    ) -> Result<(), HandlerError> {
        let handler = Handler::new(trigger, types, function, data);
        self.enter(|context, shared| {
            let side = shared.side(context, Self::BY_ALL).ok_or(HandlerError::OutOfMemory)?;
            side.handlers.add(handler)?;
            side.run = Some(Self::run_around);
            Ok(())
        })
    }

    /// Removes a GC handler. Once this has returned it is not called any more, unless another task is running it right now.
    /// O(handlers). Not for interrupts.
    ///
    /// # Errors
    /// `Unknown` if this function is not there with this data for this trigger.
    pub fn remove_gc_handler<T: Sync>(
        &self,
        trigger: Trigger,
        function: fn(&GcEvent, &'static T),
        data: &'static T,
    ) -> Result<(), HandlerError> {
        let key = Handler::new(trigger, GcType::ALL, function, data);
        self.enter(|_, shared| {
            let side = shared.side_if_any().ok_or(HandlerError::Unknown)?;
            side.handlers.remove(&key)
        })
    }

    /// Sets the host's hooks around collections; `None` takes them away. Not for interrupts, nor for GC handlers.
    ///
    /// # Errors
    /// `OutOfMemory`: the first call takes a block of the heap.
    pub fn set_gc_hooks(&self, hooks: Option<&'static dyn GcHooks>) -> Result<(), HandlerError> {
        self.enter(|context, shared| {
            let side = shared.side(context, Self::BY_ALL).ok_or(HandlerError::OutOfMemory)?;
            side.hooks = hooks;
            side.run = Some(Self::run_around);
            Ok(())
        })
    }

    /// Runs hooks and handlers.
    ///
    /// # Safety
    /// As [`Run`] says.
    unsafe fn run_around(heap: *const (), notice: Notice<'_>) {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let hooks = heap.enter_first(|_, shared| shared.side_if_any().and_then(|side| side.hooks));
        match notice {
            Notice::Begin(collection) => heap.run_barred(collection, || {
                hooks.inspect(|hooks| hooks.suspension_starting());
                heap.call_handlers(Trigger::Before, collection);
            }),
            Notice::End(collection) => heap.run_barred(collection, || {
                heap.call_handlers(Trigger::After, collection);
                hooks.inspect(|hooks| hooks.suspension_ending(collection.generation));
            }),
            _ => {
                hooks.inspect(|hooks| hooks.thread_is_blocking());
            }
        }
    }

    /// Runs user code at a collection: the collector is out of its reach, and requests of this task are refused.
    fn run_barred(&self, collection: &Collection<'_>, run: impl FnOnce()) {
        let unwinding = Unwinding;
        collection.parking.while_busy(|| {
            let bar = bar_of::<C>();
            while !self.enter(|context, shared| shared.set_bar(context, bar)) {
                core::hint::spin_loop();
            }
            run();
            self.enter(|context, shared| shared.lift_bar(context, bar));
        });
        core::mem::forget(unwinding);
    }

    /// Whether the caller is a GC handler of this heap.
    pub(super) fn is_barred(&self) -> bool {
        let bar = bar_of::<C>();
        self.enter(|_, shared| shared.is_barred(bar))
    }

    fn call_handlers(&self, trigger: Trigger, collection: &Collection<'_>) {
        let event = GcEvent {
            trigger,
            generation: collection.generation,
            cause: collection.cause,
            has_compacted: collection.has_compacted,
        };
        let mut index = 0;
        while let Some(handler) = self.enter(|_, shared| shared.side_if_any().and_then(|side| side.handlers.get(index)))
        {
            handler.call(&event);
            index += 1;
        }
    }
}

impl Shared {
    /// Bars a task from requests; tells whether it could, as only so many can be barred at a time.
    fn set_bar(&mut self, context: &mut Context, bar: usize) -> bool {
        let Some(side) = self.side_if_any() else { return true };
        let Some(place) = side.bars.iter_mut().find(|place| **place == 0) else {
            return false;
        };
        *place = bar;
        self.follow_bars(context);
        true
    }

    fn lift_bar(&mut self, context: &mut Context, bar: usize) {
        if let Some(side) = self.side_if_any()
            && let Some(place) = side.bars.iter_mut().find(|place| **place == bar)
        {
            *place = 0;
            self.follow_bars(context);
        }
    }

    /// Closes this context while a task is barred, so that each request is seen.
    fn follow_bars(&mut self, context: &mut Context) {
        let has_bars = self
            .side_if_any()
            .is_some_and(|side| side.bars.iter().any(|bar| *bar != 0));
        self.pool.set_barred(has_bars);
        self.pool.settle(context);
    }

    /// Whether a GC handler runs in this task.
    pub(super) fn is_barred(&mut self, bar: usize) -> bool {
        self.side_if_any().is_some_and(|side| side.bars.contains(&bar))
    }
}
