//! What a map finds its entries by.

use core::hash::{Hash, Hasher};

use super::super::brand::{Brand, Main};
use super::super::cx::Cx;
use super::super::gc::Gc;
use super::super::slot::Slot;
use super::super::trace::{Object, Of, Rebind, Trace};
use super::element::Element;
use crate::gc::visit::Visitor;

/// A type of keys of a [`GcMap`](crate::GcMap).
///
/// - By value: what is `Hash` and `Eq`, such as numbers and [`Symbol`](crate::Symbol)s.
/// - By identity: a [`Slot`], which is equal to the slots that refer to the same object.
/// - By text: a [`Text`].
///
/// A type of the program's own with slots in it, such as an enum of values, implements it by means of those. An
/// implementation that does not keep to the rules makes maps forget keys, and nothing worse.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key of a map in the arena of `{A}`",
    note = "derive `Hash` and `Eq` for a type of plain data; implement `Key` for one with slots"
)]
pub trait Key<'g, A: Brand>: Element + Of<A> {
    /// Whether the hash may change when objects move, as that of an identity does.
    const MOVES: bool = false;

    /// A hash, the same for equal keys. It need not be spread well, but be different for keys that are.
    fn hash(&self, cx: &'g Cx<A>) -> u32;

    /// Whether two keys are equal.
    fn is_equal(&self, other: &Self, cx: &'g Cx<A>) -> bool;
}

/// What a key of type `K` can be looked up by: the key itself; the text of a [`Text`], the object of a [`Slot`].
pub trait Query<'g, K, A: Brand> {
    /// The hash of the keys that match.
    fn hash(&self, cx: &'g Cx<A>) -> u32;

    /// Whether this is the key.
    fn matches(&self, key: &K, cx: &'g Cx<A>) -> bool;
}

impl<'g, K: Key<'g, A>, A: Brand> Query<'g, K, A> for K {
    #[inline]
    fn hash(&self, cx: &'g Cx<A>) -> u32 {
        Key::hash(self, cx)
    }

    #[inline]
    fn matches(&self, key: &K, cx: &'g Cx<A>) -> bool {
        self.is_equal(key, cx)
    }
}

impl<'g, T: Element + Of<A> + Hash + Eq, A: Brand> Key<'g, A> for T {
    #[inline]
    fn hash(&self, _: &'g Cx<A>) -> u32 {
        let mut mixer = Mixer(0);
        Hash::hash(self, &mut mixer);
        mixer.0
    }

    #[inline]
    fn is_equal(&self, other: &Self, _: &'g Cx<A>) -> bool {
        self == other
    }
}

impl<'g, T: Object + ?Sized, A: Brand> Key<'g, A> for Slot<'g, T, A> {
    const MOVES: bool = true;

    #[inline]
    fn hash(&self, _: &'g Cx<A>) -> u32 {
        self.position()
    }

    #[inline]
    fn is_equal(&self, other: &Self, _: &'g Cx<A>) -> bool {
        self.position() == other.position()
    }
}

impl<'g, T: Object + ?Sized, A: Brand> Query<'g, Slot<'g, T, A>, A> for Gc<'g, T, A> {
    #[inline]
    fn hash(&self, cx: &'g Cx<A>) -> u32 {
        cx.position(*self)
    }

    #[inline]
    fn matches(&self, key: &Slot<'g, T, A>, cx: &'g Cx<A>) -> bool {
        cx.position(*self) == key.position()
    }
}

/// A string that is a key by its text, so that maps find it by a `&str`; or none. 4 bytes.
///
/// Interned strings, and above all symbols, are found faster: by identity, with nothing to compare.
pub struct Text<'g, A = Main>(Slot<'g, str, A>);

impl<'g, A: Brand> Text<'g, A> {
    /// A key of the text of this string.
    pub fn new(cx: &'g Cx<A>, text: Gc<'g, str, A>) -> Text<'g, A> {
        Text(Slot::new(cx, text))
    }

    /// The string.
    pub fn get(&self, cx: &'g Cx<A>) -> Option<Gc<'g, str, A>> {
        self.0.get(cx)
    }
}

impl<'g, A: Brand> Key<'g, A> for Text<'g, A> {
    fn hash(&self, cx: &'g Cx<A>) -> u32 {
        self.get(cx).map_or(0, |text| hash_of(text.as_bytes()))
    }

    fn is_equal(&self, other: &Self, cx: &'g Cx<A>) -> bool {
        self.get(cx).as_deref() == other.get(cx).as_deref()
    }
}

impl<'g, A: Brand> Query<'g, Text<'g, A>, A> for str {
    fn hash(&self, _: &'g Cx<A>) -> u32 {
        hash_of(self.as_bytes())
    }

    fn matches(&self, key: &Text<'g, A>, cx: &'g Cx<A>) -> bool {
        key.get(cx).as_deref() == Some(self)
    }
}

// SAFETY: its slot is that of the field.
unsafe impl<A> Trace for Text<'_, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        self.0.trace(visitor);
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<A> Of<A> for Text<'_, A> {}

// SAFETY: the same type, rebound.
unsafe impl<A: 'static> Rebind for Text<'_, A> {
    type At<'g> = Text<'g, A>;
}

// SAFETY: its field is one.
unsafe impl<A> Element for Text<'_, A> {}

fn hash_of(bytes: &[u8]) -> u32 {
    let mut mixer = Mixer(0);
    mixer.write(bytes);
    mixer.0
}

/// The hash of Firefox and rustc ("Fx"), in 32 bits: a multiplication for each word. Not for keys that an enemy chooses.
struct Mixer(u32);

impl Mixer {
    #[inline(always)]
    fn mix(&mut self, word: u32) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        words.iter().for_each(|word| self.mix(u32::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.mix(u32::from(*byte)));
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.mix(u32::from(word));
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.mix(word);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word as u32);
        self.mix((word >> 32) as u32);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0)
    }
}
