//! Any sequence of operations on a heap, against the shadow model of the tests.
//!
//! The first three bytes choose the heap: its size, whether its memory is zero, and how many contexts it has. Each four
//! bytes from there on are an operation, see `Operation::decode`.

#![no_main]

#[path = "../../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::{Corpus, fuzz_target};
use support::shadow::ChosenCore;
use support::{Operation, Shadow};
use terrace::NoLock;

/// The shadow verifies all blocks at each check, so long scripts only cost time.
const MOST_OPERATIONS: usize = 2000;

fn run<const CONTEXTS: usize>(region: usize, zeroed: bool, script: &[u8]) {
    let mut shadow = Shadow::<NoLock, ChosenCore, CONTEXTS>::new(region, zeroed);
    for operation in Operation::decode(script).take(MOST_OPERATIONS) {
        shadow.apply(operation);
        shadow.check();
    }
    shadow.finish();
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let [kind, low, high, script @ ..] = data else {
        return Corpus::Reject;
    };
    let region = terrace::MIN_SPAN + usize::from(u16::from_le_bytes([*low, *high]));
    let zeroed = kind & 1 != 0;
    if kind & 2 == 0 {
        run::<1>(region, zeroed, script);
    } else {
        run::<4>(region, zeroed, script);
    }
    Corpus::Keep
});
