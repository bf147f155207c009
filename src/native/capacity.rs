//! The rules that follow from how much memory there is.

use super::pool::Pool;
use crate::region::class::CLASSES;
use crate::region::class_of;

/// The free block that must be left while memory counts as plentiful: this part of the first span, as a shift.
const RESERVE_SHIFT: u32 = 1;

/// The same for spans of at least [`LARGE_SPAN`] granules, which recover better from fragmentation.
const LARGE_RESERVE_SHIFT: u32 = 2;
const LARGE_SPAN: u32 = 1 << 20;

/// The part of that block that may be cached, as a shift.
const CACHE_SHIFT: u32 = 2;

/// The part of that block that a chunk takes, as a shift, and the most granules that a chunk has.
const QUANTUM_SHIFT: u32 = 5;
const QUANTUM_MAX: u32 = 1024;

impl Pool {
    /// Sets the rules for the first span, which has been claimed, and tells how many granules each context may cache.
    pub(crate) fn open(&mut self, contexts: u8) -> usize {
        self.contexts = contexts;
        self.least = self.free() as isize;
        self.set_rules(contexts)
    }

    /// Sets the rules anew for the first span, which has become so many granules longer; tells how many granules each context may
    /// cache now.
    pub(crate) fn resized(&mut self, contexts: u8, change: isize) -> usize {
        self.least += change;
        self.set_rules(contexts)
    }

    #[inline(always)]
    fn set_rules(&mut self, contexts: u8) -> usize {
        let shift = if self.is_large() {
            LARGE_RESERVE_SHIFT
        } else {
            RESERVE_SHIFT
        };
        let reserve = (self.region.granules() >> shift).max(1);
        const { assert!(CLASSES <= u8::MAX as usize && QUANTUM_MAX <= u16::MAX as u32) };
        self.reserve = class_of(reserve) as u8;
        self.quantum = (reserve >> QUANTUM_SHIFT).min(QUANTUM_MAX) as u16;
        (reserve >> CACHE_SHIFT) as usize / contexts as usize
    }

    /// Whether the first span is one that recovers well from fragmentation.
    pub(super) fn is_large(&self) -> bool {
        self.region.granules() >= LARGE_SPAN
    }

    /// Granules of all spans, free or not. O(spans).
    pub(crate) fn granules(&self) -> usize {
        self.regions().map(|region| region.granules() as usize).sum()
    }

    /// Granules that there may come to be in all spans. O(spans).
    pub(crate) fn reserved(&self) -> usize {
        self.granules() - self.region.granules() as usize + self.region.reserved() as usize
    }

    /// The most granules that were ever out of the buckets.
    pub(crate) fn peak(&self) -> usize {
        (self.granules() as isize - self.least) as usize
    }

    /// Takes note of a new peak.
    #[inline(always)]
    pub(crate) fn note_least(&mut self) {
        let free = self.free() as isize;
        if free < self.least {
            self.least = free;
        }
    }
}
