//! Nothing made in an initialiser leaves it.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn work(cx: &mut Cx) {
    let mut stash = None;
    let _ = cx.new::<Node>(|g| {
        stash = g.try_new(Node { next: Slot::null() }).ok();
        Node { next: Slot::null() }
    });
}

fn main() {}
