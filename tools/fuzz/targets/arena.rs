//! Any program on an arena and the heap beside it, against the model of the tests.
//!
//! The first two bytes choose the heap's size, and whether there is a collection at each safe point. Each four bytes from there
//! on are a step, see `Step::decode`.

#![no_main]

#[path = "../../../tests/support/graph.rs"]
mod graph;
#[path = "../../../tests/support/step.rs"]
mod step;
#[path = "../../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::{Corpus, fuzz_target};
use step::Step;

terrace::brand!(Fuzzed);

/// Steps that go without a look at all objects, and the most that there are: both only cost time.
const CHECK_EACH: usize = 8;
const MOST_STEPS: usize = 1000;

fuzz_target!(|data: &[u8]| -> Corpus {
    let [size, kind, code @ ..] = data else {
        return Corpus::Reject;
    };
    let bytes = (8 << 10) + usize::from(*size) * 256;
    let (codes, _) = code.as_chunks::<{ Step::BYTES }>();
    let script = codes.iter().map(|code| Step::decode(*code)).take(MOST_STEPS);
    // SAFETY: `graph::run` verifies that the arena is gone.
    unsafe {
        support::with_heap(bytes, |heap| {
            graph::run::<Fuzzed>(heap, kind & 1 != 0, script, CHECK_EACH)
        });
    }
    Corpus::Keep
});
