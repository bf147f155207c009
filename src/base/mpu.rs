//! The memory protection unit of ARMv7-M (PMSAv7), as far as guards need it.
//!
//! A guard is a region of the unit without access for anyone. Which regions are free stands in the unit itself, so that there is no
//! state here that could differ from it, and whoever else uses other regions is not disturbed.
//!
//! Source: ARMv7-M Architecture Reference Manual, B3.5, "Protected Memory System Architecture".

use core::ops::Range;

use cortex_m::asm::{dsb, isb};
use cortex_m::interrupt;
use cortex_m::peripheral::MPU;
use cortex_m::peripheral::mpu::RegisterBlock;

use super::guard::{GuardError, NoMpu, largest_guard};

/// `MPU_CTRL`: the unit is on; privileged code may access what no region says anything about.
const ENABLE: u32 = 1 << 0;
const PRIVILEGED_DEFAULT: u32 = 1 << 2;

/// `MPU_RBAR`: the region's number is in the low bits of the same word.
const VALID: u32 = 1 << 4;

/// `MPU_RASR`: never executed, no access (a 0 in bits 24 to 26), normal memory that may be cached; bits 1 to 5 tell the size.
const NO_ACCESS: u32 = 1 << 28 | 1 << 19 | 1 << 17 | 1 << 16;
const REGION_ENABLE: u32 = 1 << 0;

/// The memory protection unit of this core, switched on. Feature `mpu`.
#[derive(Clone, Copy, Debug)]
pub struct Mpu(());

impl Mpu {
    /// Switches the unit on, if it is not, so that privileged code can do what it could without it, where no guard is. In
    /// the handlers of hard faults and of the NMI it is off. From interrupts: yes. O(1).
    ///
    /// What is stopped by a guard ends in a MemManage fault, or in a hard fault where the program has not enabled that one;
    /// `CFSR` has `DACCVIOL` set then, and `MMFAR` the address.
    ///
    /// # Errors
    /// This core has no such unit.
    ///
    /// # Safety
    /// All code runs privileged, or others have set up regions for the code that does not. Whoever else uses the unit
    /// leaves it on and leaves alone the regions that it finds enabled, and, if it can interrupt or be interrupted by what makes
    /// or drops guards, restores `MPU_RNR`.
    pub unsafe fn enable() -> Result<Mpu, NoMpu> {
        if regions() == 0 {
            return Err(NoMpu);
        }
        let unit = registers();
        interrupt::free(|_| {
            let control = unit.ctrl.read();
            if control & ENABLE == 0 {
                // SAFETY: with the default map behind them, regions that were set up before, if any, mean what their owners
                // want; privileged code loses nothing else, and the caller vouches for other code.
                unsafe {
                    dsb();
                    unit.ctrl.write(control | ENABLE | PRIVILEGED_DEFAULT);
                }
                settle();
            }
        });
        Ok(Mpu(()))
    }

    /// Regions of the unit, used or not.
    pub fn regions(self) -> usize {
        regions() as usize
    }

    /// Regions that guards can take.
    pub fn free_regions(self) -> usize {
        interrupt::free(|_| with_selection(|unit| (0..regions()).filter(|region| is_free(unit, *region)).count()))
    }

    /// Puts a guard on `bytes` bytes at `start`. O(regions), with interrupts masked. From interrupts: yes.
    ///
    /// # Errors
    /// The size is none that a guard can have, the start is not a multiple of it, or all regions are in use.
    ///
    /// # Safety
    /// The bytes belong to the caller, and nobody accesses them before the guard is dropped, with the exception of accesses
    /// that are mistakes.
    pub unsafe fn guard(self, start: *mut u8, bytes: usize) -> Result<Guard, GuardError> {
        let address = start.addr();
        GuardError::check(address, bytes)?;
        interrupt::free(|_| {
            with_selection(|unit| {
                // Of regions that overlap, the highest number counts.
                let Some(region) = (0..regions()).rev().find(|region| is_free(unit, *region)) else {
                    return Err(GuardError::NoRegion {
                        regions: regions() as usize,
                    });
                };
                // SAFETY: the region is free; the caller gives the bytes, which it protects.
                unsafe {
                    dsb(); // what was written there before is written
                    unit.rbar.write(address as u32 | VALID | region);
                    unit.rasr.write(NO_ACCESS | (bytes.ilog2() - 1) << 1 | REGION_ENABLE);
                }
                settle();
                Ok(Guard { region, address, bytes })
            })
        })
    }

    /// Puts the largest guard that there can be inside of `bytes` bytes at `start`, a quarter of them at least, if it is not too
    /// small. O(regions + log bytes). From interrupts: yes.
    ///
    /// # Errors
    /// Not even the smallest guard fits, or all regions are in use.
    ///
    /// # Safety
    /// As for [`Mpu::guard`].
    pub unsafe fn guard_within(self, start: *mut u8, bytes: usize) -> Result<Guard, GuardError> {
        let (offset, size) = largest_guard(start.addr(), bytes).ok_or(GuardError::Size { bytes })?;
        // SAFETY: the caller's; it is a part of the bytes.
        unsafe { self.guard(start.wrapping_add(offset), size) }
    }
}

/// Memory that nobody can access, until this is dropped. Feature `mpu`.
#[derive(Debug)]
#[must_use = "the guard is lowered when it is dropped"]
pub struct Guard {
    region: u32,
    address: usize,
    bytes: usize,
}

impl Guard {
    /// The addresses that it guards.
    pub fn addresses(&self) -> Range<usize> {
        self.address..self.address + self.bytes
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        interrupt::free(|_| {
            with_selection(|unit| {
                // SAFETY: the region is this guard's, and nobody else's.
                unsafe {
                    unit.rnr.write(self.region);
                    unit.rasr.write(0);
                }
                settle();
            });
        });
    }
}

fn registers() -> &'static RegisterBlock {
    // SAFETY: the registers exist on all ARMv7-M cores, for good; without a unit they read as 0. Several references may be
    // there: each access is one of a register as a whole.
    unsafe { &*MPU::PTR }
}

fn regions() -> u32 {
    registers()._type.read() >> 8 & 0xFF
}

/// Runs `work`, which may select regions, and restores the selection. Interrupts are masked.
fn with_selection<R>(work: impl FnOnce(&RegisterBlock) -> R) -> R {
    let unit = registers();
    let selected = unit.rnr.read();
    let result = work(unit);
    // SAFETY: selects a region that was selected before.
    unsafe { unit.rnr.write(selected) };
    result
}

/// Whether a region is not in use. Selects it.
fn is_free(unit: &RegisterBlock, region: u32) -> bool {
    // SAFETY: there is such a region; selecting it changes nothing.
    unsafe { unit.rnr.write(region) };
    unit.rasr.read() & REGION_ENABLE == 0
}

/// From here on, what the unit was told holds.
fn settle() {
    dsb();
    isb();
}
