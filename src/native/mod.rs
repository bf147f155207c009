//! Layer 2: raw memory for `GlobalAlloc`: contexts, caches, chunks, resizing.

pub(crate) mod context;
pub(crate) mod pool;
mod resize;
mod spans;
