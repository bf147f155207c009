//! Slots lie in the object itself, not behind it.

use terrace::*;

#[derive(Trace)]
struct Holder<'g> {
    slots: Vec<Slot<'g, u32>>,
}

fn main() {}
