//! A vector is not copied: two would share a buffer.

use terrace::*;

#[derive(Trace)]
#[trace(element)]
struct Row<'g> {
    cells: GcVec<'g, u32>,
}

fn main() {}
