//! What can go wrong with a private heap.

use core::fmt;

use crate::native::private::Refusal;

/// Why there is no private heap. Nothing has changed, but for the count of failures of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PrivateHeapError {
    /// No block would fit into it.
    TooSmall {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes needed at least.
        required: usize,
    },
    /// The heap has no block that is large enough.
    OutOfMemory {
        /// Bytes of the block: those asked for, the tables and the guards.
        requested: usize,
    },
    /// There is no guard as asked for. Feature `mpu`.
    #[cfg(feature = "mpu")]
    Guard(crate::base::guard::GuardError),
}

impl fmt::Display for PrivateHeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivateHeapError::TooSmall { bytes, required } => {
                write!(f, "a private heap of {bytes} bytes, {required} are needed at least")
            }
            PrivateHeapError::OutOfMemory { requested } => {
                write!(f, "no room for a private heap that takes {requested} bytes")
            }
            #[cfg(feature = "mpu")]
            PrivateHeapError::Guard(error) => write!(f, "no guards for a private heap: {error}"),
        }
    }
}

impl core::error::Error for PrivateHeapError {}

/// What a private heap can't do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PrivateError {
    /// There is no hole that is large enough.
    OutOfMemory {
        /// Bytes asked for, without the header.
        requested: usize,
        /// The alignment asked for, in bytes.
        align: usize,
        /// Bytes that are free, in all holes.
        free: usize,
    },
    /// The address lies outside of the private heap.
    Foreign {
        /// The address.
        address: usize,
    },
    /// No block starts at the address, nor did one that was freed.
    NoBlock {
        /// The address.
        address: usize,
    },
    /// The block at the address was freed, and no other one starts there now.
    FreedTwice {
        /// The address.
        address: usize,
    },
    /// The header of the block at the address was overwritten: by a write before the block, or behind the one before it. The
    /// block stays until the private heap is destroyed.
    Overwritten {
        /// The address.
        address: usize,
    },
}

impl PrivateError {
    pub(super) fn of(refusal: Refusal, address: usize) -> PrivateError {
        match refusal {
            Refusal::Foreign => PrivateError::Foreign { address },
            Refusal::NoBlock => PrivateError::NoBlock { address },
            Refusal::FreedTwice => PrivateError::FreedTwice { address },
            Refusal::Overwritten => PrivateError::Overwritten { address },
        }
    }
}

impl fmt::Display for PrivateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, address) = match self {
            PrivateError::OutOfMemory { requested, align, free } => {
                return write!(
                    f,
                    "no room for {requested} bytes, aligned to {align}, in the private heap: {free} bytes are free"
                );
            }
            PrivateError::Foreign { address } => ("not in the private heap", address),
            PrivateError::NoBlock { address } => ("no block of the private heap", address),
            PrivateError::FreedTwice { address } => ("a block of the private heap that was freed before", address),
            PrivateError::Overwritten { address } => ("a block whose header was overwritten", address),
        };
        write!(f, "{address:#x}: {what}")
    }
}

impl core::error::Error for PrivateError {}
