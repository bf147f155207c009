//! A slot on the stack cannot be filled, kept over a safe point and read.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx, root: &Root<Node<'static>>) {
    let slot = Slot::null();
    slot.set(cx, Some(root.get(cx)));
    cx.collect(Generation::Old);
    let _ = slot.get(cx);
}

fn main() {}
