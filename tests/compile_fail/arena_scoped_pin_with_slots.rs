//! What has slots cannot be pinned, nor for the time of a call.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx, node: &Root<Node<'static>>) {
    let _ = cx.with_pinned(node, |_, _| ());
}

fn main() {}
