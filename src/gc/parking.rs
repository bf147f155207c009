//! Who may use a collector: whoever has the token or, while the arena is parked, anybody who finds it so.
//!
//! ```text
//!              enter                    clock, handlers
//!     Parked --------> Open ---------------------------> Busy
//!       ^  \  <-------- '                <---------------'
//!       |   \   leave
//!       |    '--> Claimed     by a handle that is dropped outside of `enter`, or by who collects for a request that failed
//!       '---------'
//!     None -> Parked       created           Parked -> Closing -> Orphaned or None       dropped
//! ```
//!
//! The collector of a parked arena is only used between a successful claim and its release; both are orderings, so another thread
//! or core may have made the claim. What claims it runs no user code meanwhile but for the clock and, in a collection, the handlers
//! of the heap, for which the phase is `Busy`.
//!
//! An interrupt can neither wait for what it interrupted nor be waited for: it only ever *tries* to claim, and is done when it returns.

use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering};

use super::Collector;
use super::collect::Ending;
use super::event::CollectionCause;
use super::generation::Generation;
use super::source::{Collection, How, Notice, Source, StartupLimits};

/// What becomes of an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    /// There is none, or it is being set up.
    None,
    /// There is one, and nobody uses it.
    Parked,
    /// Somebody who found it parked uses its collector.
    Claimed,
    /// It is entered: its thread of control has the token.
    Open,
    /// A collection is calling the clock or a handler.
    Busy,
    /// It was dropped, but handles live.
    Orphaned,
    /// Its last destructors run.
    Closing,
}

/// What the heap asks of an arena that it cannot collect right now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Asked {
    Nothing,
    /// To follow the new pace at the next safe point.
    Pace,
    /// A full collection at the next safe point, and as above.
    Collect,
}

/// How soon arenas collect: what the host has said of the memory that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub(crate) enum Pace {
    /// By the budget.
    #[default]
    Neutral = 0,
    /// There is little memory: twice as often.
    Often = NEUTRAL ^ 1,
    /// There is plenty: half as often.
    Seldom = NEUTRAL ^ 4,
}

/// A pace is how many halves of the budget may be spent, as what differs from this, so that the neutral one is 0.
const NEUTRAL: u8 = 2;

impl Pace {
    /// Halves of the budget.
    pub(super) fn halves(bits: u8) -> u8 {
        bits ^ NEUTRAL
    }
}

/// How often it is tried to claim a collector that calls user code, before that is taken to be the caller's own. What another thread
/// calls is to be over long before.
const TRIES: u32 = 100_000;

/// Whether there is an arena of a brand, who uses it, and where.
///
/// **Invariant `BRAND`**: while the brand is taken, `collector` points at that arena's collector in all phases but `None`. It is
/// used by the arena's thread of control in `Open`, `Busy`, `Orphaned` and `Closing`, and by whoever made the phase `Claimed`.
pub struct Parking {
    phase: AtomicU8,
    asked: AtomicU8,
    pace: AtomicU8,
    /// Whether something may have died since the last full collection.
    stale: AtomicBool,
    collector: AtomicPtr<Collector>,
    /// What collections did, see [`Parking::counts`].
    collections: [AtomicU32; 3],
    compactions: AtomicU32,
    for_others: AtomicU32,
    /// The heap: written while the phase is `None`.
    source: UnsafeCell<Option<&'static dyn Source>>,
    /// The next arena of the heap, see [`Source::enrol`].
    pub(crate) next: AtomicPtr<Parking>,
}

// SAFETY: `source` is written while the phase is `None`, when nobody else reads it, and only read later. A heap that is not `Sync`
// has no threads but one that could get here: arenas and handles are not `Send`.
unsafe impl Sync for Parking {}

