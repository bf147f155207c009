//! Layer 2: raw memory for `GlobalAlloc`: contexts, caches, chunks, resizing; and private heaps.

mod capacity;
pub(crate) mod context;
mod floor;
pub(crate) mod pool;
#[cfg(feature = "private-heaps")]
pub(crate) mod private;
mod resize;
mod spans;
