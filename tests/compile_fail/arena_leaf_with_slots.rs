//! A leaf has no slots.

use terrace::*;

#[derive(Trace)]
#[trace(leaf)]
struct Holder {
    slot: Slot<'static, u32>,
}

fn main() {}
