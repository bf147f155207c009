//! The audit without feature `check`: it takes no memory, and whoever asks it is told that all is well.

use crate::base::fault::FaultKind;

/// No tables.
pub(crate) struct Audit;

impl Audit {
    pub(crate) const EMPTY: Audit = Audit;

    pub(crate) const BITS: usize = 0;

    pub(crate) const fn bytes(_granules: usize) -> usize {
        0
    }

    /// # Safety
    /// None; the other form of the audit has a condition.
    pub(crate) unsafe fn init(_words: *mut u32, _reserved: u32, _granules: u32) -> Audit {
        Audit
    }

    /// # Safety
    /// None; the other form of the audit has a condition.
    pub(crate) unsafe fn resize(&mut self, _granules: u32) {}

    pub(crate) fn used(&self) -> u32 {
        0
    }

    /// # Safety
    /// None; the other form of the audit has a condition.
    pub(crate) unsafe fn note_taken(&mut self, _position: u32, _n: u32) {}

    /// # Safety
    /// None; the other form of the audit has a condition.
    pub(crate) unsafe fn note_freed(&mut self, _position: u32, _n: u32) {}

    pub(crate) fn verify(&self, _position: u32, _n: u32) -> Result<(), FaultKind> {
        Ok(())
    }

    pub(crate) fn touches(&self, _position: u32, _n: u32) -> bool {
        false
    }

    pub(crate) fn is_paired(&self) -> bool {
        true
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u32, u32)> {
        core::iter::empty()
    }
}
