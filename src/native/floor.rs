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
//!
//! Whoever sets a floor sets [`Pool`]'s pointer to what is special: programs without one do not link it.

use super::context::Context;
use super::pool::Pool;

/// In a floor: it is that of one request, and the rest of it is more than the floor by [`BIAS`], as what other contexts hold was
/// taken off.
const OWN: usize = 1 << (usize::BITS - 1);

/// More granules than there can be.
const BIAS: usize = 1 << (usize::BITS - 2);

impl Pool {
    /// Whether a request of `n` granules would leave less than the floor. O(1).
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn falls_short(&self, context: &Context, n: usize) -> bool {
        self.special
            .is_some_and(|special| (special.falls_short)(self, context, n))
    }

    /// As [`Pool::falls_short`], where there may be a floor; without one, nothing falls short of it.
    pub(super) fn falls_short_of(&self, context: &Context, n: usize) -> bool {
        if self.floor & OWN == 0 {
            return self.floor != 0 && self.free() < self.floor.wrapping_add(n);
        }
        self.free() + context.idle() + BIAS < (self.floor & !OWN) + n
    }

    /// Whether there is a floor.
    #[inline(always)]
    pub(crate) fn has_floor(&self) -> bool {
        self.floor != 0
    }

    /// Sets the granules that requests must leave in the buckets. The alarm is to be set anew if that is a change, and all contexts
    /// are to be settled under the same locks.
    pub(crate) fn set_floor(&mut self, granules: usize) {
        self.floor = granules;
        if granules != 0 {
            self.special = Some(Pool::SPECIAL);
        }
        self.judge();
    }

    /// Sets the floor of the request that is to follow, of which other contexts hold `elsewhere`; returns the common floor. All
    /// contexts are locked until [`Pool::set_floor`] makes it that again.
    pub(crate) fn lower_floor(&mut self, granules: usize, elsewhere: usize) -> usize {
        self.special = Some(Pool::SPECIAL);
        core::mem::replace(&mut self.floor, (granules + BIAS - elsewhere) | OWN)
    }
}
