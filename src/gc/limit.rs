//! Limits of what an arena holds in segments.
//!
//! An arena without limits links none of this: the collector gets here through a pointer that the first limit sets.

use super::Collector;
use crate::base::granule::GRANULE;
use crate::base::limits::Limits;

/// The limits, in bytes; 0 is none. All of it is 0 at first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    soft: usize,
    hard: usize,
    /// Nothing before there are limits.
    work: Option<Work>,
}

/// Does a step of the work, for so many granules; tells whether they are admitted.
type Work = fn(collector: &mut Collector, step: Step, granules: u32) -> bool;

/// What there is to be done.
enum Step {
    /// Find out whether the granules may be held.
    Admit,
    /// Find out whether the soft limit was reached by the last granules of those held, and make a collection due then.
    Follow,
}

/// The one [`Work`] there is.
fn work(collector: &mut Collector, step: Step, granules: u32) -> bool {
    let Limit { soft, hard, .. } = collector.limits;
    let (held, bytes) = (collector.held, granules as usize * GRANULE);
    match step {
        Step::Admit => hard == 0 || held.saturating_add(bytes) <= hard,
        Step::Follow => {
            if soft != 0 && held >= soft && held - bytes < soft {
                collector.make_due(granules);
            }
            true
        }
    }
}

impl Limit {
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
            work: Some(work),
        };
        if self.limits.soft != 0 && self.held >= self.limits.soft {
            self.make_due(0);
        }
    }

    /// Whether so many granules more may be held.
    #[inline(always)]
    pub(super) fn admits(&mut self, granules: u32) -> bool {
        self.limits.work.is_none_or(|work| work(self, Step::Admit, granules))
    }

    /// Takes note that so many granules more are held.
    #[inline(always)]
    pub(super) fn hold(&mut self, granules: u32) {
        self.held += granules as usize * GRANULE;
        if let Some(work) = self.limits.work {
            work(self, Step::Follow, granules);
        }
    }

    /// Makes a full collection due at the next safe point, also if `granules` of what is young are not counted as such.
    #[cold]
    #[inline(never)]
    fn make_due(&mut self, granules: u32) {
        self.budget.expire();
        let due = 2 * self.budget.young; // at any pace
        self.young = self.young.max(due.saturating_add(granules as usize));
    }
}
