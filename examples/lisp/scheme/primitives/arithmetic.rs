//! Numbers of 30 bits.

use super::super::error::{Fault, Result};
use super::super::value::{Field, LEAST, MOST, Value};
use super::super::window::Window;
use super::{ANY, Primitive, first, plain, second, wrong};

#[inline(always)]
fn numbers<'g>(who: &'static str, one: Value<'g>, other: Value<'g>) -> Result<'g, (i32, i32)> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Ok((one, other)),
        (Value::Int(_), value) | (value, _) => wrong(who, "a number", value),
    }
}

#[inline(always)]
fn small<'g>(who: &'static str, number: Option<i32>) -> Result<'g, Value<'g>> {
    match number {
        Some(number) if (LEAST..=MOST).contains(&number) => Ok(Value::Int(number)),
        _ => Err(Fault::Overflow { who }.into()),
    }
}

#[inline(always)]
pub fn add<'g>(one: Value<'g>, other: Value<'g>) -> Result<'g, Value<'g>> {
    let (one, other) = numbers("+", one, other)?;
    small("+", Some(one + other)) // both have 30 bits
}

#[inline(always)]
pub fn subtract<'g>(one: Value<'g>, other: Value<'g>) -> Result<'g, Value<'g>> {
    let (one, other) = numbers("-", one, other)?;
    small("-", Some(one - other))
}

#[inline(always)]
pub fn multiply<'g>(one: Value<'g>, other: Value<'g>) -> Result<'g, Value<'g>> {
    let (one, other) = numbers("*", one, other)?;
    small("*", one.checked_mul(other))
}

#[inline(always)]
pub fn less<'g>(who: &'static str, one: Value<'g>, other: Value<'g>) -> Result<'g, Value<'g>> {
    let (one, other) = numbers(who, one, other)?;
    Ok(Value::Bool(one < other))
}

#[inline(always)]
pub fn equal<'g>(one: Value<'g>, other: Value<'g>) -> Result<'g, Value<'g>> {
    let (one, other) = numbers("=", one, other)?;
    Ok(Value::Bool(one == other))
}

#[inline(always)]
pub fn not(truth: Value<'_>) -> Value<'_> {
    Value::Bool(!truth.is_true())
}

/// Combines the arguments from left to right, beginning with `initial`.
fn fold<'g>(
    w: Window<'g>,
    initial: Value<'g>,
    a: &'g [Field<'g>],
    combine: fn(Value<'g>, Value<'g>) -> Result<'g, Value<'g>>,
) -> Result<'g, Value<'g>> {
    a.iter()
        .try_fold(initial, |value, field| combine(value, Value::of(w.cx, field)))
}

/// Whether each two neighbours compare so.
fn chain<'g>(
    w: Window<'g>,
    a: &'g [Field<'g>],
    compare: fn(Value<'g>, Value<'g>) -> Result<'g, Value<'g>>,
) -> Result<'g, Value<'g>> {
    let mut holds = true;
    for pair in a.windows(2) {
        holds &= compare(Value::of(w.cx, &pair[0]), Value::of(w.cx, &pair[1]))?.is_true();
    }
    Ok(Value::Bool(holds))
}

fn divide<'g>(
    who: &'static str,
    w: Window<'g>,
    a: &'g [Field<'g>],
    divide: fn(i32, i32) -> i32,
) -> Result<'g, Value<'g>> {
    match numbers(who, first(w, a), second(w, a))? {
        (_, 0) => Err(Fault::DivisionByZero { who }.into()),
        (one, other) => small(who, Some(divide(one, other))),
    }
}

/// A property of a number.
fn is<'g>(who: &'static str, w: Window<'g>, a: &'g [Field<'g>], test: fn(i32) -> bool) -> Result<'g, Value<'g>> {
    match first(w, a) {
        Value::Int(number) => Ok(Value::Bool(test(number))),
        value => wrong(who, "a number", value),
    }
}

pub(super) const TABLE: &[Primitive] = &[
    plain("+", 0, ANY, |w, a| fold(w, Value::Int(0), a, add)),
    plain("*", 0, ANY, |w, a| fold(w, Value::Int(1), a, multiply)),
    plain("-", 1, ANY, |w, a| match a.len() {
        1 => subtract(Value::Int(0), first(w, a)),
        _ => fold(w, first(w, a), &a[1..], subtract),
    }),
    plain("<", 1, ANY, |w, a| chain(w, a, |one, other| less("<", one, other))),
    plain(">", 1, ANY, |w, a| chain(w, a, |one, other| less(">", other, one))),
    plain("<=", 1, ANY, |w, a| {
        chain(w, a, |one, other| Ok(not(less("<=", other, one)?)))
    }),
    plain(">=", 1, ANY, |w, a| {
        chain(w, a, |one, other| Ok(not(less(">=", one, other)?)))
    }),
    plain("=", 1, ANY, |w, a| chain(w, a, equal)),
    plain("quotient", 2, 2, |w, a| {
        divide("quotient", w, a, |one, other| one / other)
    }),
    plain("remainder", 2, 2, |w, a| {
        divide("remainder", w, a, |one, other| one % other)
    }),
    plain("modulo", 2, 2, |w, a| {
        divide("modulo", w, a, |one, other| {
            let rest = one % other;
            if rest != 0 && (rest < 0) != (other < 0) {
                rest + other
            } else {
                rest
            }
        })
    }),
    plain("min", 1, ANY, |w, a| {
        fold(w, first(w, a), &a[1..], |one, other| {
            Ok(if less("min", other, one)?.is_true() { other } else { one })
        })
    }),
    plain("max", 1, ANY, |w, a| {
        fold(w, first(w, a), &a[1..], |one, other| {
            Ok(if less("max", one, other)?.is_true() { other } else { one })
        })
    }),
    plain("abs", 1, 1, |w, a| match first(w, a) {
        Value::Int(number) => small("abs", Some(number.abs())),
        value => wrong("abs", "a number", value),
    }),
    plain("number?", 1, 1, |w, a| {
        Ok(Value::Bool(matches!(first(w, a), Value::Int(_))))
    }),
    plain("integer?", 1, 1, |w, a| {
        Ok(Value::Bool(matches!(first(w, a), Value::Int(_))))
    }),
    plain("zero?", 1, 1, |w, a| is("zero?", w, a, |number| number == 0)),
    plain("positive?", 1, 1, |w, a| is("positive?", w, a, |number| number > 0)),
    plain("negative?", 1, 1, |w, a| is("negative?", w, a, |number| number < 0)),
    plain("even?", 1, 1, |w, a| is("even?", w, a, |number| number % 2 == 0)),
    plain("odd?", 1, 1, |w, a| is("odd?", w, a, |number| number % 2 != 0)),
];
