//! Layer 4: arenas, the safe front of the collector.
//!
//! ```text
//!   Arena -- enter --> Cx        the token: &Cx is a window, &mut Cx a safe point
//!                       |
//!        try_new, root, |  collect, new, reserve, poll
//!                       v
//!   Gc   a reference in a window          Slot, TaggedSlot, DynSlot, Interior   references inside of objects
//!   Root, Weak, Pinned   handles, over safe points
//!   Finalize   what is done before an object goes
//!   Trace, Of, Rebind, Leaf, Object   what types tell the collector
//! ```
//!
//! Why it is sound, in short: at a safe point no reference to an object exists, because each borrows the token. What is left
//! are slots, which `Trace` shows, and handles, which the collector has a table of. Both are rewritten. A slot is of one
//! window by an invariant lifetime, so one that lies outside of the heap is worth nothing after the window.

pub(crate) mod alloc;
#[allow(clippy::module_inception, reason = "the noun of this file is the layer's")]
mod arena;
pub(crate) mod brand;
pub(crate) mod collections;
pub(crate) mod cx;
pub(crate) mod dynamic;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod finalize;
pub(crate) mod finalizers;
pub(crate) mod gc;
pub(crate) mod handle;
pub(crate) mod limits;
pub(crate) mod map;
pub(crate) mod native;
mod pin;
pub(crate) mod segments;
pub(crate) mod slot;
pub(crate) mod stats;
pub(crate) mod tagged;
pub(crate) mod trace;
pub(crate) mod types;
pub(crate) mod walk;

pub use arena::Arena;
