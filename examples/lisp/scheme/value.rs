//! Values: in objects, 4 bytes each, and in a window.
//!
//! ```text
//!   in a field    a position | 31 bits: n n n ... n 0    a number of 30 bits
//!                              31 bits: c c c ... k k 1  k = 0: (), #t, #f, nothing; 1: a character; 2: a primitive
//! ```
//!
//! A [`Field`] lies in an object, where the collector finds it; it is not `Copy`. A [`Value`] is what a window works with.

use terrace::{Cx, Gc, Slot, Tagged, TaggedSlot, Trace};

use super::code::Code;

/// A value in an object.
pub type Field<'g> = TaggedSlot<'g, Object<'g>>;
/// An object in a window.
pub type Ref<'g> = Gc<'g, Object<'g>>;

/// What is not immediate: 16 bytes on 32-bit targets, with the header.
#[derive(Trace)]
pub enum Object<'g> {
    /// Where the reader saw its parenthesis is kept in what would be padding; line 0 if nowhere. The tail comes first: what is
    /// shown to the collector last is marked first, so only tails wait meanwhile, one for each list in a list.
    Pair {
        column: u8,
        line: u16,
        tail: Field<'g>,
        head: Field<'g>,
    },
    /// The value is that of the global variable.
    Symbol {
        name: Slot<'g, str>,
        value: Field<'g>,
    },
    Text(Slot<'g, str>),
    Vector(Slot<'g, [Field<'g>]>),
    Closure {
        code: Slot<'g, Code<'g>>,
        free: Slot<'g, [Field<'g>]>,
    },
    /// A variable that is assigned to, and may be shared by closures.
    Variable(Field<'g>),
}

/// A value in a window.
#[derive(Clone, Copy)]
pub enum Value<'g> {
    /// What a variable holds before its definition.
    Unassigned,
    Unspecified,
    Nil,
    Bool(bool),
    /// A number of 30 bits.
    Int(i32),
    Char(char),
    /// Its index in the table of primitives.
    Primitive(u8),
    Object(Ref<'g>),
}

const CONSTANT: u32 = 0b001;
const CHAR: u32 = 0b011;
const PRIMITIVE: u32 = 0b101;
const KIND_BITS: u32 = 3;
const KIND: u32 = (1 << KIND_BITS) - 1;

/// The largest and the smallest number.
pub const MOST: i32 = (1 << 29) - 1;
pub const LEAST: i32 = -1 << 29;

