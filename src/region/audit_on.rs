//! Which blocks are in use, to the granule: what misuse is told by. Feature `check`.
//!
//! ```text
//!  granule   |  1   2   3   4   5   6   7   8   9 |
//!  content   | [ block A ] [ idle or free ] [B] ..|
//!  start     |  1   0   0   0   0   0   0   1   0 |
//!  end       |  0   0   1   0   0   0   0   1   0 |
//! ```
//!
//! Boundary bits tell allocated granules from free ones, and what caches and chunks hold is allocated. These two tables know
//! what the user has: a start bit at the first granule of each such block and an end bit at the last. They are touched by
//! the outermost operations alone, so they witness against everything below.

use crate::base::bits::Bits;
use crate::base::fault::FaultKind;

/// The tables of start and end bits.
///
/// **Invariant `USED`**: each table has `len` bits. Start and end bits come in pairs that do not nest, and no bit before
/// position 1 or behind the last granule is set.
pub(crate) struct Audit {
    starts: Bits,
    ends: Bits,
    /// Bits in each table; 0 before [`Audit::init`].
    len: usize,
    /// Granules of blocks in use.
    used: u32,
}

impl Audit {
    /// Tables of nothing.
    pub(crate) const EMPTY: Audit = Audit {
        starts: Bits::NONE,
        ends: Bits::NONE,
        len: 0,
        used: 0,
    };

    /// Bits for each granule, beside the boundary bit.
    pub(crate) const BITS: usize = 2;

    /// Bytes that the tables of a region of `granules` take.
    pub(crate) const fn bytes(granules: usize) -> usize {
        Audit::BITS * Bits::bytes(granules + 2)
    }

    /// Makes the tables of a region of `granules` at `words`, with nothing in use, and room for a region of `reserved`.
    ///
    /// # Safety
    /// `words` is aligned and valid for [`Audit::bytes`]`(reserved)` bytes, which nothing else uses from now on; `reserved` is not
    /// less than `granules`.
    pub(crate) unsafe fn init(words: *mut u32, reserved: u32, granules: u32) -> Audit {
        let len = granules as usize + 2;
        let room = Bits::bytes(reserved as usize + 2);
        // SAFETY: the caller gives the bytes of two tables with room for so many bits; nothing refers to them yet.
        unsafe {
            Audit {
                starts: Bits::init(words, len, false),
                ends: Bits::init(words.byte_add(room), len, false),
                len,
                used: 0,
            }
        }
    }

    /// Follows the region to a length of `granules`.
    ///
    /// # Safety
    /// The tables have room for so many; none of what is behind them is in use.
    pub(crate) unsafe fn resize(&mut self, granules: u32) {
        let (old, len) = (self.len, granules as usize + 2);
        self.len = len;
        if len <= old {
            return;
        }
        for table in [self.starts, self.ends] {
            // SAFETY: USED: the table has `old` bits, and room for `len`; this is the only reference into it.
            unsafe { table.lengthen(old, len, false) };
        }
    }

    /// Granules of blocks in use.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Notes that the user has the block of `n` granules at `position` from now on.
    ///
    /// # Safety
    /// The granules, at least one, are the region's, and [`Audit::touches`] none of them.
    pub(crate) unsafe fn note_taken(&mut self, position: u32, n: u32) {
        // SAFETY: USED: both are granules of the region and have bits.
        unsafe {
            self.starts.set(position);
            self.ends.set(position + n - 1);
        }
        self.used += n;
    }

    /// Notes that the user gave the block of `n` granules at `position` back.
    ///
    /// # Safety
    /// [`Audit::verify`] accepts it.
    pub(crate) unsafe fn note_freed(&mut self, position: u32, n: u32) {
        // SAFETY: USED: both are granules of the region and have bits.
        unsafe {
            self.starts.clear(position);
            self.ends.clear(position + n - 1);
        }
        self.used -= n;
    }

    /// Whether a block of `n` granules at `position`, a granule of the region, is in use. O(granules / 32).
    ///
    /// # Errors
    /// `DoubleFree` if no block in use contains the position, `ForeignPointer` if one starts before it, `WrongLayout` if one
    /// starts there and has another size.
    pub(crate) fn verify(&self, position: u32, n: u32) -> Result<(), FaultKind> {
        let at = position as usize;
        // SAFETY: USED: `len` is the tables' length; this is the only reference into either.
        let (starts, ends) = unsafe { (self.starts.as_slice(self.len), self.ends.as_slice(self.len)) };
        if !starts[at] {
            return Err(if self.covers(position) {
                FaultKind::ForeignPointer
            } else {
                FaultKind::DoubleFree
            });
        }
        if ends[at..].first_one().map(|before| before + 1) == Some(n as usize) {
            Ok(())
        } else {
            Err(FaultKind::WrongLayout)
        }
    }

    /// Whether any of `n` granules at `position`, all of the region, is part of a block in use. O(granules / 32).
    pub(crate) fn touches(&self, position: u32, n: u32) -> bool {
        let range = position as usize..(position + n) as usize;
        // SAFETY: USED: `len` is the tables' length; this is the only reference into the table.
        let starts = unsafe { self.starts.as_slice(self.len) };
        starts[range].any() || self.covers(position)
    }

    /// Whether a block in use that starts before `position` reaches it.
    fn covers(&self, position: u32) -> bool {
        let at = position as usize;
        // SAFETY: USED: `len` is the tables' length; this is the only reference into either.
        let (starts, ends) = unsafe { (self.starts.as_slice(self.len), self.ends.as_slice(self.len)) };
        // The block that starts last before the position has not ended before it.
        starts[..at].last_one().is_some_and(|start| ends[start..at].not_any())
    }

    /// Whether there are as many ends as starts. O(granules / 32).
    pub(crate) fn is_paired(&self) -> bool {
        // SAFETY: USED: `len` is the tables' length; this is the only reference into either.
        let (starts, ends) = unsafe { (self.starts.as_slice(self.len), self.ends.as_slice(self.len)) };
        starts.count_ones() == ends.count_ones()
    }

    /// First and last granule of the blocks in use, as the tables have them, in ascending order. The tables must not be
    /// changed meanwhile.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u32, u32)> {
        // SAFETY: USED: `len` is the tables' length; nothing changes them as long as the audit is borrowed.
        let (starts, ends) = unsafe { (&*self.starts.as_slice(self.len), &*self.ends.as_slice(self.len)) };
        starts
            .iter_ones()
            .zip(ends.iter_ones())
            .map(|(start, end)| (start as u32, end as u32))
    }
}
