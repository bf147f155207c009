//! Vectors.

use super::super::error::{Fault, Result};
use super::super::value::{Field, Value};
use super::super::window::Window;
use super::{ANY, Primitive, first, index, plain, second, wrong};

#[inline(always)]
fn fields<'g>(who: &'static str, w: Window<'g>, vector: Value<'g>) -> Result<'g, &'g [Field<'g>]> {
    match vector.vector(w.cx) {
        Some(fields) => Ok(fields),
        None => wrong(who, "a vector", vector),
    }
}

#[inline(always)]
fn at<'g>(who: &'static str, w: Window<'g>, vector: Value<'g>, at: Value<'g>) -> Result<'g, &'g Field<'g>> {
    let fields = fields(who, w, vector)?;
    match fields.get(index(who, at, usize::MAX)?) {
        Some(field) => Ok(field),
        None => Err(Fault::Range { who, value: at }.into()),
    }
}

#[inline(always)]
pub fn element<'g>(w: Window<'g>, vector: Value<'g>, index: Value<'g>) -> Result<'g, Value<'g>> {
    Ok(Value::of(w.cx, at("vector-ref", w, vector, index)?))
}

pub(super) const TABLE: &[Primitive] = &[
    plain("vector?", 1, 1, |w, a| {
        Ok(Value::Bool(first(w, a).vector(w.cx).is_some()))
    }),
    plain("make-vector", 1, 2, |w, a| {
        let count = index("make-vector", first(w, a), usize::MAX)?;
        let fill = a.get(1).map_or(Value::Int(0), |field| Value::of(w.cx, field));
        w.vector(count, |_| fill)
    }),
    plain("vector", 0, ANY, |w, a| {
        w.vector(a.len(), |index| Value::of(w.cx, &a[index]))
    }),
    plain("vector-length", 1, 1, |w, a| {
        let length = fields("vector-length", w, first(w, a))?.len();
        Ok(Value::Int(length as i32))
    }),
    plain("vector-ref", 2, 2, |w, a| element(w, first(w, a), second(w, a))),
    plain("vector-set!", 3, 3, |w, a| {
        let field = at("vector-set!", w, first(w, a), second(w, a))?;
        Value::of(w.cx, &a[2]).store(w.cx, field);
        Ok(Value::Unspecified)
    }),
    plain("vector-fill!", 2, 2, |w, a| {
        for field in fields("vector-fill!", w, first(w, a))? {
            second(w, a).store(w.cx, field);
        }
        Ok(Value::Unspecified)
    }),
    plain("list->vector", 1, 1, |w, a| match first(w, a).length(w.cx) {
        Some(length) => {
            let mut elements = first(w, a).elements(w.cx);
            w.vector(length, |_| elements.next().unwrap_or(Value::Unspecified))
        }
        None => wrong("list->vector", "a list", first(w, a)),
    }),
];
