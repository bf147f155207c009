//! The interpreter from outside: windows, the safe points between them, and what is done when there is no room.

use core::cell::Cell;
use core::fmt;

use terrace::{Cx, OutOfMemory, Root, Slot, TaggedSlot};

use super::compiler::compile;
use super::error::{Error, Fault, Result, Stop, Words};
use super::machine::{CHUNK, Machine, Pause};
use super::primitives;
use super::print::{Shown, Style};
use super::reader::Reader;
use super::value::{Field, Object, Ref, Value};
use super::window::{Chunk, Host, State, Window};

/// What is written in Scheme itself.
const PRELUDE: &str = include_str!("prelude.scm");
/// Symbols for which there is room at first, and a third more.
const SYMBOLS: usize = 256;
/// Calls between two safe points.
const TURNS: u32 = 500;
/// Bytes that are reserved beyond what did not fit; twice as many each time that this was too little.
const SLACK: usize = 64;
/// Attempts after which what is there must do.
const LAST: u32 = 30;

/// An interpreter. Its objects are kept by one handle.
pub struct Scheme<'h> {
    state: Root<State<'static>>,
    host: &'h dyn Host,
    turns: u32,
    longest: u64,
}

/// What was used, in all.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Bytes.
    pub allocated: u64,
    /// By generation.
    pub collections: [u32; 3],
    /// Bytes.
    pub moved: usize,
    /// The longest safe point since the last look, in the units of the host's clock.
    pub longest: u64,
}

/// What was missing in a window.
enum Room {
    /// Nothing: it was time for a safe point.
    Turn,
    /// Room for an object of so many bytes.
    Arena(usize),
    Native,
}

impl<'h> Scheme<'h> {
    /// An interpreter that knows the primitives and the prelude.
    ///
    /// # Errors
    /// There is too little memory.
    pub fn new(cx: &mut Cx, host: &'h dyn Host) -> core::result::Result<Scheme<'h>, Error> {
        let symbols = cx.new_slice::<Slot<Object>>(SYMBOLS, |_, _| Slot::null())?;
        let values = cx.new_slice::<TaggedSlot<Object>>(CHUNK, |_, _| TaggedSlot::null())?;
        let first = cx.new::<Chunk>(|g| Chunk {
            below: Slot::null(),
            used: Cell::new(0),
            values: Slot::new(g, values.get(g)),
        })?;
        let state = cx.new::<State>(|g| State {
            symbols: Slot::new(g, symbols.get(g)),
            count: Cell::new(0),
            chunk: Slot::null(),
            closure: Slot::null(),
            value: Field::null(),
            pc: Cell::new(0),
            fp: Cell::new(0),
            sp: Cell::new(0),
            entering: Cell::new(None),
            first: Slot::new(g, first.get(g)),
            allocated: Cell::new(0),
        })?;
        let mut scheme = Scheme {
            state,
            host,
            turns: TURNS,
            longest: 0,
        };
        for (index, primitive) in primitives::all() {
            scheme.in_window(cx, |w| {
                if let Object::Symbol { value, .. } = w.symbol(primitive.name)?.get() {
                    Value::Primitive(index).store(w.cx, value);
                }
                Ok(())
            })?;
        }
        scheme.load(cx, PRELUDE)?;
        Ok(scheme)
    }

    /// Sets the calls between two safe points; by default 500.
    pub fn set_turns(&mut self, turns: u32) {
        self.turns = turns.max(1);
    }

    fn window<'g>(&self, cx: &'g Cx) -> Window<'g>
    where
        'h: 'g,
    {
        Window {
            cx,
            state: self.state.get(cx),
            host: self.host,
        }
    }

    /// Reads and evaluates what the text has, one datum after another.
    ///
    /// # Errors
    /// Those of the program, and want of memory. What was defined before stays, and the interpreter can go on.
    pub fn load(&mut self, cx: &mut Cx, text: &str) -> core::result::Result<(), Error> {
        let mut reader = Reader::new(text);
        while self.in_window(cx, |w| {
            let mut ahead = reader;
            let Some(datum) = ahead.read(w)? else { return Ok(false) };
            Machine::start(w, compile(w, datum)?);
            reader = ahead;
            Ok(true)
        })? {
            self.run(cx)?;
        }
        Ok(())
    }

