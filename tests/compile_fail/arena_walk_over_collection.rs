//! What a walk has met is known as long as nothing moves.

use terrace::*;

fn work(cx: &mut Cx) {
    let object = cx.walk().next();
    cx.collect(Generation::Young);
    let _ = object.map(|object| object.len());
}

fn main() {}
