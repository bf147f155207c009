//! The machine: it runs in a window, until that must end.
//!
//! A window ends when the program is done or wrong, when there is no room for an object, and after so many calls, so that the
//! collector has its turn while there is still room. Registers are plain references in between; to pause, they go to the
//! [`State`](super::window::State), and the instruction that found no room is done again. Hence no instruction changes
//! anything before it has what it needs.

mod calls;

use terrace::{Gc, Slot};

use super::code::{Code, Op, position};
use super::error::{Fault, Result, Stop};
use super::primitives::{self, Run, arithmetic, pairs, vectors};
use super::value::{Field, Object, Position, Ref, Value};
use super::window::{Chunk, Window, full};

/// Values in a piece of the stack, at least.
pub const CHUNK: usize = 120;
/// What a call saves: the closure, and pc and fp in one number.
const SAVED: usize = 2;
const FP_BITS: u32 = 13;

/// Why the machine has paused.
pub enum Pause<'g> {
    /// The state's value is that of the program.
    Done,
    /// It is time for a safe point.
    Turn,
    Stop(Stop<'g>),
}

/// How a window ended.
pub struct Paused<'g> {
    pub pause: Pause<'g>,
    /// Where in the text the machine is, and in which procedure, if that has a name.
    pub position: Option<Position>,
    pub procedure: Option<Ref<'g>>,
    /// It has done nothing.
    pub is_stuck: bool,
}

/// The machine in a window.
pub struct Machine<'g> {
    w: Window<'g>,
    closure: Ref<'g>,
    code: Gc<'g, Code<'g>>,
    ops: &'g [Op],
    constants: &'g [Field<'g>],
    free: &'g [Field<'g>],
    chunk: Gc<'g, Chunk<'g>>,
    values: &'g [Field<'g>],
    /// The accumulator.
    value: Value<'g>,
    pc: usize,
    fp: usize,
    sp: usize,
    /// The values from here on were not used since the window began.
    high: usize,
    /// Calls until the next pause.
    turns: u32,
}

/// What comes after a call.
enum Next {
    Run,
    Done,
}

impl<'g> Machine<'g> {
    /// The machine as it paused.
    fn resume(w: Window<'g>, turns: u32) -> Machine<'g> {
        let state = w.state.get();
        let closure = full(&state.closure, w.cx);
        let chunk = full(&state.chunk, w.cx);
        let (code, free) = parts(w, closure);
        let values = full(&chunk.get().values, w.cx).get();
        let fp = state.fp.get() as usize;
        Machine {
            w,
            closure,
            code,
            ops: full(&code.get().ops, w.cx).get(),
            constants: full(&code.get().constants, w.cx).get(),
            free,
            chunk,
            values,
            value: Value::of(w.cx, &state.value),
            pc: state.pc.get() as usize,
            fp,
            sp: state.sp.get() as usize,
            high: (fp + usize::from(code.get().frame) + 1).min(values.len()),
            turns,
        }
    }

    /// Makes a closure without arguments what the machine runs next.
    pub fn start(w: Window<'g>, closure: Value<'g>) {
        let (cx, state) = (w.cx, w.state.get());
        let Value::Object(object) = closure else {
            unreachable!("the compiler makes closures")
        };
        let first = full(&state.first, cx);
        let values = full(&first.get().values, cx).get();
        values.iter().for_each(Field::clear);
        state.chunk.set(cx, Some(first));
        state.closure.set(cx, Some(object));
        closure.store(cx, &state.value);
        state.pc.set(0);
        state.fp.set(SAVED as u32);
        state.sp.set(SAVED as u32);
        state.entering.set(Some(0));
    }

    /// Runs for at most so many calls.
    pub fn run(w: Window<'g>, turns: u32) -> Paused<'g> {
        let mut machine = Machine::resume(w, turns);
        let began = machine.pc;
        let mut entering = w.state.get().entering.get();
        let was_entering = entering;
        let pause = match machine.steps(&mut entering) {
            Ok(pause) => pause,
            Err(stop) => Pause::Stop(stop),
        };
        if entering.is_none() && !matches!(pause, Pause::Done) {
            machine.pc -= 1; // the instruction is to be done again
        }
        let is_stuck = machine.turns == turns && machine.pc == began && entering == was_entering;
        machine.save(entering);
        let code = machine.code.get();
        Paused {
            pause,
            position: position(full(&code.marks, w.cx).get(), machine.at(entering)),
            procedure: code.name.get(w.cx),
            is_stuck,
        }
    }

    /// Forgets what was running, so that it becomes garbage.
    pub fn give_up(w: Window<'g>) {
        let state = w.state.get();
        let first = full(&state.first, w.cx);
        full(&first.get().values, w.cx).iter().for_each(Field::clear);
        state.chunk.set(w.cx, Some(first));
        state.closure.set(w.cx, None);
        state.value.clear();
    }

    /// The instruction that is being done, or whose call is.
    fn at(&self, entering: Option<u16>) -> usize {
        if entering.is_some() {
            self.pc.saturating_sub(1)
        } else {
            self.pc
        }
    }

    fn save(&mut self, entering: Option<u16>) {
        let (cx, state) = (self.w.cx, self.w.state.get());
        for stale in &self.values[self.sp..self.high.max(self.sp)] {
            stale.clear();
        }
        state.chunk.set(cx, Some(self.chunk));
        state.closure.set(cx, Some(self.closure));
        self.value.store(cx, &state.value);
        state.pc.set(self.pc as u32);
        state.fp.set(self.fp as u32);
        state.sp.set(self.sp as u32);
        state.entering.set(entering);
    }

    #[inline(always)]
    fn local(&self, index: u16) -> &'g Field<'g> {
        &self.values[self.fp + usize::from(index)]
    }

    #[inline(always)]
    fn constant(&self, index: u16) -> Value<'g> {
        Value::of(self.w.cx, &self.constants[usize::from(index)])
    }

    #[inline(always)]
    fn push(&mut self, value: Value<'g>) {
        value.store(self.w.cx, &self.values[self.sp]);
        self.sp += 1;
    }

    #[inline(always)]
    fn top(&self) -> Value<'g> {
        Value::of(self.w.cx, &self.values[self.sp - 1])
    }

