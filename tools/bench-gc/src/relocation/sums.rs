//! A prefix sum for each brick, as in the crate's `gc/brick.rs`: the new position of the brick's first live granule. An object
//! goes there, plus the live granules of the brick before it.

use super::Form;

pub struct Sums<const SHIFT: u32> {
    bricks: Vec<u32>,
    /// The last brick of the plug before.
    last: u32,
}

impl<const SHIFT: u32> Form for Sums<SHIFT> {
    const ENTRY: usize = size_of::<u32>();
    const NODE: usize = 0;

    fn new(granules: usize) -> Sums<SHIFT> {
        Sums {
            bricks: vec![0; granules >> SHIFT],
            last: u32::MAX,
        }
    }

    #[inline(always)]
    fn note(&mut self, _: &mut [u64], from: u32, end: u32, to: u32) {
        let (first, last) = (from >> SHIFT, (end - 1) >> SHIFT);
        // SAFETY: a plug lies in the heap, which has an entry for each brick.
        unsafe {
            if first != self.last {
                *self.bricks.get_unchecked_mut(first as usize) = to;
            }
            for brick in first + 1..=last {
                *self.bricks.get_unchecked_mut(brick as usize) = to + ((brick << SHIFT) - from);
            }
        }
        self.last = last;
    }

    fn finish(&mut self) {
        self.last = u32::MAX;
    }

    #[inline(always)]
    fn position(&self, live: &[u64], _: &[u64], position: u32) -> u32 {
        let (brick, word) = (position >> SHIFT, position / 64);
        // SAFETY: a position lies in the heap, which has an entry for each brick and a bit for each granule.
        unsafe {
            let mut to = *self.bricks.get_unchecked(brick as usize);
            for whole in brick << (SHIFT - 6)..word {
                to += live.get_unchecked(whole as usize).count_ones();
            }
            let below = (1 << (position % 64)) - 1;
            to + (live.get_unchecked(word as usize) & below).count_ones()
        }
    }
}
