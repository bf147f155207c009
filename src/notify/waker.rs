//! Wakers of futures that wait for low memory: fixed capacity.

use core::task::Waker;

/// Futures that can wait for one heap's low memory at the same time.
pub const WAITERS: usize = 4;

/// The places.
pub(crate) struct Wakers {
    places: [Option<Waker>; WAITERS],
    taken: u8,
}

impl Wakers {
    pub(crate) const EMPTY: Wakers = Wakers {
        places: [const { None }; WAITERS],
        taken: 0,
    };

    /// Takes a place; nothing if all are taken.
    pub(crate) fn take(&mut self) -> Option<usize> {
        let place = self.taken.trailing_ones() as usize;
        (place < WAITERS).then(|| {
            self.taken |= 1 << place;
            place
        })
    }

    /// Gives a place back; what was in it is for the caller to drop, outside of locks.
    pub(crate) fn give(&mut self, place: usize) -> Option<Waker> {
        self.taken &= !(1 << place);
        self.places[place].take()
    }

    /// Puts a waker into a place; the old one is for the caller to drop, outside of locks.
    pub(crate) fn set(&mut self, place: usize, waker: Waker) -> Option<Waker> {
        self.places[place].replace(waker)
    }

    /// Takes a waker out, to be woken.
    pub(crate) fn next(&mut self) -> Option<Waker> {
        self.places.iter_mut().find_map(Option::take)
    }
}
