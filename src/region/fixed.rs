//! The host of a fixed region: memory that is there, in banks that can be switched.
//!
//! ```text
//!   | bank 0 | bank 1 | bank 2 | bank 3 |
//!     on       on       off      off       a heap that holds little
//! ```

use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use super::host::{Contents, HostError, HostLoad, HostMemory, MemoryInfo, MemoryState, Notifier, Protection};
use crate::base::{criticality::Criticality, flag::Flag, granule::GRANULE};

/// A part of a [`FixedMemory`] that is switched as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bank {
    /// Its number, from 0.
    pub index: usize,
    /// Its first byte.
    pub start: *mut u8,
    /// Its length in bytes.
    pub bytes: usize,
}

/// What switches the banks of a [`FixedMemory`], which calls it from the heap's slow operations and polls, outside of all locks.
///
/// # Safety
/// A bank is valid for reads and writes from when `switch_on` has returned `Ok` until `switch_off` is called, and after that has
/// returned `Err`; it keeps what is written there. If `switch_on` returns [`Contents::Zeroed`], all of it is zero. No method
/// unwinds or uses a heap in the banks.
pub unsafe trait Banks: Sync {
    /// Gives a bank power, and does what is to be done before it can be used. One that did not go off may be asked for again.
    ///
    /// # Errors
    /// It stays off then.
    ///
    /// # Safety
    /// The bank is one of the memory that this switches, and is off, or was to go off: nobody uses what is in it.
    unsafe fn switch_on(&self, bank: Bank, criticality: Criticality) -> Result<Contents, HostError>;

    /// Takes a bank's power. Nothing that is in it is of worth.
    ///
    /// # Errors
    /// It stays on then.
    ///
    /// # Safety
    /// The bank is one of the memory that this switches, and nobody uses what is in it.
    unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError>;

    /// As [`HostMemory::protect`], for a range of a bank that is on.
    ///
    /// # Errors
    /// What was allowed before is allowed still; by default it is `Unsupported`.
    ///
    /// # Safety
    /// As for [`HostMemory::protect`].
    unsafe fn protect(&self, range: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        let _ = (range, protection);
        Err(HostError::Unsupported)
    }

    /// As [`HostMemory::load`].
    fn load(&self) -> Option<HostLoad> {
        None
    }

    /// As [`HostMemory::register`].
    fn register(&self, notifier: Notifier) {
        let _ = notifier;
    }

    /// As [`HostMemory::pause`].
    fn pause(&self) -> bool {
        false
    }
}

/// A host over a fixed region of `BANKS` banks of equal length, which `B` switches. Can be a `static`.
///
/// # Examples
/// ```
/// use terrace::{Bank, Banks, Contents, Criticality, FixedMemory, Growth, HostError, LocalHeap};
///
/// struct Power;
///
/// // SAFETY: memory that is on anyway is valid.
/// unsafe impl Banks for Power {
///     unsafe fn switch_on(&self, bank: Bank, _: Criticality) -> Result<Contents, HostError> {
///         // Set the bank's bit in the power controller here, and wait until it is ready.
///         Ok(Contents::Undefined)
///     }
///     unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
///         Ok(())
///     }
/// }
///
/// let memory = Box::leak(Box::new([core::mem::MaybeUninit::uninit(); 64 * 1024]));
/// let host: &'static _ = Box::leak(Box::new(FixedMemory::<_, 4>::new(memory, Power)));
/// let heap = LocalHeap::new();
/// heap.claim_from(host, Growth::new(64 * 1024)).unwrap();
/// assert_eq!(heap.stats().host.committed, 16 * 1024);
/// ```
pub struct FixedMemory<B, const BANKS: usize> {
    start: *mut u8,
    /// Bytes in all banks.
    bytes: usize,
    bank_bytes: NonZeroUsize,
    banks: B,
    reserved: Flag,
    is_on: [AtomicBool; BANKS],
}

// SAFETY: the memory is this value's alone (see `from_raw`), and goes to whoever reserves it; the rest is `Sync`.
unsafe impl<B: Sync, const BANKS: usize> Sync for FixedMemory<B, BANKS> {}

// SAFETY: as above; nothing is tied to a thread, but perhaps `B`.
unsafe impl<B: Send, const BANKS: usize> Send for FixedMemory<B, BANKS> {}

impl<B, const BANKS: usize> FixedMemory<B, BANKS> {
    /// A host over this memory. What is left over behind banks of whole granules of 8 bytes is not used.
    pub const fn new(memory: &'static mut [MaybeUninit<u8>], banks: B) -> Self {
        // SAFETY: the exclusive reference gives the memory away for good.
        unsafe { Self::from_raw(memory.as_mut_ptr().cast(), memory.len(), banks) }
    }

    /// As [`FixedMemory::new`], from a pointer and a length in bytes.
    ///
    /// # Safety
    /// The memory is valid for reads and writes, but for what the banks say, and is used by nothing else as long as this value, or
    /// anything that was made of it, is used.
    pub const unsafe fn from_raw(start: *mut u8, bytes: usize, banks: B) -> Self {
        const { assert!(BANKS > 0, "there is a bank") };
        let (bank_bytes, bytes) = match NonZeroUsize::new(bytes / BANKS / GRANULE * GRANULE) {
            Some(bank_bytes) => (bank_bytes, bank_bytes.get() * BANKS),
            None => (NonZeroUsize::MIN, 0),
        };
        FixedMemory {
            start,
            bytes,
            bank_bytes,
            banks,
            reserved: Flag::new(),
            is_on: [const { AtomicBool::new(false) }; BANKS],
        }
    }

