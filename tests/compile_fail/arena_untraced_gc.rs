//! A reference of a window is no part of an object.

use terrace::*;

#[derive(Trace)]
struct Holder<'g> {
    gc: Gc<'g, u32>,
}

fn main() {}
