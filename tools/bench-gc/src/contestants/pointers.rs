//! Pointers that are used as `Rc` is: counted, counted and traced, or traced.

#![allow(clippy::duplicate_mod, reason = "the same text about other types")]

pub mod boa;
pub mod counted;
pub mod cycle_collected;
pub mod dumpster;
