//! The choice of lock: any [`lock_api::RawMutex`].
//!
//! | type | feature | for |
//! |---|---|---|
//! | [`CriticalSection`] | `critical-section` | bare metal: interrupts may allocate |
//! | [`Spin`] | `spin` | hosts and several cores; on bare metal only where no interrupt allocates |
//! | [`FairSpin`] | `spin` | several cores where none may wait for long, each with nothing else to run; interrupts as above |
//! | [`NoLock`] | always | one thread of control; makes the heap `!Sync` |

use core::{cell::Cell, marker::PhantomData};
use lock_api::RawMutex;

#[cfg(feature = "spin")]
pub use super::fair::FairSpin;

/// A spin lock: who looks at the right moment gets it, so there is no bound to how long one core waits. Where there must be
/// one, there is [`FairSpin`]. Feature `spin`.
#[cfg(feature = "spin")]
pub type Spin = spin::Mutex<()>;

/// A lock that is none: for heaps used from one thread of control only.
///
/// It is `!Sync`, so a heap with it can't be a `static`. Taking it twice is a bug in this crate and is caught by an
/// assertion in debug builds.
pub struct NoLock {
    held: Cell<bool>,
    not_sync: PhantomData<*mut ()>,
}

// SAFETY: `NoLock` is neither `Sync` nor `Send`, so all calls come from one thread of control; the crate calls no
// user code while it holds a lock, so a second `lock` before the first `unlock` does not happen.
unsafe impl RawMutex for NoLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: NoLock = NoLock {
        held: Cell::new(false),
        not_sync: PhantomData,
    };
    type GuardMarker = lock_api::GuardNoSend;

    #[inline(always)]
    fn lock(&self) {
        let taken = self.try_lock();
        debug_assert!(taken, "a heap without a lock was entered twice");
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        if cfg!(debug_assertions) {
            return !self.held.replace(true);
        }
        true
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        if cfg!(debug_assertions) {
            self.held.set(false);
        }
    }
}

/// The critical section of the crate `critical-section`: interrupts off, and on several cores whatever the
/// implementation adds. Feature `critical-section`; the firmware links an implementation.
#[cfg(feature = "critical-section")]
pub struct CriticalSection {
    restore: core::cell::UnsafeCell<critical_section::RestoreState>,
}

// SAFETY: `restore` is touched only between acquire and release, by whoever is inside the critical section, which is
// one thread of control in the whole system.
#[cfg(feature = "critical-section")]
unsafe impl Sync for CriticalSection {}

// SAFETY: the critical section excludes every other thread of control. It may nest (the firmware may already be inside
// one): then `acquire` is nested as well and `restore` holds the state to go back to. The same lock is never taken
// twice by one thread of control, because the crate calls no user code while it holds a lock.
#[cfg(feature = "critical-section")]
unsafe impl RawMutex for CriticalSection {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: CriticalSection = CriticalSection {
        restore: core::cell::UnsafeCell::new(critical_section::RestoreState::invalid()),
    };
    type GuardMarker = lock_api::GuardNoSend;

    #[inline(always)]
    fn lock(&self) {
        // SAFETY: `unlock` releases it; inside, `restore` is ours alone.
        unsafe { *self.restore.get() = critical_section::acquire() };
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock, so `restore` is ours and was written by the matching `acquire`.
        unsafe { critical_section::release(*self.restore.get()) };
    }
}
