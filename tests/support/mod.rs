//! What the test programs share: memory to give to a heap, random numbers, and the shadow model.

#![allow(dead_code, unused_imports, reason = "each program uses a part of it")]

pub mod blocks;
pub mod memory;
pub mod operation;
pub mod program;
pub mod random;
pub mod shadow;
pub mod watch;
pub mod workload;

pub use memory::{Hog, Memory, empty_heap_for_good, heap_for_good, with_heap};
pub use operation::Operation;
pub use random::Random;
pub use shadow::Shadow;

/// `count`, scaled to the percentage in the environment variable `TERRACE_TEST_SCALE`; at least 1. Checkers that slow
/// the program down a hundredfold set it to a few percent.
pub fn scaled(count: usize) -> usize {
    (count * scale() / 100).max(1)
}

/// The percentage in the environment variable `TERRACE_TEST_SCALE`, or 100; a fiftieth of that if each operation verifies
/// the whole heap (feature `check`).
pub fn scale() -> usize {
    let percent: usize = match std::env::var("TERRACE_TEST_SCALE") {
        Ok(percent) => percent.parse().expect("TERRACE_TEST_SCALE is a percentage"),
        Err(_) => 100,
    };
    if cfg!(feature = "check") {
        (percent / 50).max(1)
    } else {
        percent
    }
}
