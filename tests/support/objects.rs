//! What the model of a graph is made of: managed objects, what is known of them, and native blocks beside them.

use std::alloc::Layout;
use std::cell::Cell;
use std::rc::Rc;

use terrace::*;

use super::lives::Lives;
use crate::step::Act;

pub trait Area {
    fn area(&self) -> u32;
}

#[derive(Trace)]
#[trace(leaf)]
pub struct Square(pub u32);

impl Area for Square {
    fn area(&self) -> u32 {
        self.0.wrapping_mul(self.0)
    }
}

/// An object of every kind of slot. `id` is that of the model; the rest is what the model says.
#[derive(Trace)]
pub struct Item<'g, A: Brand> {
    pub id: u32,
    pub value: Cell<u32>,
    pub left: Slot<'g, Item<'g, A>, A>,
    pub right: Slot<'g, Item<'g, A>, A>,
    pub many: Slot<'g, [Slot<'g, Item<'g, A>, A>], A>,
    pub vec: GcVec<'g, Slot<'g, Item<'g, A>, A>, A>,
    pub name: Slot<'g, str, A>,
    pub shape: DynSlot<'g, dyn Area + 'g, A>,
    pub part: Interior<'g, Cell<u32>, A>,
    pub dropped: Option<Plain<Counted>>,
    pub act: Plain<Act>,
    pub lives: Plain<Rc<Lives<A>>>,
}

/// Counts how many were dropped.
pub struct Counted(pub Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// What the model knows of an object.
#[derive(Clone, Default)]
pub struct Known {
    pub value: u32,
    pub left: Option<u32>,
    pub right: Option<u32>,
    pub many: Vec<Option<u32>>,
    pub vec: Vec<u32>,
    pub name: Option<String>,
    /// The name is interned.
    pub is_interned: bool,
    pub shape: Option<u32>,
    pub part: Option<u32>,
    /// How often it is registered for finalisation.
    pub registered: u32,
}

/// A block of the native heap, beside the arena.
pub struct Block {
    pub start: *mut u8,
    pub layout: Layout,
    pub fill: u8,
}

impl Block {
    pub fn verify(&self) {
        // SAFETY: the block has so many bytes, which were written when it was taken.
        let bytes = unsafe { std::slice::from_raw_parts(self.start, self.layout.size()) };
        assert!(
            bytes.iter().all(|byte| *byte == self.fill),
            "a native block is its owner's"
        );
    }
}
