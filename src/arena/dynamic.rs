//! Trait objects.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use super::brand::{Brand, Main, Window};
use super::cx::Cx;
use super::gc::Gc;
use super::trace::{Of, Trace};
use crate::base::granule::GRANULE;
use crate::gc::card;
use crate::gc::object::HEADER;
use crate::gc::visit::Visitor;

/// A [`Gc`] seen as a trait object, made by [`unsize!`](crate::unsize).
///
/// **Invariant `SIZED`**: the object was allocated as a sized type.
pub struct GcDyn<'g, D: ?Sized, A = Main> {
    value: NonNull<D>,
    window: Window<'g, A>,
}

impl<'g, D: ?Sized, A: Brand> GcDyn<'g, D, A> {
    /// A detail of [`unsize!`](crate::unsize).
    ///
    /// # Safety
    /// `coerce` is a coercion to a trait object.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn __new<T>(gc: Gc<'g, T, A>, coerce: impl FnOnce(*mut T) -> *mut D) -> GcDyn<'g, D, A> {
        GcDyn {
            // SAFETY: a coercion keeps the address, which is not 0.
            value: unsafe { NonNull::new_unchecked(coerce(gc.as_ptr())) },
            window: PhantomData,
        }
    }

    /// The object, as a reference as long as the window.
    #[inline(always)]
    pub fn get(self) -> &'g D
    where
        D: 'g,
    {
        // SAFETY: as for `Gc`.
        unsafe { &*self.value.as_ptr() }
    }
}

impl<D: ?Sized, A> Clone for GcDyn<'_, D, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: ?Sized, A> Copy for GcDyn<'_, D, A> {}

impl<D: ?Sized, A> Deref for GcDyn<'_, D, A> {
    type Target = D;

    #[inline(always)]
    fn deref(&self) -> &D {
        // SAFETY: as for `Gc`.
        unsafe { self.value.as_ref() }
    }
}

/// `unsize!(circle => dyn Shape)`: a [`Gc`] as a [`GcDyn`].
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// trait Shape {
///     fn area(&self) -> u32;
/// }
///
/// #[derive(Trace)]
/// struct Square(u32);
///
/// impl Shape for Square {
///     fn area(&self) -> u32 {
///         self.0 * self.0
///     }
/// }
///
/// #[derive(Trace)]
/// struct Drawing<'g> {
///     shape: DynSlot<'g, dyn Shape + 'g>,
/// }
///
/// arena.enter(|cx| {
///     let drawing = cx.new::<Drawing>(|g| {
///         let square = g.try_new(Square(3)).ok();
///         let shape = DynSlot::null();
///         shape.set(g, square.map(|square| unsize!(square => dyn Shape + '_)));
///         Drawing { shape }
///     }).unwrap();
///     cx.compact();
///     assert_eq!(drawing.get(cx).shape.get(cx).unwrap().area(), 9);
/// });
/// ```
#[macro_export]
macro_rules! unsize {
    ($gc:expr => dyn $($bounds:tt)+) => {{
        let gc = $gc;
        // SAFETY: the pointer is coerced, not cast, and to a trait object.
        #[allow(unused_unsafe, reason = "it may be used inside of an unsafe block")]
        unsafe {
            $crate::GcDyn::__new(gc, |value| {
                let value: *mut (dyn $($bounds)+) = value;
                value
            })
        }
    }};
}

/// A reference from an object to a trait object, or to none. It holds the pointer to the methods beside the position.
pub struct DynSlot<'g, D: ?Sized, A = Main> {
    position: Cell<u32>,
    /// The position for which `pointer` is right.
    as_of: Cell<u32>,
    pointer: Cell<Option<NonNull<D>>>,
    window: PhantomData<Cell<GcDyn<'g, D, A>>>,
}

impl<'g, D: ?Sized, A> DynSlot<'g, D, A> {
    /// A slot that refers to nothing.
    pub const fn null() -> DynSlot<'g, D, A> {
        DynSlot {
            position: Cell::new(0),
            as_of: Cell::new(0),
            pointer: Cell::new(None),
            window: PhantomData,
        }
    }
}

impl<'g, D: ?Sized, A: Brand> DynSlot<'g, D, A> {
    /// A slot that refers to an object.
    pub fn new(cx: &'g Cx<A>, target: GcDyn<'g, D, A>) -> DynSlot<'g, D, A> {
        let slot = DynSlot::null();
        slot.fill(cx, Some(target));
        slot
    }

    fn fill(&self, cx: &'g Cx<A>, target: Option<GcDyn<'g, D, A>>) {
        let position = target.map_or(0, |target| {
            // SIZED: so that is where the value begins.
            let offset = HEADER.next_multiple_of(align_of_val(&*target));
            let object = target.value.as_ptr().cast::<u8>().wrapping_sub(offset);
            cx.collector().space.position(object)
        });
        self.position.set(position);
        self.as_of.set(position);
        self.pointer.set(target.map(|target| target.value));
    }

    /// The object that the slot refers to.
    pub fn get(&self, _: &'g Cx<A>) -> Option<GcDyn<'g, D, A>> {
        let (position, pointer) = (self.position.get(), self.pointer.get()?);
        if position == 0 {
            return None;
        }
        let granules = position as isize - self.as_of.get() as isize;
        let pointer = pointer.as_ptr().wrapping_byte_offset(granules * GRANULE as isize);
        self.as_of.set(position);
        let value = NonNull::new(pointer)?;
        self.pointer.set(Some(value));
        // TRACED: as for `Slot`: the object has moved by as much as its position.
        Some(GcDyn {
            value,
            window: PhantomData,
        })
    }

    /// Makes the slot refer to an object, or to none.
    pub fn set(&self, cx: &'g Cx<A>, target: Option<GcDyn<'g, D, A>>) {
        self.fill(cx, target);
        card::dirty(&cx.collector().space, core::ptr::from_ref(self) as usize);
    }
}

impl<D: ?Sized, A> Default for DynSlot<'_, D, A> {
    fn default() -> Self {
        DynSlot::null()
    }
}

// SAFETY: it is a slot, and shows itself.
unsafe impl<D: ?Sized, A> Trace for DynSlot<'_, D, A> {
    const LEAF: bool = false;

    fn trace(&self, visitor: &mut Visitor) {
        visitor.edge(&self.position);
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<D: ?Sized, A> Of<A> for DynSlot<'_, D, A> {}
