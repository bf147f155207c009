//! What types must tell the collector, and what the types of the core library tell.

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};

use crate::gc::object::{self, Descriptor};
use crate::gc::visit::Visitor;

/// A type whose values can be objects, or parts of objects: it shows its slots to the collector.
///
/// `#[derive(Trace)]` implements it, and [`Rebind`]; there is hardly a reason to do so by hand.
///
/// # Safety
/// `trace` shows every [`Slot`](crate::Slot), [`TaggedSlot`](crate::TaggedSlot), [`DynSlot`](crate::DynSlot) and
/// [`Interior`](crate::Interior) in the value's own bytes exactly once, by calling `trace` of each field, and does nothing
/// else: it does not panic, allocate or keep anything. It may be called from any thread, also for a type that is not `Send`: an
/// arena that is parked is collected by whoever needs memory.
/// There are no slots elsewhere, such as in a box that the value owns. `LEAF` is true only if there are no slots.
/// No slot can be replaced as a whole through a shared reference to the value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a managed object",
    label = "not traced",
    note = "objects hold `Slot`s, which borrow nothing, in place of `Gc`s and references",
    note = "wrap a type without slots and lifetimes in `Plain`, and derive `Trace` for types of your own"
)]
pub unsafe trait Trace {
    /// There are no slots in it.
    const LEAF: bool;

    /// Shows the slots.
    fn trace(&self, visitor: &mut Visitor);
}

/// A type whose slots, if there are any, are those of the arena of brand `A`: its values can be objects there, or parts of some.
///
/// `#[derive(Trace)]` implements it for all brands that all fields are of: for one if there are slots, else for any.
///
/// # Safety
/// Every slot that [`Trace::trace`] shows is of the brand `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an object in the arena of `{A}`",
    label = "has slots of another arena, or is not traced",
    note = "a reference from one arena to another is a handle: a `Root` in a `Plain`"
)]
pub unsafe trait Of<A>: Trace {}

/// A type that can be named for any window: `At<'g>` is the same type with the lifetime of its slots replaced.
///
/// # Safety
/// `At` is `Self` but for lifetimes, all of which are the one given.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be held by a handle",
    note = "derive `Trace` for it, which implements `Rebind` as well"
)]
pub unsafe trait Rebind {
    /// The type in a window.
    type At<'g>: ?Sized;
}

/// A type without slots, so that objects of it can be pinned. `#[trace(leaf)]` beside `#[derive(Trace)]` implements it.
///
/// # Safety
/// There are no slots in it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may have slots, so it cannot be pinned, nor changed as a whole",
    note = "write `#[trace(leaf)]` beside `#[derive(Trace)]` of a type without slots, or wrap one in `Plain`"
)]
pub unsafe trait Leaf: 'static {}

/// What an object is: a [`Trace`] type, a slice of one, or `str`.
///
/// # Safety
/// The two functions undo each other for every object of this type, and the offset between their addresses is
/// that in the descriptor.
pub unsafe trait Object {
    /// The value of the object at this address.
    ///
    /// # Safety
    /// An object of this type lies there.
    #[doc(hidden)]
    unsafe fn from_object(object: *mut u8) -> *mut Self;

    /// The address of the object of this value.
    #[doc(hidden)]
    fn to_object(value: *mut Self) -> *mut u8;
}

// SAFETY: both go by `offset_of_value`.
unsafe impl<T: Trace> Object for T {
    #[inline(always)]
    unsafe fn from_object(object: *mut u8) -> *mut T {
        object.wrapping_add(object::offset_of_value::<T>()).cast()
    }

    #[inline(always)]
    fn to_object(value: *mut T) -> *mut u8 {
        value.cast::<u8>().wrapping_sub(object::offset_of_value::<T>())
    }
}

// SAFETY: both go by `offset_of_elements`, and the length is the object's.
unsafe impl<T: Trace> Object for [T] {
    #[inline(always)]
    unsafe fn from_object(object: *mut u8) -> *mut [T] {
        let elements = object.wrapping_add(object::offset_of_elements::<T>()).cast();
        // SAFETY: OBJECT: a slice's length follows its header.
        core::ptr::slice_from_raw_parts_mut(elements, unsafe { *object::length_of(object) } as usize)
    }

