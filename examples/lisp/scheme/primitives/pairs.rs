//! Pairs and lists.

use super::super::error::{Fault, Result};
use super::super::value::{Field, Object, Value};
use super::super::window::Window;
use super::{ANY, Primitive, first, index, plain, second, wrong};

/// Data in data in data: more are not compared, so that the native stack is bounded.
const DEPTH: u32 = 200;

#[inline(always)]
pub fn head<'g>(w: Window<'g>, pair: Value<'g>) -> Result<'g, Value<'g>> {
    match pair.fields() {
        Some((head, _)) => Ok(Value::of(w.cx, head)),
        None => wrong("car", "a pair", pair),
    }
}

#[inline(always)]
pub fn tail<'g>(w: Window<'g>, pair: Value<'g>) -> Result<'g, Value<'g>> {
    match pair.fields() {
        Some((_, tail)) => Ok(Value::of(w.cx, tail)),
        None => wrong("cdr", "a pair", pair),
    }
}

/// `head` for an `a` and `tail` for a `d`, from right to left.
fn path<'g>(w: Window<'g>, a: &'g [Field<'g>], steps: &str) -> Result<'g, Value<'g>> {
    steps.bytes().rev().try_fold(first(w, a), |value, step| match step {
        b'a' => head(w, value),
        _ => tail(w, value),
    })
}

/// Whether two data look the same.
pub fn equal<'g>(w: Window<'g>, one: Value<'g>, other: Value<'g>) -> Result<'g, bool> {
    equal_within(w, one, other, DEPTH)
}

