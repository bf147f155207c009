//! The list of a pool's spans.
//!
//! ```text
//!   Pool             span 2                      span 3
//!   | region | next ----> | Header | Region | next ----> | Header | Region | null
//! ```
//!
//! **Invariant `LINKS`**: `next` of a region is null or points at a region that lives in its own span as long as the heap
//! does, and that is reached only through the pool.

use super::context::Context;
use super::pool::Pool;
use crate::base::fault::{Fault, FaultKind};
use crate::base::granule::GRANULE;
use crate::region::Region;
use crate::region::span::ClaimError;

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

    /// Follows a change of free memory that was not counted: in the spans behind the first one, or of what is plentiful.
    /// O(spans).
    #[inline(never)]
    pub(super) fn follow_change(&mut self, context: &mut Context) {
        if !self.region.next.is_null() {
            self.free_elsewhere = self.regions().skip(1).map(|region| region.free() as usize).sum();
        }
        self.follow_take(context, u32::MAX);
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

    /// Takes granules from the first of the spans behind the first one that has them, or null. O(spans).
    #[inline(always)]
    pub(super) fn take_elsewhere(&mut self, take: impl FnMut(&mut Region) -> u32) -> *mut u8 {
        if self.region.next.is_null() {
            return core::ptr::null_mut();
        }
        self.take_from_others(take)
    }

    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    fn take_from_others(&mut self, mut take: impl FnMut(&mut Region) -> u32) -> *mut u8 {
        // SAFETY: LINKS, as in `regions`; the pool is borrowed exclusively.
        let mut region = unsafe { self.region.next.as_mut() };
        while let Some(here) = region {
            let before = here.free();
            let position = take(here);
            if position != 0 {
                self.free_elsewhere -= (before - here.free()) as usize;
                self.steps.direct = self.steps.direct.wrapping_add(1);
                return here.pointer_to(position);
            }
            // SAFETY: as above.
            region = unsafe { here.next.as_mut() };
        }
        core::ptr::null_mut()
    }

    /// Gives granules back to the span behind the first one that they lie in. O(spans).
    ///
    /// # Safety
    /// As for [`Pool::give`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn give_elsewhere(&mut self, address: usize, n: u32) {
        let Some(region) = self.region_of(address) else { return };
        // SAFETY: the caller gives allocated granules of the span that contains them.
        unsafe { region.give(region.position_of(address), n) };
        self.free_elsewhere += n as usize;
    }
}
