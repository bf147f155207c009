//! A small Scheme whose every value lies in an arena.
//!
//! ```text
//!   text -- reader --> data -- compiler --> code -- machine --> value
//!                       all of it objects, in one window after another
//!   scheme     the interpreter from outside: windows, safe points, what to do when there is no room
//!   window     the interpreter in a window: the state, symbols, making objects
//! ```
//!
//! It has what the Revised Reports on Scheme have, but for continuations, macros, numbers of more than 30 bits and changes of
//! strings. Definitions of primitives' names hold for what is compiled afterwards.

#![allow(
    dead_code,
    unused_imports,
    reason = "the board, the console and the tests use different parts"
)]
#![allow(
    clippy::result_large_err,
    reason = "an error holds its words, so that it needs no memory"
)]

mod bindings;
mod code;
mod compiler;
mod error;
mod forms;
mod function;
mod machine;
mod primitives;
mod print;
mod reader;
#[allow(clippy::module_inception, reason = "the noun of this file is the module's")]
mod scheme;
mod template;
mod value;
mod window;

pub use error::Error;
pub use scheme::{Scheme, Usage};
pub use window::Host;
