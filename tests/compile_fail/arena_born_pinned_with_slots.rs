//! What is pinned from birth has no slots.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx) {
    let _ = cx.new_pinned::<Node>(|_| Node { next: Slot::null() });
}

fn main() {}
