//! What can be an element of a collection.

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::super::dynamic::DynSlot;
use super::super::slot::{Interior, Slot};
use super::super::tagged::TaggedSlot;
use super::super::trace::{Leaf, Plain, Trace, for_tuples};

/// A type whose values are copied in and out of collections: one of plain data and slots.
///
/// `#[trace(element)]` beside `#[derive(Trace)]` implements it, if all fields are elements and there is no `Drop`: as for
/// `Copy`, that is a promise of the type's author.
///
/// # Safety
/// A copy of a value's bytes is as good a value as the first: it owns nothing, has no destructor, and nothing relies on
/// there being one of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of a managed collection",
    label = "is not copied in and out",
    note = "write `#[trace(element)]` beside `#[derive(Trace)]` of a type of plain data and slots",
    note = "what has a destructor, or is large, is an object of its own: make the element a `Slot` of it"
)]
pub unsafe trait Element: Trace {}

macro_rules! element {
    ($([$($parameter:ident: $bound:path),*] $type:ty,)*) => { $(
        // SAFETY: it is `Copy`, or made of values that are.
        unsafe impl<$($parameter: $bound),*> Element for $type {}
    )* };
}

trait Static: 'static {}
impl<T: 'static> Static for T {}

trait CopyStatic: Copy + 'static {}
impl<T: Copy + 'static> CopyStatic for T {}

trait CopyLeaf: Copy + Leaf {}
impl<T: Copy + Leaf> CopyLeaf for T {}

element! {
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize, [] i8, [] i16, [] i32,
    [] i64, [] i128, [] isize, [] f32, [] f64, [] bool, [] char, [] (),
    [T: CopyStatic] Plain<T>,
    [T: CopyLeaf] Cell<T>,
    [T: CopyLeaf] MaybeUninit<T>,
    [T: Static] PhantomData<T>,
    [T: Element] Option<T>,
}

// SAFETY: a copy of a slot refers to the same object, and is of the same window.
unsafe impl<T: ?Sized, A> Element for Slot<'_, T, A> {}

// SAFETY: as for `Slot`.
unsafe impl<T: ?Sized, A> Element for TaggedSlot<'_, T, A> {}

// SAFETY: as for `Slot`.
unsafe impl<D: ?Sized, A> Element for DynSlot<'_, D, A> {}

// SAFETY: as for `Slot`.
unsafe impl<U, A> Element for Interior<'_, U, A> {}

// SAFETY: all of it are elements.
unsafe impl<T: Element, const N: usize> Element for [T; N] {}

macro_rules! tuple {
    ($($type:ident)*) => {
        // SAFETY: all of it are elements.
        unsafe impl<$($type: Element),*> Element for ($($type,)*) {}
    };
}

for_tuples!(tuple);
