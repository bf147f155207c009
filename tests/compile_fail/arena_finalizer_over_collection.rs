//! A finaliser that collects gets its object from the handle anew.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

impl Finalize for Node<'static> {
    fn finalize(this: Root<Self>, cx: &mut Cx) {
        let node = this.get(cx);
        cx.collect(Generation::Old);
        node.next.set(cx, None);
    }
}

fn main() {}
