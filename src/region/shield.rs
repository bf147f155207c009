//! Banks that the memory protection unit shields while they are off.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use super::fixed::{Bank, Banks};
use super::host::{Contents, HostError, HostLoad, Notifier, Protection};
use crate::base::criticality::Criticality;
use crate::base::guard::Access;
use crate::base::mpu::Mpu;

/// Banks that `B` switches and that nobody can access while they are off: a stray access ends in a fault, instead of in memory that
/// the heap has given back. [`HostMemory::protect`](crate::HostMemory::protect) works as well. Feature `mpu`.
///
/// Each bank that is off takes a region of the unit, if it is one that a region can have: a power of two long, and aligned to that.
/// Others are as without this, and so are all of them before [`ShieldedBanks::shield`]. What was never on is not shielded.
///
/// # Examples
/// ```no_run
/// # use terrace::*;
/// # struct Power;
/// # // SAFETY: memory that is on anyway is valid.
/// # unsafe impl Banks for Power {
/// #     unsafe fn switch_on(&self, _: Bank, _: Criticality) -> Result<Contents, HostError> {
/// #         Ok(Contents::Undefined)
/// #     }
/// #     unsafe fn switch_off(&self, _: Bank) -> Result<(), HostError> {
/// #         Ok(())
/// #     }
/// # }
/// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # let memory = Box::leak(Box::new([core::mem::MaybeUninit::uninit(); 64 * 1024]));
/// let host: &'static FixedMemory<_, 4> = Box::leak(Box::new(FixedMemory::new(memory, ShieldedBanks::new(Power))));
/// HEAP.claim_from(host, Growth::new(64 * 1024)).unwrap();
/// // SAFETY: all code runs privileged, and nobody else uses the unit.
/// if let Ok(mpu) = unsafe { Mpu::enable() } {
///     host.banks().shield(mpu);
/// }
/// ```
#[derive(Debug)]
pub struct ShieldedBanks<B> {
    banks: B,
    is_shielding: AtomicBool,
}

impl<B> ShieldedBanks<B> {
    /// Banks that `banks` switches.
    pub const fn new(banks: B) -> ShieldedBanks<B> {
        ShieldedBanks {
            banks,
            is_shielding: AtomicBool::new(false),
        }
    }

    /// What switches them.
    pub const fn inner(&self) -> &B {
        &self.banks
    }

    /// Has banks that go off from now on be shielded.
    pub fn shield(&self, mpu: Mpu) {
        let _ = mpu; // it is the proof that the unit is on
        self.is_shielding.store(true, Ordering::Relaxed);
    }

    fn mpu(&self) -> Option<Mpu> {
        // SAFETY: `shield` has got it.
        self.is_shielding
            .load(Ordering::Relaxed)
            .then(|| unsafe { Mpu::assume() })
    }

    /// Makes a bank accessible or not, if a region can do that.
    ///
    /// # Safety
    /// If it is to be inaccessible, nobody uses it.
    unsafe fn set_access(&self, bank: Bank, access: Access) {
        if let Some(mpu) = self.mpu() {
            // SAFETY: a bank is memory that belongs to whoever calls this, and its own region is that of no guard: nobody can have
            // put one on what belongs to a host. The rest is the caller's.
            // A bank that no region fits, or for which none is left, stays as it is: it was accessible then.
            let _ = unsafe { mpu.protect(bank.start, bank.bytes, access) };
        }
    }
}

// SAFETY: as for `B`; what is shielded is off, and accessible again before it goes on.
unsafe impl<B: Banks> Banks for ShieldedBanks<B> {
    unsafe fn switch_on(&self, bank: Bank, criticality: Criticality) -> Result<Contents, HostError> {
        // SAFETY: the caller's; to be accessible takes nothing, and a bank that stays off is used by nobody.
        unsafe {
            self.set_access(bank, Access::ReadWrite);
            let result = self.banks.switch_on(bank, criticality);
            if result.is_err() {
                self.set_access(bank, Access::NoAccess);
            }
            result
        }
    }

    unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
        // SAFETY: the caller's: nobody uses the bank.
        unsafe {
            self.banks.switch_off(bank)?;
            self.set_access(bank, Access::NoAccess);
        }
        Ok(())
    }

    unsafe fn protect(&self, range: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        let Some(mpu) = self.mpu() else {
            // SAFETY: the caller's.
            return unsafe { self.banks.protect(range, protection) };
        };
        let access = match protection {
            Protection::NoAccess => Access::NoAccess,
            Protection::ReadOnly => Access::ReadOnly,
            Protection::ReadWrite => Access::ReadWrite,
        };
        // SAFETY: the caller's: the range is his, and he does not do with it what is forbidden.
        let before = unsafe { mpu.protect(range.as_ptr().cast(), range.len(), access) };
        match before {
            Ok(Access::NoAccess) => Ok(Protection::NoAccess),
            Ok(Access::ReadOnly) => Ok(Protection::ReadOnly),
            Ok(Access::ReadWrite) => Ok(Protection::ReadWrite),
            Err(_) => Err(HostError::Failed {
                bytes: range.len(),
                code: 0,
            }),
        }
    }

    fn load(&self) -> Option<HostLoad> {
        self.banks.load()
    }

    fn register(&self, notifier: Notifier) {
        self.banks.register(notifier);
    }

    fn pause(&self) -> bool {
        self.banks.pause()
    }
}
