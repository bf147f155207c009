//! What can be done to a heap, as data.

use super::Random;

/// One operation. Blocks are named by a number, of which the remainder by the count of live blocks counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Allocate `size` bytes at a multiple of 2 to the power of `align`.
    Allocate { size: usize, align: u8, zeroed: bool },
    /// Free a block.
    Free { block: usize },
    /// Resize a block to `size` bytes.
    Resize { block: usize, size: usize },
    /// Give the caches back.
    Trim,
    /// Do what is due.
    Poll,
    /// Post a level: 0 to 2.
    Post { level: u8 },
    /// Add a span of so many bytes.
    Extend { bytes: usize },
    /// Set the watermarks: to percent in use, or to permille of the capacity left.
    Watermarks { high: u8, low: u8, bytes: bool },
    /// Go on as another core.
    Core { index: u8 },
}

impl Operation {
    /// An operation for a heap of `region` bytes, most of them allocations if `growing`, and frees if not.
    pub fn random(random: &mut Random, region: usize, growing: bool) -> Operation {
        let block = random.below(1 << 16);
        match random.below(1000) {
            0 => Operation::Trim,
            1..20 => Operation::Poll,
            20..22 => Operation::Post {
                level: random.below(3) as u8,
            },
            22..26 => Operation::Watermarks {
                high: random.below(101) as u8,
                low: random.below(101) as u8,
                bytes: random.one_in(3),
            },
            26..40 => Operation::Core {
                index: random.below(5) as u8,
            },
            40..140 => Operation::Resize {
                block,
                size: Operation::random_size(random, region),
            },
            140..400 => Operation::Free { block },
            _ if growing => Operation::Allocate {
                size: Operation::random_size(random, region),
                align: if random.one_in(8) {
                    random.below(13)
                } else {
                    random.below(4)
                } as u8,
                zeroed: random.one_in(4),
            },
            _ => Operation::Free { block },
        }
    }

    fn random_size(random: &mut Random, region: usize) -> usize {
        match random.below(16) {
            0 => random.below(region / 4),
            1..4 => random.below(1024.min(region / 2)),
            4..6 => random.size(region + region / 4),
            _ => random.below(80),
        }
    }

    /// Reads operations, four bytes each, from arbitrary bytes. Sizes follow a float's idea: few bits, many magnitudes.
    pub fn decode(bytes: &[u8]) -> impl Iterator<Item = Operation> + '_ {
        bytes.chunks_exact(4).map(|code| {
            let [kind, a, b, c] = [code[0], code[1], code[2], code[3]];
            let size = (usize::from(b & 0x0F) + 16 * usize::from(b & 0x10 != 0)) << (c & 0x0F);
            let size = size.saturating_sub(usize::from(b >> 5));
            let block = usize::from(a);
            match kind % 16 {
                0..6 => Operation::Allocate {
                    size,
                    align: a % 14,
                    zeroed: c & 0x80 != 0,
                },
                6..10 => Operation::Free { block },
                10 | 11 => Operation::Resize { block, size },
                12 => match a % 4 {
                    0 => Operation::Trim,
                    1 => Operation::Post { level: b % 3 },
                    _ => Operation::Poll,
                },
                13 => Operation::Watermarks {
                    high: a,
                    low: b,
                    bytes: c & 1 != 0,
                },
                14 => Operation::Extend {
                    bytes: usize::from(a) * 8 + size,
                },
                _ => Operation::Core { index: a },
            }
        })
    }
}