impl Parking {
    pub(crate) const fn new() -> Parking {
        Parking {
            phase: AtomicU8::new(Phase::None as u8),
            asked: AtomicU8::new(Asked::Nothing as u8),
            pace: AtomicU8::new(Pace::Neutral as u8),
            stale: AtomicBool::new(false),
            collector: AtomicPtr::new(ptr::null_mut()),
            collections: [const { AtomicU32::new(0) }; 3],
            compactions: AtomicU32::new(0),
            for_others: AtomicU32::new(0),
            source: UnsafeCell::new(None),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The collector's place. What may be done with it, the phase tells.
    #[inline(always)]
    pub(crate) fn collector(&self) -> *mut Collector {
        self.collector.load(Ordering::Relaxed)
    }

    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Sets the phase; the caller is who may use the collector.
    pub(crate) fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// A new arena, which is parked.
    ///
    /// # Safety
    /// The phase is `None`, and the caller has taken the brand.
    pub(crate) unsafe fn begin(&'static self, collector: NonNull<Collector>, source: &'static dyn Source) {
        // SAFETY: the phase is `None`: nobody reads it.
        unsafe { *self.source.get() = Some(source) };
        self.collector.store(collector.as_ptr(), Ordering::Relaxed);
        self.asked.store(Asked::Nothing as u8, Ordering::Relaxed);
        self.pace.store(Pace::Neutral as u8, Ordering::Relaxed);
        source.tell(Notice::Made(self));
        self.set(Phase::Parked);
        source.enrol(self);
    }

    /// The arena is no more. The heap has forgotten it already.
    pub(crate) fn end(&self) {
        self.collector.store(ptr::null_mut(), Ordering::Relaxed);
        self.set(Phase::None);
    }

    /// The heap that the arena lies in.
    ///
    /// # Safety
    /// The phase is not `None`, and does not become it meanwhile.
    unsafe fn source(&self) -> Option<&'static dyn Source> {
        // SAFETY: it is not written in the other phases.
        unsafe { *self.source.get() }
    }

    /// The heap of an arena that is enrolled there. To be called under the heap's lock.
    pub(crate) fn source_of_enrolled(&self) -> Option<&'static dyn Source> {
        // SAFETY: while an arena is enrolled its phase is not `None`, and the lock keeps it enrolled.
        unsafe { self.source() }
    }

    /// Takes note of a collection; the caller is who may use the collector.
    pub(crate) fn count(&self, collection: &Collection<'_>) {
        let add = |count: &AtomicU32, is_so: bool| {
            let sum = count.load(Ordering::Relaxed).wrapping_add(u32::from(is_so));
            count.store(sum, Ordering::Relaxed);
        };
        add(&self.collections[collection.generation as usize], true);
        add(&self.compactions, collection.has_compacted);
        add(&self.for_others, collection.cause == CollectionCause::Native);
    }

    /// The number of collections by generation; of those that moved objects; and of those for others than the arena.
    pub(crate) fn counts(&self) -> [u32; 5] {
        let [young, middle, old] = &self.collections;
        [young, middle, old, &self.compactions, &self.for_others].map(|count| count.load(Ordering::Relaxed))
    }

    /// Changes the phase if it is `from`; tells whether it was.
    #[cfg_attr(terrace_small, inline(never))]
    fn turn(&self, from: Phase, to: Phase) -> bool {
        #[cfg(target_has_atomic = "8")]
        return self
            .phase
            .compare_exchange(from as u8, to as u8, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        // One core: whoever interrupts this between load and store has made the phase what it was when he is done.
        #[cfg(not(target_has_atomic = "8"))]
        {
            let is_there = self.is(from);
            if is_there {
                self.set(to);
            }
            is_there
        }
    }

    /// Turns the parked arena to another phase, as soon as nobody uses it; the caller is of the arena's thread of control.
    fn wait_for(&self, to: Phase) {
        while !self.turn(Phase::Parked, to) {
            self.pause();
        }
    }

    #[cold]
    fn pause(&self) {
        core::hint::spin_loop();
        // SAFETY: the arena is the caller's, so the phase is not `None`.
        if let Some(source) = unsafe { self.source() } {
            source.tell(Notice::Waiting);
        }
    }

    /// Opens the arena, for its thread of control.
    #[inline]
    pub(crate) fn open(&self) {
        self.wait_for(Phase::Open);
    }

    /// Parks the open arena.
    #[inline]
    pub(crate) fn park(&self) {
        self.stale.store(true, Ordering::Relaxed);
        self.set(Phase::Parked);
    }

    /// Closes the parked arena for good.
    pub(crate) fn close(&'static self) {
        self.wait_for(Phase::Closing);
        // SAFETY: the phase is not `None`.
        if let Some(source) = unsafe { self.source() } {
            source.withdraw(self);
        }
    }

    /// Claims the collector for a handle of the parked arena, on the arena's thread of control: a handle keeps the collector. Gives
    /// up if a collection is running user code, which may be the caller.
    pub(crate) fn claim_for_handle(&self) -> bool {
        let mut tries = 0;
        while !self.claim() {
            if !(self.is(Phase::Claimed) || self.is(Phase::Parked)) {
                tries += 1;
                if tries == TRIES {
                    return false;
                }
            }
            self.pause();
        }
        true
    }

    /// Ends a claim; something may have died if the collector was changed.
    pub(crate) fn release(&self, was_changed: bool) {
        if was_changed {
            self.stale.store(true, Ordering::Relaxed);
        }
        self.set(Phase::Parked);
    }

    /// Has user code run, called from the collector, while nobody may use that.
    pub(crate) fn while_busy<R>(&self, run: impl FnOnce() -> R) -> R {
        // Whoever may use the collector is the only one to change the phase now.
        let phase = self.phase.load(Ordering::Relaxed);
        self.set(Phase::Busy);
        let result = run();
        self.phase.store(phase, Ordering::Release);
        result
    }

    /// Whether the heap has asked for something.
    #[inline(always)]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != Asked::Nothing as u8
    }

