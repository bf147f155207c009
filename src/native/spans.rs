//! The list of a pool's spans.
//!
//! ```text
//!   Pool             span 2                      span 3
//!   | region | next ----> | Header | Region | next ----> | Header | Region | null
//! ```
//!
//! **Invariant `LINKS`**: `next` of a region is null or points at a region that lives in its own span as long as the heap
//! does, and that is reached only through the pool.

use super::pool::{Pool, Special};
use crate::base::fault::{Fault, FaultKind};
use crate::base::granule::GRANULE;
use crate::region::span::ClaimError;
use crate::region::{Fit, Region};

/// Spans that one heap may have.
pub(crate) const MAX_SPANS: usize = 8;

impl Pool {
    /// The spans, the first one first.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Region> {
        // SAFETY: LINKS: `next` is null or a region that lives in its own span as long as the heap does, and is reached
        // only through the pool.
        core::iter::successors(Some(&self.region), |region| unsafe { region.next.as_ref() })
    }

    /// The span that hands out the granule at `address`. O(spans).
    #[inline(never)]
    pub(crate) fn region_of(&mut self, address: usize) -> Option<&mut Region> {
        let mut region = &raw mut self.region;
        // SAFETY: LINKS, as in `regions`; the pool is borrowed exclusively, and one reference is made at a time.
        while let Some(here) = unsafe { region.as_mut() } {
            if here.contains(address) {
                return Some(here);
            }
            region = here.next;
        }
        None
    }

    /// Calls `visit` with each span.
    pub(crate) fn each_region(&mut self, mut visit: impl FnMut(&mut Region)) {
        let mut region = &raw mut self.region;
        // SAFETY: LINKS, as in `regions`; the pool is borrowed exclusively, and one reference is made at a time.
        while let Some(here) = unsafe { region.as_mut() } {
            visit(here);
            region = here.next;
        }
    }

    /// Appends the span whose region is at `place`, inside of that span.
    ///
    /// # Safety
    /// The region has been claimed; it stays as long as the heap is used, and belongs to nobody else.
    pub(crate) unsafe fn append(&mut self, place: *mut Region) {
        let mut last = &mut self.region;
        // SAFETY: LINKS, as in `regions`; the caller gives `place`.
        unsafe {
            self.least += (*place).granules() as isize;
            self.free_elsewhere += (*place).free() as usize;
            while let Some(next) = last.next.as_mut() {
                last = next;
            }
        }
        last.next = place;
        self.special = Some(Pool::SPECIAL);
    }

    /// Verifies the count over the spans behind the first one. O(spans).
    ///
    /// # Errors
    /// `WrongCount`.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let free: usize = self.regions().skip(1).map(|region| region.free() as usize).sum();
        if free == self.free_elsewhere {
            return Ok(());
        }
        Err(Fault::new(FaultKind::WrongCount, self.region.start()))
    }

    /// Counts what is free in the spans behind the first one. O(spans).
    fn count_elsewhere(&mut self) {
        self.free_elsewhere = self.regions().skip(1).map(|region| region.free() as usize).sum();
    }

    /// Whether `start..start + bytes` may become a further span.
    ///
    /// # Errors
    /// `NotClaimed`, `Overlaps`, `TooManySpans`.
    pub(crate) fn admits(&self, start: usize, bytes: usize) -> Result<(), ClaimError> {
        if self.region.granules() == 0 {
            return Err(ClaimError::NotClaimed);
        }
        if self.regions().count() >= MAX_SPANS {
            return Err(ClaimError::TooManySpans { limit: MAX_SPANS });
        }
        for region in self.regions() {
            let end = region.start() + region.bookkeeping() + region.reserved() as usize * GRANULE;
            if start < end && region.start() < start.saturating_add(bytes) {
                return Err(ClaimError::Overlaps {
                    address: region.start(),
                });
            }
        }
        Ok(())
    }

    /// What a pool of several spans needs, and one with a floor.
    pub(super) const SPECIAL: &'static Special = &Special {
        take: Pool::take_elsewhere,
        count: Pool::count_elsewhere,
        falls_short: Pool::falls_short_of,
    };

    /// Takes granules from the first of the spans behind the first one that has them, or null. O(spans).
    fn take_elsewhere(&mut self, n: u32, align: usize) -> *mut u8 {
        // SAFETY: LINKS, as in `regions`; the pool is borrowed exclusively.
        let mut region = unsafe { self.region.next.as_mut() };
        while let Some(here) = region {
            let found = here.take(n, align, Fit::Dense);
            if found.block != 0 {
                self.free_elsewhere -= n as usize;
                self.steps.direct = self.steps.direct.wrapping_add(1);
                return here.pointer_to(found.block);
            }
            // SAFETY: as above.
            region = unsafe { here.next.as_mut() };
        }
        core::ptr::null_mut()
    }
}
