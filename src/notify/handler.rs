//! The table of GC handlers: fixed capacity, keyed by function and data.
//!
//! Source: seed `003_406b49dbc1d5ad59.txt` (`OH_JSVM_AddHandlerForGC`: a handler before or after, for a type of collection; the
//! function and its data are the key; whatever is done with a key a second time is an invalid argument).

use core::fmt;
use core::ops::BitOr;
use core::ptr;

use heapless::Vec;

use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;

/// Handlers that one heap can hold.
pub const GC_HANDLERS: usize = 8;

/// When a handler is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trigger {
    /// Before a collection.
    Before,
    /// After a collection.
    After,
}

/// Types of collections, by the oldest generation that each is about; a set of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GcType(u8);

impl GcType {
    /// Of what is young.
    pub const YOUNG: GcType = GcType(1);
    /// Of what is young or has survived once.
    pub const MIDDLE: GcType = GcType(2);
    /// Of everything.
    pub const FULL: GcType = GcType(4);
    /// Each collection.
    pub const ALL: GcType = GcType(7);

    /// The type of a collection of this generation.
    pub const fn of(generation: Generation) -> GcType {
        GcType(1 << generation as u8)
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: GcType) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for GcType {
    type Output = GcType;

    fn bitor(self, other: GcType) -> GcType {
        GcType(self.0 | other.0)
    }
}

/// What a handler is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct GcEvent {
    /// When it is called.
    pub trigger: Trigger,
    /// It and what is younger is collected.
    pub generation: Generation,
    /// Why.
    pub cause: CollectionCause,
    /// Afterwards: whether objects have moved.
    pub has_compacted: bool,
}

impl GcEvent {
    /// The type of the collection, as a set of one.
    pub const fn gc_type(&self) -> GcType {
        GcType::of(self.generation)
    }

    /// Whether somebody has asked for the collection, rather than a budget or want of memory.
    pub const fn is_forced(&self) -> bool {
        matches!(self.cause, CollectionCause::Asked | CollectionCause::Pressure)
    }
}

/// Why a handler was not added or removed. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandlerError {
    /// This function is there with this data already. (`JSVM_INVALID_ARG`)
    Duplicate,
    /// This function is not there with this data, for this trigger. (`JSVM_INVALID_ARG`)
    Unknown,
    /// The table has no free place.
    Full {
        /// Handlers that it can hold.
        capacity: usize,
    },
    /// The heap has no memory for the table.
    OutOfMemory,
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandlerError::Duplicate => f.write_str("the function is a handler with this data already"),
            HandlerError::Unknown => f.write_str("the function is no handler with this data"),
            HandlerError::Full { capacity } => write!(f, "all {capacity} handlers are taken"),
            HandlerError::OutOfMemory => f.write_str("no memory for the table of handlers"),
        }
    }
}

impl core::error::Error for HandlerError {}

/// A function and its data, their types forgotten.
///
/// **Invariant `PAIR`**: `function` was a `fn(&GcEvent, &'static T)` and `data` a `&'static T`, for the same `T: Sync`.
#[derive(Clone, Copy)]
pub(crate) struct Handler {
    trigger: Trigger,
    types: GcType,
    function: fn(&GcEvent, *const ()),
    data: *const (),
}

// SAFETY: PAIR: the data is a shared reference to a `Sync` type, which may be used from any thread.
unsafe impl Send for Handler {}

impl Handler {
    pub(crate) fn new<T: Sync>(
        trigger: Trigger,
        types: GcType,
        function: fn(&GcEvent, &'static T),
        data: &'static T,
    ) -> Handler {
        // SAFETY: the two function types differ only in `&'static T` against `*const ()`, thin pointers both, which are
        // ABI-compatible; PAIR sees to it that the function only ever gets a `&'static T`.
        let function = unsafe { core::mem::transmute::<fn(&GcEvent, &'static T), fn(&GcEvent, *const ())>(function) };
        Handler {
            trigger,
            types,
            function,
            data: ptr::from_ref(data).cast(),
        }
    }

    fn has_key_of(&self, other: &Handler) -> bool {
        self.trigger == other.trigger
            && ptr::fn_addr_eq(self.function, other.function)
            && ptr::eq(self.data, other.data)
    }

    /// Calls it, if it is for such an event.
    pub(crate) fn call(&self, event: &GcEvent) {
        if self.trigger == event.trigger && self.types.contains(event.gc_type()) {
            (self.function)(event, self.data);
        }
    }
}

/// The handlers.
pub(crate) struct Handlers {
    handlers: Vec<Handler, GC_HANDLERS, u8>,
}

impl Handlers {
    pub(crate) const EMPTY: Handlers = Handlers { handlers: Vec::new() };

    /// Adds `handler`.
    ///
    /// # Errors
    /// `Duplicate`, `Full`.
    pub(crate) fn add(&mut self, handler: Handler) -> Result<(), HandlerError> {
        if self.handlers.iter().any(|other| other.has_key_of(&handler)) {
            return Err(HandlerError::Duplicate);
        }
        let full = HandlerError::Full { capacity: GC_HANDLERS };
        self.handlers.push(handler).map_err(|_| full)
    }

    /// Removes the handler with the key of this one.
    ///
    /// # Errors
    /// `Unknown`.
    pub(crate) fn remove(&mut self, key: &Handler) -> Result<(), HandlerError> {
        let found = self.handlers.iter().position(|other| other.has_key_of(key));
        self.handlers.swap_remove(found.ok_or(HandlerError::Unknown)?);
        Ok(())
    }

    /// The handler at an index.
    pub(crate) fn get(&self, index: usize) -> Option<Handler> {
        self.handlers.get(index).copied()
    }
}
