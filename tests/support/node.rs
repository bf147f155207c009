//! An object with two references.

use std::cell::Cell;

use terrace::{Brand, Slot, Trace};

#[derive(Trace)]
pub struct Node<'g, A: Brand> {
    pub value: Cell<u32>,
    pub left: Slot<'g, Node<'g, A>, A>,
    pub right: Slot<'g, Node<'g, A>, A>,
}

impl<A: Brand> Node<'_, A> {
    pub fn new(value: u32) -> Self {
        Node {
            value: Cell::new(value),
            left: Slot::null(),
            right: Slot::null(),
        }
    }
}
