//! The critical section of several harts: interrupts off, and one hart at a time.

use core::{
    hint,
    sync::atomic::{AtomicUsize, Ordering},
};

use critical_section::RawRestoreState;
use riscv::{interrupt, register::mstatus};

use super::core_id;

const NOBODY: usize = usize::MAX;

/// The hart that is in the critical section.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);

/// States to go back to: the hart was in the section already; it was outside, with interrupts off or on.
const INSIDE: RawRestoreState = 2;
const OFF: RawRestoreState = 0;
const ON: RawRestoreState = 1;

struct Section;
critical_section::set_impl!(Section);

// SAFETY: between `acquire` and `release` the owner is this hart, as only one can replace `NOBODY`, and no interrupt of its own
// comes in between; the orders make what one owner wrote visible to the next one. A hart that finds itself the owner has set
// that outside of this call, so it is inside.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> RawRestoreState {
        let before = if mstatus::read().mie() { ON } else { OFF };
        interrupt::disable();
        let hart = core_id();
        if OWNER.load(Ordering::Relaxed) == hart {
            return INSIDE;
        }
        while OWNER
            .compare_exchange_weak(NOBODY, hart, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            hint::spin_loop();
        }
        before
    }

    unsafe fn release(before: RawRestoreState) {
        if before == INSIDE {
            return;
        }
        OWNER.store(NOBODY, Ordering::Release);
        if before == ON {
            // SAFETY: they were on when the section began.
            unsafe { interrupt::enable() };
        }
    }
}
