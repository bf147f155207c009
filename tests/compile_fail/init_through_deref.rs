// The buffer of `init!` must not be given to two heaps, which a `Deref` could do.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use terrace::CriticalSectionHeap;

struct Alternating {
    heaps: [CriticalSectionHeap; 2],
    second: AtomicBool,
}

impl Deref for Alternating {
    type Target = CriticalSectionHeap;

    fn deref(&self) -> &CriticalSectionHeap {
        &self.heaps[usize::from(self.second.fetch_xor(true, Relaxed))]
    }
}

static HEAPS: Alternating = Alternating {
    heaps: [CriticalSectionHeap::new(), CriticalSectionHeap::new()],
    second: AtomicBool::new(false),
};

fn main() {
    for _ in 0..2 {
        terrace::init!(HEAPS, 4096).unwrap();
    }
}
