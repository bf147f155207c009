//! The lock that every allocator is behind on the board: the critical section, as lock_api wants it.

use core::cell::Cell;
use critical_section::RestoreState;

pub struct Critical {
    restore: Cell<RestoreState>,
}

// SAFETY: `restore` is used inside of the critical section only, on the one core.
unsafe impl Sync for Critical {}

// SAFETY: interrupts are off from `lock` to `unlock` and there is one core.
unsafe impl lock_api::RawMutex for Critical {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: Critical = Critical {
        restore: Cell::new(RestoreState::invalid()),
    };
    type GuardMarker = lock_api::GuardNoSend;

    #[inline(always)]
    fn lock(&self) {
        // SAFETY: `unlock` releases it.
        self.restore.set(unsafe { critical_section::acquire() });
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // SAFETY: acquired by `lock`, by the caller's promise.
        unsafe { critical_section::release(self.restore.get()) };
    }
}
