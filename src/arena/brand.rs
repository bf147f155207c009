//! Brands: which arena a reference belongs to, as a type.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

use crate::gc::Collector;

/// The identity of an arena, made by [`brand!`](crate::brand). One arena of a brand lives at a time, so a reference's type
/// tells where it belongs, with nothing to check at run time.
///
/// # Safety
/// `state` returns the same state each time, and that of no other brand.
pub unsafe trait Brand: 'static {
    #[doc(hidden)]
    fn state() -> &'static BrandState;
}

/// Makes a [`Brand`]: `brand!(pub Audio);` lets `Arena<Audio>` live beside other arenas.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// brand!(Audio);
///
/// let mut arena = Arena::<Audio>::branded(&HEAP).unwrap();
/// let root: Root<u32, Audio> = arena.enter(|cx| cx.new(|_| 1)).unwrap();
/// assert!(Arena::<Audio>::branded(&HEAP).is_err(), "one at a time");
/// ```
#[macro_export]
macro_rules! brand {
    ($(#[$attribute:meta])* $visibility:vis $name:ident) => {
        $(#[$attribute])*
        $visibility enum $name {}

        // SAFETY: the state is a static of this type's own.
        unsafe impl $crate::Brand for $name {
            fn state() -> &'static $crate::BrandState {
                static STATE: $crate::BrandState = $crate::BrandState::new();
                &STATE
            }
        }
    };
}

brand!(
    /// The brand of a program's only arena: what the types of this crate mean where no brand is written.
    pub Main
);

/// Belongs to the brand `A`, and to one thread of control.
pub(super) type Branded<A> = PhantomData<(fn(A) -> A, *mut ())>;

/// Belongs to the brand `A`, and to the window `'g`.
pub(super) type Window<'g, A> = PhantomData<(&'g (), fn(A) -> A)>;

/// What becomes of a brand's arena.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// There is none, or it is being set up.
    None,
    /// There is one.
    Open,
    /// There is one, and a collection is calling the clock.
    Busy,
    /// It was dropped, but handles live.
    Orphaned,
    /// Its last destructors run.
    Closing,
}

/// Whether there is an arena of a brand, and where. A detail of [`brand!`](crate::brand).
///
/// **Invariant `BRAND`**: while `taken`, one arena's thread of control alone changes the rest; in the phases from `Open` on,
/// `collector` points at that arena's collector.
#[doc(hidden)]
pub struct BrandState {
    taken: AtomicBool,
    phase: AtomicU8,
    collector: AtomicPtr<Collector>,
}

impl BrandState {
    #[doc(hidden)]
    #[allow(clippy::new_without_default, reason = "only for the macro, in a static")]
    pub const fn new() -> BrandState {
        BrandState {
            taken: AtomicBool::new(false),
            phase: AtomicU8::new(Phase::None as u8),
            collector: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Takes the brand; tells whether it was free.
    pub(super) fn take(&self) -> bool {
        #[cfg(target_has_atomic = "8")]
        return !self.taken.swap(true, Ordering::Acquire);
        #[cfg(all(not(target_has_atomic = "8"), feature = "critical-section"))]
        return critical_section::with(|_| {
            let is_free = !self.taken.load(Ordering::Acquire);
            self.taken.store(true, Ordering::Relaxed);
            is_free
        });
        // Without any means to tell who comes first, nobody does.
        #[cfg(all(not(target_has_atomic = "8"), not(feature = "critical-section")))]
        return false;
    }

    /// Frees the brand, whose arena is no more.
    pub(super) fn release(&self) {
        self.set(Phase::None, core::ptr::null_mut());
        self.taken.store(false, Ordering::Release);
    }

    pub(super) fn set(&self, phase: Phase, collector: *mut Collector) {
        self.collector.store(collector, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Whether a collection is calling the clock, so that the collector must be left alone.
    ///
    /// Only where threads have storage of their own can safe code keep a handle where the clock finds it: a handle cannot be
    /// sent, so no static holds one.
    #[inline(always)]
    pub(super) fn is_busy(&self) -> bool {
        cfg!(not(target_os = "none")) && self.is(Phase::Busy)
    }

    /// The arena's collector.
    #[inline(always)]
    pub(super) fn collector(&self) -> *mut Collector {
        self.collector.load(Ordering::Relaxed)
    }
}
