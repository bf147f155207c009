//! What a vector refers to is of its own arena.

use terrace::*;

brand!(Other);

fn work<'g>(here: &'g Cx, there: &'g Cx<Other>, vec: &GcVec<'g, Slot<'g, u32>>) {
    let _ = vec.try_push(here, Slot::new(there, there.try_new(1).unwrap()));
}

fn main() {}
