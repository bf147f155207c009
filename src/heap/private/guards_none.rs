//! Guards around a private heap, without feature `mpu`: none.

use super::PrivateHeapError;

/// No guards are asked for.
pub(super) struct GuardPlan;

impl GuardPlan {
    pub(super) const NONE: GuardPlan = GuardPlan;

    pub(super) fn bytes(&self) -> usize {
        0
    }

    /// # Safety
    /// None; the other form has a condition.
    pub(super) unsafe fn raise(&self, _low: *mut u8, _high: *mut u8) -> Result<Guards, PrivateHeapError> {
        Ok(Guards)
    }
}

/// No guards.
pub(super) struct Guards;

impl Guards {
    pub(super) fn lower(&mut self) {}
}
