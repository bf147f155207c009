//! Elements are copied, so they have no destructor.

use terrace::*;

#[derive(Trace)]
struct Line {
    text: Plain<Vec<u8>>,
}

fn work<'g>() -> GcVec<'g, Line> {
    GcVec::new()
}

fn main() {}
