//! Nor does a reference into an object.

use terrace::*;

fn work(cx: &mut Cx) {
    let root = cx.new_str("abc").unwrap();
    let text: &str = root.get(cx).get();
    let _ = cx.new::<u32>(|_| 1);
    println!("{text}");
}

fn main() {}