    /// What switches the banks.
    pub const fn banks(&self) -> &B {
        &self.banks
    }

    /// A bank, by its number from 0.
    pub fn bank(&self, index: usize) -> Option<Bank> {
        (index < BANKS).then(|| self.bank_at(index))
    }

    /// Whether a bank is on, from number 0; `false` if there is no such bank.
    pub fn is_on(&self, index: usize) -> bool {
        self.is_on.get(index).is_some_and(|is_on| is_on.load(Ordering::Acquire))
    }

    fn bank_at(&self, index: usize) -> Bank {
        Bank {
            index,
            start: self.start.wrapping_add(index.wrapping_mul(self.bank_bytes.get())),
            bytes: self.bank_bytes.get(),
        }
    }

    /// The numbers of the banks that a range reaches into.
    fn indices(&self, range: NonNull<[u8]>) -> Range<usize> {
        let from = range.addr().get().wrapping_sub(self.start as usize);
        let last = from.wrapping_add(range.len()).wrapping_sub(1);
        from / self.bank_bytes..last / self.bank_bytes + 1
    }

    fn note(&self, index: usize, is_on: bool) {
        if let Some(flag) = self.is_on.get(index) {
            flag.store(is_on, Ordering::Release);
        }
    }
}

impl<B: Banks, const BANKS: usize> FixedMemory<B, BANKS> {
    /// # Safety
    /// Nobody uses the bank.
    unsafe fn switch_on(&self, index: usize, criticality: Criticality) -> Result<Contents, HostError> {
        // SAFETY: the bank is one of this memory's; the rest is the caller's.
        let contents = unsafe { self.banks.switch_on(self.bank_at(index), criticality)? };
        self.note(index, true);
        Ok(contents)
    }

    /// # Safety
    /// Nobody uses the bank.
    unsafe fn switch_off(&self, index: usize) -> Result<(), HostError> {
        // SAFETY: as in `switch_on`.
        unsafe { self.banks.switch_off(self.bank_at(index))? };
        self.note(index, false);
        Ok(())
    }
}

// SAFETY: the memory is reserved once at a time, as the flag says, and is this value's alone; its banks are as `Banks` demands.
// The granule divides their length; where they are too short for that, nothing can be reserved.
unsafe impl<B: Banks, const BANKS: usize> HostMemory for FixedMemory<B, BANKS> {
    fn step(&self) -> usize {
        self.bank_bytes.get().max(GRANULE)
    }

    fn reserve(&self, bytes: usize, _: Criticality) -> Result<NonNull<u8>, HostError> {
        let error = HostError::OutOfMemory { bytes };
        let start = NonNull::new(self.start).ok_or(error)?;
        let is_possible = bytes.wrapping_sub(1) < self.bytes && (self.start as usize).is_multiple_of(GRANULE);
        if is_possible && self.reserved.take() {
            Ok(start)
        } else {
            Err(error)
        }
    }

    unsafe fn commit(&self, range: NonNull<[u8]>, criticality: Criticality) -> Result<Contents, HostError> {
        let mut contents = Contents::Zeroed;
        let indices = self.indices(range);
        for index in indices.clone() {
            // SAFETY: the caller's: the range is not committed, so nobody uses it.
            match unsafe { self.switch_on(index, criticality) } {
                Ok(Contents::Zeroed) => {}
                Ok(Contents::Undefined) => contents = Contents::Undefined,
                Err(error) => {
                    // A bank that does not go off again is on for nothing until the next time.
                    // SAFETY: they were switched on just now, for this.
                    (indices.start..index).for_each(|index| _ = unsafe { self.switch_off(index) });
                    return Err(error);
                }
            }
        }
        Ok(contents)
    }

    unsafe fn decommit(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        let indices = self.indices(range);
        for index in indices.clone().rev() {
            // SAFETY: the caller's: nobody uses the range.
            if let Err(error) = unsafe { self.switch_off(index) } {
                let mut above = index + 1..indices.end;
                // SAFETY: they were switched off just now.
                let is_whole = above.all(|index| unsafe { self.switch_on(index, Criticality::Process) }.is_ok());
                // If what went off stays off, the others are on for nothing: all of the range is memory, or none of it.
                return if is_whole { Err(error) } else { Ok(()) };
            }
        }
        Ok(())
    }

    unsafe fn release(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        for index in self.indices(range) {
            if self.is_on(index) {
                // SAFETY: the caller's: nobody uses the range.
                unsafe { self.switch_off(index)? };
            }
        }
        self.reserved.release();
        Ok(())
    }

    fn query(&self, address: usize) -> Option<MemoryInfo> {
        let offset = address.wrapping_sub(self.start as usize);
        if offset >= self.bytes {
            return None;
        }
        let index = offset / self.bank_bytes;
        let is_on = self.is_on(index);
        let is_alike = |index: &usize| self.is_on(*index) == is_on;
        let first = (0..index).rev().take_while(is_alike).last().unwrap_or(index);
        let end = (index..BANKS).take_while(is_alike).last().unwrap_or(index) + 1;
        let (state, protection) = if is_on {
            (MemoryState::Committed, Protection::ReadWrite)
        } else if self.reserved.is_taken() {
            (MemoryState::Reserved, Protection::NoAccess)
        } else {
            (MemoryState::Free, Protection::NoAccess)
        };
        Some(MemoryInfo {
            start: self.bank_at(first).start as usize,
            bytes: (end - first) * self.bank_bytes.get(),
            state,
            protection,
        })
    }

    unsafe fn protect(&self, range: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        // SAFETY: the caller's.
        unsafe { self.banks.protect(range, protection) }
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