fn equal_within<'g>(w: Window<'g>, mut one: Value<'g>, mut other: Value<'g>, depth: u32) -> Result<'g, bool> {
    let cx = w.cx;
    if depth == 0 {
        return wrong("equal?", "shallow enough", one);
    }
    while let (Some((one_head, one_tail)), Some((other_head, other_tail))) = (one.pair(cx), other.pair(cx)) {
        if !equal_within(w, one_head, other_head, depth - 1)? {
            return Ok(false);
        }
        (one, other) = (one_tail, other_tail);
    }
    if let (Some(one), Some(other)) = (one.text(cx), other.text(cx)) {
        return Ok(one == other);
    }
    if let (Some(one), Some(other)) = (one.vector(cx), other.vector(cx)) {
        if one.len() != other.len() {
            return Ok(false);
        }
        for (one, other) in one.iter().zip(other) {
            if !equal_within(w, Value::of(cx, one), Value::of(cx, other), depth - 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(one.is(other))
}

/// The rest of a list from the first element on that `found` says yes to, or `#f`.
fn search<'g>(
    who: &'static str,
    w: Window<'g>,
    list: Value<'g>,
    mut found: impl FnMut(Value<'g>) -> Result<'g, bool>,
) -> Result<'g, Value<'g>> {
    let mut rest = list;
    while let Some((element, tail)) = rest.pair(w.cx) {
        if found(element)? {
            return Ok(rest);
        }
        rest = tail;
    }
    match rest {
        Value::Nil => Ok(Value::Bool(false)),
        _ => wrong(who, "a list", list),
    }
}

/// The pair in a list of pairs whose head `found` says yes to, or `#f`.
fn lookup<'g>(
    who: &'static str,
    w: Window<'g>,
    list: Value<'g>,
    mut found: impl FnMut(Value<'g>) -> Result<'g, bool>,
) -> Result<'g, Value<'g>> {
    let rest = search(who, w, list, |element| match element.pair(w.cx) {
        Some((key, _)) => found(key),
        None => wrong(who, "a pair", element),
    })?;
    Ok(rest.pair(w.cx).map_or(rest, |(pair, _)| pair))
}

/// What is left of a list behind so many elements.
fn behind<'g>(who: &'static str, w: Window<'g>, a: &'g [Field<'g>]) -> Result<'g, Value<'g>> {
    let count = index(who, second(w, a), usize::MAX)?;
    (0..count).try_fold(first(w, a), |rest, _| match rest.fields() {
        Some((_, tail)) => Ok(Value::of(w.cx, tail)),
        None => Err(Fault::Range {
            who,
            value: second(w, a),
        }
        .into()),
    })
}

fn assign<'g>(who: &'static str, w: Window<'g>, a: &'g [Field<'g>], to_head: bool) -> Result<'g, Value<'g>> {
    let Some((head, tail)) = first(w, a).fields() else {
        return wrong(who, "a pair", first(w, a));
    };
    second(w, a).store(w.cx, if to_head { head } else { tail });
    Ok(Value::Unspecified)
}

pub(super) const TABLE: &[Primitive] = &[
    plain("cons", 2, 2, |w, a| w.cons(first(w, a), second(w, a))),
    plain("car", 1, 1, |w, a| head(w, first(w, a))),
    plain("cdr", 1, 1, |w, a| tail(w, first(w, a))),
    plain("caar", 1, 1, |w, a| path(w, a, "aa")),
    plain("cadr", 1, 1, |w, a| path(w, a, "ad")),
    plain("cdar", 1, 1, |w, a| path(w, a, "da")),
    plain("cddr", 1, 1, |w, a| path(w, a, "dd")),
    plain("caddr", 1, 1, |w, a| path(w, a, "add")),
    plain("cdddr", 1, 1, |w, a| path(w, a, "ddd")),
    plain("cadddr", 1, 1, |w, a| path(w, a, "addd")),
    plain("set-car!", 2, 2, |w, a| assign("set-car!", w, a, true)),
    plain("set-cdr!", 2, 2, |w, a| assign("set-cdr!", w, a, false)),
    plain("list", 0, ANY, |w, a| w.list(a, Value::Nil)),
    plain("null?", 1, 1, |w, a| Ok(Value::Bool(matches!(first(w, a), Value::Nil)))),
    plain("pair?", 1, 1, |w, a| Ok(Value::Bool(first(w, a).fields().is_some()))),
    plain("list?", 1, 1, |w, a| {
        Ok(Value::Bool(first(w, a).length(w.cx).is_some()))
    }),
    plain("length", 1, 1, |w, a| match first(w, a).length(w.cx) {
        Some(length) => Ok(Value::Int(length as i32)),
        None => wrong("length", "a list", first(w, a)),
    }),
    plain("list-tail", 2, 2, |w, a| behind("list-tail", w, a)),
    plain("list-ref", 2, 2, |w, a| match behind("list-ref", w, a)?.fields() {
        Some((head, _)) => Ok(Value::of(w.cx, head)),
        None => Err(Fault::Range {
            who: "list-ref",
            value: second(w, a),
        }
        .into()),
    }),
    plain("memq", 2, 2, |w, a| {
        search("memq", w, second(w, a), |element| Ok(element.is(first(w, a))))
    }),
    plain("memv", 2, 2, |w, a| {
        search("memv", w, second(w, a), |element| Ok(element.is(first(w, a))))
    }),
    plain("member", 2, 2, |w, a| {
        search("member", w, second(w, a), |element| equal(w, element, first(w, a)))
    }),
    plain("assq", 2, 2, |w, a| {
        lookup("assq", w, second(w, a), |key| Ok(key.is(first(w, a))))
    }),
    plain("assv", 2, 2, |w, a| {
        lookup("assv", w, second(w, a), |key| Ok(key.is(first(w, a))))
    }),
    plain("assoc", 2, 2, |w, a| {
        lookup("assoc", w, second(w, a), |key| equal(w, key, first(w, a)))
    }),
    plain("symbol?", 1, 1, |w, a| {
        Ok(Value::Bool(first(w, a).symbol(w.cx).is_some()))
    }),
    plain("symbol->string", 1, 1, |w, a| match first(w, a) {
        Value::Object(object) => match object.get() {
            // The symbol's own text: strings are not changed.
            Object::Symbol { name, .. } => match name.get(w.cx) {
                Some(name) => w.object(Object::Text(terrace::Slot::new(w.cx, name))),
                None => unreachable!("symbols have names"),
            },
            _ => wrong("symbol->string", "a symbol", first(w, a)),
        },
        value => wrong("symbol->string", "a symbol", value),
    }),
];
