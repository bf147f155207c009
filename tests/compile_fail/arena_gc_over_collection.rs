//! A reference does not survive a safe point.

use terrace::*;

fn work(cx: &mut Cx) {
    let gc = cx.try_new(1u32).unwrap();
    cx.collect(Generation::Old);
    println!("{}", *gc);
}

fn main() {}
