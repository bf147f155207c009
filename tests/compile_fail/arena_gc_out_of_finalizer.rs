//! A finaliser cannot keep its object by a reference: only by a handle or a slot.

use std::cell::Cell;
use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

thread_local! {
    static KEPT: Cell<Option<Gc<'static, Node<'static>>>> = const { Cell::new(None) };
}

impl Finalize for Node<'static> {
    fn finalize(this: Root<Self>, cx: &mut Cx) {
        KEPT.set(Some(this.get(cx)));
    }
}

fn main() {}
