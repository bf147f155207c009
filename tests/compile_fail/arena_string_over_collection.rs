//! Text of a string does not outlive its window.

use terrace::*;

fn work(cx: &mut Cx, string: &Root<GcString<'static>>) {
    let text = string.get(cx).get().as_str(cx);
    string.clear(cx);
    let _ = text.len();
}

fn main() {}
