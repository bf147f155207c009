//! When to collect which generation, in bytes, not in objects; native memory that objects own counts as theirs.
//!
//! ```text
//!   generation 0 is due   when   allocated since the last collection >= young
//!   generation 1          when   survived since it was collected     >= 2 young
//!   generation 2          when   held                                >= held after its last collection + growth
//!                                growth = 4 traced then, from young / 4 to 2 young; traced then if that is more
//! ```
//!
//! A collection costs work for what it traces, so what may be allocated before the next one of generation 2 follows what the
//! last one has traced: the work for each allocated byte is bounded, and large objects without slots, which cost none, leave
//! little room for garbage.
//!
//! `young` follows survival: where most of what is young survives and has to be traced, it has had too little time to die, and
//! is given twice as much; where next to nothing does, half, which caches are the better for. A program that sets it keeps
//! what it sets.

use super::parking::Pace;
use crate::base::granule::GRANULE;

/// The budget is this part of the span at first, within limits; later at least a part of that, and at most so many times that,
/// but not more than a quarter of the span.
const BUDGET_SHIFT: u32 = 3;
const BUDGET_MIN: usize = 1 << 10;
const BUDGET_MAX: usize = 4 << 20;
const GROWTH: usize = 4;

/// What a collection has found, in granules.
#[derive(Clone, Copy, Default)]
pub(super) struct Survival {
    /// Young memory before a collection of generation 0; 0 for others.
    pub young: usize,
    /// Alive in what was collected.
    pub live: usize,
    /// What of it has been traced.
    pub traced: usize,
    /// In segments, and native memory that objects own.
    pub held: usize,
}

/// Budgets, all in granules.
pub(crate) struct Budget {
    /// Granules that may be allocated between collections.
    pub(super) young: usize,
    /// As many of them, by the pace that the host has set.
    pub(super) due: usize,
    /// Halves of them that are due, see [`Pace`].
    pace: u8,
    /// The bounds of `young`; they are equal where the program has set it.
    least: usize,
    most: usize,
    /// Granules that have survived since generation 1 was collected.
    survived: usize,
    /// Granules held from which on generation 2 is due.
    limit: usize,
}

impl Budget {
    pub(super) fn new(granules: u32) -> Budget {
        let granules = granules as usize;
        let young = (granules >> BUDGET_SHIFT).clamp(BUDGET_MIN / GRANULE, BUDGET_MAX / GRANULE);
        Budget {
            young,
            due: young,
            pace: Pace::halves(Pace::Neutral as u8),
            least: (young / GROWTH).max(BUDGET_MIN / GRANULE),
            most: (young * GROWTH).min(granules / 4).max(young),
            survived: 0,
            limit: 2 * young,
        }
    }

    /// Sets the bytes that may be allocated between collections.
    pub(crate) fn set(&mut self, bytes: usize) {
        let young = (bytes / GRANULE).max(1);
        (self.young, self.least, self.most) = (young, young, young);
        self.follow();
    }

    /// Bounds the bytes that may be allocated between collections, however many survive.
    pub(super) fn limit_young(&mut self, bytes: usize) {
        self.most = self.most.min(bytes / GRANULE);
        self.young = self.young.min(self.most);
        self.least = self.least.min(self.most);
        self.follow();
    }

    /// Sets how soon collections are due, in halves of the budget.
    pub(super) fn set_pace(&mut self, pace: u8) {
        self.pace = pace;
        self.follow();
    }

    fn follow(&mut self) {
        self.due = (self.young * usize::from(self.pace) / 2).max(1);
    }

    /// Makes generation 2 due when a collection is.
    pub(super) fn expire(&mut self) {
        self.limit = 0;
    }

    /// The generation to be collected when `held` granules are held.
    pub(super) fn generation(&self, held: usize) -> u8 {
        if held >= self.limit {
            2
        } else {
            u8::from(self.survived >= 2 * self.young)
        }
    }

    /// Takes note of a collection.
    pub(super) fn note(&mut self, generation: u8, found: Survival) {
        self.survived = if generation == 0 { self.survived + found.live } else { 0 };
        if generation == 2 {
            let growth = (4 * found.traced).clamp(self.young / 4, 2 * self.young);
            self.limit = found.held + found.traced.max(growth);
        }
        // Where less was allocated than the budget allows, that tells little.
        if found.young >= self.young / 2 {
            if found.traced > found.young / 2 {
                self.young = (2 * self.young).min(self.most);
            } else if found.traced < found.young / 32 {
                self.young = (self.young / 2).max(self.least);
            }
            self.follow();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANULES: u32 = 1 << 20;

    fn after(budget: &mut Budget, percent: usize) {
        let young = budget.young;
        let live = young * percent / 100;
        budget.note(
            0,
            Survival {
                young,
                live,
                traced: live,
                held: live,
            },
        );
    }

    #[test]
    fn c23_the_youngest_generation_gets_as_much_time_as_it_needs() {
        let mut budget = Budget::new(GRANULES);
        let first = budget.young;
        (0..10).for_each(|_| after(&mut budget, 80));
        assert_eq!(budget.young, GRANULES as usize / 4, "most survives");
        after(&mut budget, 20);
        assert_eq!(budget.young, GRANULES as usize / 4, "neither most nor little survives");
        (0..10).for_each(|_| after(&mut budget, 1));
        assert_eq!(budget.young, first / 4, "little survives");
        budget.set(4096);
        (0..10).for_each(|_| after(&mut budget, 80));
        assert_eq!(budget.young, 4096 / GRANULE, "the program has set it");
    }

    #[test]
    fn c23_the_oldest_generation_is_collected_for_what_it_has_grown_by() {
        let mut budget = Budget::new(GRANULES);
        let young = budget.young;
        let held = 500_000;
        for (traced, growth) in [
            (400_000, 400_000),
            (10, young / 4),
            (young / 4, young),
            (young, 2 * young),
        ] {
            budget.note(
                2,
                Survival {
                    young: 0,
                    live: traced,
                    traced,
                    held,
                },
            );
            let limit = held + growth;
            assert_eq!(
                (budget.generation(limit - 1), budget.generation(limit)),
                (0, 2),
                "{traced} were traced"
            );
        }
        after(&mut budget, 90);
        after(&mut budget, 90);
        after(&mut budget, 90);
        assert_eq!(budget.generation(held), 1, "much has survived");
    }
}
