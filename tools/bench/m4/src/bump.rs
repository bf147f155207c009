//! The least that can be called an allocator.

use crate::subject::Raw;
use core::{
    alloc::Layout,
    ptr::{NonNull, null_mut},
};

pub struct Bump {
    next: *mut u8,
    left: usize,
}

impl Bump {
    pub const fn new() -> Bump {
        Bump {
            next: null_mut(),
            left: 0,
        }
    }
}

// SAFETY: the memory belongs to the heap; nothing in it is tied to a thread.
unsafe impl Send for Bump {}

// SAFETY: hands out disjoint parts of the region only.
unsafe impl Raw for Bump {
    const NAME: &'static str = "bump";

    fn empty() -> Bump {
        Bump::new()
    }

    unsafe fn give(&mut self, start: *mut u8, len: usize) -> bool {
        *self = Bump { next: start, left: len };
        true
    }

    unsafe fn take(&mut self, layout: Layout) -> *mut u8 {
        let gap = self.next.addr().wrapping_neg() & (layout.align() - 1);
        let Some(left) = self
            .left
            .checked_sub(gap)
            .and_then(|left| left.checked_sub(layout.size()))
        else {
            return null_mut();
        };
        let block = self.next.wrapping_add(gap);
        *self = Bump {
            next: block.wrapping_add(layout.size()),
            left,
        };
        block
    }

    unsafe fn put(&mut self, _: NonNull<u8>, _: Layout) {}
}
