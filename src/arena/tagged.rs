//! References or small numbers, told apart by a bit.
//!
//! ```text
//!   0 pppppppppppppppppppppppppppppp    a position, which the collector changes; 0 is none
//!   1 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb    31 bits of the program's own
//! ```
//!
//! Positions have 31 bits, as no span has more granules (`MOST` in `gc/mod.rs`).

use core::cell::Cell;
use core::marker::PhantomData;

use super::brand::{Brand, Main};
use super::cx::Cx;
use super::gc::Gc;
use super::trace::{Object, Of, Rebind, Trace};
use crate::gc::card;
use crate::gc::visit::Visitor;

/// The bit that is set in a word that is not a position.
const PLAIN: u32 = 1 << 31;

/// What a [`TaggedSlot`] holds, in a window.
pub enum Tagged<'g, T: ?Sized, A = Main> {
    /// Nothing.
    Null,
    /// 31 bits. The highest one of the 32 is lost when they are stored.
    Bits(u32),
    /// A reference to an object.
    Object(Gc<'g, T, A>),
}

impl<T: ?Sized, A> Clone for Tagged<'_, T, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized, A> Copy for Tagged<'_, T, A> {}

/// A [`Slot`](crate::Slot) that holds 31 bits instead of a reference where the program wants it to. 4 bytes.
///
/// For interpreters and the like, whose variables hold an object or a number: small numbers, booleans and characters need no
/// object then ("immediate values", "small integers"). What the bits mean is the program's business.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// /// A list of numbers and names.
/// #[derive(Trace)]
/// struct Pair<'g> {
///     first: TaggedSlot<'g, str>,
///     rest: Slot<'g, Pair<'g>>,
/// }
///
/// arena.enter(|cx| {
///     let pair = cx.new::<Pair>(|g| Pair { first: TaggedSlot::new(g, Tagged::Bits(7)), rest: Slot::null() }).unwrap();
///     assert!(matches!(pair.get(cx).first.get(cx), Tagged::Bits(7)));
///     pair.get(cx).first.set(cx, Tagged::Object(cx.try_str("seven").unwrap()));
///     cx.compact();
///     let Tagged::Object(name) = pair.get(cx).first.get(cx) else { unreachable!() };
///     assert_eq!(&*name, "seven");
/// });
/// ```
pub struct TaggedSlot<'g, T: ?Sized, A = Main> {
    word: Cell<u32>,
    window: PhantomData<Cell<Gc<'g, T, A>>>,
}

impl<'g, T: ?Sized, A> TaggedSlot<'g, T, A> {
    /// A slot that holds nothing.
    #[inline(always)]
    pub const fn null() -> TaggedSlot<'g, T, A> {
        TaggedSlot {
            word: Cell::new(0),
            window: PhantomData,
        }
    }

    /// Makes the slot hold nothing.
    #[inline(always)]
    pub fn clear(&self) {
        self.word.set(0);
    }
}

impl<'g, T: Object + ?Sized, A: Brand> TaggedSlot<'g, T, A> {
    /// A slot that holds this.
    #[inline(always)]
    pub fn new(cx: &'g Cx<A>, value: Tagged<'g, T, A>) -> TaggedSlot<'g, T, A> {
        let slot = TaggedSlot::null();
        slot.fill(cx, value);
        slot
    }

    /// Stores the word; tells whether it is a reference.
    #[inline(always)]
    fn fill(&self, cx: &'g Cx<A>, value: Tagged<'g, T, A>) -> bool {
        self.word.set(match value {
            Tagged::Null => 0,
            Tagged::Bits(bits) => bits | PLAIN,
            Tagged::Object(target) => cx.position(target),
        });
        matches!(value, Tagged::Object(_))
    }

    /// What the slot holds.
    #[inline(always)]
    pub fn get(&self, cx: &'g Cx<A>) -> Tagged<'g, T, A> {
        let word = self.word.get();
        if word & PLAIN != 0 {
            Tagged::Bits(word & !PLAIN)
        } else if word == 0 {
            Tagged::Null
        } else {
            // SAFETY: TRACED: as for `Slot`.
            Tagged::Object(unsafe { cx.object_at(word) })
        }
    }

    /// Makes the slot hold this.
    #[inline(always)]
    pub fn set(&self, cx: &'g Cx<A>, value: Tagged<'g, T, A>) {
        if self.fill(cx, value) {
            card::dirty(&cx.collector().space, core::ptr::from_ref(self) as usize);
        }
    }
}

impl<T: ?Sized, A> Default for TaggedSlot<'_, T, A> {
    fn default() -> Self {
        TaggedSlot::null()
    }
}

// SAFETY: it is a slot, and shows itself, if it holds a position.
unsafe impl<T: ?Sized, A> Trace for TaggedSlot<'_, T, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        if self.word.get() & PLAIN == 0 {
            visitor.edge(&self.word);
        }
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<T: ?Sized, A> Of<A> for TaggedSlot<'_, T, A> {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind + ?Sized, A: 'static> Rebind for TaggedSlot<'_, T, A> {
    type At<'g> = TaggedSlot<'g, T::At<'g>, A>;
}

const _: () = assert!(size_of::<TaggedSlot<'static, u8>>() == 4);
