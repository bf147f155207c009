//! A value with slots that was built before a safe point cannot become an object after it.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx, root: &Root<Node<'static>>) {
    let value = Node {
        next: Slot::new(cx, root.get(cx)),
    };
    cx.collect(Generation::Old);
    let _ = cx.try_new(value);
}

fn main() {}
