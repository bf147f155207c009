//! An arena as lines of characters.

use core::fmt;

use super::brand::Brand;
use super::cx::Cx;
use crate::base::granule::GRANULE;
use crate::gc::space::BRICK;

/// A map of an arena over the heap's first span, for a terminal: one column for each of `N` stretches of equal length, a
/// multiple of 512 bytes.
///
/// The upper row tells the oldest generation in the stretch, `0` to `2`; `L` is a large object, `.` nothing of the arena's.
/// The lower row tells how much of the arena's part was found alive: `#` all of it, the digits 1 to 9 tenths of it, `-`
/// nothing.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     let kept = cx.new_slice::<u64>(500, |_, _| 0).unwrap();
///     cx.collect(Generation::Young);
///     println!("{}", cx.map::<32>());
///     # assert!(cx.map::<32>().to_string().contains("LL"));
///     # drop(kept);
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ArenaMap<const N: usize> {
    cells: [Cell; N],
    /// Bytes for each cell.
    stretch: usize,
    /// Cells that lie in the span.
    used: usize,
}

/// One stretch.
#[derive(Clone, Copy, Debug)]
struct Cell {
    held: u32,
    live: u32,
    generation: u8,
    is_large: bool,
}

impl Cell {
    const EMPTY: Cell = Cell {
        held: 0,
        live: 0,
        generation: 0,
        is_large: false,
    };

    fn age(&self) -> char {
        match self.held {
            0 => '.',
            _ if self.is_large => 'L',
            _ => (b'0' + self.generation) as char,
        }
    }

    fn density(&self) -> char {
        match self.live {
            _ if self.held == 0 => '.',
            0 => '-',
            live if live == self.held => '#',
            live => (b'0' + (u64::from(live) * 10 / u64::from(self.held)).clamp(1, 9) as u8) as char,
        }
    }
}

impl<A: Brand> Cx<A> {
    /// The map of this arena, in `N` columns. O(bricks). Not for interrupts.
    pub fn map<const N: usize>(&self) -> ArenaMap<N> {
        let collector = self.collector();
        let bricks = (collector.space.end() / BRICK).max(1);
        let each = bricks.div_ceil((N as u32).max(1));
        let mut cells = [Cell::EMPTY; N];
        let mut at = 0;
        while let Some(segment) = collector.segment_behind(at) {
            at = segment.end;
            for start in (segment.start..segment.end).step_by(BRICK as usize) {
                let Some(cell) = cells.get_mut((start / BRICK / each) as usize) else {
                    break;
                };
                cell.held += BRICK;
                cell.live += collector.live_between(start, start + BRICK);
                cell.generation = cell.generation.max(segment.generation);
                cell.is_large |= segment.is_large;
            }
        }
        ArenaMap {
            cells,
            stretch: (each * BRICK) as usize * GRANULE,
            used: N.min(bricks.div_ceil(each) as usize),
        }
    }
}

impl<const N: usize> fmt::Display for ArenaMap<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINE: usize = 64;
        for (line, cells) in self.cells[..self.used].chunks(LINE).enumerate() {
            write!(f, "{:>8} |", line * LINE * self.stretch)?;
            for cell in cells {
                write!(f, "{}", cell.age())?;
            }
            write!(f, "|\n{:>8} |", "")?;
            for cell in cells {
                write!(f, "{}", cell.density())?;
            }
            writeln!(f, "|")?;
        }
        write!(f, "{:>8}  one column: {} bytes", "", self.stretch)
    }
}
