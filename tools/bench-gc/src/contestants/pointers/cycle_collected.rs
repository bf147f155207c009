//! rust-cc. It collects when its buffer of possible cycles is large.

pub const NAME: &str = "rust-cc";
pub const COLLECTS: bool = true;
pub use rust_cc::{Cc as Pointer, Trace, collect_cycles as collect};
pub use std::cell::RefCell as Cell;

macro_rules! finalize {
    ($($type:ident),*) => { $(impl rust_cc::Finalize for $type {})* };
}

#[path = "pointer.rs"]
pub mod pointer;