    /// The field of an [`Object::Variable`].
    #[inline(always)]
    fn variable(&self, place: &'g Field<'g>) -> &'g Field<'g> {
        if let Value::Object(object) = Value::of(self.w.cx, place)
            && let Object::Variable(field) = object.get()
        {
            return field;
        }
        unreachable!("the compiler made a variable")
    }

    /// The content of a variable that must be defined.
    #[inline(always)]
    fn content(&self, place: &'g Field<'g>) -> Result<'g, Value<'g>> {
        match Value::of(self.w.cx, self.variable(place)) {
            Value::Unassigned => Err(Fault::Unassigned.into()),
            value => Ok(value),
        }
    }

    /// The value field of a symbol that is a constant.
    #[inline(always)]
    fn global(&self, index: u16) -> (Ref<'g>, &'g Field<'g>) {
        if let Value::Object(object) = self.constant(index)
            && let Object::Symbol { value, .. } = object.get()
        {
            return (object, value);
        }
        unreachable!("the compiler takes symbols for globals")
    }

    /// Does one instruction after another. `entering` tells where it stopped: in a call of so many arguments, or not.
    fn steps(&mut self, entering: &mut Option<u16>) -> Result<'g, Pause<'g>> {
        loop {
            if let Some(count) = *entering {
                if self.turns == 0 {
                    return Ok(Pause::Turn);
                }
                if let Next::Done = self.enter(entering, count)? {
                    *entering = None;
                    return Ok(Pause::Done);
                }
                *entering = None;
            }
            let op = self.ops[self.pc];
            self.pc += 1;
            match op {
                Op::Call(count) => {
                    self.check(usize::from(count))?;
                    let base = self.sp - usize::from(count);
                    let saved = Value::Int((self.pc << FP_BITS | self.fp) as i32);
                    Value::Object(self.closure).store(self.w.cx, &self.values[base - 2]);
                    saved.store(self.w.cx, &self.values[base - 1]);
                    self.fp = base;
                    *entering = Some(count);
                }
                Op::TailCall(count) => {
                    self.check(usize::from(count))?;
                    let from = self.sp - usize::from(count);
                    for index in 0..usize::from(count) {
                        let value = Value::of(self.w.cx, &self.values[from + index]);
                        value.store(self.w.cx, &self.values[self.fp + index]);
                    }
                    self.high = self.high.max(self.sp);
                    self.sp = self.fp + usize::from(count);
                    *entering = Some(count);
                }
                Op::Return => {
                    if let Next::Done = self.leave() {
                        return Ok(Pause::Done);
                    }
                }
                Op::Loop(target) => {
                    if self.turns == 0 {
                        return Ok(Pause::Turn);
                    }
                    self.turns -= 1;
                    self.pc = usize::from(target);
                }
                _ => self.step(op)?,
            }
        }
    }