    /// What the heap has asked for since this was called last: the pace, in halves of the budget, and whether for a collection.
    pub(crate) fn take_asked(&self) -> (u8, bool) {
        let is_collection = self.asked.load(Ordering::Relaxed) == Asked::Collect as u8;
        self.asked.store(Asked::Nothing as u8, Ordering::Relaxed);
        (Pace::halves(self.pace.load(Ordering::Relaxed)), is_collection)
    }

    /// Asks for something, on top of what was asked for. One thread of control at a time.
    pub(crate) fn ask(&self, asked: Asked) {
        if self.asked.load(Ordering::Relaxed) < asked as u8 {
            self.asked.store(asked as u8, Ordering::Relaxed);
        }
    }

    /// Sets the pace, as of the next safe point.
    pub(crate) fn set_pace(&self, pace: Pace) {
        self.pace.store(pace as u8, Ordering::Relaxed);
        self.ask(Asked::Pace);
    }

    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        self.is(Phase::Parked)
    }

    /// Claims the collector of a parked arena for [`Parking::collect_as`]; tells whether that could be.
    pub(crate) fn claim(&self) -> bool {
        self.turn(Phase::Parked, Phase::Claimed)
    }

    /// Sets the limits of an arena that was made just now.
    ///
    /// # Safety
    /// [`Notice::Made`] tells of it.
    pub(crate) unsafe fn start_with(&self, limits: StartupLimits) {
        // SAFETY: nobody uses the collector yet.
        unsafe { (*self.collector()).start_with(limits) };
    }

    /// Collects the generations up to this one as told, and ends the claim; tells whether there was a point in it.
    ///
    /// # Safety
    /// The caller has [claimed](Parking::claim) the collector.
    pub(crate) unsafe fn collect_as(&self, how: How) -> bool {
        // SAFETY: the caller's.
        let is_useful = unsafe { (how.collect)(self, how.generation, how.cause) };
        self.set(Phase::Parked);
        is_useful
    }

    /// Collects; everything so that what can be moved is.
    ///
    /// # Safety
    /// As for [`Parking::collect_as`].
    pub(super) unsafe fn collect(&self, generation: Generation, cause: CollectionCause) -> bool {
        let is_full = generation == Generation::Old;
        let is_useful = !is_full || self.stale.load(Ordering::Relaxed);
        if is_useful {
            let ending = if is_full { Ending::Compact } else { Ending::Decide };
            // SAFETY: BRAND: the collector is the caller's by the claim. PARKED: the arena is not entered, so nobody has a token.
            unsafe {
                let collector = &mut *self.collector();
                collector.collect(generation as u8, ending, cause);
                if is_full {
                    collector.slide_large();
                    self.stale.store(false, Ordering::Relaxed);
                }
            }
        }
        is_useful
    }

    /// Collects if a budget is spent or something was asked for; tells whether it did.
    ///
    /// # Safety
    /// As for [`Parking::collect_as`].
    pub(super) unsafe fn collect_if_due(&self, _: Generation, _: CollectionCause) -> bool {
        // SAFETY: as in `collect`.
        unsafe {
            let collector = &mut *self.collector();
            let before = collector.counters.total();
            collector.safe_point();
            collector.counters.total() != before
        }
    }
}
