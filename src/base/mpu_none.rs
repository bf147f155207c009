//! The memory protection unit where there is none that this crate knows: nothing can be asked of it.

use core::ops::Range;

use super::guard::{Access, GuardError, NoMpu};

/// The memory protection unit of this core, switched on: there is none. Feature `mpu`.
#[derive(Clone, Copy, Debug)]
pub struct Mpu(Never);

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

    /// The unit, of which somebody has had such a value: nobody has.
    ///
    /// # Safety
    /// [`Mpu::enable`] has returned one.
    pub(crate) unsafe fn assume() -> Mpu {
        // SAFETY: the caller's: that cannot be, so this is not reached.
        unsafe { core::hint::unreachable_unchecked() }
    }

    /// Regions of the unit, used or not.
    pub fn regions(self) -> usize {
        match self.0 {}
    }

    /// Regions that guards can take.
    pub fn free_regions(self) -> usize {
        match self.0 {}
    }

    /// Puts a guard on `bytes` bytes at `start`.
    ///
    /// # Errors
    /// None, as there is no unit that this could be asked of.
    ///
    /// # Safety
    /// The bytes belong to the caller, and nobody accesses them before the guard is dropped.
    pub unsafe fn guard(self, _start: *mut u8, _bytes: usize) -> Result<Guard, GuardError> {
        match self.0 {}
    }

    /// Puts the largest guard that there can be inside of `bytes` bytes at `start`.
    ///
    /// # Errors
    /// None, as there is no unit that this could be asked of.
    ///
    /// # Safety
    /// As for [`Mpu::guard`].
    pub unsafe fn guard_within(self, _start: *mut u8, _bytes: usize) -> Result<Guard, GuardError> {
        match self.0 {}
    }

    /// What a region for exactly these bytes lets anyone do with them.
    pub fn access(self, _address: usize, _bytes: usize) -> Access {
        match self.0 {}
    }

    /// Changes what may be done with `bytes` bytes at `start`, and tells what might be done before.
    ///
    /// # Errors
    /// None, as there is no unit that this could be asked of.
    ///
    /// # Safety
    /// The bytes belong to the caller. Nobody does with them what is forbidden then.
    pub unsafe fn protect(self, _start: *mut u8, _bytes: usize, _access: Access) -> Result<Access, GuardError> {
        match self.0 {}
    }
}

/// Memory that nobody can access, until this is dropped: there is none. Feature `mpu`.
#[derive(Debug)]
#[must_use = "the guard is lowered when it is dropped"]
pub struct Guard(Never);

impl Guard {
    /// The addresses that it guards.
    pub fn addresses(&self) -> Range<usize> {
        match self.0 {}
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        match self.0 {}
    }
}

/// What there is none of. A type of its own, so that compilers find nothing odd in programs for other processors.
#[derive(Clone, Copy, Debug)]
enum Never {}
