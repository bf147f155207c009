//! The host's memory manager: where the memory of a heap comes from that grows and shrinks.
//!
//! ```text
//!    reserve           commit                decommit          release
//!   nothing --> addresses --> memory to work with --> addresses --> nothing
//! ```
//!
//! Source: `IHostMemoryManager` of CLR hosting (seed `001_f38423a55030a0f1.txt`), whose `VirtualAlloc` is `reserve` and `commit`
//! here, `VirtualFree` `decommit` and `release`, `VirtualQuery` `query`, `VirtualProtect` `protect`, `GetMemoryLoad` `load`, and
//! `RegisterMemoryNotificationCallback` `register`.

use core::fmt;
use core::ptr::NonNull;

use crate::base::available::Available;
use crate::base::criticality::Criticality;

/// Where a heap's memory comes from, if not all of it is there from the start.
///
/// [`FixedMemory`](crate::FixedMemory) is one over a fixed region whose banks can be switched, `OsMemory` one over the memory of an
/// operating system (feature `std`). [`Heap::claim_from`](crate::Heap::claim_from) takes one. What a host need not provide has a
/// default: all but `step`, `reserve`, `commit`, `decommit` and `release`.
///
/// The heap calls a host outside of all its locks, never from an interrupt, and one at a time for each reservation.
///
/// # Safety
/// - `reserve` returns a range that nothing else uses until it is released, which starts at a multiple of 8 bytes and is as long
///   as asked. [`step`](HostMemory::step) is always the same multiple of 8, and not 0.
/// - After `commit` has returned `Ok`, and until `decommit` is called for it, the range is valid for reads and writes through
///   pointers derived from the one that `reserve` returned, and keeps what is written there. If it has returned
///   [`Contents::Zeroed`], every byte of the range is zero.
/// - After `decommit` has returned `Err`, the range is as valid as before; what is in it may be lost.
/// - No method unwinds or uses a heap that has memory from this host. It would wait for itself, or find objects of an arena on
///   their way.
pub unsafe trait HostMemory: Sync {
    /// The unit in which memory is committed, in bytes: a page, or a bank.
    fn step(&self) -> usize;

    /// Sets addresses apart, for as many bytes. They must not be accessed yet.
    ///
    /// # Errors
    /// What the host cannot give, or does not want to.
    fn reserve(&self, bytes: usize, criticality: Criticality) -> Result<NonNull<u8>, HostError>;

    /// Makes a range of addresses memory.
    ///
    /// # Errors
    /// As for `reserve`; the range is as it was then.
    ///
    /// # Safety
    /// The range lies in one that was reserved here and is not released, starts a multiple of the step behind its start, and ends so
    /// or where it ends. None of it is committed. No other call for this reservation is under way.
    unsafe fn commit(&self, range: NonNull<[u8]>, criticality: Criticality) -> Result<Contents, HostError>;

    /// Makes a range of memory mere addresses again. What was in it is lost.
    ///
    /// # Errors
    /// The range stays committed then.
    ///
    /// # Safety
    /// As for `commit`, but all of it is committed, and in nobody's use.
    unsafe fn decommit(&self, range: NonNull<[u8]>) -> Result<(), HostError>;

    /// Gives addresses up, and the memory that they still are.
    ///
    /// # Errors
    /// They stay reserved then.
    ///
    /// # Safety
    /// The range is one that was reserved here, all of it, and in nobody's use. No other call for it is under way.
    unsafe fn release(&self, range: NonNull<[u8]>) -> Result<(), HostError>;

    /// What the host knows of the memory at an address; nothing by default.
    fn query(&self, address: usize) -> Option<MemoryInfo> {
        let _ = address;
        None
    }

    /// Changes what may be done with memory; tells what might be done before. By default it is
    /// [`Unsupported`](HostError::Unsupported).
    ///
    /// # Errors
    /// What was allowed before is allowed still.
    ///
    /// # Safety
    /// The range is committed memory of a reservation made here, and starts and ends at multiples of what the host can protect.
    /// Nobody does with it what is forbidden then.
    unsafe fn protect(&self, range: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        let _ = (range, protection);
        Err(HostError::Unsupported)
    }

