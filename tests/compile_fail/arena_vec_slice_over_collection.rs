//! Elements that are borrowed exclusively borrow the token.

use terrace::*;

fn work(cx: &mut Cx, vec: &Root<GcVec<'static, u32>>) {
    let elements = vec.as_mut_slice(cx);
    cx.collect(Generation::Young);
    elements[0] = 1;
}

fn main() {}
