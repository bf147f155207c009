//! Nothing of a window leaves the arena's closure.

use terrace::*;

fn work(arena: &mut Arena) {
    let gc = arena.enter(|cx| cx.try_new(1u32).unwrap());
    println!("{}", *gc);
}

fn main() {}
