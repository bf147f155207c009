//! A vector stays in its object.

use terrace::*;

#[derive(Trace)]
struct Machine<'g> {
    stack: GcVec<'g, u32>,
}

fn work<'g>(machine: Gc<'g, Machine<'g>>) -> GcVec<'g, u32> {
    machine.get().stack
}

fn main() {}
