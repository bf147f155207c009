//! A procedure that is being compiled, in native memory.

use alloc::vec::Vec;

use terrace::Slot;

use super::code::{Code, Mark, Op};
use super::error::{Fault, Result};
use super::reader::push;
use super::value::{Object, Position, Ref, Value};
use super::window::Window;

/// Where a variable is, seen from a procedure.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Local(u16),
    Free(u16),
    /// It is the procedure itself.
    Own,
}

/// A variable that a procedure can see.
#[derive(Clone, Copy)]
pub struct Binding<'g> {
    /// A symbol; nothing for what the compiler needs itself.
    pub name: Option<Ref<'g>>,
    pub place: Place,
    /// It is assigned to, so its value lies in an [`Object::Variable`].
    pub is_variable: bool,
}

/// What is known of a procedure.
pub struct Function<'g> {
    pub locals: Vec<Binding<'g>>,
    /// What it captures: where that is in the procedure around it.
    pub captured: Vec<(Binding<'g>, Place)>,
    /// The name by which it can call itself.
    pub own: Option<Ref<'g>>,
    pub ops: Vec<Op>,
    constants: Vec<Value<'g>>,
    marks: Vec<Mark>,
    /// Values in the frame, now and at most.
    pub depth: usize,
    deepest: usize,
    /// Behind the last instruction that is jumped to: what is before stays as it is.
    label: usize,
}

/// The most instructions, constants and values in a frame.
const MOST: usize = 4096;

pub fn syntax<'g, T>(what: &'static str, form: Value<'g>) -> Result<'g, T> {
    let position = form.position();
    Err(Fault::Syntax { what, form, position }.into())
}

impl<'g> Function<'g> {
    pub fn new(own: Option<Ref<'g>>) -> Function<'g> {
        Function {
            locals: Vec::new(),
            captured: Vec::new(),
            own,
            ops: Vec::new(),
            constants: Vec::new(),
            marks: Vec::new(),
            depth: 0,
            deepest: 0,
            label: 0,
        }
    }

    pub fn emit(&mut self, op: Op) -> Result<'g, ()> {
        if self.ops.len() >= MOST {
            return syntax("a procedure is too long", Value::Unspecified);
        }
        push(&mut self.ops, op)
    }

    /// Notes where in the text the next instruction is.
    pub fn mark(&mut self, position: Option<Position>) -> Result<'g, ()> {
        let Some(Position { line, column }) = position else {
            return Ok(());
        };
        let is_same = |mark: &Mark| (mark.line, mark.column) == (line, column);
        if self.marks.last().is_some_and(is_same) {
            return Ok(());
        }
        let pc = self.ops.len() as u16;
        push(&mut self.marks, Mark { pc, line, column })
    }

    /// Makes room for so many more values in the frame.
    pub fn deepen(&mut self, count: usize) -> Result<'g, ()> {
        self.depth += count;
        self.deepest = self.deepest.max(self.depth);
        if self.deepest >= MOST {
            return syntax("a procedure has too many values", Value::Unspecified);
        }
        Ok(())
    }

    /// Pushes the accumulator.
    pub fn push(&mut self) -> Result<'g, ()> {
        self.deepen(1)?;
        let is_free = self.ops.len() > self.label;
        let fused = match self.ops.last() {
            Some(Op::Const(index)) => Op::PushConst(*index),
            Some(Op::Int(number)) => Op::PushInt(*number),
            Some(Op::Local(index)) => Op::PushLocal(*index),
            _ => Op::Push,
        };
        if is_free && fused != Op::Push {
            self.ops.pop();
        }
        self.emit(if is_free { fused } else { Op::Push })
    }

    /// Makes the accumulator a local.
    pub fn bind(&mut self, name: Option<Ref<'g>>, is_variable: bool) -> Result<'g, Place> {
        if is_variable {
            self.emit(Op::MakeVariable)?;
        }
        let place = Place::Local(self.depth as u16);
        self.push()?;
        let binding = Binding {
            name,
            place,
            is_variable,
        };
        push(&mut self.locals, binding)?;
        Ok(place)
    }

    /// Forgets locals down to `count`, and removes them from the frame, whose depth was `depth`.
    pub fn unbind(&mut self, count: usize, depth: usize) -> Result<'g, ()> {
        self.locals.truncate(count);
        let dropped = self.depth - depth;
        self.depth = depth;
        if dropped != 0 {
            self.emit(Op::Drop(dropped as u16))?;
        }
        Ok(())
    }

    /// The index of a constant.
    pub fn constant(&mut self, value: Value<'g>) -> Result<'g, u16> {
        if let Some(index) = self.constants.iter().position(|other| other.is(value)) {
            return Ok(index as u16);
        }
        if self.constants.len() >= MOST {
            return syntax("a procedure has too many constants", value);
        }
        push(&mut self.constants, value)?;
        Ok(self.constants.len() as u16 - 1)
    }

    /// A jump to where is not known yet; returns its index.
    pub fn jump(&mut self, op: Op) -> Result<'g, usize> {
        self.emit(op)?;
        Ok(self.ops.len() - 1)
    }

    /// Makes a jump lead here.
    pub fn land(&mut self, jump: usize) {
        let here = self.here() as u16;
        match &mut self.ops[jump] {
            Op::Jump(target) | Op::JumpIfFalse(target) | Op::JumpIfTrue(target) => *target = here,
            _ => {}
        }
    }

    /// The place of the next instruction, which will be jumped to.
    pub fn here(&mut self) -> usize {
        self.label = self.ops.len();
        self.label
    }

    /// The code, as an object.
    pub fn finish(
        &self,
        w: Window<'g>,
        name: Option<Ref<'g>>,
        parameters: u8,
        takes_rest: bool,
    ) -> Result<'g, Code<'g>> {
        let cx = w.cx;
        let constants = w.fields(self.constants.len(), |index| self.constants[index])?;
        Ok(Code {
            ops: Slot::new(cx, w.plain(&self.ops)?),
            constants: Slot::new(cx, constants),
            marks: Slot::new(cx, w.plain(&self.marks)?),
            name: name.map_or(Slot::null(), |name| Slot::new(cx, name)),
            frame: self.deepest as u16,
            parameters,
            takes_rest,
        })
    }
}

/// A closure of this code that captures nothing, or the pattern of those that do.
pub fn closure<'g>(w: Window<'g>, code: Code<'g>) -> Result<'g, Value<'g>> {
    let code = w.make(code)?;
    let free = w.fields(0, |_| Value::Unspecified)?;
    w.object(Object::Closure {
        code: Slot::new(w.cx, code),
        free: Slot::new(w.cx, free),
    })
}
