//! embedded-alloc, which brings its own lock, the critical section.

use crate::subject::Subject;
use core::alloc::{GlobalAlloc, Layout};

/// One of embedded-alloc's heaps: the crate brings its lock, the critical section.
pub struct Embedded<H>(H);

macro_rules! embedded {
    ($heap:ty, $name:literal) => {
        // SAFETY: embedded-alloc's own `GlobalAlloc`.
        unsafe impl GlobalAlloc for Embedded<$heap> {
            #[inline]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                // SAFETY: the caller's promise.
                unsafe { self.0.alloc(layout) }
            }

            #[inline]
            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { self.0.dealloc(block, layout) }
            }
        }

        // SAFETY: as above.
        unsafe impl Subject for Embedded<$heap> {
            const NAME: &'static str = $name;

            fn fresh() -> Self {
                Embedded(<$heap>::empty())
            }

            unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
                // SAFETY: the caller's promise.
                unsafe { self.0.init(start.expose_provenance(), len) };
                true
            }
        }
    };
}

pub type Llff = Embedded<embedded_alloc::LlffHeap>;
pub type Tlsf = Embedded<embedded_alloc::TlsfHeap>;
embedded!(embedded_alloc::LlffHeap, "embedded-alloc (llff)");
embedded!(embedded_alloc::TlsfHeap, "embedded-alloc (tlsf)");
