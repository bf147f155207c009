//! Where nothing can be fetched ahead, no object waits.

use super::space::Space;

pub(super) struct Ahead;

/// Nothing is fetched.
#[inline(always)]
pub(super) fn fetch(_: &Space, _: u32) {}

impl Ahead {
    pub(super) const EMPTY: Ahead = Ahead;

    /// The object itself: it is its turn.
    #[inline(always)]
    pub(super) fn exchange(&mut self, _: &Space, position: u32) -> Option<u32> {
        Some(position)
    }

    /// There is never any.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<u32> {
        None
    }
}
