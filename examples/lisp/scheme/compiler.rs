//! Data to code, in one go and in one window. If there is no room, the window ends, room is made, and it starts anew.
//!
//! Closures are flat: they hold copies of what they capture ("display closures"; Dybvig, 1987). What is assigned to lies in a
//! variable of its own, which they share.

use alloc::vec::Vec;

use super::code::Op;
use super::error::{Fault, Result};
use super::function::{Binding, Function, Place, closure, syntax};
use super::primitives;
use super::reader::push;
use super::value::{Object, Position, Ref, Value};
use super::window::Window;

/// Forms in forms in forms: more are refused, so that the native stack is bounded.
const DEPTH: u32 = 120;

/// What becomes of an expression's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Continue,
    /// The procedure returns it.
    Return,
}

pub struct Compiler<'g> {
    pub w: Window<'g>,
    /// The procedures around what is being compiled, the innermost last.
    functions: Vec<Function<'g>>,
    depth: u32,
    /// Bodies around what is being compiled.
    pub bodies: u32,
    /// Where the form is that is being compiled.
    here: Option<Position>,
    /// The symbol `set!`.
    set: Ref<'g>,
}

/// A closure without arguments that evaluates a datum.
pub fn compile<'g>(w: Window<'g>, datum: Value<'g>) -> Result<'g, Value<'g>> {
    let mut compiler = Compiler {
        w,
        functions: Vec::new(),
        depth: DEPTH,
        bodies: 0,
        here: None,
        set: w.symbol("set!")?,
    };
    push(&mut compiler.functions, Function::new(None))?;
    compiler.expression(datum, Then::Return)?;
    let code = compiler.function().finish(w, None, 0, false)?;
    closure(w, code)
}

