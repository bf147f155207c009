//! The memory protection unit where there is none that this crate knows: nothing can be asked of it.

use core::ops::Range;

use super::guard::{GuardError, NoMpu};

/// The memory protection unit of this core, switched on: there is none. Feature `mpu`.
#[derive(Clone, Copy, Debug)]
pub enum Mpu {}

impl Mpu {
    /// There is no unit to switch on.
    ///
    /// # Errors
    /// Always.
    ///
    /// # Safety
    /// None; where there is a unit, this has a condition.
    pub unsafe fn enable() -> Result<Mpu, NoMpu> {
        Err(NoMpu)
    }

    /// Regions of the unit, used or not.
    pub fn regions(self) -> usize {
        match self {}
    }

    /// Regions that guards can take.
    pub fn free_regions(self) -> usize {
        match self {}
    }

    /// Puts a guard on `bytes` bytes at `start`.
    ///
    /// # Errors
    /// None, as there is no unit that this could be asked of.
    ///
    /// # Safety
    /// The bytes belong to the caller, and nobody accesses them before the guard is dropped.
    pub unsafe fn guard(self, _start: *mut u8, _bytes: usize) -> Result<Guard, GuardError> {
        match self {}
    }

    /// Puts the largest guard that there can be inside of `bytes` bytes at `start`.
    ///
    /// # Errors
    /// None, as there is no unit that this could be asked of.
    ///
    /// # Safety
    /// As for [`Mpu::guard`].
    pub unsafe fn guard_within(self, _start: *mut u8, _bytes: usize) -> Result<Guard, GuardError> {
        match self {}
    }
}

/// Memory that nobody can access, until this is dropped: there is none. Feature `mpu`.
#[derive(Debug)]
pub enum Guard {}

impl Guard {
    /// The addresses that it guards.
    pub fn addresses(&self) -> Range<usize> {
        match *self {}
    }
}
