//! boa_gc. It collects at thresholds of bytes.

pub const NAME: &str = "boa_gc";
pub const COLLECTS: bool = true;
pub use boa_gc::{Gc as Pointer, GcRefCell as Cell, Trace, force_collect as collect};

macro_rules! finalize {
    ($($type:ident),*) => { $(impl boa_gc::Finalize for $type {})* };
}

#[path = "pointer.rs"]
pub mod pointer;