    /// Lends the value of the last datum, as text.
    pub fn value<R>(&self, cx: &Cx, look: impl FnOnce(&dyn fmt::Display) -> R) -> R {
        let w = self.window(cx);
        look(&Shown {
            w,
            value: Value::of(cx, &w.state.get().value),
            style: Style::Write,
        })
    }

    /// Whether the value of the last datum is worth to be shown.
    pub fn has_value(&self, cx: &Cx) -> bool {
        !matches!(Value::of(cx, &self.state.get(cx).get().value), Value::Unspecified)
    }

    /// What was used until now.
    pub fn usage(&mut self, cx: &Cx) -> Usage {
        let stats = cx.stats();
        Usage {
            allocated: self.state.get(cx).allocated.get(),
            collections: stats.collections,
            moved: stats.moved,
            longest: core::mem::take(&mut self.longest),
        }
    }

    /// Runs what was started, in as many windows as it takes.
    fn run(&mut self, cx: &mut Cx) -> core::result::Result<(), Error> {
        let done = self.run_on(cx);
        if done.is_err() {
            Machine::give_up(self.window(cx));
        }
        done
    }

    fn run_on(&mut self, cx: &mut Cx) -> core::result::Result<(), Error> {
        let mut attempt = 0;
        loop {
            let (room, position, procedure) = {
                let w = self.window(cx);
                let paused = Machine::run(w, self.turns);
                attempt = if paused.is_stuck { attempt + 1 } else { 0 };
                let (position, procedure) = (paused.position, name(w, paused.procedure));
                let room = match paused.pause {
                    Pause::Done => return Ok(()),
                    Pause::Turn => Ok(Room::Turn),
                    Pause::Stop(stop) => missing(w, stop),
                };
                (room, position, procedure)
            };
            let done = room.and_then(|room| self.make_room(cx, room, attempt));
            attempt = done.map_err(|error| Error {
                position: error.position.or(position),
                procedure,
                ..error
            })?;
        }
    }

    /// Does something in a window; if there is no room, again in another one, behind a safe point.
    fn in_window<R>(
        &mut self,
        cx: &mut Cx,
        mut work: impl for<'g> FnMut(Window<'g>) -> Result<'g, R>,
    ) -> core::result::Result<R, Error> {
        let mut attempt = 0;
        loop {
            let room = {
                let w = self.window(cx);
                match work(w) {
                    Ok(result) => return Ok(result),
                    Err(stop) => missing(w, stop)?,
                }
            };
            attempt = self.make_room(cx, room, attempt)? + 1;
        }
    }

    /// A safe point: makes room for what was missing. Returns the number of the attempt, which jumps to the last one when as much
    /// as this one asks for cannot be had in one piece.
    fn make_room(&mut self, cx: &mut Cx, room: Room, attempt: u32) -> core::result::Result<u32, Error> {
        let before = self.host.clock();
        let done = match room {
            Room::Turn => {
                cx.safe_point();
                Ok(attempt)
            }
            Room::Arena(bytes) if attempt < LAST => {
                let wanted = bytes.saturating_add(SLACK << attempt.min(24));
                match cx.reserve(wanted) {
                    Ok(()) => Ok(attempt),
                    Err(_) => Ok(LAST - 1),
                }
            }
            Room::Arena(requested) => Err(OutOfMemory { requested }.into()),
            Room::Native if attempt < 2 => {
                cx.compact();
                Ok(attempt)
            }
            Room::Native => Err(OutOfMemory { requested: 0 }.into()),
        };
        self.longest = self.longest.max(self.host.clock().wrapping_sub(before));
        done
    }
}

/// What was missing; if it is not memory, the error.
fn missing<'g>(w: Window<'g>, stop: Stop<'g>) -> core::result::Result<Room, Error> {
    let fault = match stop {
        Stop::Full(bytes) => return Ok(Room::Arena(bytes)),
        Stop::Short => return Ok(Room::Native),
        Stop::Fault(fault) => fault,
    };
    let mut words = Words::default();
    let _ = fault.describe(w, &mut words);
    Err(Error {
        words,
        position: fault.position(),
        procedure: Words::default(),
        is_unfinished: matches!(fault, Fault::Unfinished(_)),
    })
}

/// The name of a procedure, if it has one.
fn name<'g>(w: Window<'g>, procedure: Option<Ref<'g>>) -> Words<24> {
    let mut words = Words::default();
    let name = procedure.and_then(|name| Value::Object(name).symbol(w.cx));
    let _ = fmt::Write::write_str(&mut words, name.unwrap_or_default());
    words
}
