//! The region as a line of characters.

use core::fmt;

use crate::region::Cells;

/// A map of a heap's first span, as far as there is memory, for a terminal: one character for each of `N` stretches of equal length.
///
/// `#` is full, `.` free, the digits 1 to 9 tell the tenths in use in between. Idle memory, in caches and chunks, counts
/// as in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Map<const N: usize> {
    pub(super) cells: Cells<N>,
}

impl<const N: usize> Map<N> {
    /// Characters in a line.
    const LINE: usize = 64;

    /// The character for stretch `at`, or none behind the end.
    fn cell(&self, at: usize) -> Option<char> {
        let start = at * self.cells.stretch;
        let length = self
            .cells
            .total
            .checked_sub(start)
            .filter(|left| *left > 0)?
            .min(self.cells.stretch);
        let used = length - self.cells.free[at];
        Some(match used {
            0 => '.',
            _ if used == length => '#',
            _ => (b'0' + (used as u64 * 10 / length as u64).clamp(1, 9) as u8) as char,
        })
    }
}

impl<const N: usize> fmt::Display for Map<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = (0..N).map_while(|at| self.cell(at));
        for (at, cell) in cells.enumerate() {
            if at % Self::LINE == 0 {
                if at > 0 {
                    writeln!(f, "|")?;
                }
                write!(f, "{:>8} |", at * self.cells.stretch)?;
            }
            write!(f, "{cell}")?;
        }
        write!(f, "|  one cell: {} bytes", self.cells.stretch)
    }
}