impl<'g> Value<'g> {
    /// What a field holds.
    #[inline(always)]
    pub fn of(cx: &'g Cx, field: &Field<'g>) -> Value<'g> {
        match field.get(cx) {
            Tagged::Object(object) => Value::Object(object),
            Tagged::Bits(bits) if bits & 1 == 0 => Value::Int(((bits << 1) as i32) >> 2),
            Tagged::Bits(bits) => Value::of_bits(bits),
            Tagged::Null => Value::Unassigned,
        }
    }

    fn of_bits(bits: u32) -> Value<'g> {
        let rest = bits >> KIND_BITS;
        match (bits & KIND, rest) {
            (CHAR, _) => Value::Char(char::from_u32(rest).unwrap_or(char::REPLACEMENT_CHARACTER)),
            (PRIMITIVE, _) => Value::Primitive(rest as u8),
            (_, 0) => Value::Nil,
            (_, 1) => Value::Bool(false),
            (_, 2) => Value::Bool(true),
            _ => Value::Unspecified,
        }
    }

    #[inline]
    fn tagged(self) -> Tagged<'g, Object<'g>> {
        match self {
            Value::Object(object) => Tagged::Object(object),
            Value::Int(number) => Tagged::Bits((number << 1) as u32 & (u32::MAX >> 1)),
            Value::Unassigned => Tagged::Null,
            Value::Nil => Tagged::Bits(CONSTANT),
            Value::Bool(truth) => Tagged::Bits((1 + u32::from(truth)) << KIND_BITS | CONSTANT),
            Value::Unspecified => Tagged::Bits(3 << KIND_BITS | CONSTANT),
            Value::Char(char) => Tagged::Bits(u32::from(char) << KIND_BITS | CHAR),
            Value::Primitive(index) => Tagged::Bits(u32::from(index) << KIND_BITS | PRIMITIVE),
        }
    }

    /// A field that holds the value.
    #[inline]
    pub fn field(self, cx: &'g Cx) -> Field<'g> {
        Field::new(cx, self.tagged())
    }

    /// Stores the value in a field.
    #[inline]
    pub fn store(self, cx: &'g Cx, field: &Field<'g>) {
        field.set(cx, self.tagged());
    }

    /// Everything but `#f` counts as true.
    #[inline(always)]
    pub fn is_true(self) -> bool {
        !matches!(self, Value::Bool(false))
    }

    /// Whether the two are the same object, or the same immediate value.
    #[inline(always)]
    pub fn is(self, other: Value<'g>) -> bool {
        match (self, other) {
            (Value::Object(one), Value::Object(other)) => one.is(other),
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Char(one), Value::Char(other)) => one == other,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Primitive(one), Value::Primitive(other)) => one == other,
            (Value::Nil, Value::Nil) | (Value::Unspecified, Value::Unspecified) => true,
            _ => false,
        }
    }

    /// Head and tail of a pair.
    #[inline]
    pub fn pair(self, cx: &'g Cx) -> Option<(Value<'g>, Value<'g>)> {
        let (head, tail) = self.fields()?;
        Some((Value::of(cx, head), Value::of(cx, tail)))
    }

    /// The fields of a pair.
    #[inline]
    pub fn fields(self) -> Option<(&'g Field<'g>, &'g Field<'g>)> {
        match self {
            Value::Object(object) => match object.get() {
                Object::Pair { head, tail, .. } => Some((head, tail)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Line and column of a pair that was read.
    pub fn position(self) -> Option<Position> {
        match self {
            Value::Object(object) => match *object.get() {
                Object::Pair { column, line, .. } if line != 0 => Some(Position { line, column }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text of a symbol.
    pub fn symbol(self, cx: &'g Cx) -> Option<&'g str> {
        match self {
            Value::Object(object) => match object.get() {
                Object::Symbol { name, .. } => name.get(cx).map(Gc::get),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn text(self, cx: &'g Cx) -> Option<&'g str> {
        match self {
            Value::Object(object) => match object.get() {
                Object::Text(text) => text.get(cx).map(Gc::get),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline]
    pub fn vector(self, cx: &'g Cx) -> Option<&'g [Field<'g>]> {
        match self {
            Value::Object(object) => match object.get() {
                Object::Vector(elements) => elements.get(cx).map(Gc::get),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a list; stops at whatever is no pair.
    pub fn elements(self, cx: &'g Cx) -> Elements<'g> {
        Elements { cx, rest: self }
    }

    /// The length of a list; nothing if it is none. Floyd's tortoise and hare find cycles.
    pub fn length(self, cx: &'g Cx) -> Option<usize> {
        let (mut slow, mut fast, mut length) = (self, self, 0);
        while let Some((_, tail)) = fast.pair(cx) {
            fast = tail;
            length += 1;
            if length % 2 == 0 {
                slow = slow.pair(cx)?.1;
                if slow.is(fast) && !matches!(fast, Value::Nil) {
                    return None;
                }
            }
        }
        matches!(fast, Value::Nil).then_some(length)
    }
}

/// Where something was read. Columns beyond 255 are told as 255.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    pub line: u16,
    pub column: u8,
}

/// Goes through a list.
pub struct Elements<'g> {
    cx: &'g Cx,
    /// What was not gone through yet.
    pub rest: Value<'g>,
}

impl<'g> Iterator for Elements<'g> {
    type Item = Value<'g>;

    fn next(&mut self) -> Option<Value<'g>> {
        let (head, tail) = self.rest.pair(self.cx)?;
        self.rest = tail;
        Some(head)
    }
}
