//! Calls and returns, and the pieces of the stack.

use core::cell::Cell;

use terrace::Slot;

use super::super::compiler::compile;
use super::super::error::{Fault, Result};
use super::super::primitives::{self, Run};
use super::super::value::{Field, Object, Ref, Value};
use super::super::window::{Chunk, full};
use super::{CHUNK, FP_BITS, Machine, Next, SAVED, parts};

impl<'g> Machine<'g> {
    /// Whether the accumulator can be called with so many arguments: told before the caller's frame is gone.
    #[inline(always)]
    pub(super) fn check(&self, count: usize) -> Result<'g, ()> {
        let callee = self.value;
        let takes = match callee {
            Value::Object(object) => match object.get() {
                Object::Closure { code, .. } => {
                    let code = full(code, self.w.cx).get();
                    let parameters = usize::from(code.parameters);
                    count == parameters || (code.takes_rest && count > parameters)
                }
                _ => return Err(Fault::NotProcedure(callee).into()),
            },
            Value::Primitive(index) => primitives::get(index).takes(count),
            _ => return Err(Fault::NotProcedure(callee).into()),
        };
        if takes {
            Ok(())
        } else {
            Err(Fault::Arity { callee, count }.into())
        }
    }

    /// Begins what the accumulator does with the `count` values from `fp` on. May be done again at any point.
    pub(super) fn enter(&mut self, entering: &mut Option<u16>, mut count: u16) -> Result<'g, Next> {
        loop {
            let index = match self.value {
                Value::Object(object) => {
                    self.enter_closure(object, usize::from(count))?;
                    self.turns -= 1;
                    return Ok(Next::Run);
                }
                Value::Primitive(index) => index,
                _ => unreachable!("it was checked before"),
            };
            match primitives::get(index).run {
                Run::Plain(run) => {
                    self.value = run(self.w, &self.values[self.fp..self.sp])?;
                    return Ok(self.leave());
                }
                Run::Apply => count = self.spread(usize::from(count))?,
                Run::Eval => {
                    self.value = compile(self.w, Value::of(self.w.cx, &self.values[self.fp]))?;
                    self.sp = self.fp;
                    count = 0;
                }
            }
            *entering = Some(count);
            self.check(usize::from(count))?;
        }
    }

    #[inline(always)]
    fn enter_closure(&mut self, closure: Ref<'g>, count: usize) -> Result<'g, ()> {
        let (cx, w) = (self.w.cx, self.w);
        let (code, free) = parts(w, closure);
        let it = code.get();
        let needed = usize::from(it.frame) + 1; // an empty list of further arguments may be added
        if self.fp + needed.max(count) > self.values.len() {
            self.grow(count, needed)?;
        }
        self.sp = self.fp + count;
        if it.takes_rest {
            let rest = self.fp + usize::from(it.parameters);
            let list = w.list(&self.values[rest..self.sp], Value::Nil)?;
            self.high = self.high.max(self.sp);
            list.store(cx, &self.values[rest]);
            self.sp = rest + 1;
        }
        self.high = self.high.max(self.fp + needed);
        self.closure = closure;
        self.code = code;
        self.ops = full(&it.ops, cx).get();
        self.constants = full(&it.constants, cx).get();
        self.free = free;
        self.pc = 0;
        Ok(())
    }

    /// Continues the frame, which has `count` values, in a new piece of the stack with room for `needed`.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, count: usize, needed: usize) -> Result<'g, ()> {
        let (cx, w) = (self.w.cx, self.w);
        let base = self.fp - SAVED;
        let old = self.values;
        let values = w.fields((SAVED + needed.max(count)).max(CHUNK), |index| {
            if index < SAVED + count {
                Value::of(cx, &old[base + index])
            } else {
                Value::Unassigned
            }
        })?;
        // Nothing may be left of the old piece but this frame, if it tail-called.
        let is_bottom = base == 0 && self.chunk.get().below.get(cx).is_some();
        let below = Slot::null();
        below.set(
            cx,
            if is_bottom {
                self.chunk.get().below.get(cx)
            } else {
                Some(self.chunk)
            },
        );
        let chunk = w.make(Chunk {
            below,
            used: Cell::new(0),
            values: Slot::new(cx, values),
        })?;
        self.chunk.get().used.set(base as u32);
        old[base..self.high.max(self.sp)].iter().for_each(Field::clear);
        self.chunk = chunk;
        self.values = values.get();
        self.fp = SAVED;
        self.sp = SAVED + count;
        self.high = self.sp;
        Ok(())
    }

    /// Replaces the arguments of `apply` by those of the procedure, which goes to the accumulator; returns how many.
    fn spread(&mut self, count: usize) -> Result<'g, u16> {
        let cx = self.w.cx;
        let list = Value::of(cx, &self.values[self.fp + count - 1]);
        let wanted = "a list of arguments";
        let fault = Fault::Type {
            who: "apply",
            wanted,
            value: list,
        };
        let Some(length) = list.length(cx).filter(|length| *length < 1 << 12) else {
            return Err(fault.into());
        };
        let total = count - 2 + length;
        if self.fp + total.max(count) > self.values.len() {
            self.grow(count, total)?;
        }
        self.value = Value::of(cx, &self.values[self.fp]);
        for index in 0..count - 2 {
            let argument = Value::of(cx, &self.values[self.fp + index + 1]);
            argument.store(cx, &self.values[self.fp + index]);
        }
        for (field, argument) in self.values[self.fp + count - 2..].iter().zip(list.elements(cx)) {
            argument.store(cx, field);
        }
        self.high = self.high.max(self.sp);
        self.sp = self.fp + total;
        Ok(total as u16)
    }

    /// Goes back to the caller with the accumulator.
    #[inline(always)]
    pub(super) fn leave(&mut self) -> Next {
        let (cx, w) = (self.w.cx, self.w);
        self.high = self.high.max(self.sp);
        let base = self.fp - SAVED;
        let Value::Object(closure) = Value::of(cx, &self.values[base]) else {
            return Next::Done;
        };
        let Value::Int(saved) = Value::of(cx, &self.values[base + 1]) else {
            unreachable!("a call saves a number")
        };
        self.sp = base;
        if base == 0 {
            self.shrink();
        }
        let (code, free) = parts(w, closure);
        self.closure = closure;
        self.code = code;
        self.ops = full(&code.get().ops, cx).get();
        self.constants = full(&code.get().constants, cx).get();
        self.free = free;
        self.pc = saved as usize >> FP_BITS;
        self.fp = saved as usize & ((1 << FP_BITS) - 1);
        Next::Run
    }

    /// Goes back to the piece of the stack below.
    #[cold]
    #[inline(never)]
    fn shrink(&mut self) {
        let cx = self.w.cx;
        self.chunk = full(&self.chunk.get().below, cx);
        self.values = full(&self.chunk.get().values, cx).get();
        self.sp = self.chunk.get().used.get() as usize;
        self.high = self.values.len();
    }
}
