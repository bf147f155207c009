//! Guards: memory that no code can access, as a memory protection unit knows it.
//!
//! A unit of the ARMv7-M architecture (PMSAv7) protects *regions*: 2^n bytes at a multiple of 2^n, 32 at least, of which it has
//! 8 or 16, or none at all.

use core::fmt;

/// There is no memory protection unit of the kind that this crate knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoMpu;

impl fmt::Display for NoMpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no ARMv7-M memory protection unit")
    }
}

impl core::error::Error for NoMpu {}

/// What may be done with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Access {
    /// Nothing.
    NoAccess,
    /// It may be read, but neither written nor executed.
    ReadOnly,
    /// What may be done without protection.
    ReadWrite,
}

/// Why memory is not guarded, or protected otherwise. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GuardError {
    /// The unit can't protect so many bytes: a power of two is needed, [`GuardError::LEAST`] at least.
    Size {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The start is not a multiple of the size.
    Misaligned {
        /// The start.
        address: usize,
        /// What it must be a multiple of.
        required: usize,
    },
    /// All regions of the unit are in use.
    NoRegion {
        /// How many there are.
        regions: usize,
    },
}

impl GuardError {
    /// Bytes of the smallest guard.
    pub const LEAST: usize = 32;

    /// Whether the unit can protect these bytes.
    ///
    /// # Errors
    /// [`GuardError::Size`] or [`GuardError::Misaligned`], if it can't.
    pub const fn check(address: usize, bytes: usize) -> Result<(), GuardError> {
        if !bytes.is_power_of_two() || bytes < GuardError::LEAST {
            return Err(GuardError::Size { bytes });
        }
        if !address.is_multiple_of(bytes) {
            return Err(GuardError::Misaligned {
                address,
                required: bytes,
            });
        }
        Ok(())
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuardError::Size { bytes } => {
                write!(
                    f,
                    "{bytes} bytes can't be guarded: a power of two from {} on is needed",
                    GuardError::LEAST
                )
            }
            GuardError::Misaligned { address, required } => {
                write!(
                    f,
                    "a guard at {address:#x}, which is not a multiple of its {required} bytes"
                )
            }
            GuardError::NoRegion { regions } => write!(f, "all {regions} regions of the protection unit are in use"),
        }
    }
}

impl core::error::Error for GuardError {}

/// The largest guard inside of `bytes` bytes at `address`, the lowest of those: its offset and its bytes; nothing if there is
/// none. O(log bytes).
pub const fn largest_guard(address: usize, bytes: usize) -> Option<(usize, usize)> {
    let mut size = if bytes == 0 { 0 } else { 1 << bytes.ilog2() };
    while size >= GuardError::LEAST {
        let offset = address.wrapping_neg() & (size - 1);
        if offset <= bytes - size {
            return Some((offset, size));
        }
        size >>= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_the_largest_guard_is_the_one_of_a_search() {
        for address in (0..300).chain(usize::MAX - 300..=usize::MAX) {
            for bytes in 0..=(usize::MAX - address).min(300) {
                let sizes = [256, 128, 64, 32];
                let fits = |size: &usize| {
                    let start = address.checked_next_multiple_of(*size)?;
                    (start - address + size <= bytes).then_some((start - address, *size))
                };
                let found = largest_guard(address, bytes);
                assert_eq!(found, sizes.iter().find_map(fits), "{bytes} bytes at {address:#x}");
                assert!(found.is_none_or(|(offset, size)| GuardError::check(address + offset, size).is_ok()));
            }
        }
    }

    #[test]
    fn b1_what_the_unit_cannot_protect_is_refused() {
        for bytes in [0, 1, 16, 31, 33, 48, usize::MAX] {
            assert_eq!(GuardError::check(0, bytes), Err(GuardError::Size { bytes }));
        }
        let error = GuardError::Misaligned {
            address: 0x2000_0020,
            required: 64,
        };
        assert_eq!(GuardError::check(0x2000_0020, 64), Err(error));
        assert_eq!(GuardError::check(0x2000_0040, 64), Ok(()));
    }
}
