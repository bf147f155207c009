//! Claiming a span of memory: its limits, its layout and its self-description.
//!
//! ```text
//!  start                                                                             end
//!  | Header | Region (extensions only) | cache table | boundary bits |g0| granules 1 ... |
//!  16 bytes                              1/1024 of it   1 bit each     ^   handed out
//!                                                                      '- granule 0 is the last 8 bytes of the
//!                                                                         bookkeeping: never free, so position 0
//!                                                                         is "none" and bit 0 is a guard
//! ```
//!
//! Under feature `check`, the tables of the audit lie between the boundary bits and granule 0: two more bits each.
//! All bookkeeping lies at the front; [`Geometry`] computes where, the [`Header`] says so to whoever reads a raw dump.

use core::fmt;

use super::audit::Audit;
use super::host::HostError;
use crate::base::{
    bits::Bits,
    granule::{GRANULE, GRANULE_SHIFT, MAX_GRANULES},
};

/// First word of every span: "TERR" read as little-endian bytes.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"TERR");

/// Version of the layout described here; a decoder refuses others.
pub(crate) const VERSION: u8 = 1;

/// Base-two logarithm of the pointer size in bytes.
pub(crate) const POINTER_LOG: u8 = size_of::<usize>().trailing_zeros() as u8;

/// The smallest span, in bytes.
pub const MIN_SPAN: usize = 512;

/// The largest number of cached sizes for one context: 8 to 4,096 bytes.
pub(crate) const MAX_CACHED: usize = 512;

/// The self-description at the start of a span, so that a raw dump can be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// [`MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u8,
    /// Base-two logarithm of the pointer size in bytes.
    pub pointer_log: u8,
    /// Base-two logarithm of the granule in bytes.
    pub granule_log: u8,
    /// The user's tag of the span; 0 for the first one.
    pub tag: u8,
    /// Granules handed out from the span; also the index of its last granule.
    pub granules: u32,
    /// Bytes from the start of the span to the boundary bits.
    pub bits_offset: u32,
}

const _: () = assert!(size_of::<Header>() == 16);

/// Why memory could not be claimed. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClaimError {
    /// The start is null, or not a multiple of `required` bytes.
    Misaligned {
        /// The start that was given.
        address: usize,
        /// The alignment that a start must have, in bytes.
        required: usize,
    },
    /// The span cannot hold its bookkeeping and be of use.
    TooSmall {
        /// Bytes given.
        bytes: usize,
        /// Bytes needed at least.
        required: usize,
    },
    /// The span is longer than positions reach, or runs past the end of the address space.
    TooLarge {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed at most.
        limit: usize,
    },
    /// The heap has its first span already; further ones come with [`Heap::extend`](crate::Heap::extend).
    AlreadyClaimed,
    /// The heap has no first span yet.
    NotClaimed,
    /// The span shares addresses with one that the heap has already.
    Overlaps {
        /// The start of the span that is there already.
        address: usize,
    },
    /// The heap has as many spans as it can have.
    TooManySpans {
        /// The limit.
        limit: usize,
    },
    /// The host did not give the memory.
    Host(HostError),
}

