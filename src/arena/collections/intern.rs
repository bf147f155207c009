//! Strings of which there is one for each text.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::super::alloc::size_of_slice;
use super::super::brand::{Brand, Main};
use super::super::cx::Cx;
use super::super::error::{Full, OutOfMemory};
use super::super::gc::Gc;
use super::super::handle::{Entry, Root};
use super::super::trace::{Leaf, Of, Rebind, Trace};
use super::element::Element;
use crate::base::granule::GRANULE;
use crate::gc::handle::Kind;
use crate::gc::visit::Visitor;

/// An interned string that is kept as long as the arena: a number, which is equal if the text is. 4 bytes.
///
/// For names, of which there is a limited number: in the keys of maps, in code, in Rust data structures. It is plain data, so
/// it can be kept anywhere, over safe points as well. The order of symbols is not that of their texts. Each takes 16 bytes or
/// so beside its string.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     let (lambda, define) = (cx.symbol("lambda")?, cx.symbol("define")?);
///     cx.compact();
///     assert!(cx.symbol("lambda")? == lambda && lambda != define);
///     assert_eq!(lambda.text(cx), "lambda");
///     Ok::<(), OutOfMemory>(())
/// }).unwrap();
/// ```
pub struct Symbol<A = Main> {
    /// The index of its handle plus 1.
    handle: NonZeroU32,
    brand: PhantomData<fn(A) -> A>,
}

impl<A: Brand> Symbol<A> {
    /// The string, in a window. Of the same text, [`Cx::try_intern`] returns the same one.
    ///
    /// # Panics
    /// If the symbol is that of an earlier arena of this brand. What it means in this one is not defined otherwise.
    pub fn get<'g>(self, cx: &'g Cx<A>) -> Gc<'g, str, A> {
        let position = cx.collector().handles.symbol(self.handle.get() - 1);
        let position = position.expect("the symbol is of this arena");
        // SAFETY: HANDLE: the handle of a symbol is a strong one of a string.
        unsafe { cx.object_at(position) }
    }

    /// The text, in a window.
    ///
    /// # Panics
    /// As for [`Symbol::get`].
    pub fn text(self, cx: &Cx<A>) -> &str {
        self.get(cx).get()
    }
}

impl<A: Brand> Cx<A> {
    /// The one string of this text, in a window: two interned strings are the same object ([`Gc::is`]) if their texts are equal.
    /// The string goes when nothing refers to it any more. O(text) expected.
    ///
    /// # Errors
    /// There is none yet, and no room for it without a collection.
    pub fn try_intern<'g>(&'g self, text: &str) -> Result<Gc<'g, str, A>, Full<()>> {
        let handle = self.interned(text)?;
        // SAFETY: INTERNED: the handle of a string, found or made just now.
        Ok(unsafe { self.object_at(self.collector().handles.get(handle)) })
    }

    /// As [`Cx::try_intern`], after a collection if one is due or there is no room without.
    ///
    /// # Errors
    /// There is no room, even after a full collection.
    pub fn intern(&mut self, text: &str) -> Result<Root<str, A>, OutOfMemory> {
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        if !unsafe { self.collector_mut().reserve_handle() } {
            return Err(OutOfMemory { requested: 0 });
        }
        // SAFETY: there is room, just made.
        let entry = unsafe { Entry::reserved(self, 0, Kind::Strong) };
        self.reserve_interned(text)?;
        let string = self.try_intern(text)?;
        let mut root = Root::from_entry(entry);
        root.set(self, string);
        Ok(root)
    }

    /// The symbol of this text, in a window. O(text) expected.
    ///
    /// # Errors
    /// As for [`Cx::try_intern`].
    pub fn try_symbol(&self, text: &str) -> Result<Symbol<A>, Full<()>> {
        let handle = self.interned(text)?;
        // SAFETY: INTERNED: the handle of a string.
        unsafe { self.collector_mut().handles.intern(handle, true) };
        // SAFETY: it is not 0.
        let handle = unsafe { NonZeroU32::new_unchecked(handle + 1) };
        Ok(Symbol {
            handle,
            brand: PhantomData,
        })
    }

    /// As [`Cx::try_symbol`], after a collection if one is due or there is no room without.
    ///
    /// # Errors
    /// There is no room, even after a full collection.
    pub fn symbol(&mut self, text: &str) -> Result<Symbol<A>, OutOfMemory> {
        self.reserve_interned(text)?;
        self.try_symbol(text).map_err(OutOfMemory::from)
    }

    /// The handle of the interned string of this text.
    fn interned(&self, text: &str) -> Result<u32, Full<()>> {
        if let Some(handle) = self.collector().find_interned(text) {
            return Ok(handle);
        }
        if !self.collector_mut().reserve_interned() {
            let requested = size_of_slice::<u8>(text.len()).unwrap_or(usize::MAX);
            return Err(Full { value: (), requested });
        }
        let string = self.try_str(text)?;
        let position = self.position(string);
        // SAFETY: the string was made of the text, and room for it before.
        Ok(unsafe { self.collector_mut().add_interned(text, position) })
    }

    /// Makes [`Cx::interned`] infallible for this text.
    fn reserve_interned(&mut self, text: &str) -> Result<(), OutOfMemory> {
        let requested = size_of_slice::<u8>(text.len()).unwrap_or(usize::MAX);
        let granules = u32::try_from(requested / GRANULE).unwrap_or(u32::MAX);
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        let has_room = unsafe { self.collector_mut().reserve_interned_collecting(text, granules) };
        has_room.then_some(()).ok_or(OutOfMemory { requested })
    }
}

impl<A> Clone for Symbol<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Symbol<A> {}

impl<A> PartialEq for Symbol<A> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<A> Eq for Symbol<A> {}

impl<A> PartialOrd for Symbol<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Symbol<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.handle.cmp(&other.handle)
    }
}

impl<A> Hash for Symbol<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl<A> fmt::Debug for Symbol<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.handle)
    }
}

// SAFETY: there are no slots in it.
unsafe impl<A> Trace for Symbol<A> {
    const LEAF: bool = true;

    #[inline(always)]
    fn trace(&self, _: &mut Visitor) {}
}

// SAFETY: there are no slots in it.
unsafe impl<A, B> Of<B> for Symbol<A> {}

// SAFETY: there are no lifetimes in it.
unsafe impl<A: 'static> Rebind for Symbol<A> {
    type At<'g> = Symbol<A>;
}

// SAFETY: as for `Trace`.
unsafe impl<A: 'static> Leaf for Symbol<A> {}

// SAFETY: it is `Copy`.
unsafe impl<A> Element for Symbol<A> {}

const _: () = assert!(size_of::<Option<Symbol>>() == 4);
