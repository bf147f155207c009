//! There is one token.

use terrace::*;

fn work(arena: &mut Arena) {
    arena.enter(|a| arena.enter(|b| std::mem::swap(a, b)));
}

fn main() {}