    /// An instruction that stays in the procedure.
    #[inline(always)]
    fn step(&mut self, op: Op) -> Result<'g, ()> {
        let cx = self.w.cx;
        match op {
            Op::Const(index) => self.value = self.constant(index),
            Op::Int(number) => self.value = Value::Int(number.into()),
            Op::Global(index) => {
                let (symbol, field) = self.global(index);
                match Value::of(cx, field) {
                    Value::Unassigned => return Err(Fault::Unbound(symbol).into()),
                    value => self.value = value,
                }
            }
            Op::Local(index) => self.value = Value::of(cx, self.local(index)),
            Op::LocalVariable(index) => self.value = self.content(self.local(index))?,
            Op::Free(index) => self.value = Value::of(cx, &self.free[usize::from(index)]),
            Op::FreeVariable(index) => self.value = self.content(&self.free[usize::from(index)])?,
            Op::Own => self.value = Value::Object(self.closure),
            Op::Push => self.push(self.value),
            Op::PushConst(index) => self.push(self.constant(index)),
            Op::PushInt(number) => self.push(Value::Int(number.into())),
            Op::PushLocal(index) => self.push(Value::of(cx, self.local(index))),
            Op::Drop(count) => {
                self.high = self.high.max(self.sp);
                self.sp -= usize::from(count);
            }
            Op::PopLocal(index) => {
                self.top().store(cx, self.local(index));
                self.sp -= 1;
            }
            Op::MakeVariable => self.value = self.w.object(Object::Variable(self.value.field(cx)))?,
            Op::Unassigned => self.value = Value::Unassigned,
            Op::SetLocal(index) => self.value.store(cx, self.local(index)),
            Op::SetLocalVariable(index) => self.value.store(cx, self.variable(self.local(index))),
            Op::SetFreeVariable(index) => self.value.store(cx, self.variable(&self.free[usize::from(index)])),
            Op::SetGlobal(index) => {
                let (symbol, field) = self.global(index);
                if let Value::Unassigned = Value::of(cx, field) {
                    return Err(Fault::Unbound(symbol).into());
                }
                self.value.store(cx, field);
            }
            Op::DefineGlobal(index) => self.value.store(cx, self.global(index).1),
            Op::Jump(target) => self.pc = usize::from(target),
            Op::JumpIfFalse(target) => {
                if !self.value.is_true() {
                    self.pc = usize::from(target);
                }
            }
            Op::JumpIfTrue(target) => {
                if self.value.is_true() {
                    self.pc = usize::from(target);
                }
            }
            Op::Frame => {
                self.values[self.sp].clear();
                self.values[self.sp + 1].clear();
                self.sp += SAVED;
            }
            Op::Closure { free, code } => {
                let from = self.sp - usize::from(free);
                let captured = self
                    .w
                    .fields(usize::from(free), |index| Value::of(cx, &self.values[from + index]))?;
                let Value::Object(pattern) = self.constant(code) else {
                    unreachable!()
                };
                let (code, _) = parts(self.w, pattern);
                self.value = self.w.object(Object::Closure {
                    code: Slot::new(cx, code),
                    free: Slot::new(cx, captured),
                })?;
                self.sp = from;
            }
            Op::Primitive { index, count } => {
                let from = self.sp - usize::from(count);
                if let Run::Plain(run) = primitives::get(index).run {
                    self.value = run(self.w, &self.values[from..self.sp])?;
                }
                self.high = self.high.max(self.sp);
                self.sp = from;
            }
            Op::Matches(index) => self.value = Value::Bool(self.value.is(self.constant(index))),
            Op::AddInt(number) => self.value = arithmetic::add(self.value, Value::Int(number.into()))?,
            Op::LessInt(number) => self.value = arithmetic::less("<", self.value, Value::Int(number.into()))?,
            Op::GreaterInt(number) => self.value = arithmetic::less(">", Value::Int(number.into()), self.value)?,
            Op::EqualInt(number) => self.value = arithmetic::equal(self.value, Value::Int(number.into()))?,
            Op::Head => self.value = pairs::head(self.w, self.value)?,
            Op::Tail => self.value = pairs::tail(self.w, self.value)?,
            Op::IsNil => self.value = Value::Bool(matches!(self.value, Value::Nil)),
            Op::IsPair => self.value = Value::Bool(self.value.fields().is_some()),
            Op::Not => self.value = Value::Bool(!self.value.is_true()),
            _ => return self.binary(op),
        }
        Ok(())
    }

    /// An instruction of the uppermost value and the accumulator.
    #[inline(always)]
    fn binary(&mut self, op: Op) -> Result<'g, ()> {
        let (one, other) = (self.top(), self.value);
        self.value = match op {
            Op::Add => arithmetic::add(one, other)?,
            Op::Subtract => arithmetic::subtract(one, other)?,
            Op::Multiply => arithmetic::multiply(one, other)?,
            Op::Less => arithmetic::less("<", one, other)?,
            Op::Greater => arithmetic::less(">", other, one)?,
            Op::AtMost => arithmetic::not(arithmetic::less("<=", other, one)?),
            Op::AtLeast => arithmetic::not(arithmetic::less(">=", one, other)?),
            Op::Equal => arithmetic::equal(one, other)?,
            Op::Cons => self.w.cons(one, other)?,
            Op::Is => Value::Bool(one.is(other)),
            Op::VectorRef => vectors::element(self.w, one, other)?,
            _ => unreachable!("all other instructions are done before"),
        };
        self.sp -= 1;
        Ok(())
    }
}

/// Code of a closure, and what it has captured.
#[inline(always)]
fn parts<'g>(w: Window<'g>, closure: Ref<'g>) -> (Gc<'g, Code<'g>>, &'g [Field<'g>]) {
    match closure.get() {
        Object::Closure { code, free } => (full(code, w.cx), full(free, w.cx).get()),
        _ => unreachable!("the compiler makes closures"),
    }
}
