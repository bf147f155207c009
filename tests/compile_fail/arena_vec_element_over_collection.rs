//! An element of a collection does not outlive its window.

use terrace::*;

fn work(cx: &mut Cx, vec: &Root<GcVec<'static, Slot<'static, str>>>) {
    let text = vec.get(cx).get().get(cx, 0).unwrap();
    cx.collect(Generation::Old);
    let _ = text.get(cx);
}

fn main() {}
