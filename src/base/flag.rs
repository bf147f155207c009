//! A flag that one of several takers gets.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether something is taken.
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Not taken.
    pub(crate) const fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    /// Takes it; tells whether it was free.
    pub(crate) fn take(&self) -> bool {
        #[cfg(target_has_atomic = "8")]
        return !self.0.swap(true, Ordering::Acquire);
        #[cfg(all(not(target_has_atomic = "8"), feature = "critical-section"))]
        return critical_section::with(|_| {
            let is_free = !self.0.load(Ordering::Acquire);
            self.0.store(true, Ordering::Relaxed);
            is_free
        });
        // Without any means to tell who comes first, nobody does.
        #[cfg(all(not(target_has_atomic = "8"), not(feature = "critical-section")))]
        return false;
    }

    /// Whether it is taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Frees it.
    pub(crate) fn release(&self) {
        self.0.store(false, Ordering::Release);
    }
}
