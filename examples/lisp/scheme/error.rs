//! What can go wrong: in a window, and as it is told.

use core::fmt;

use terrace::{Full, OutOfMemory};

use super::print::{Shown, Style};
use super::value::{Position, Ref, Value};
use super::window::Window;

/// Why work in a window ended early.
pub enum Stop<'g> {
    /// There is no room for an object of so many bytes. At a safe point there may be, and the step is done again.
    Full(usize),
    /// There is no native memory.
    Short,
    Fault(Fault<'g>),
}

pub type Result<'g, T> = core::result::Result<T, Stop<'g>>;

/// What the program did wrong.
pub enum Fault<'g> {
    Type {
        who: &'static str,
        wanted: &'static str,
        value: Value<'g>,
    },
    /// An index beyond the end.
    Range {
        who: &'static str,
        value: Value<'g>,
    },
    Overflow {
        who: &'static str,
    },
    DivisionByZero {
        who: &'static str,
    },
    Unbound(Ref<'g>),
    Unassigned,
    NotProcedure(Value<'g>),
    Arity {
        callee: Value<'g>,
        count: usize,
    },
    Syntax {
        what: &'static str,
        form: Value<'g>,
        position: Option<Position>,
    },
    /// The text cannot be read.
    Text {
        what: &'static str,
        position: Position,
    },
    /// The text ends within a datum, which begins there.
    Unfinished(Position),
    /// The program's own words: text, and a list.
    User(Value<'g>, Value<'g>),
}

impl<T> From<Full<T>> for Stop<'_> {
    fn from(full: Full<T>) -> Self {
        Stop::Full(full.requested)
    }
}

impl<'g> From<Fault<'g>> for Stop<'g> {
    fn from(fault: Fault<'g>) -> Self {
        Stop::Fault(fault)
    }
}

impl From<alloc::collections::TryReserveError> for Stop<'_> {
    fn from(_: alloc::collections::TryReserveError) -> Self {
        Stop::Short
    }
}

impl<'g> Fault<'g> {
    /// Where it is, if it tells itself.
    pub fn position(&self) -> Option<Position> {
        match self {
            Fault::Syntax { position, .. } => *position,
            Fault::Text { position, .. } | Fault::Unfinished(position) => Some(*position),
            _ => None,
        }
    }

    pub fn describe(&self, w: Window<'g>, out: &mut dyn fmt::Write) -> fmt::Result {
        let show = |value| Shown {
            w,
            value,
            style: Style::Write,
        };
        match *self {
            Fault::Type { who, wanted, value } => write!(out, "{who}: {} is not {wanted}", show(value)),
            Fault::Range { who, value } => write!(out, "{who}: {} is out of range", show(value)),
            Fault::Overflow { who } => write!(out, "{who}: the result has more than 30 bits"),
            Fault::DivisionByZero { who } => write!(out, "{who}: division by zero"),
            Fault::Unbound(symbol) => write!(out, "{} is not defined", show(Value::Object(symbol))),
            Fault::Unassigned => out.write_str("a variable is used before its definition"),
            Fault::NotProcedure(value) => write!(out, "{} is not a procedure", show(value)),
            Fault::Arity { callee, count } => write!(out, "{} does not take {count} arguments", show(callee)),
            Fault::Syntax { what, form, .. } => write!(out, "{what}: {}", show(form)),
            Fault::Text { what, .. } => out.write_str(what),
            Fault::Unfinished(_) => out.write_str("the text ends before what begins here does"),
            Fault::User(message, irritants) => {
                match message.text(w.cx) {
                    Some(text) => out.write_str(text)?,
                    None => write!(out, "{}", show(message))?,
                }
                irritants
                    .elements(w.cx)
                    .try_for_each(|irritant| write!(out, " {}", show(irritant)))
            }
        }
    }
}

/// A few words; what is too long is cut. No memory is needed to tell that there is none.
#[derive(Clone, Default)]
pub struct Words<const N: usize>(heapless::String<N, u8>);

impl<const N: usize> Words<N> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Write for Words<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|char| self.0.push(char).map_err(|_| fmt::Error))
    }
}

/// An error, as the host is told. Small enough to be returned.
#[derive(Clone)]
pub struct Error {
    pub words: Words<80>,
    pub position: Option<Position>,
    /// The procedure that was running, if it has a name.
    pub procedure: Words<24>,
    /// The text ended within a datum: there may be more of it.
    pub is_unfinished: bool,
}

impl From<OutOfMemory> for Error {
    fn from(error: OutOfMemory) -> Error {
        let mut words = Words::default();
        let _ = match error.requested {
            usize::MAX => fmt::Write::write_str(&mut words, "out of memory: no object can be so large"),
            bytes => fmt::Write::write_fmt(&mut words, format_args!("out of memory: no room for {bytes} bytes")),
        };
        Error {
            words,
            position: None,
            procedure: Words::default(),
            is_unfinished: false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.procedure.as_str().is_empty() {
            write!(f, "in {}: ", self.procedure.as_str())?;
        }
        f.write_str(self.words.as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}
