//! Limits of what an arena holds in segments.

use super::Collector;
use crate::base::granule::GRANULE;
use crate::base::limits::Limits;

/// The limits, in bytes; 0 is none. All of it is 0 at first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    soft: usize,
    hard: usize,
}

impl Limit {
    /// Whether there may be `granules` more than the bytes held.
    #[inline(always)]
    pub(super) fn admit(&self, held: usize, granules: u32) -> bool {
        self.hard == 0 || held.saturating_add(granules as usize * GRANULE) <= self.hard
    }

    /// Whether the last `granules` of the bytes held have reached the soft limit.
    #[inline(always)]
    pub(super) fn is_reached(&self, held: usize, granules: u32) -> bool {
        self.soft != 0 && held >= self.soft && held - (granules as usize * GRANULE) < self.soft
    }

    /// As they were set.
    pub(crate) fn get(&self) -> Limits {
        let some = |bytes: usize| Some(bytes).filter(|bytes| *bytes != 0);
        Limits {
            soft: some(self.soft),
            hard: some(self.hard),
        }
    }
}

impl Collector {
    /// Sets the limits, which are sound.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = Limit {
            soft: limits.soft.unwrap_or(0),
            hard: limits.hard.unwrap_or(0),
        };
        if self.limits.soft != 0 && self.held >= self.limits.soft {
            self.make_due(0);
        }
    }

    /// Makes a full collection due at the next safe point, also if `granules` of what is young are not counted as such.
    #[cold]
    #[inline(never)]
    pub(super) fn make_due(&mut self, granules: u32) {
        self.budget.expire();
        let due = 2 * self.budget.young; // at any pace
        self.young = self.young.max(due.saturating_add(granules as usize));
    }
}
