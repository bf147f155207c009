//! What is plain has no window's lifetime.

use terrace::*;

#[derive(Trace)]
struct Holder<'g> {
    slot: Plain<Slot<'g, u32>>,
}

fn main() {}