impl<'g> Compiler<'g> {
    pub fn function(&mut self) -> &mut Function<'g> {
        self.functions.last_mut().expect("there is the outermost one")
    }

    pub fn emit(&mut self, op: Op) -> Result<'g, ()> {
        self.function().emit(op)
    }

    /// As `emit`, of an instruction that may fail.
    pub fn emit_marked(&mut self, op: Op) -> Result<'g, ()> {
        let here = self.here;
        self.function().mark(here)?;
        self.emit(op)
    }

    /// Loads a constant.
    pub fn constant(&mut self, value: Value<'g>) -> Result<'g, ()> {
        let op = match value {
            Value::Int(number) if i16::try_from(number).is_ok() => Op::Int(number as i16),
            _ => Op::Const(self.function().constant(value)?),
        };
        self.emit(op)
    }

    pub fn expression(&mut self, datum: Value<'g>, then: Then) -> Result<'g, ()> {
        if datum.symbol(self.w.cx).is_some() {
            self.variable(datum)?;
        } else if let Some((head, arguments)) = datum.pair(self.w.cx) {
            if self.depth == 0 {
                return syntax("forms are nested too deeply", datum);
            }
            let around = self.here;
            self.here = datum.position().or(around);
            self.depth -= 1;
            self.form(datum, head, arguments, then)?;
            self.depth += 1;
            self.here = around;
            return Ok(());
        } else if matches!(datum, Value::Nil) {
            return syntax("a call of nothing", datum);
        } else {
            self.constant(datum)?;
        }
        self.then(then)
    }

    /// Ends an expression that is no call.
    pub fn then(&mut self, then: Then) -> Result<'g, ()> {
        match then {
            Then::Continue => Ok(()),
            Then::Return => self.emit(Op::Return),
        }
    }

    fn form(&mut self, form: Value<'g>, head: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        if let Some(name) = head.symbol(cx) {
            let Value::Object(symbol) = head else { unreachable!() };
            if self.resolve(symbol)?.is_none() {
                if let Some(done) = self.special(name, form, arguments, then) {
                    return done;
                }
                if let Object::Symbol { value, .. } = symbol.get()
                    && let Value::Primitive(index) = Value::of(cx, value)
                    && self.primitive(index, arguments)?
                {
                    return self.then(then);
                }
            }
        }
        if arguments.length(cx).is_none() {
            return syntax("a call that is no list", form);
        }
        self.begin_call()?;
        let mut count = 0;
        for argument in arguments.elements(cx) {
            self.expression(argument, Then::Continue)?;
            self.function().push()?;
            count += 1;
        }
        self.expression(head, Then::Continue)?;
        self.end_call(count, then)
    }

    /// Leaves room for what a call saves.
    pub fn begin_call(&mut self) -> Result<'g, ()> {
        self.emit(Op::Frame)?;
        self.function().deepen(2)
    }

    /// Calls the accumulator with the `count` uppermost values.
    pub fn end_call(&mut self, count: usize, then: Then) -> Result<'g, ()> {
        self.emit_marked(match then {
            Then::Continue => Op::Call(count as u16),
            Then::Return => Op::TailCall(count as u16),
        })?;
        self.function().depth -= count + 2;
        Ok(())
    }

    /// A call of a primitive without a frame; tells whether that can be done.
    fn primitive(&mut self, index: u8, arguments: Value<'g>) -> Result<'g, bool> {
        let cx = self.w.cx;
        let Some(count) = arguments.length(cx) else {
            return Ok(false);
        };
        let primitive = primitives::get(index);
        if !primitive.is_plain() || !primitive.takes(count) {
            return Ok(false);
        }
        let mut elements = arguments.elements(cx);
        if let Some(op) = instruction(primitive.name, count) {
            if count == 2 {
                let (first, last) = (elements.next(), elements.next());
                self.expression(first.unwrap_or(Value::Nil), Then::Continue)?;
                let last = last.unwrap_or(Value::Nil);
                if let Some(op) = with_constant(op, last) {
                    self.emit_marked(op)?;
                    return Ok(true);
                }
                self.function().push()?;
                self.expression(last, Then::Continue)?;
                self.function().depth -= 1;
            } else {
                self.expression(elements.next().unwrap_or(Value::Nil), Then::Continue)?;
            }
            self.emit_marked(op)?;
            return Ok(true);
        }
        for argument in elements {
            self.expression(argument, Then::Continue)?;
            self.function().push()?;
        }
        let Ok(count) = u8::try_from(count) else {
            return syntax("too many arguments", arguments);
        };
        self.emit_marked(Op::Primitive { index, count })?;
        self.function().depth -= usize::from(count);
        Ok(true)
    }

    /// The variable of this name that the innermost procedure can see, captured if need be; nothing if it is global.
    pub fn resolve(&mut self, name: Ref<'g>) -> Result<'g, Option<Binding<'g>>> {
        // From the inside out, until a procedure has it...
        let mut found = None;
        let mut level = self.functions.len();
        while level > 0 && found.is_none() {
            level -= 1;
            found = self.functions[level].find(name);
        }
        // ... and back, through all that must capture it.
        let Some(mut binding) = found else { return Ok(None) };
        for function in &mut self.functions[level + 1..] {
            let from = binding.place;
            binding.place = Place::Free(function.captured.len() as u16);
            push(&mut function.captured, (binding, from))?;
        }
        Ok(Some(binding))
    }

    fn variable(&mut self, datum: Value<'g>) -> Result<'g, ()> {
        let Value::Object(symbol) = datum else { unreachable!() };
        match self.resolve(symbol)? {
            Some(binding) => self.load(binding.place, binding.is_variable),
            None => {
                let index = self.function().constant(datum)?;
                self.emit_marked(Op::Global(index))
            }
        }
    }

    /// Loads a local or what was captured; of a variable, its content.
    pub fn load(&mut self, place: Place, is_variable: bool) -> Result<'g, ()> {
        match (place, is_variable) {
            (Place::Local(index), false) => self.emit(Op::Local(index)),
            (Place::Local(index), true) => self.emit_marked(Op::LocalVariable(index)),
            (Place::Free(index), false) => self.emit(Op::Free(index)),
            (Place::Free(index), true) => self.emit_marked(Op::FreeVariable(index)),
            (Place::Own, _) => self.emit(Op::Own),
        }
    }

    /// A procedure. `own` is the name by which it knows itself, if nobody assigns to that.
    pub fn lambda(
        &mut self,
        name: Option<Ref<'g>>,
        own: Option<Ref<'g>>,
        parameters: Value<'g>,
        body: Value<'g>,
    ) -> Result<'g, ()> {
        push(&mut self.functions, Function::new(own))?;
        let mut elements = parameters.elements(self.w.cx);
        let mut count = 0;
        for parameter in elements.by_ref() {
            self.parameter(parameter, count, body)?;
            count += 1;
        }
        let rest = elements.rest;
        let takes_rest = !matches!(rest, Value::Nil);
        if takes_rest {
            self.parameter(rest, count, body)?;
        }
        let Ok(parameters) = u8::try_from(count) else {
            return syntax("too many parameters", parameters);
        };
        let variables = self.function().locals.len();
        for index in 0..variables {
            let local = self.function().locals[index];
            if local.is_variable {
                self.emit(Op::Local(index as u16))?;
                self.emit(Op::MakeVariable)?;
                self.emit(Op::SetLocal(index as u16))?;
            }
        }
        self.body(body, Then::Return)?;
        let function = self.functions.pop().expect("it was pushed above");
        let code = function.finish(self.w, name, parameters, takes_rest)?;
        let closure = closure(self.w, code)?;
        let constant = self.function().constant(closure)?;
        if function.captured.is_empty() {
            return self.emit(Op::Const(constant));
        }
        for (_, from) in &function.captured {
            self.load(*from, false)?;
            self.function().push()?;
        }
        let count = function.captured.len();
        let Ok(free) = u8::try_from(count) else {
            return syntax("a procedure captures too much", body);
        };
        self.emit(Op::Closure { free, code: constant })?;
        self.function().depth -= count;
        Ok(())
    }

    fn parameter(&mut self, parameter: Value<'g>, index: usize, body: Value<'g>) -> Result<'g, ()> {
        let name = self.name(parameter)?;
        let is_variable = self.assigns(body, name, DEPTH);
        let binding = Binding {
            name: Some(name),
            place: Place::Local(index as u16),
            is_variable,
        };
        self.function().deepen(1)?;
        push(&mut self.function().locals, binding)
    }

    /// The symbol that must be there.
    pub fn name(&mut self, datum: Value<'g>) -> Result<'g, Ref<'g>> {
        match datum {
            Value::Object(symbol) if datum.symbol(self.w.cx).is_some() => Ok(symbol),
            _ => {
                let position = self.here;
                let what = "this is no name";
                Err(Fault::Syntax {
                    what,
                    form: datum,
                    position,
                }
                .into())
            }
        }
    }

    /// Whether something that looks like an assignment to `name` is anywhere in the data.
    pub fn assigns(&self, data: Value<'g>, name: Ref<'g>, depth: u32) -> bool {
        let cx = self.w.cx;
        let mut rest = data;
        while let Some((head, tail)) = rest.pair(cx) {
            if head.is(Value::Object(self.set))
                && tail.pair(cx).is_some_and(|(target, _)| target.is(Value::Object(name)))
            {
                return true;
            }
            if depth == 0 || self.assigns(head, name, depth - 1) {
                return true; // what is too deep is refused elsewhere
            }
            rest = tail;
        }
        false
    }
}

