//! Characters and strings. Strings are not changed; what is made of several parts is put together in native memory first.

use alloc::string::String;

use super::super::error::{Fault, Result};
use super::super::reader::{concat, number};
use super::super::value::{Field, Value};
use super::super::window::Window;
use super::{ANY, Primitive, first, index, plain, second, text, wrong};

/// The byte at which a character begins.
fn byte(text: &str, index: usize) -> Option<usize> {
    let end = core::iter::once(text.len());
    text.char_indices().map(|(at, _)| at).chain(end).nth(index)
}

fn part<'g>(w: Window<'g>, a: &'g [Field<'g>]) -> Result<'g, Value<'g>> {
    let whole = text(w, "substring", first(w, a))?;
    let offset = |value: Value<'g>| -> Result<'g, usize> {
        match byte(whole, index("substring", value, usize::MAX)?) {
            Some(offset) => Ok(offset),
            None => Err(Fault::Range {
                who: "substring",
                value,
            }
            .into()),
        }
    };
    let from = offset(second(w, a))?;
    let to = if a.len() == 3 {
        offset(Value::of(w.cx, &a[2]))?
    } else {
        whole.len()
    };
    match whole.get(from..to) {
        Some(part) => w.text(part),
        None => Err(Fault::Range {
            who: "substring",
            value: second(w, a),
        }
        .into()),
    }
}

fn append<'g>(w: Window<'g>, a: &'g [Field<'g>]) -> Result<'g, Value<'g>> {
    let mut length = 0;
    for field in a {
        length += text(w, "string-append", Value::of(w.cx, field))?.len();
    }
    let mut whole = concat(&[])?;
    whole.try_reserve_exact(length)?;
    for field in a {
        whole.push_str(Value::of(w.cx, field).text(w.cx).unwrap_or_default());
    }
    w.text(&whole)
}

/// A string of characters, of which there are at most `count`.
fn of_chars<'g>(
    who: &'static str,
    w: Window<'g>,
    count: usize,
    chars: impl Iterator<Item = Value<'g>>,
) -> Result<'g, Value<'g>> {
    let mut whole = String::new();
    whole.try_reserve_exact(count)?;
    for char in chars {
        let Value::Char(char) = char else {
            return wrong(who, "a character", char);
        };
        whole.try_reserve(char.len_utf8())?;
        whole.push(char);
    }
    w.text(&whole)
}

fn compare<'g>(
    who: &'static str,
    w: Window<'g>,
    a: &'g [Field<'g>],
    compare: fn(&str, &str) -> bool,
) -> Result<'g, Value<'g>> {
    let (one, other) = (text(w, who, first(w, a))?, text(w, who, second(w, a))?);
    Ok(Value::Bool(compare(one, other)))
}

/// The digits of a number.
fn digits<'g>(w: Window<'g>, a: &'g [Field<'g>]) -> Result<'g, Value<'g>> {
    let Value::Int(number) = first(w, a) else {
        return wrong("number->string", "a number", first(w, a));
    };
    let mut digits = heapless::String::<12>::new();
    let _ = core::fmt::write(&mut digits, format_args!("{number}"));
    w.text(&digits)
}

fn char<'g>(who: &'static str, value: Value<'g>) -> Result<'g, char> {
    match value {
        Value::Char(char) => Ok(char),
        _ => wrong(who, "a character", value),
    }
}

fn is<'g>(who: &'static str, w: Window<'g>, a: &'g [Field<'g>], test: fn(char) -> bool) -> Result<'g, Value<'g>> {
    Ok(Value::Bool(test(char(who, first(w, a))?)))
}

fn both<'g>(
    who: &'static str,
    w: Window<'g>,
    a: &'g [Field<'g>],
    compare: fn(char, char) -> bool,
) -> Result<'g, Value<'g>> {
    Ok(Value::Bool(compare(char(who, first(w, a))?, char(who, second(w, a))?)))
}

pub(super) const TABLE: &[Primitive] = &[
    plain("string?", 1, 1, |w, a| {
        Ok(Value::Bool(first(w, a).text(w.cx).is_some()))
    }),
    plain("string-length", 1, 1, |w, a| {
        let length = text(w, "string-length", first(w, a))?.chars().count();
        Ok(Value::Int(length as i32))
    }),
    plain("string-ref", 2, 2, |w, a| {
        let who = "string-ref";
        let text = text(w, who, first(w, a))?;
        let value = second(w, a);
        match text.chars().nth(index(who, value, usize::MAX)?) {
            Some(char) => Ok(Value::Char(char)),
            None => Err(Fault::Range { who, value }.into()),
        }
    }),
    plain("substring", 2, 3, part),
    plain("string-append", 0, ANY, append),
    plain("string", 0, ANY, |w, a| {
        of_chars("string", w, a.len(), a.iter().map(|field| Value::of(w.cx, field)))
    }),
    plain("list->string", 1, 1, |w, a| match first(w, a).length(w.cx) {
        Some(length) => of_chars("list->string", w, length, first(w, a).elements(w.cx)),
        None => wrong("list->string", "a list", first(w, a)),
    }),
    plain("make-string", 2, 2, |w, a| {
        let count = index("make-string", first(w, a), usize::MAX)?;
        of_chars("make-string", w, count, core::iter::repeat_n(second(w, a), count))
    }),
    plain("string=?", 2, 2, |w, a| {
        compare("string=?", w, a, |one, other| one == other)
    }),
    plain("string<?", 2, 2, |w, a| {
        compare("string<?", w, a, |one, other| one < other)
    }),
    plain("number->string", 1, 1, digits),
    plain("string->number", 1, 1, |w, a| {
        let text = text(w, "string->number", first(w, a))?;
        Ok(number(text, 10).map_or(Value::Bool(false), Value::Int))
    }),
    plain("string->symbol", 1, 1, |w, a| {
        let name = text(w, "string->symbol", first(w, a))?;
        Ok(Value::Object(w.symbol(name)?))
    }),
    plain("char?", 1, 1, |w, a| {
        Ok(Value::Bool(matches!(first(w, a), Value::Char(_))))
    }),
    plain("char=?", 2, 2, |w, a| both("char=?", w, a, |one, other| one == other)),
    plain("char<?", 2, 2, |w, a| both("char<?", w, a, |one, other| one < other)),
    plain("char-alphabetic?", 1, 1, |w, a| {
        is("char-alphabetic?", w, a, |char| char.is_ascii_alphabetic())
    }),
    plain("char-numeric?", 1, 1, |w, a| {
        is("char-numeric?", w, a, |char| char.is_ascii_digit())
    }),
    plain("char-whitespace?", 1, 1, |w, a| {
        is("char-whitespace?", w, a, |char| char.is_ascii_whitespace())
    }),
    plain("char-upcase", 1, 1, |w, a| {
        Ok(Value::Char(char("char-upcase", first(w, a))?.to_ascii_uppercase()))
    }),
    plain("char->integer", 1, 1, |w, a| {
        Ok(Value::Int(u32::from(char("char->integer", first(w, a))?) as i32))
    }),
    plain("integer->char", 1, 1, |w, a| {
        let (who, value) = ("integer->char", first(w, a));
        match char::from_u32(index(who, value, usize::MAX)? as u32) {
            Some(char) => Ok(Value::Char(char)),
            None => Err(Fault::Range { who, value }.into()),
        }
    }),
];