    /// The host's view of the load, which replaces percent and available bytes of the heap's own; none by default. If there is one when
    /// the heap is claimed, watermarks follow it, as with [`Heap::set_load_override`](crate::Heap::set_load_override).
    fn load(&self) -> Option<HostLoad> {
        None
    }

    /// Takes the means to notify the heap of how much memory there is, which [`Heap::register`](crate::Heap::register) gives. By
    /// default it is not kept.
    fn register(&self, notifier: Notifier) {
        let _ = notifier;
    }

    /// Called by who has to wait until another thread of control has had its call answered: lets that one run for a moment. Tells
    /// whether it could; if not, the request that waits goes on without the host, and fails if nothing else helps.
    ///
    /// By default it does nothing and tells `false`, which can never be wrong: where threads take turns, waiting for one of lower
    /// priority may take for ever. With several cores, or a scheduler that can be asked to yield, provide it.
    fn pause(&self) -> bool {
        false
    }
}

/// What a host notifies a heap with, at any time, from any thread and from any interrupt.
///
/// Source: `ICLRMemoryNotificationCallback` of CLR hosting (seed `001_f38423a55030a0f1.txt`).
#[derive(Clone, Copy)]
pub struct Notifier {
    heap: *const (),
    notify: unsafe fn(heap: *const (), available: Available),
}

// SAFETY: the heap lives for good, and can be notified from everywhere (see `Notifier::new`).
unsafe impl Send for Notifier {}

// SAFETY: as above.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// One that calls `notify` with `heap`.
    ///
    /// # Safety
    /// The function may be called with this heap at any time, from any thread and from any interrupt.
    pub(crate) unsafe fn new(heap: *const (), notify: unsafe fn(*const (), Available)) -> Notifier {
        Notifier { heap, notify }
    }

    /// Tells the heap, as [`Heap::notify`](crate::Heap::notify) does. Wait-free and without a lock.
    pub fn notify(self, available: Available) {
        // SAFETY: whoever made this has said so.
        unsafe { (self.notify)(self.heap, available) };
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notifier({:p})", self.heap)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Notifier {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Notifier({})", self.heap as usize);
    }
}

/// What is in memory that was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Contents {
    /// Anything.
    Undefined,
    /// Zeros.
    Zeroed,
}

/// What may be done with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Protection {
    /// Nothing.
    NoAccess,
    /// It may be read.
    ReadOnly,
    /// It may be read and written.
    ReadWrite,
}

/// What becomes of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MemoryState {
    /// They are nobody's.
    Free,
    /// They are set apart, but there is no memory.
    Reserved,
    /// They are memory.
    Committed,
}

/// What a host knows of some memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryInfo {
    /// The first address of those that are alike.
    pub start: usize,
    /// How many bytes are alike.
    pub bytes: usize,
    /// What they are.
    pub state: MemoryState,
    /// What may be done with them.
    pub protection: Protection,
}

/// How much of the memory is in use, and how much can be had yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostLoad {
    /// In use, in percent: 0 to 100.
    pub percent: u8,
    /// Bytes that can still be allocated.
    pub available: usize,
}

/// Why a host did not do what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HostError {
    /// There may be memory, but not for this request.
    Denied {
        /// Bytes asked for.
        bytes: usize,
    },
    /// There is no such memory now.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// Something that should work did not.
    Failed {
        /// Bytes that it was about.
        bytes: usize,
        /// The host's number for the error.
        code: i32,
    },
    /// The host does not do such things.
    Unsupported,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            HostError::Denied { bytes } => write!(f, "the host denies {bytes} bytes"),
            HostError::OutOfMemory { bytes } => write!(f, "the host has no {bytes} bytes now"),
            HostError::Failed { bytes, code } => write!(f, "the host failed with {bytes} bytes: error {code}"),
            HostError::Unsupported => f.write_str("the host does not provide this"),
        }
    }
}

impl core::error::Error for HostError {}
