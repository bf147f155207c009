//! Nor does a filled slot.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx, root: &Root<Node<'static>>) {
    let mut stash = None;
    let _ = cx.new::<Node>(|g| {
        stash = Some(Slot::new(g, root.get(g)));
        Node { next: Slot::null() }
    });
}

fn main() {}