impl<'g> Function<'g> {
    /// The variable of this name that the procedure knows.
    fn find(&self, name: Ref<'g>) -> Option<Binding<'g>> {
        let is_it = |binding: &&Binding<'g>| binding.name.is_some_and(|other| other.is(name));
        if let Some(binding) = self.locals.iter().rev().find(is_it) {
            return Some(*binding);
        }
        if self.own.is_some_and(|own| own.is(name)) {
            return Some(Binding {
                name: Some(name),
                place: Place::Own,
                is_variable: false,
            });
        }
        self.captured.iter().map(|(binding, _)| binding).find(is_it).copied()
    }
}

/// The instruction that does what a primitive does with so many arguments.
fn instruction(name: &str, count: usize) -> Option<Op> {
    Some(match (name, count) {
        ("+", 2) => Op::Add,
        ("-", 2) => Op::Subtract,
        ("*", 2) => Op::Multiply,
        ("<", 2) => Op::Less,
        (">", 2) => Op::Greater,
        ("<=", 2) => Op::AtMost,
        (">=", 2) => Op::AtLeast,
        ("=", 2) => Op::Equal,
        ("cons", 2) => Op::Cons,
        ("vector-ref", 2) => Op::VectorRef,
        ("eq?" | "eqv?", 2) => Op::Is,
        ("car", 1) => Op::Head,
        ("cdr", 1) => Op::Tail,
        ("null?", 1) => Op::IsNil,
        ("pair?", 1) => Op::IsPair,
        ("not", 1) => Op::Not,
        _ => return None,
    })
}

/// The same with a constant as its last argument.
fn with_constant(op: Op, last: Value<'_>) -> Option<Op> {
    let Value::Int(number) = last else { return None };
    let number = i16::try_from(number).ok()?;
    Some(match op {
        Op::Add => Op::AddInt(number),
        Op::Subtract => Op::AddInt(number.checked_neg()?),
        Op::Less => Op::LessInt(number),
        Op::Greater => Op::GreaterInt(number),
        Op::Equal => Op::EqualInt(number),
        _ => return None,
    })
}
