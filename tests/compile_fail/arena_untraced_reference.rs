//! Nor is a borrow.

use terrace::*;

#[derive(Trace)]
struct Holder<'g> {
    text: &'g str,
}

fn main() {}
