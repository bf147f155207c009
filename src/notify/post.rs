//! The host's posted notification: one word, written from anywhere.
//!
//! ```text
//!   31 ................ 2 | 1 0
//!   number of the post    | level
//! ```
//!
//! Only loads and stores, so it works alike on cores without compare-and-swap and is wait-free. Two posts that race on
//! two cores may end as one: the one whose store comes last counts, as if the other had come just before it.

use super::Pressure;
use crate::base::atomic::{AtomicU32, Ordering};

/// The word.
pub(crate) struct Posted {
    word: AtomicU32,
}

const LEVEL: u32 = 0b11;

impl Posted {
    pub(crate) const fn new() -> Posted {
        Posted {
            word: AtomicU32::new(0),
        }
    }

    /// Posts `level`. Wait-free; from any interrupt.
    #[inline]
    pub(crate) fn post(&self, level: Pressure) {
        let number = (self.word.load(Ordering::Relaxed) & !LEVEL).wrapping_add(LEVEL + 1);
        self.word.store(number | level as u32, Ordering::Release);
    }

    /// The last post, if it came after the one that `seen` was set by; `seen` then stands for it.
    #[inline]
    pub(crate) fn take(&self, seen: &mut u32) -> Option<Pressure> {
        let word = self.word.load(Ordering::Acquire);
        if word == *seen {
            return None;
        }
        *seen = word;
        Some(Pressure::from_bits(word & LEVEL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_each_post_is_taken_once() {
        let posted = Posted::new();
        let mut seen = 0;
        assert_eq!(posted.take(&mut seen), None);
        for level in [
            Pressure::Moderate,
            Pressure::Critical,
            Pressure::Critical,
            Pressure::None,
        ] {
            posted.post(level);
            assert_eq!(posted.take(&mut seen), Some(level));
            assert_eq!(posted.take(&mut seen), None);
        }
        posted.post(Pressure::Moderate);
        posted.post(Pressure::Critical);
        assert_eq!(posted.take(&mut seen), Some(Pressure::Critical));
    }
}
