//! Text to data.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Fault, Result, Stop};
use super::value::{LEAST, MOST, Position, Value};
use super::window::Window;

/// Lists in lists in lists: more are refused, so that the native stack is bounded.
const DEPTH: u32 = 100;

/// Reads one datum after another. It is cheap to copy: a reading that was given up is done again from a copy.
#[derive(Clone, Copy)]
pub struct Reader<'t> {
    rest: &'t str,
    line: u16,
    column: u16,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Reader<'t> {
        Reader {
            rest: text,
            line: 1,
            column: 1,
        }
    }

    fn position(&self) -> Position {
        Position {
            line: self.line,
            column: self.column.min(255) as u8,
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        if char == '\n' {
            (self.line, self.column) = (self.line.saturating_add(1), 1);
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(char)
    }

    /// Passes over white space and comments.
    fn skip(&mut self) {
        while let Some(char) = self.peek() {
            if char == ';' {
                while self.next().is_some_and(|char| char != '\n') {}
            } else if char.is_whitespace() {
                self.next();
            } else {
                break;
            }
        }
    }

    /// The next datum; nothing if the text ends before it.
    pub fn read<'g>(&mut self, w: Window<'g>) -> Result<'g, Option<Value<'g>>> {
        self.skip();
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.datum(w, DEPTH).map(Some)
    }

    fn fault<'g, T>(what: &'static str, position: Position) -> Result<'g, T> {
        Err(Fault::Text { what, position }.into())
    }

    /// A datum, which must be there; `start` is where that begins which it is a part of.
    fn part<'g>(&mut self, w: Window<'g>, depth: u32, start: Position) -> Result<'g, Value<'g>> {
        self.skip();
        if self.rest.is_empty() {
            return Err(Fault::Unfinished(start).into());
        }
        self.datum(w, depth)
    }

    fn datum<'g>(&mut self, w: Window<'g>, depth: u32) -> Result<'g, Value<'g>> {
        let start = self.position();
        if depth == 0 {
            return Reader::fault("the text is nested too deeply", start);
        }
        match self.peek() {
            Some('(') => {
                self.next();
                self.list(w, depth - 1, start)
            }
            Some(')') => Reader::fault("nothing is open that this closes", start),
            Some('\'') => self.quoted(w, depth, "quote"),
            Some('`') => self.quoted(w, depth, "quasiquote"),
            Some(',') if self.rest.starts_with(",@") => {
                self.next();
                self.quoted(w, depth, "unquote-splicing")
            }
            Some(',') => self.quoted(w, depth, "unquote"),
            Some('"') => self.string(w, start),
            Some('#') if self.rest.starts_with("#(") => {
                self.next();
                self.next();
                let list = self.list(w, depth - 1, start)?;
                let mut elements = list.elements(w.cx);
                let count = elements.by_ref().count();
                if !matches!(elements.rest, Value::Nil) {
                    return Reader::fault("a vector has no tail", start);
                }
                let mut elements = list.elements(w.cx);
                w.vector(count, |_| elements.next().unwrap_or(Value::Unspecified))
            }
            Some('#') if self.rest.starts_with("#\\") => self.char(start),
            _ => self.atom(w, start),
        }
    }

    /// `'x` as `(quote x)`.
    fn quoted<'g>(&mut self, w: Window<'g>, depth: u32, name: &str) -> Result<'g, Value<'g>> {
        let start = self.position();
        self.next();
        let datum = self.part(w, depth - 1, start)?;
        let tail = w.pair(datum, Value::Nil, start)?;
        w.pair(Value::Object(w.symbol(name)?), tail, start)
    }

    /// The rest of a list.
    fn list<'g>(&mut self, w: Window<'g>, depth: u32, start: Position) -> Result<'g, Value<'g>> {
        let (mut list, mut last) = (Value::Nil, None);
        loop {
            self.skip();
            let here = self.position();
            match self.peek() {
                None => return Err(Fault::Unfinished(start).into()),
                Some(')') => {
                    self.next();
                    return Ok(list);
                }
                Some('.') if self.rest[1..].starts_with(is_delimiter) => {
                    let Some((_, tail)) = last else {
                        return Reader::fault("nothing is before the dot", here);
                    };
                    self.next();
                    self.part(w, depth, start)?.store(w.cx, tail);
                    self.skip();
                    return match self.next() {
                        Some(')') => Ok(list),
                        None => Err(Fault::Unfinished(start).into()),
                        Some(_) => Reader::fault("more than one datum is behind the dot", here),
                    };
                }
                Some(_) => {}
            }
            let datum = self.datum(w, depth)?;
            let pair = w.pair(datum, Value::Nil, if last.is_none() { start } else { here })?;
            match last {
                None => list = pair,
                Some((_, tail)) => pair.store(w.cx, tail),
            }
            last = pair.fields();
        }
    }

    fn string<'g>(&mut self, w: Window<'g>, start: Position) -> Result<'g, Value<'g>> {
        self.next();
        let text = self.rest;
        let mut unescaped: Option<String> = None;
        loop {
            let length = text.len() - self.rest.len();
            let char = match self.next() {
                None => return Err(Fault::Unfinished(start).into()),
                Some('"') => {
                    return match unescaped {
                        Some(unescaped) => w.text(&unescaped),
                        None => w.text(&text[..length]),
                    };
                }
                Some('\\') => {
                    if unescaped.is_none() {
                        unescaped = Some(concat(&[&text[..length]])?);
                    }
                    match self.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(char @ ('"' | '\\')) => char,
                        _ => return Reader::fault("no such escape in a string", start),
                    }
                }
                Some(char) => char,
            };
            if let Some(unescaped) = &mut unescaped {
                unescaped.try_reserve(4)?;
                unescaped.push(char);
            }
        }
    }

    fn char<'g>(&mut self, start: Position) -> Result<'g, Value<'g>> {
        self.next();
        self.next();
        let text = self.rest;
        let Some(first) = self.next() else {
            return Err(Fault::Unfinished(start).into());
        };
        while self
            .peek()
            .is_some_and(|char| first.is_alphabetic() && !is_delimiter(char))
        {
            self.next();
        }
        let name = &text[..text.len() - self.rest.len()];
        Ok(Value::Char(match name {
            "space" => ' ',
            "newline" => '\n',
            "tab" => '\t',
            _ if name.len() == first.len_utf8() => first,
            _ => return Reader::fault("no such character", start),
        }))
    }

    /// A number, a symbol, `#t` or `#f`.
    fn atom<'g>(&mut self, w: Window<'g>, start: Position) -> Result<'g, Value<'g>> {
        let text = self.rest;
        while self.peek().is_some_and(|char| !is_delimiter(char)) {
            self.next();
        }
        let name = &text[..text.len() - self.rest.len()];
        match name {
            "#t" | "#true" => return Ok(Value::Bool(true)),
            "#f" | "#false" => return Ok(Value::Bool(false)),
            _ if name.starts_with('#') => return Reader::fault("no such datum", start),
            _ => {}
        }
        let digits = name.strip_prefix(['+', '-']).unwrap_or(name);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match number(name, 10) {
                Some(number) => Ok(Value::Int(number)),
                None => Reader::fault("a number has more than 30 bits", start),
            };
        }
        Ok(Value::Object(w.symbol(name)?))
    }
}

/// A number that is small enough.
pub fn number(text: &str, radix: u32) -> Option<i32> {
    let number = i32::from_str_radix(text, radix).ok()?;
    (LEAST..=MOST).contains(&number).then_some(number)
}

/// The texts, one behind the other, in native memory; there may be none.
pub fn concat<'g>(parts: &[&str]) -> Result<'g, String> {
    let mut text = String::new();
    text.try_reserve_exact(parts.iter().map(|part| part.len()).sum())?;
    parts.iter().for_each(|part| text.push_str(part));
    Ok(text)
}

/// Adds to a list in native memory, of which there may be none.
pub fn push<'g, T>(list: &mut Vec<T>, element: T) -> Result<'g, ()> {
    list.try_reserve(1).map_err(Stop::from)?;
    list.push(element);
    Ok(())
}

fn is_delimiter(char: char) -> bool {
    char.is_whitespace() || "()\";'".contains(char)
}
