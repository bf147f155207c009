//! What the benchmarks share.

pub mod callgrind;
pub mod machine;
pub mod random;
pub mod region;
pub mod table;
