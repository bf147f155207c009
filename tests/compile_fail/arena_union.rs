//! A union does not tell what it holds.

use terrace::*;

#[derive(Trace)]
union Either {
    a: u32,
    b: f32,
}

fn main() {}