    #[inline(always)]
    fn to_object(value: *mut [T]) -> *mut u8 {
        value.cast::<u8>().wrapping_sub(object::offset_of_elements::<T>())
    }
}

// SAFETY: as a slice of bytes.
unsafe impl Object for str {
    #[inline(always)]
    unsafe fn from_object(object: *mut u8) -> *mut str {
        // SAFETY: the caller's: the object is one of bytes.
        unsafe { <[u8]>::from_object(object) as *mut str }
    }

    #[inline(always)]
    fn to_object(value: *mut str) -> *mut u8 {
        <[u8]>::to_object(value as *mut [u8])
    }
}

/// The descriptors of a type and of its slices.
pub(super) struct DescriptorOf<T>(PhantomData<T>);

impl<T: Trace> DescriptorOf<T> {
    const DROPS: bool = core::mem::needs_drop::<T>();
    const TRACE: Option<object::TraceFn> = if T::LEAF { None } else { Some(Self::trace_one) };
    const TRACE_SLICE: Option<object::TraceFn> = if T::LEAF { None } else { Some(Self::trace_slice) };

    const DROP: Option<object::DropFn> = if Self::DROPS { Some(Self::drop) } else { None };
    const DEAD: &'static Descriptor = &Descriptor::of::<T>(None, None, None);
    const DEAD_SLICE: &'static Descriptor = &Descriptor::of_slice::<T>(None, None, None);

    pub(super) const ONE: &'static Descriptor = &Descriptor::of::<T>(
        Self::TRACE,
        Self::DROP,
        if Self::DROPS { Some(Self::DEAD) } else { None },
    );

    pub(super) const SLICE: &'static Descriptor = &Descriptor::of_slice::<T>(
        Self::TRACE_SLICE,
        Self::DROP,
        if Self::DROPS { Some(Self::DEAD_SLICE) } else { None },
    );

    pub(super) const BUFFER: &'static Descriptor =
        &Descriptor::of_buffer::<T>(if T::LEAF { None } else { Some(Self::trace_buffer) });

    /// # Safety
    /// The elements of a buffer of this type lie there.
    unsafe fn trace_buffer(elements: *const u8, from: usize, to: usize, visitor: &mut Visitor) {
        let object = elements.cast_mut().wrapping_sub(object::offset_of_buffered::<T>());
        // SAFETY: OBJECT: as many elements as the buffer's length says are values, and a copy of one is a value.
        unsafe {
            let to = to.min(*object::buffered_of(object) as usize);
            if visitor.is_look() {
                // What is told of a slot may replace the element that it is in.
                for index in from..to {
                    ManuallyDrop::new(elements.cast::<T>().add(index).read()).trace(visitor);
                }
            } else {
                Self::trace_slice(elements, from, to, visitor);
            }
        }
    }

    /// # Safety
    /// One value of this type lies there, and is to be visited.
    unsafe fn trace_one(value: *const u8, _: usize, _: usize, visitor: &mut Visitor) {
        // SAFETY: the caller's.
        unsafe { (*value.cast::<T>()).trace(visitor) };
    }

    /// # Safety
    /// Values of this type lie there, at least `to`.
    unsafe fn trace_slice(value: *const u8, from: usize, to: usize, visitor: &mut Visitor) {
        for index in from..to {
            // SAFETY: the caller's.
            unsafe { (*value.cast::<T>().add(index)).trace(visitor) };
        }
    }

    /// # Safety
    /// `len` values of this type lie there, which are used by nobody any more.
    unsafe fn drop(value: *mut u8, len: usize) {
        // SAFETY: the caller's.
        unsafe { core::ptr::slice_from_raw_parts_mut(value.cast::<T>(), len).drop_in_place() };
    }
}

/// Any data without lifetimes, as an object or a part of one.
///
/// What it owns is dropped from [`Cx::poll`](crate::Cx::poll), after a collection has found the object dead.
///
/// It may own handles. An object that is reachable from a handle which it owns itself is never collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plain<T: 'static>(pub T);

impl<T> core::ops::Deref for Plain<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