impl From<HostError> for ClaimError {
    fn from(error: HostError) -> ClaimError {
        ClaimError::Host(error)
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ClaimError::Misaligned { address, required } => {
                write!(f, "start {address:#x} is null or not aligned to {required} bytes")
            }
            ClaimError::TooSmall { bytes, required } => write!(f, "{bytes} bytes given, {required} needed at least"),
            ClaimError::TooLarge { bytes, limit } => write!(f, "{bytes} bytes given, {limit} allowed at most"),
            ClaimError::AlreadyClaimed => f.write_str("the heap has claimed its first span already"),
            ClaimError::NotClaimed => f.write_str("the heap has not claimed its first span yet"),
            ClaimError::Overlaps { address } => write!(f, "overlaps the span at {address:#x}"),
            ClaimError::TooManySpans { limit } => write!(f, "the heap has {limit} spans already, its limit"),
            ClaimError::Host(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ClaimError {}

/// Where the parts of a span lie; all in bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    /// Start of the cache tables.
    pub cache_offset: usize,
    /// Sizes cached, for each context.
    pub cached: usize,
    /// Start of the boundary bits.
    pub bits_offset: usize,
    /// Start of the audit's tables.
    pub audit_offset: usize,
    /// Start of granule 0.
    pub base_offset: usize,
    /// Granules that there is room for: positions 1 to this.
    pub granules: u32,
    /// Granules handed out: positions 1 to this. All of them, but for a span that can grow.
    pub committed: u32,
}

impl Geometry {
    /// Lays out a span of `bytes` at `address` that holds `extra` bytes behind the header and caches for `contexts`.
    ///
    /// # Errors
    /// `Misaligned`, `TooSmall` or `TooLarge`.
    pub(crate) fn new(address: usize, bytes: usize, extra: usize, contexts: usize) -> Result<Geometry, ClaimError> {
        if address == 0 || !address.is_multiple_of(GRANULE) {
            return Err(ClaimError::Misaligned {
                address,
                required: GRANULE,
            });
        }
        let limit = (MAX_GRANULES.saturating_mul(GRANULE)).min(isize::MAX as usize);
        if bytes > limit || address.checked_add(bytes).is_none() {
            return Err(ClaimError::TooLarge {
                bytes,
                limit: limit.min(usize::MAX - address),
            });
        }
        let required = MIN_SPAN.max(extra * 2);
        if bytes < required {
            return Err(ClaimError::TooSmall { bytes, required });
        }
        let bytes = bytes & !(GRANULE - 1);
        let cache_offset = size_of::<Header>() + extra;
        let cached = Geometry::cached_sizes(bytes, contexts);
        let entries = if cached == 0 { 0 } else { (cached + 1) * contexts };
        let bits_offset = cache_offset + entries * size_of::<*mut u8>();
        // Each granule takes 64 bits of itself and one of each table. Divided first, because eight times the rest may not fit
        // a 32-bit word; so the tables are for a few granules more than there is room for behind them.
        let rest = bytes - bits_offset;
        let described = rest / (GRANULE * 8 + 1 + Audit::BITS) * 8 + 8;
        let audit_offset = bits_offset + Bits::bytes(described + 2);
        let base_offset = (audit_offset + Audit::bytes(described)).next_multiple_of(GRANULE) - GRANULE;
        let granules = ((bytes - base_offset) / GRANULE - 1).min(described);
        Ok(Geometry {
            cache_offset,
            cached,
            bits_offset,
            audit_offset,
            base_offset,
            granules: granules as u32,
            committed: granules as u32,
        })
    }

    /// Lays the span out as one of which the first `bytes` are there, and the rest may come later.
    ///
    /// # Errors
    /// `TooSmall` if that does not hold the tables for all of it, and be of use.
    pub(crate) fn committed(mut self, bytes: usize) -> Result<Geometry, ClaimError> {
        let required = self.base_offset + MIN_SPAN;
        if bytes < required {
            return Err(ClaimError::TooSmall { bytes, required });
        }
        self.committed = (((bytes - self.base_offset) / GRANULE - 1).min(self.granules as usize)) as u32;
        Ok(self)
    }

    /// Sizes that a context caches in a region of `bytes`: the tables take 1/1024 of it.
    fn cached_sizes(bytes: usize, contexts: usize) -> usize {
        if contexts == 0 {
            return 0;
        }
        let entries = (bytes >> 10) / size_of::<*mut u8>() / contexts;
        entries.saturating_sub(1).min(MAX_CACHED)
    }

    /// The header for this layout.
    pub(crate) fn header(&self, tag: u8) -> Header {
        Header {
            magic: MAGIC,
            version: VERSION,
            pointer_log: POINTER_LOG,
            granule_log: GRANULE_SHIFT as u8,
            tag,
            granules: self.committed,
            bits_offset: self.bits_offset as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_geometry_fits_and_wastes_little() {
        // Beyond 32 bits where there are more, else large enough for eight times as many to be beyond.
        let large = usize::try_from((1u64 << 32) + 8).unwrap_or(3 << 29);
        for bytes in (MIN_SPAN..300_000).step_by(8).chain([1 << 20, large]) {
            for contexts in [0, 1, 4] {
                let g = Geometry::new(0x1000, bytes, 0, contexts).unwrap();
                assert!(g.bits_offset + Bits::bytes(g.granules as usize + 2) <= g.audit_offset);
                assert!(g.audit_offset + Audit::bytes(g.granules as usize) <= g.base_offset + GRANULE);
                let end = g.base_offset + (g.granules as usize + 1) * GRANULE;
                assert!(
                    end <= bytes && bytes - end < (2 + Audit::BITS) * GRANULE,
                    "{bytes}: {g:?}"
                );
                assert_eq!((0x1000 + g.base_offset) % GRANULE, 0);
                if bytes >= 64 << 10 {
                    let bookkeeping = bytes - g.granules as usize * GRANULE;
                    assert!(
                        bookkeeping as u64 * 1000 <= bytes as u64 * (17 + 15 * Audit::BITS as u64),
                        "{bytes}: {bookkeeping} bytes of bookkeeping"
                    );
                }
            }
        }
    }

    #[test]
    fn bad_spans_are_typed_errors() {
        use ClaimError::*;
        let geometry = |address, bytes| Geometry::new(address, bytes, 0, 1).unwrap_err();
        assert!(matches!(
            geometry(0, 4096),
            Misaligned {
                address: 0,
                required: 8
            }
        ));
        assert!(matches!(geometry(0x1004, 4096), Misaligned { .. }));
        assert!(matches!(geometry(0x1000, 0), TooSmall { bytes: 0, .. }));
        assert!(matches!(geometry(0x1000, MIN_SPAN - 1), TooSmall { .. }));
        assert!(matches!(geometry(0x1000, usize::MAX), TooLarge { .. }));
        assert!(matches!(geometry(usize::MAX - 7, 4096), TooLarge { .. }));
    }
}
