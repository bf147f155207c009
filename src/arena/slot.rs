//! References inside of objects: positions, which the collector changes when objects move.

use core::cell::Cell;
use core::marker::PhantomData;

use super::brand::{Brand, Main};
use super::cx::Cx;
use super::gc::Gc;
use super::trace::{Object, Of, Rebind, Trace};
use crate::gc::card;
use crate::gc::visit::Visitor;

/// A reference from one object to another, or to none. 4 bytes.
///
/// Reading and writing it takes the window's [`Cx`], so a destructor cannot follow one, and one that is kept on the stack
/// over a safe point can neither be filled nor read.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// #[derive(Trace)]
/// struct Pair<'g> {
///     left: Slot<'g, u32>,
///     right: Slot<'g, [Slot<'g, Pair<'g>>]>,
/// }
///
/// arena.enter(|cx| {
///     let pairs = cx.new_slice::<Slot<Pair>>(3, |_, _| Slot::null()).unwrap();
///     let pair = cx.new::<Pair>(|g| Pair { left: Slot::null(), right: Slot::new(g, pairs.get(g)) }).unwrap();
///     // Cycles are no matter.
///     pairs.get(cx)[1].set(cx, Some(pair.get(cx)));
///     let left = cx.try_new(5).unwrap();
///     pair.get(cx).left.set(cx, Some(left));
///     let same = pairs.get(cx)[1].get(cx).unwrap();
///     assert_eq!(same.left.get(cx).as_deref(), Some(&5));
/// });
/// ```
pub struct Slot<'g, T: ?Sized, A = Main> {
    position: Cell<u32>,
    window: PhantomData<Cell<Gc<'g, T, A>>>,
}

impl<'g, T: ?Sized, A> Slot<'g, T, A> {
    /// A slot that refers to nothing.
    #[inline(always)]
    pub const fn null() -> Slot<'g, T, A> {
        Slot {
            position: Cell::new(0),
            window: PhantomData,
        }
    }
}

impl<T: ?Sized, A> Slot<'_, T, A> {
    /// The position of the object that the slot refers to, or 0.
    #[inline(always)]
    pub(super) fn position(&self) -> u32 {
        self.position.get()
    }
}

impl<'g, T: Object + ?Sized, A: Brand> Slot<'g, T, A> {
    /// A slot that refers to an object.
    #[inline(always)]
    pub fn new(cx: &'g Cx<A>, target: Gc<'g, T, A>) -> Slot<'g, T, A> {
        Slot {
            position: Cell::new(cx.position(target)),
            window: PhantomData,
        }
    }

    /// The object that the slot refers to.
    #[inline(always)]
    pub fn get(&self, cx: &'g Cx<A>) -> Option<Gc<'g, T, A>> {
        let position = self.position.get();
        // SAFETY: TRACED: a filled slot that can be read in the window was filled in it, or lies in an object, where the
        // collector keeps it up to date.
        (position != 0).then(|| unsafe { cx.object_at(position) })
    }

    /// Makes the slot refer to an object, or to none.
    #[inline(always)]
    pub fn set(&self, cx: &'g Cx<A>, target: Option<Gc<'g, T, A>>) {
        self.position.set(target.map_or(0, |target| cx.position(target)));
        card::dirty(&cx.collector().space, core::ptr::from_ref(self) as usize);
    }
}

impl<T: ?Sized, A> Default for Slot<'_, T, A> {
    fn default() -> Self {
        Slot::null()
    }
}

// SAFETY: it is a slot, and shows itself.
unsafe impl<T: ?Sized, A> Trace for Slot<'_, T, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        visitor.edge(&self.position);
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<T: ?Sized, A> Of<A> for Slot<'_, T, A> {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind + ?Sized, A: 'static> Rebind for Slot<'_, T, A> {
    type At<'g> = Slot<'g, T::At<'g>, A>;
}

/// A reference to a part of an object, which keeps all of that object, or to none. 8 bytes.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// #[derive(Trace)]
/// struct Cursor<'g> {
///     at: Interior<'g, u16>,
/// }
///
/// arena.enter(|cx| {
///     let cursor = cx.new::<Cursor>(|_| Cursor { at: Interior::null() }).unwrap();
///     let numbers = cx.try_slice(&[1u16, 2, 3]).unwrap();
///     cursor.get(cx).at.set(cx, numbers, |numbers| &numbers[1]);
///     cx.compact();
///     assert_eq!(cursor.get(cx).at.get(cx), Some(&2));
/// });
/// ```
pub struct Interior<'g, U, A = Main> {
    position: Cell<u32>,
    /// Bytes from the object's start to the part.
    offset: Cell<u32>,
    window: PhantomData<Cell<Gc<'g, U, A>>>,
}

impl<'g, U, A> Interior<'g, U, A> {
    /// A slot that refers to nothing.
    pub const fn null() -> Interior<'g, U, A> {
        Interior {
            position: Cell::new(0),
            offset: Cell::new(0),
            window: PhantomData,
        }
    }
}

impl<'g, U, A: Brand> Interior<'g, U, A> {
    /// The part that the slot refers to.
    pub fn get(&self, cx: &'g Cx<A>) -> Option<&'g U>
    where
        U: 'g,
    {
        let position = self.position.get();
        if position == 0 {
            return None;
        }
        let part = cx
            .collector()
            .space
            .at(position)
            .wrapping_add(self.offset.get() as usize);
        // SAFETY: TRACED: as for `Slot`; the part was found inside of the object, whose inside stays as it is.
        Some(unsafe { &*part.cast::<U>() })
    }

    /// Makes the slot refer to the part of `owner` that `project` selects.
    ///
    /// # Panics
    /// If that is not inside of the object.
    ///
    /// A part of no bytes has no place of its own, and may lie at the very end of its object; that does not compile:
    /// ```compile_fail
    /// # use terrace::*;
    /// fn part<'g>(cx: &'g Cx, slot: &Interior<'g, ()>, whole: Gc<'g, ((), u32)>) {
    ///     slot.set(cx, whole, |whole| &whole.0);
    /// }
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # Arena::new(&HEAP).unwrap().enter(|cx| part(cx, &Interior::null(), cx.try_new(((), 1)).unwrap()));
    /// ```
    pub fn set<T: Object + ?Sized + 'g>(
        &self,
        cx: &'g Cx<A>,
        owner: Gc<'g, T, A>,
        project: impl for<'b> FnOnce(&'b T) -> &'b U,
    ) {
        const { assert!(size_of::<U>() != 0, "a part of no bytes has no place of its own") };
        let whole = owner.get();
        let part = core::ptr::from_ref(project(whole)) as usize;
        let start = core::ptr::from_ref(whole).cast::<u8>() as usize;
        let is_inside = part >= start && part + size_of::<U>() <= start + size_of_val(whole);
        assert!(is_inside, "the part is inside of the object");
        self.position.set(cx.position(owner));
        self.offset.set((part - owner.object() as usize) as u32);
        card::dirty(&cx.collector().space, core::ptr::from_ref(self) as usize);
    }

    /// Makes the slot refer to nothing.
    pub fn clear(&self) {
        self.position.set(0);
    }
}

impl<U, A> Default for Interior<'_, U, A> {
    fn default() -> Self {
        Interior::null()
    }
}

// SAFETY: it is a slot, and shows itself.
unsafe impl<U, A> Trace for Interior<'_, U, A> {
    const LEAF: bool = false;

    fn trace(&self, visitor: &mut Visitor) {
        visitor.edge(&self.position);
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<U, A> Of<A> for Interior<'_, U, A> {}

const _: () = assert!(size_of::<Slot<'static, u8>>() == 4);
