//! What has slots cannot be pinned.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &Cx, root: &Root<Node<'static>>) {
    let _ = cx.pin(root.get(cx));
}

fn main() {}
