//! When to collect which generation, in bytes.
//!
//! Generation 0 is due when as much was allocated as the budget says; generation 1, when twice as much has survived since it
//! was collected last; generation 2, when segments hold twice as much as after its last collection.

use crate::base::granule::GRANULE;

/// The budget is this part of the span, within limits.
const BUDGET_SHIFT: u32 = 3;
const BUDGET_MIN: usize = 1 << 10;
const BUDGET_MAX: usize = 4 << 20;

/// Budgets, all in granules.
pub(crate) struct Budget {
    /// Granules that may be allocated between collections.
    pub(super) young: usize,
    /// Granules that have survived since generation 1 was collected.
    pub(super) survived: usize,
    /// Granules in segments from which on generation 2 is due.
    pub(super) limit: usize,
}

impl Budget {
    pub(super) fn new(granules: u32) -> Budget {
        let young = (granules >> BUDGET_SHIFT) as usize;
        let young = young.clamp(BUDGET_MIN / GRANULE, BUDGET_MAX / GRANULE);
        Budget {
            young,
            survived: 0,
            limit: (granules / 2) as usize,
        }
    }

    /// Sets the bytes that may be allocated between collections.
    pub(crate) fn set(&mut self, bytes: usize) {
        self.young = (bytes / GRANULE).max(1);
    }

    /// The generation to be collected when `held` granules are in segments.
    pub(super) fn generation(&self, held: usize) -> u8 {
        if held >= self.limit {
            2
        } else {
            u8::from(self.survived >= 2 * self.young)
        }
    }

    /// Takes note of a collection after which `held` granules are in segments and `promoted` ones have survived.
    pub(super) fn note(&mut self, generation: u8, held: usize, promoted: usize) {
        self.survived = if generation == 0 { self.survived + promoted } else { 0 };
        if generation == 2 {
            self.limit = (2 * held).max(4 * self.young);
        }
    }
}
