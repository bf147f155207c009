//! Nor can one be given to a type of elements.

use terrace::*;

#[derive(Trace)]
#[trace(element)]
struct Counted(u32);

impl Drop for Counted {
    fn drop(&mut self) {}
}

fn main() {}
