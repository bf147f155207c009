//! Collections on top of objects: their elements lie in objects of the arena, and are traced and moved with them.
//!
//! ```text
//!   element.rs   Element: what can be an element
//!   buffer.rs    the object in which elements lie: growing, with what was written to it before the window
//!     vec.rs     GcVec       elements in a row
//!     string.rs  GcString    text that grows at its end
//!     map.rs     GcMap       values by key: on top of GcVec; key.rs tells what can be a key
//!   intern.rs    Symbol, and strings of which there is one for each text
//! ```
//!
//! **Elements are copied in and out**, as with a [`Cell`](core::cell::Cell): no reference to one is ever given away, so
//! whatever is done to a collection, in whatever order and by whomever, none can dangle or see a value change under it. Hence
//! all operations take `&self`, in a window, and a collection can be a field of an object. What is too large to be copied,
//! or has a destructor, is an object of its own, and the element is a [`Slot`](crate::Slot).

pub(crate) mod buffer;
pub(crate) mod element;
pub(crate) mod intern;
pub(crate) mod key;
pub(crate) mod map;
pub(crate) mod string;
pub(crate) mod vec;
