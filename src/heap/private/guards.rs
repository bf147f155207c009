//! Guards around a private heap: whoever writes past an end of it is stopped by the memory protection unit.

use core::ops::Range;

use super::{NewPrivateHeap, PrivateHeap, PrivateHeapError};
use crate::base::guard::GuardError;
use crate::base::mpu::{Guard, Mpu};

/// The guards that are asked for: bytes of each.
pub(super) struct GuardPlan(Option<(Mpu, usize)>);

impl GuardPlan {
    pub(super) const NONE: GuardPlan = GuardPlan(None);

    /// Bytes of each guard, a power of two, or 0; if they are none that a guard can have, as few as do no harm.
    pub(super) fn bytes(&self) -> usize {
        self.0.map_or(0, |(_, bytes)| {
            if bytes.is_power_of_two() {
                bytes.max(GuardError::LEAST)
            } else {
                GuardError::LEAST
            }
        })
    }

    /// Puts guards at both places.
    ///
    /// # Safety
    /// Both have [`GuardPlan::bytes`], which nobody uses until the guards are lowered.
    pub(super) unsafe fn raise(&self, low: *mut u8, high: *mut u8) -> Result<Guards, PrivateHeapError> {
        let Some((mpu, bytes)) = self.0 else {
            return Ok(Guards(None));
        };
        // SAFETY: the caller's. Other sizes than the plan's are refused.
        let guard = |start| unsafe { mpu.guard(start, bytes) }.map_err(PrivateHeapError::Guard);
        Ok(Guards(Some([guard(low)?, guard(high)?])))
    }
}

/// The guards on both sides, if there are any.
pub(super) struct Guards(Option<[Guard; 2]>);

impl Guards {
    /// Takes them away.
    pub(super) fn lower(&mut self) {
        self.0 = None;
    }
}

impl<L, C, const CONTEXTS: usize> NewPrivateHeap<'_, L, C, CONTEXTS> {
    /// With guards of so many bytes on both sides, a power of two and 32 at least: no code can read or write there, so that
    /// what runs past an end of the private heap ends in a fault instead of in its neighbours. Each guard takes a region of the
    /// memory protection unit as long as the private heap lives. Only [`create`](NewPrivateHeap::create) tells if there is none.
    /// Feature `mpu`.
    ///
    /// A write that jumps over the guard is not noticed, nor is one from block to block. While the guards are up, whoever
    /// reads all of the heap's region, to dump it for example, must do so with the unit off, as it is in a hard fault's handler.
    pub fn guarded(self, mpu: Mpu, bytes: usize) -> Self {
        NewPrivateHeap {
            guards: GuardPlan(Some((mpu, bytes))),
            ..self
        }
    }
}

impl<M> PrivateHeap<'_, M> {
    /// The addresses of the guards below and above, if it has any. Feature `mpu`.
    pub fn guards(&self) -> Option<[Range<usize>; 2]> {
        self.guards
            .0
            .as_ref()
            .map(|guards| guards.each_ref().map(Guard::addresses))
    }
}
