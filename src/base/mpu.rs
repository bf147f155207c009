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

use super::guard::{Access, GuardError, NoMpu, largest_guard};

/// `MPU_CTRL`: the unit is on; privileged code may access what no region says anything about.
const ENABLE: u32 = 1 << 0;
const PRIVILEGED_DEFAULT: u32 = 1 << 2;

/// `MPU_RBAR`: the region's number is in the low bits of the same word.
const VALID: u32 = 1 << 4;
const REGION: u32 = 0xF;

/// `MPU_RASR`: never executed, normal memory that may be cached; who may access it; the size; whether the region counts.
const DATA: u32 = 1 << 28 | 1 << 19 | 1 << 17 | 1 << 16;
const ACCESS: u32 = 7 << 24;
const ALL_READ: u32 = 6 << 24;
const SIZE: u32 = 0x3E;
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

    /// The unit, of which somebody has had such a value.
    ///
    /// # Safety
    /// [`Mpu::enable`] has returned one.
    pub(crate) unsafe fn assume() -> Mpu {
        Mpu(())
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
                let region = free_region(unit)?;
                // SAFETY: the region is free; the caller gives the bytes, which are fit for one.
                unsafe { put(unit, region, address, attributes(bytes, Access::NoAccess)) };
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

impl Mpu {
    /// What a region for exactly these bytes lets anyone do with them; all, if there is none. O(regions). From interrupts: yes.
    pub fn access(self, address: usize, bytes: usize) -> Access {
        interrupt::free(|_| {
            with_selection(|unit| find(unit, address, bytes).map_or(Access::ReadWrite, |(_, access)| access))
        })
    }

    /// Changes what may be done with `bytes` bytes at `start`, for good, and tells what might be done before. What may not be read
    /// and written takes a region. O(regions), with interrupts masked. From interrupts: yes.
    ///
    /// # Errors
    /// As for [`Mpu::guard`].
    ///
    /// # Safety
    /// The bytes are memory, not registers, which belong to the caller, and no [`Guard`] guards exactly these. Nobody does with them
    /// what is forbidden then, with the exception of mistakes.
    pub unsafe fn protect(self, start: *mut u8, bytes: usize, access: Access) -> Result<Access, GuardError> {
        let address = start.addr();
        GuardError::check(address, bytes)?;
        interrupt::free(|_| {
            with_selection(|unit| {
                let found = find(unit, address, bytes);
                let before = found.map_or(Access::ReadWrite, |(_, access)| access);
                if before != access {
                    let region = match found {
                        Some((region, _)) => region,
                        None => free_region(unit)?,
                    };
                    // SAFETY: the region is one for these bytes, or free; the caller gives the bytes, which are fit for one.
                    unsafe { put(unit, region, address, attributes(bytes, access)) };
                }
                Ok(before)
            })
        })
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
                unsafe { put(unit, self.region, self.address, 0) };
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

/// The free region of the highest number, which counts where regions overlap. Selects it.
fn free_region(unit: &RegisterBlock) -> Result<u32, GuardError> {
    let regions = regions();
    let free = (0..regions).rev().find(|region| is_free(unit, *region));
    free.ok_or(GuardError::NoRegion {
        regions: regions as usize,
    })
}

/// The region for exactly these bytes, and what it lets anyone do with them. Selects it.
fn find(unit: &RegisterBlock, address: usize, bytes: usize) -> Option<(u32, Access)> {
    let is_it = |region: &u32| {
        let is_used = !is_free(unit, *region);
        let (base, attributes) = (unit.rbar.read() & !(VALID | REGION), unit.rasr.read());
        is_used && base as usize == address && attributes & SIZE == size(bytes)
    };
    let region = (0..regions()).rev().find(is_it)?;
    let access = match unit.rasr.read() & ACCESS {
        0 => Access::NoAccess,
        ALL_READ => Access::ReadOnly,
        _ => Access::ReadWrite,
    };
    Some((region, access))
}

/// The size of a region of so many bytes, as its attributes have it.
fn size(bytes: usize) -> u32 {
    bytes.max(GuardError::LEAST).ilog2().wrapping_sub(1) << 1
}

/// The attributes of a region of so many bytes; 0 if there need not be one.
fn attributes(bytes: usize, access: Access) -> u32 {
    match access {
        Access::NoAccess => DATA | size(bytes) | REGION_ENABLE,
        Access::ReadOnly => DATA | ALL_READ | size(bytes) | REGION_ENABLE,
        Access::ReadWrite => 0,
    }
}

/// Sets a region up, or switches it off, if the attributes are 0. Selects it.
///
/// # Safety
/// The region is the caller's or free, and the memory may be protected so.
unsafe fn put(unit: &RegisterBlock, region: u32, address: usize, attributes: u32) {
    // SAFETY: the caller's. In between the region is off, so that no mixture of old and new is in force.
    unsafe {
        dsb(); // what was written there before is written
        unit.rnr.write(region);
        unit.rasr.write(0);
        unit.rbar.write(address as u32 | VALID | region);
        unit.rasr.write(attributes);
    }
    settle();
}

/// From here on, what the unit was told holds.
fn settle() {
    dsb();
    isb();
}
