//! A type with slots is finalised whatever the window, so nothing of one window can be asked for.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

impl<'g> Finalize for Node<'g> {
    fn finalize(_: Root<Self>, _: &mut Cx) {}
}

fn main() {}