macro_rules! leaf {
    ($([$($parameter:ident: $bound:path),*] $type:ty,)*) => { $(
        // SAFETY: there are no slots in it: a slot whose lifetime is `'static` cannot be filled, as there is no such window.
        unsafe impl<$($parameter: $bound),*> Trace for $type {
            const LEAF: bool = true;

            #[inline(always)]
            fn trace(&self, _: &mut Visitor) {}
        }

        // SAFETY: there are no slots in it.
        unsafe impl<Brand, $($parameter: $bound),*> Of<Brand> for $type {}

        // SAFETY: there are no lifetimes in it.
        unsafe impl<$($parameter: $bound),*> Rebind for $type {
            type At<'g> = $type;
        }

        // SAFETY: as for `Trace`.
        unsafe impl<$($parameter: $bound),*> Leaf for $type {}
    )* };
}

trait Static: 'static {}
impl<T: 'static> Static for T {}

leaf! {
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize, [] i8, [] i16, [] i32,
    [] i64, [] i128, [] isize, [] f32, [] f64, [] bool, [] char, [] (),
    [T: Static] Plain<T>,
    [T: Leaf] Cell<T>,
    [T: Leaf] RefCell<T>,
    [T: Leaf] MaybeUninit<T>,
    [T: Static] PhantomData<T>,
}

// SAFETY: the slots of the value, if there is one, are shown.
unsafe impl<T: Trace> Trace for Option<T> {
    const LEAF: bool = T::LEAF;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        if let Some(value) = self {
            value.trace(visitor);
        }
    }
}

// SAFETY: there are slots only in `T`.
unsafe impl<T: Of<A>, A> Of<A> for Option<T> {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind> Rebind for Option<T>
where
    for<'g> T::At<'g>: Sized,
{
    type At<'g> = Option<T::At<'g>>;
}

// SAFETY: there are slots only in `T`.
unsafe impl<T: Leaf> Leaf for Option<T> {}

// SAFETY: the slots of each element are shown.
unsafe impl<T: Trace, const N: usize> Trace for [T; N] {
    const LEAF: bool = T::LEAF;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        if !T::LEAF {
            self.iter().for_each(|value| value.trace(visitor));
        }
    }
}

// SAFETY: there are slots only in `T`.
unsafe impl<T: Of<A>, A, const N: usize> Of<A> for [T; N] {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind, const N: usize> Rebind for [T; N]
where
    for<'g> T::At<'g>: Sized,
{
    type At<'g> = [T::At<'g>; N];
}

// SAFETY: there are slots only in `T`.
unsafe impl<T: Leaf, const N: usize> Leaf for [T; N] {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind> Rebind for [T]
where
    for<'g> T::At<'g>: Sized,
{
    type At<'g> = [T::At<'g>];
}

// SAFETY: there are slots only in `T`.
unsafe impl<T: Leaf> Leaf for [T] {}

// SAFETY: there are no lifetimes in it.
unsafe impl Rebind for str {
    type At<'g> = str;
}

// SAFETY: there are no slots in it.
unsafe impl Leaf for str {}

/// Calls a macro with the names of the fields, for tuples of each length that objects may have.
macro_rules! for_tuples {
    ($apply:ident) => {
        $apply!(A);
        $apply!(A B);
        $apply!(A B C);
        $apply!(A B C D);
        $apply!(A B C D E);
        $apply!(A B C D E F);
    };
}

pub(super) use for_tuples;

macro_rules! tuple {
    ($($type:ident)*) => {
        // SAFETY: the slots of each field are shown.
        unsafe impl<$($type: Trace),*> Trace for ($($type,)*) {
            const LEAF: bool = $($type::LEAF)&&*;

            #[inline(always)]
            #[allow(non_snake_case, reason = "fields are named as their types")]
            fn trace(&self, visitor: &mut Visitor) {
                let ($($type,)*) = self;
                $($type.trace(visitor);)*
            }
        }

        // SAFETY: there are slots only in the fields.
        unsafe impl<Brand, $($type: Of<Brand>),*> Of<Brand> for ($($type,)*) {}

        // SAFETY: the same type, rebound.
        unsafe impl<$($type: Rebind),*> Rebind for ($($type,)*)
        where
            $(for<'g> $type::At<'g>: Sized,)*
        {
            type At<'g> = ($($type::At<'g>,)*);
        }

        // SAFETY: there are slots only in the fields.
        unsafe impl<$($type: Leaf),*> Leaf for ($($type,)*) {}
    };
}

for_tuples!(tuple);
