//! One lifetime, that of the slots.

use terrace::*;

#[derive(Trace)]
struct Holder<'g, 'x> {
    a: Slot<'g, u32>,
    b: Slot<'x, u32>,
}

fn main() {}
