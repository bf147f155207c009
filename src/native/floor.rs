//! The floor: granules that requests must leave free, for requests that may take them.
//!
//! ```text
//!   free   ............................ plentiful: contexts are open
//!   floor + a chunk - - - - - - - - - - contexts are closed
//!   floor  - - - - - - - - - - - - - -  an ordinary request is refused from here on
//!   .... requests with a lower floor of their own, with all contexts locked ....
//! ```
//!
//! **Invariant `FLOOR`**: while less than the floor is in the buckets, all contexts are closed, so that every request is asked
//! whether it may. For only a request with a lower floor of its own takes so much, which locks all contexts and closes them, and
//! they are opened above the floor only. What caches hold counts as free for such a request alone, as nobody else can know it.

use super::context::Context;
use super::pool::Pool;

/// More granules than there can be, so that what would be left is compared without regard to its sign.
const BIAS: usize = 1 << (usize::BITS - 2);

impl Pool {
    /// Whether a request of `n` granules would leave less than the floor. O(1).
    #[inline(always)]
    pub(crate) fn falls_short(&self, context: &Context, n: usize) -> bool {
        let left = self.free().wrapping_sub(n).wrapping_add(BIAS);
        left < self.floor && !(self.is_lowered && left + context.idle() >= self.floor)
    }

    /// Whether there is a floor.
    #[inline(always)]
    pub(crate) fn has_floor(&self) -> bool {
        self.floor != 0
    }

    /// Free granules below which contexts are closed: where an alarm is due, or where a chunk could go below the floor.
    #[inline(always)]
    pub(super) fn closing(&self) -> usize {
        self.alarm
            .max((self.floor + self.quantum as usize).saturating_sub(BIAS))
    }

    /// Sets the granules that requests must leave in the buckets. All contexts are to be settled under the same locks.
    pub(crate) fn set_floor(&mut self, granules: usize) {
        self.floor = if granules == 0 { 0 } else { granules + BIAS };
        if self.notice != usize::MAX {
            self.notice = self.closing();
        }
        self.judge();
    }

    /// Sets the floor of the request that is to follow, of which other contexts hold `elsewhere`; returns the common floor. All
    /// contexts are locked until [`Pool::raise_floor`].
    pub(crate) fn lower_floor(&mut self, granules: usize, elsewhere: usize) -> usize {
        self.is_lowered = true;
        core::mem::replace(&mut self.floor, granules + BIAS - elsewhere)
    }

    /// Makes the floor the common one again. All contexts are to be settled under the same locks.
    pub(crate) fn raise_floor(&mut self, floor: usize) {
        (self.floor, self.is_lowered) = (floor, false);
        self.judge();
    }
}
