//! What makes an element lets no reference out.

use terrace::*;

fn work(cx: &mut Cx, vec: &Root<GcVec<'static, Slot<'static, str>>>) {
    let mut stash = None;
    let _ = vec.push(cx, |g| {
        stash = Some(g.try_str("text").unwrap());
        Slot::null()
    });
}

fn main() {}
