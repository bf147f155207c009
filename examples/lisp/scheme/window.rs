//! The interpreter's state in the arena, and the interpreter in a window.

use core::cell::Cell;
use core::fmt;

use terrace::{Cx, Gc, Main, Of, Slot, Trace, size_of_object};

use super::error::Result;
use super::value::{Field, Object, Position, Ref, Value};

/// What the interpreter does outside of itself.
pub trait Host {
    /// Writes text to the console.
    fn write(&self, text: &str);

    /// Reads a clock, for pauses; in whatever unit, 0 if there is none.
    fn clock(&self) -> u64 {
        0
    }
}

/// A piece of the stack. A call for whose frame there is no room begins another piece ("segmented stack"; Hieb, Dybvig and
/// Bruggeman, 1990), so that recursion is as deep as the arena is large.
#[derive(Trace)]
pub struct Chunk<'g> {
    /// The piece below, and how much of it is in use.
    pub below: Slot<'g, Chunk<'g>>,
    pub used: Cell<u32>,
    pub values: Slot<'g, [Field<'g>]>,
}

/// All that lives over safe points: one handle keeps it.
#[derive(Trace)]
pub struct State<'g> {
    /// A hash table of symbols, open addressing; a power of two.
    pub symbols: Slot<'g, [Slot<'g, Object<'g>>]>,
    pub count: Cell<u32>,
    /// The registers of a machine that pauses, as in `Machine`.
    pub chunk: Slot<'g, Chunk<'g>>,
    pub closure: Slot<'g, Object<'g>>,
    pub value: Field<'g>,
    pub pc: Cell<u32>,
    pub fp: Cell<u32>,
    pub sp: Cell<u32>,
    /// Arguments of the call that is to be done; nothing between two instructions.
    pub entering: Cell<Option<u16>>,
    /// The lowest piece of the stack.
    pub first: Slot<'g, Chunk<'g>>,
    /// Bytes that were allocated.
    pub allocated: Cell<u64>,
}

/// The interpreter in a window: nothing moves, nothing is collected.
#[derive(Clone, Copy)]
pub struct Window<'g> {
    pub cx: &'g Cx,
    pub state: Gc<'g, State<'g>>,
    pub host: &'g dyn Host,
}

/// The content of a slot that is never empty.
#[inline(always)]
pub fn full<'g, T: terrace::Object + ?Sized>(slot: &Slot<'g, T>, cx: &'g Cx) -> Gc<'g, T> {
    slot.get(cx).expect("the slot was filled when its object was made")
}

impl<'g> Window<'g> {
    fn count(self, bytes: usize) {
        let allocated = &self.state.get().allocated;
        allocated.set(allocated.get() + bytes as u64);
    }

    /// Makes an object of any type.
    #[inline]
    pub fn make<T: Of<Main> + 'g>(self, value: T) -> Result<'g, Gc<'g, T>> {
        let object = self.cx.try_new(value)?;
        self.count(const { size_of_object::<T>() });
        Ok(object)
    }

    #[inline(never)]
    pub fn object(self, object: Object<'g>) -> Result<'g, Value<'g>> {
        Ok(Value::Object(self.make(object)?))
    }

    #[inline(never)]
    pub fn cons(self, head: Value<'g>, tail: Value<'g>) -> Result<'g, Value<'g>> {
        self.pair(head, tail, Position { line: 0, column: 0 })
    }

    /// A pair that was read.
    pub fn pair(self, head: Value<'g>, tail: Value<'g>, position: Position) -> Result<'g, Value<'g>> {
        self.object(Object::Pair {
            column: position.column,
            line: position.line,
            head: head.field(self.cx),
            tail: tail.field(self.cx),
        })
    }

    /// The values of an iterator, of which there are `len`, as a slice.
    pub fn fields(self, len: usize, mut values: impl FnMut(usize) -> Value<'g>) -> Result<'g, Gc<'g, [Field<'g>]>> {
        let fields = self.cx.try_slice_with(len, |index| values(index).field(self.cx))?;
        self.count(size_of_val(fields.get()) + 8);
        Ok(fields)
    }

    pub fn vector(self, len: usize, values: impl FnMut(usize) -> Value<'g>) -> Result<'g, Value<'g>> {
        let elements = self.fields(len, values)?;
        self.object(Object::Vector(Slot::new(self.cx, elements)))
    }

    /// A slice of plain data.
    pub fn plain<T: Trace + Copy + 'static>(self, elements: &[T]) -> Result<'g, Gc<'g, [T]>> {
        let slice = self.cx.try_slice(elements)?;
        self.count(size_of_val(elements) + 8);
        Ok(slice)
    }

    pub fn text(self, text: &str) -> Result<'g, Value<'g>> {
        let string = self.cx.try_str(text)?;
        self.count(text.len() + 8);
        self.object(Object::Text(Slot::new(self.cx, string)))
    }

    /// A list of the fields' values, before `tail`.
    pub fn list(self, fields: &[Field<'g>], tail: Value<'g>) -> Result<'g, Value<'g>> {
        fields
            .iter()
            .rev()
            .try_fold(tail, |list, field| self.cons(Value::of(self.cx, field), list))
    }

    /// The symbol with this name: always the same object.
    pub fn symbol(self, name: &str) -> Result<'g, Ref<'g>> {
        let state = self.state.get();
        if state.count.get() as usize * 4 >= full(&state.symbols, self.cx).len() * 3 {
            self.grow_symbols()?;
        }
        let table = full(&state.symbols, self.cx).get();
        let free = match self.find(table, name) {
            Ok(symbol) => return Ok(symbol),
            Err(free) => free,
        };
        let text = self.cx.try_str(name)?;
        self.count(name.len() + 8);
        let symbol = self.make(Object::Symbol {
            name: Slot::new(self.cx, text),
            value: Field::null(),
        })?;
        free.set(self.cx, Some(symbol));
        state.count.set(state.count.get() + 1);
        Ok(symbol)
    }

    /// The symbol in the table, or where it belongs.
    fn find(
        self,
        table: &'g [Slot<'g, Object<'g>>],
        name: &str,
    ) -> core::result::Result<Ref<'g>, &'g Slot<'g, Object<'g>>> {
        let mut at = hash(name);
        loop {
            let slot = &table[at as usize & (table.len() - 1)];
            match slot.get(self.cx) {
                None => return Err(slot),
                Some(symbol) if Value::Object(symbol).symbol(self.cx) == Some(name) => return Ok(symbol),
                Some(_) => at = at.wrapping_add(1),
            }
        }
    }

    fn grow_symbols(self) -> Result<'g, ()> {
        let slot = &self.state.get().symbols;
        let old = full(slot, self.cx).get();
        let new = self.cx.try_slice_with(old.len() * 2, |_| Slot::null())?;
        self.count(size_of_val(new.get()) + 8);
        for symbol in old.iter().filter_map(|slot| slot.get(self.cx)) {
            let name = Value::Object(symbol).symbol(self.cx).unwrap_or_default();
            if let Err(free) = self.find(new.get(), name) {
                free.set(self.cx, Some(symbol));
            }
        }
        slot.set(self.cx, Some(new));
        Ok(())
    }

    /// Writes to the console.
    pub fn print(self, value: impl fmt::Display) {
        /// The console, as what can be formatted to.
        struct Console<'h>(&'h dyn Host);

        impl fmt::Write for Console<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text);
                Ok(())
            }
        }
        let _ = fmt::write(&mut Console(self.host), format_args!("{value}"));
    }
}

/// FNV-1a.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
