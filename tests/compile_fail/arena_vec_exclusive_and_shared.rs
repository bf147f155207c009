//! Who has the elements exclusively has the token.

use terrace::*;

fn work(cx: &mut Cx, vec: &Root<GcVec<'static, u32>>) {
    let elements = vec.as_mut_slice(cx);
    let _ = vec.get(cx).get().pop(cx);
    elements[0] = 1;
}

fn main() {}
