//! A destructor cannot follow a slot.

use terrace::*;

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let _ = self.next.get();
    }
}

fn main() {}
