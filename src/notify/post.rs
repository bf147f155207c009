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

/// What can be posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posting {
    Pressure(Pressure),
    /// There is plenty of memory.
    Plenty,
}

impl Posting {
    const PLENTY: u32 = 3;

    fn to_bits(self) -> u32 {
        match self {
            Posting::Pressure(level) => level as u32,
            Posting::Plenty => Posting::PLENTY,
        }
    }

    fn from_bits(bits: u32) -> Posting {
        match bits {
            Posting::PLENTY => Posting::Plenty,
            bits => Posting::Pressure(Pressure::from_bits(bits)),
        }
    }
}

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

    /// Posts. Wait-free; from any interrupt.
    #[inline]
    pub(crate) fn post(&self, posting: Posting) {
        let number = (self.word.load(Ordering::Relaxed) & !LEVEL).wrapping_add(LEVEL + 1);
        self.word.store(number | posting.to_bits(), Ordering::Release);
    }

    /// Whether there is a post that came after the one that `seen` was set by.
    #[inline(always)]
    pub(crate) fn is_new(&self, seen: u32) -> bool {
        self.word.load(Ordering::Relaxed) != seen
    }

    /// The last post, if it came after the one that `seen` was set by; `seen` then stands for it.
    #[inline]
    pub(crate) fn take(&self, seen: &mut u32) -> Option<Posting> {
        let word = self.word.load(Ordering::Acquire);
        if word == *seen {
            return None;
        }
        *seen = word;
        Some(Posted::last(word))
    }

    /// The post that `seen` stands for.
    pub(crate) fn last(seen: u32) -> Posting {
        Posting::from_bits(seen & LEVEL)
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
        for posting in [
            Posting::Pressure(Pressure::Moderate),
            Posting::Pressure(Pressure::Critical),
            Posting::Pressure(Pressure::Critical),
            Posting::Plenty,
            Posting::Pressure(Pressure::None),
        ] {
            posted.post(posting);
            assert!(posted.is_new(seen));
            assert_eq!(posted.take(&mut seen), Some(posting));
            assert_eq!(posted.take(&mut seen), None);
        }
        posted.post(Posting::Plenty);
        posted.post(Posting::Pressure(Pressure::Critical));
        assert_eq!(posted.take(&mut seen), Some(Posting::Pressure(Pressure::Critical)));
    }
}
