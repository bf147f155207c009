//! A slot cannot be replaced as a whole behind the collector's back.

use terrace::*;

use std::cell::{Cell, RefCell};

#[derive(Trace)]
struct Holder<'g> {
    a: Cell<Option<Slot<'g, u32>>>,
    b: RefCell<Slot<'g, u32>>,
}

fn main() {}
