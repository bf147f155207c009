//! Slots are not cells, whose stores the collector does not see.

use terrace::*;

fn work<'g>(cx: &'g Cx, vec: &GcVec<'g, Slot<'g, u32>>) {
    let _ = vec.as_cells(cx);
}

fn main() {}
