//! Brands: which arena a reference belongs to, as a type.

use core::marker::PhantomData;

use crate::base::flag::Flag;
use crate::gc::Collector;
use crate::gc::parking::Parking;
pub(super) use crate::gc::parking::Phase;

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

/// Whether there is an arena of a brand, and where. A detail of [`brand!`](crate::brand).
#[doc(hidden)]
pub struct BrandState {
    taken: Flag,
    pub(super) parking: Parking,
}

impl BrandState {
    #[doc(hidden)]
    #[allow(clippy::new_without_default, reason = "only for the macro, in a static")]
    pub const fn new() -> BrandState {
        BrandState {
            taken: Flag::new(),
            parking: Parking::new(),
        }
    }

    /// Takes the brand; tells whether it was free.
    pub(super) fn take(&self) -> bool {
        self.taken.take()
    }

    /// Frees the brand, whose arena is no more.
    pub(super) fn release(&self) {
        self.parking.end();
        self.taken.release();
    }

    #[inline(always)]
    pub(super) fn is(&self, phase: Phase) -> bool {
        self.parking.is(phase)
    }

    /// The arena's collector.
    #[inline(always)]
    pub(super) fn collector(&self) -> *mut Collector {
        self.parking.collector()
    }

    /// Has `change` change the collector, on the arena's thread of control, for a handle that lives; nothing if a collection is
    /// calling user code, which may be the caller. The arena may be parked, entered or dropped.
    ///
    /// # Safety
    /// The brand's arena lives, or a handle of it does, and the caller is of its thread of control.
    #[inline(always)]
    pub(super) unsafe fn with<R>(&self, change: impl FnOnce(&mut Collector) -> R) -> Option<R> {
        if self.is(Phase::Open) {
            // SAFETY: BRAND: the caller's thread of control has the collector; nobody holds a reference to it while other code,
            // such as the caller, runs.
            return Some(change(unsafe { &mut *self.collector() }));
        }
        // SAFETY: the caller's.
        unsafe { self.with_unopened(true, change) }
    }

    /// As [`BrandState::with`], only to look at the collector.
    ///
    /// # Safety
    /// As for [`BrandState::with`].
    pub(super) unsafe fn look<R>(&self, look: impl FnOnce(&Collector) -> R) -> Option<R> {
        if self.is(Phase::Open) {
            // SAFETY: as in `with`.
            return Some(look(unsafe { &*self.collector() }));
        }
        // SAFETY: the caller's.
        unsafe { self.with_unopened(false, |collector| look(collector)) }
    }

    /// As [`BrandState::with`], while the arena is not entered.
    ///
    /// # Safety
    /// As for [`BrandState::with`].
    #[cold]
    #[inline(never)]
    unsafe fn with_unopened<R>(&self, changes: bool, change: impl FnOnce(&mut Collector) -> R) -> Option<R> {
        // Nobody else uses the collector of an arena that was dropped.
        let is_own = self.is(Phase::Orphaned) || self.is(Phase::Closing);
        if !is_own && !self.parking.claim_for_handle() {
            return None;
        }
        // SAFETY: BRAND: the collector is the caller's, by the phase or by the claim.
        let result = change(unsafe { &mut *self.collector() });
        if !is_own {
            self.parking.release(changes);
        }
        Some(result)
    }
}
