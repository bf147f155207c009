//! The primitives. Each makes one object and one slice at most, or tells what it needs: it is done again when there is room.

pub mod arithmetic;
pub mod pairs;
mod texts;
pub mod vectors;

use super::error::{Fault, Result};
use super::print::{Shown, Style};
use super::reader::Reader;
use super::value::{Field, Object, Value};
use super::window::Window;

/// A function of arguments that are still on the stack.
pub type Plain = for<'g> fn(Window<'g>, &'g [Field<'g>]) -> Result<'g, Value<'g>>;

/// How a primitive is run.
#[derive(Clone, Copy)]
pub enum Run {
    Plain(Plain),
    /// The machine calls another procedure in its place.
    Apply,
    Eval,
}

pub struct Primitive {
    pub name: &'static str,
    least: u8,
    /// Arguments at most; `ANY` means any number.
    most: u8,
    pub run: Run,
}

const ANY: u8 = u8::MAX;

impl Primitive {
    pub fn takes(&self, count: usize) -> bool {
        count >= usize::from(self.least) && (self.most == ANY || count <= usize::from(self.most))
    }

    /// Whether it needs no frame.
    pub fn is_plain(&self) -> bool {
        matches!(self.run, Run::Plain(_))
    }
}

const fn plain(name: &'static str, least: u8, most: u8, run: Plain) -> Primitive {
    Primitive {
        name,
        least,
        most,
        run: Run::Plain(run),
    }
}

const TABLES: [&[Primitive]; 5] = [CONTROL, arithmetic::TABLE, pairs::TABLE, texts::TABLE, vectors::TABLE];

/// All primitives with their indices.
pub fn all() -> impl Iterator<Item = (u8, &'static Primitive)> {
    (0..).zip(TABLES.iter().copied().flatten())
}

pub fn get(index: u8) -> &'static Primitive {
    let mut index = usize::from(index);
    for table in TABLES {
        match table.get(index) {
            Some(primitive) => return primitive,
            None => index -= table.len(),
        }
    }
    unreachable!("indices come from `all`")
}

const CONTROL: &[Primitive] = &[
    Primitive {
        name: "apply",
        least: 2,
        most: ANY,
        run: Run::Apply,
    },
    Primitive {
        name: "eval",
        least: 1,
        most: 1,
        run: Run::Eval,
    },
    plain("procedure?", 1, 1, |w, a| {
        let is_closure =
            |value| matches!(value, Value::Object(object) if matches!(object.get(), Object::Closure { .. }));
        let value = first(w, a);
        Ok(Value::Bool(is_closure(value) || matches!(value, Value::Primitive(_))))
    }),
    plain("error", 1, ANY, |w, a| {
        let irritants = w.list(&a[1..], Value::Nil)?;
        Err(Fault::User(first(w, a), irritants).into())
    }),
    plain("display", 1, 1, |w, a| print(w, a, Style::Display)),
    plain("write", 1, 1, |w, a| print(w, a, Style::Write)),
    plain("newline", 0, 0, |w, _| {
        w.host.write("\n");
        Ok(Value::Unspecified)
    }),
    plain("read-string", 1, 1, |w, a| {
        let text = text(w, "read-string", first(w, a))?;
        Ok(Reader::new(text).read(w)?.unwrap_or(Value::Unspecified))
    }),
    plain("not", 1, 1, |w, a| Ok(Value::Bool(!first(w, a).is_true()))),
    plain("boolean?", 1, 1, |w, a| {
        Ok(Value::Bool(matches!(first(w, a), Value::Bool(_))))
    }),
    plain("eq?", 2, 2, |w, a| Ok(Value::Bool(first(w, a).is(second(w, a))))),
    plain("eqv?", 2, 2, |w, a| Ok(Value::Bool(first(w, a).is(second(w, a))))),
    plain("equal?", 2, 2, |w, a| {
        Ok(Value::Bool(pairs::equal(w, first(w, a), second(w, a))?))
    }),
];

fn print<'g>(w: Window<'g>, a: &'g [Field<'g>], style: Style) -> Result<'g, Value<'g>> {
    w.print(Shown {
        w,
        value: first(w, a),
        style,
    });
    Ok(Value::Unspecified)
}

#[inline(always)]
fn first<'g>(w: Window<'g>, a: &'g [Field<'g>]) -> Value<'g> {
    Value::of(w.cx, &a[0])
}

#[inline(always)]
fn second<'g>(w: Window<'g>, a: &'g [Field<'g>]) -> Value<'g> {
    Value::of(w.cx, &a[1])
}

#[cold]
#[inline(never)]
fn wrong<'g, T>(who: &'static str, wanted: &'static str, value: Value<'g>) -> Result<'g, T> {
    Err(Fault::Type { who, wanted, value }.into())
}

fn text<'g>(w: Window<'g>, who: &'static str, value: Value<'g>) -> Result<'g, &'g str> {
    match value.text(w.cx) {
        Some(text) => Ok(text),
        None => wrong(who, "a string", value),
    }
}

/// An index up to `end`, which is one of the indices.
fn index<'g>(who: &'static str, value: Value<'g>, end: usize) -> Result<'g, usize> {
    match value {
        Value::Int(number) => match usize::try_from(number) {
            Ok(index) if index <= end => Ok(index),
            _ => Err(Fault::Range { who, value }.into()),
        },
        _ => wrong(who, "a number", value),
    }
}
