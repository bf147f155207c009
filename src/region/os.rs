//! The host of an operating system: pages of its virtual memory. Feature `std`, on Linux.
//!
//! ```text
//!   reserve   mmap, no access        no memory is taken
//!   commit    mprotect, read-write   pages are taken when they are first touched, and are zero
//!   decommit  madvise, mprotect      the pages go back
//!   release   munmap
//! ```

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;
use rustix::thread::sched_yield;

use super::host::{Contents, HostError, HostMemory, MemoryInfo, MemoryState, Protection};
use super::maps;
use crate::base::criticality::Criticality;

/// A host over the memory of the operating system: a heap can reserve more than it will ever need, and has what it needs.
/// Feature `std`, on Linux. Several heaps may have their memory from one.
///
/// `query`, and so what `protect` tells, reads the kernel's list of mappings; it takes a moment. What is mapped, but must
/// not be accessed, counts as reserved there, whoever mapped it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OsMemory {
    step: usize,
}

impl OsMemory {
    /// Commits 64 KiB at a time.
    pub const fn new() -> OsMemory {
        OsMemory::with_step(64 << 10)
    }

    /// Commits so many bytes at a time, rounded up to pages.
    pub const fn with_step(bytes: usize) -> OsMemory {
        OsMemory { step: bytes }
    }
}

impl Default for OsMemory {
    fn default() -> OsMemory {
        OsMemory::new()
    }
}

/// What the error means for a request of so many bytes.
fn refusal(error: Errno, bytes: usize) -> HostError {
    match error {
        Errno::NOMEM => HostError::OutOfMemory { bytes },
        Errno::ACCESS | Errno::PERM => HostError::Denied { bytes },
        _ => HostError::Failed {
            bytes,
            code: error.raw_os_error(),
        },
    }
}

fn start_of(range: NonNull<[u8]>) -> *mut c_void {
    range.as_ptr().cast()
}

const ACCESS: MprotectFlags = MprotectFlags::READ.union(MprotectFlags::WRITE);

// SAFETY: the kernel gives addresses that nothing else is mapped to, at whole pages; what is mapped privately and for reading and
// writing is memory of the process alone, and zero when it is touched first, also after `DontNeed`. See `decommit` for its errors.
unsafe impl HostMemory for OsMemory {
    fn step(&self) -> usize {
        let page = page_size();
        self.step
            .checked_next_multiple_of(page)
            .unwrap_or(isize::MAX as usize / page * page)
            .max(page)
    }

    fn reserve(&self, bytes: usize, _: Criticality) -> Result<NonNull<u8>, HostError> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: nothing is mapped over: the kernel chooses the address.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) };
        let start = start.map_err(|error| match error {
            // More than there are addresses for: systems differ in what they call that.
            Errno::INVAL if bytes != 0 => HostError::OutOfMemory { bytes },
            error => refusal(error, bytes),
        })?;
        NonNull::new(start.cast()).ok_or(HostError::OutOfMemory { bytes })
    }

    unsafe fn commit(&self, range: NonNull<[u8]>, _: Criticality) -> Result<Contents, HostError> {
        // SAFETY: the caller reserved the range; giving leave to access it takes nothing from anybody.
        unsafe { mprotect(start_of(range), range.len(), ACCESS) }.map_err(|error| refusal(error, range.len()))?;
        Ok(Contents::Zeroed)
    }

    unsafe fn decommit(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        let (start, bytes) = (start_of(range), range.len());
        let refused = |error| refusal(error, bytes);
        // SAFETY: the range is in nobody's use, as the caller says.
        unsafe {
            madvise(start, bytes, Advice::LinuxDontNeed).map_err(refused)?;
            let Err(error) = mprotect(start, bytes, MprotectFlags::empty()) else {
                return Ok(());
            };
            // A part of it may be out of reach. If that is so for good, all of it counts as decommitted, which its pages are.
            match mprotect(start, bytes, ACCESS) {
                Ok(()) => Err(refused(error)),
                Err(_) => Ok(()),
            }
        }
    }

    unsafe fn release(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        // SAFETY: the range is a whole reservation, and in nobody's use, as the caller says.
        unsafe { munmap(start_of(range), range.len()) }.map_err(|error| refusal(error, range.len()))
    }

    fn query(&self, address: usize) -> Option<MemoryInfo> {
        maps::find(address)
    }

    unsafe fn protect(&self, range: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        let flags = match protection {
            Protection::NoAccess => MprotectFlags::empty(),
            Protection::ReadOnly => MprotectFlags::READ,
            Protection::ReadWrite => ACCESS,
        };
        let info = self.query(range.addr().get()).ok_or(HostError::Unsupported)?;
        if info.state == MemoryState::Free {
            return Err(refusal(Errno::NOMEM, range.len()));
        }
        // SAFETY: nobody does what is forbidden then, as the caller says.
        unsafe { mprotect(start_of(range), range.len(), flags) }.map_err(|error| refusal(error, range.len()))?;
        Ok(info.protection)
    }

    fn pause(&self) -> bool {
        sched_yield();
        true
    }
}
