//! Memory in use outside of the heap: DMA buffers, mapped flash, external RAM.

use core::fmt;

use heapless::Vec;

/// Pieces of memory outside of a heap that it can be told of.
pub const EXTERNALS: usize = 8;

/// Why memory outside of a heap was not counted, or not taken back. The table is unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ExternalError {
    /// The table has no free place.
    Full {
        /// Pieces that it can hold.
        capacity: usize,
    },
    /// A piece that starts there is counted already.
    Duplicate {
        /// Where it starts.
        address: usize,
        /// Its bytes, as they were told.
        bytes: usize,
    },
    /// It has bytes in common with another piece, or with the heap itself.
    Overlap {
        /// Where the other one starts.
        address: usize,
        /// The other one's bytes.
        bytes: usize,
    },
    /// It has no bytes, or more than there are behind its start.
    Impossible {
        /// Where it starts.
        address: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// No piece starts there.
    Unknown {
        /// The address.
        address: usize,
    },
    /// The heap has no memory for the table.
    OutOfMemory {
        /// Bytes that it takes.
        requested: usize,
    },
}

impl fmt::Display for ExternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternalError::Full { capacity } => {
                write!(f, "all {capacity} places for memory outside of the heap are taken")
            }
            ExternalError::Duplicate { address, bytes } => {
                write!(f, "memory at {address:#x} is counted already, with {bytes} bytes")
            }
            ExternalError::Overlap { address, bytes } => write!(f, "it overlaps {bytes} bytes at {address:#x}"),
            ExternalError::Impossible { address, bytes } => write!(f, "there can be no {bytes} bytes at {address:#x}"),
            ExternalError::Unknown { address } => write!(f, "no memory is counted at {address:#x}"),
            ExternalError::OutOfMemory { requested } => write!(f, "no room for the table, {requested} bytes"),
        }
    }
}

impl core::error::Error for ExternalError {}

/// The table, of pieces that do not overlap.
#[derive(Default)]
pub(crate) struct External {
    pieces: Vec<Piece, EXTERNALS>,
    /// Bytes in all.
    total: usize,
}

#[derive(Clone, Copy)]
struct Piece {
    address: usize,
    bytes: usize,
}

impl External {
    /// Bytes in all pieces.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The last address of a piece.
    ///
    /// # Errors
    /// `Impossible`.
    pub(crate) fn last(address: usize, bytes: usize) -> Result<usize, ExternalError> {
        let last = bytes.checked_sub(1).and_then(|more| address.checked_add(more));
        last.ok_or(ExternalError::Impossible { address, bytes })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// `Impossible`, `Duplicate`, `Overlap`, `Full`.
    pub(crate) fn add(&mut self, address: usize, bytes: usize) -> Result<(), ExternalError> {
        let last = External::last(address, bytes)?;
        for other in &self.pieces {
            if other.address == address {
                return Err(ExternalError::Duplicate {
                    address,
                    bytes: other.bytes,
                });
            }
            if other.address <= last && address <= other.address + (other.bytes - 1) {
                return Err(ExternalError::Overlap {
                    address: other.address,
                    bytes: other.bytes,
                });
            }
        }
        let total = self.total.checked_add(bytes);
        let total = total.ok_or(ExternalError::Impossible { address, bytes })?;
        let full = ExternalError::Full { capacity: EXTERNALS };
        self.pieces.push(Piece { address, bytes }).map_err(|_| full)?;
        self.total = total;
        Ok(())
    }

    /// Takes a piece out; returns its bytes.
    ///
    /// # Errors
    /// `Unknown`.
    pub(crate) fn remove(&mut self, address: usize) -> Result<usize, ExternalError> {
        let index = self.pieces.iter().position(|piece| piece.address == address);
        let index = index.ok_or(ExternalError::Unknown { address })?;
        let bytes = self.pieces.swap_remove(index).bytes;
        self.total -= bytes;
        Ok(bytes)
    }
}
