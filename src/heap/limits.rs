//! Limits of a heap.

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::limits::{LimitError, Limits};
use crate::notify::watch::Scale;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Sets the limits of what is in use, arenas included.
    ///
    /// At the **hard** limit requests fail, as if the memory ended there: null, `Err`, or a collection and then
    /// [`OutOfMemory`](crate::OutOfMemory) in arenas; what is in use stays as it is. From the **soft** limit on low memory is
    /// due, as at the high watermark, if that is not lower, once, and again after the use has been an eighth below it.
    ///
    /// They hold at once; if more is in use than a limit permits, that is for requests to come. O(contexts). Not for interrupts.
    ///
    /// # Errors
    /// `OutOfRange`, `Crossed`, `BelowReserve`, `OutOfMemory`. The old ones stay.
    pub fn set_limits(&self, limits: Limits) -> Result<(), LimitError> {
        self.arrange(|shared| {
            limits.check(shared.capacity())?;
            let side = shared.side_if_any().ok_or(LimitError::OutOfMemory {
                requested: size_of::<super::side::Side>(),
            })?;
            let reserves = side.reserves.iter().sum();
            match limits.hard {
                Some(hard) if hard < reserves => return Err(LimitError::BelowReserve { hard, reserves }),
                _ => side.use_limits = limits,
            }
            Ok(())
        })
    }

    /// The limits in force. Not for interrupts.
    pub fn limits(&self) -> Limits {
        self.enter(|_, shared| shared.side_if_any().map_or(Limits::NONE, |side| side.use_limits))
    }
}

impl Shared {
    /// What watermarks are measured against.
    #[inline(never)]
    pub(super) fn scale(&self) -> Scale {
        let (side, external) = (self.side_to_look_at(), self.external());
        let soft = side.and_then(|side| side.use_limits.soft);
        Scale {
            capacity: self.capacity().saturating_add(side.map_or(0, |side| side.allowance)),
            ceiling: soft.map_or(usize::MAX, |soft| soft.saturating_add(external)),
            external,
            granules: self.pool.granules(),
        }
    }

    /// Makes watch and pool follow a change of what watermarks are measured against, or of what is in use elsewhere. All
    /// contexts, which hold `idle` bytes, are to be settled under the same locks.
    pub(super) fn follow_scale(&mut self, idle: usize) {
        self.set_alarm();
        self.observe(idle);
    }
}
