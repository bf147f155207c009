//! `Rc`, which leaves cycles behind.

pub const NAME: &str = "Rc";
pub const COLLECTS: bool = false;
pub use core::fmt::Debug as Trace; // nobody traces
pub use std::{cell::RefCell as Cell, rc::Rc as Pointer};

pub fn collect() {}

macro_rules! finalize {
    ($($type:ident),*) => {};
}

#[path = "pointer.rs"]
pub mod pointer;
