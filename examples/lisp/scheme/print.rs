//! Values as text.

use core::fmt;

use super::primitives;
use super::value::{Object, Value};
use super::window::Window;

/// Lists in lists in lists: deeper ones are not shown, so that the native stack is bounded.
const DEPTH: u32 = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Display,
    /// So that the reader understands it.
    Write,
}

/// A value that can be formatted.
#[derive(Clone, Copy)]
pub struct Shown<'g> {
    pub w: Window<'g>,
    pub value: Value<'g>,
    pub style: Style,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(self.value, DEPTH, f)
    }
}

impl<'g> Shown<'g> {
    fn show(&self, value: Value<'g>, depth: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match value {
            Value::Unassigned => f.write_str("#<unassigned>"),
            Value::Unspecified => f.write_str("#<unspecified>"),
            Value::Nil => f.write_str("()"),
            Value::Bool(truth) => f.write_str(if truth { "#t" } else { "#f" }),
            Value::Int(number) => write!(f, "{number}"),
            Value::Char(char) => self.char(char, f),
            Value::Primitive(index) => write!(f, "#<primitive {}>", primitives::get(index).name),
            Value::Object(object) => match object.get() {
                Object::Pair { .. } if depth == 0 => f.write_str("(...)"),
                Object::Pair { .. } => self.list(value, depth - 1, f),
                Object::Symbol { .. } => f.write_str(value.symbol(self.w.cx).unwrap_or_default()),
                Object::Text(_) => self.text(value.text(self.w.cx).unwrap_or_default(), f),
                Object::Vector(_) if depth == 0 => f.write_str("#(...)"),
                Object::Vector(_) => self.vector(value, depth - 1, f),
                Object::Closure { code, .. } => match code.get(self.w.cx).and_then(|code| code.name.get(self.w.cx)) {
                    Some(name) => write!(
                        f,
                        "#<procedure {}>",
                        Value::Object(name).symbol(self.w.cx).unwrap_or_default()
                    ),
                    None => f.write_str("#<procedure>"),
                },
                Object::Variable(_) => f.write_str("#<variable>"),
            },
        }
    }

    fn char(&self, char: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.style, char) {
            (Style::Display, _) => write!(f, "{char}"),
            (_, ' ') => f.write_str("#\\space"),
            (_, '\n') => f.write_str("#\\newline"),
            (_, '\t') => f.write_str("#\\tab"),
            _ => write!(f, "#\\{char}"),
        }
    }

    fn text(&self, text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.style == Style::Display {
            return f.write_str(text);
        }
        f.write_str("\"")?;
        for char in text.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                _ => write!(f, "{char}")?,
            }
        }
        f.write_str("\"")
    }

    fn list(&self, list: Value<'g>, depth: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        let mut elements = list.elements(self.w.cx);
        // Goes half as fast: what has no end meets it.
        let (mut slow, mut count) = (list.elements(self.w.cx), 0);
        while let Some(element) = elements.next() {
            if count != 0 {
                f.write_str(" ")?;
            }
            count += 1;
            if count % 2 == 0 {
                slow.next();
                if slow.rest.is(elements.rest) && elements.rest.fields().is_some() {
                    return f.write_str("...)");
                }
            }
            self.show(element, depth, f)?;
        }
        if !matches!(elements.rest, Value::Nil) {
            f.write_str(" . ")?;
            self.show(elements.rest, depth, f)?;
        }
        f.write_str(")")
    }

    fn vector(&self, vector: Value<'g>, depth: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#(")?;
        for (index, field) in vector.vector(self.w.cx).unwrap_or_default().iter().enumerate() {
            if index != 0 {
                f.write_str(" ")?;
            }
            self.show(Value::of(self.w.cx, field), depth, f)?;
        }
        f.write_str(")")
    }
}
