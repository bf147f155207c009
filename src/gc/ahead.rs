//! Objects whose headers are on their way from memory while others are marked: a marked heap is larger than any cache.

use super::space::Space;
use crate::base::prefetch::prefetch;

/// As many as memory brings in the time of one miss.
const COUNT: usize = 16;

/// A ring of positions; 0 is none.
pub(super) struct Ahead {
    ring: [u32; COUNT],
    /// Where the oldest is.
    oldest: usize,
}

/// Has what lies at `position`, which may be any, fetched.
#[inline(always)]
pub(super) fn fetch(space: &Space, position: u32) {
    prefetch(space.at(position));
}

impl Ahead {
    pub(super) const EMPTY: Ahead = Ahead {
        ring: [0; COUNT],
        oldest: 0,
    };

    /// Has the header of the object at `position` fetched; returns the object whose turn it is, if there is one.
    #[inline(always)]
    pub(super) fn exchange(&mut self, space: &Space, position: u32) -> Option<u32> {
        prefetch(space.at(position));
        let next = core::mem::replace(&mut self.ring[self.oldest], position);
        self.oldest = (self.oldest + 1) % COUNT;
        (next != 0).then_some(next)
    }

    /// Takes any object; nothing if there is none.
    pub(super) fn take(&mut self) -> Option<u32> {
        for _ in 0..COUNT {
            let next = core::mem::take(&mut self.ring[self.oldest]);
            self.oldest = (self.oldest + 1) % COUNT;
            if next != 0 {
                return Some(next);
            }
        }
        None
    }
}
