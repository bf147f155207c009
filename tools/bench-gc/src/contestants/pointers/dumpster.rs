//! dumpster, for one thread. It collects when as many pointers were dropped as there are.

pub const NAME: &str = "dumpster";
pub const COLLECTS: bool = true;
pub use dumpster::Trace;
pub use dumpster::unsync::{Gc as Pointer, collect};
pub use std::cell::RefCell as Cell;

macro_rules! finalize {
    ($($type:ident),*) => {};
}

#[path = "pointer.rs"]
pub mod pointer;
