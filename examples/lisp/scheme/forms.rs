//! The special forms.

use alloc::vec::Vec;

use super::code::Op;
use super::compiler::{Compiler, Then};
use super::error::Result;
use super::function::{Place, syntax};
use super::reader::push;
use super::value::{Ref, Value};

impl<'g> Compiler<'g> {
    /// Compiles a special form; nothing if there is none of that name.
    pub fn special(&mut self, name: &str, form: Value<'g>, arguments: Value<'g>, then: Then) -> Option<Result<'g, ()>> {
        Some(match name {
            "quote" => self.quote(form, arguments, then),
            "if" => self.conditional(form, arguments, then),
            "define" => self.define_global(form, arguments, then),
            "set!" => self.assignment(form, arguments, then),
            "lambda" => match arguments.pair(self.w.cx) {
                Some((parameters, body)) => self.lambda(None, None, parameters, body).and_then(|()| self.then(then)),
                None => syntax("a procedure without parameters", form),
            },
            "let" => self.parallel(form, arguments, then),
            "let*" => self.sequential(form, arguments, then),
            "letrec" | "letrec*" => self.recursive(form, arguments, then),
            "begin" => self.sequence(arguments, then),
            "cond" => self.clauses(arguments, then),
            "case" => self.case(form, arguments, then),
            "and" => self.junction(arguments, Op::JumpIfFalse(0), true, then),
            "or" => self.junction(arguments, Op::JumpIfTrue(0), false, then),
            "when" => self.guarded(form, arguments, Op::JumpIfFalse(0), then),
            "unless" => self.guarded(form, arguments, Op::JumpIfTrue(0), then),
            "do" => self.iteration(form, arguments, then),
            "quasiquote" => match self.list::<1>(arguments) {
                Some([template]) => self.template(template, 1).and_then(|()| self.then(then)),
                None => syntax("a quotation of one datum", form),
            },
            _ => return None,
        })
    }

    /// The elements of a list of exactly `N`.
    pub fn list<const N: usize>(&self, list: Value<'g>) -> Option<[Value<'g>; N]> {
        let mut elements = list.elements(self.w.cx);
        let mut array = [Value::Nil; N];
        for place in &mut array {
            *place = elements.next()?;
        }
        matches!(elements.rest, Value::Nil).then_some(array)
    }

    pub fn unspecified(&mut self, then: Then) -> Result<'g, ()> {
        self.constant(Value::Unspecified)?;
        self.then(then)
    }

    /// An expression whose value is tested, and a jump that is to be landed.
    fn test(&mut self, test: Value<'g>, jump: Op) -> Result<'g, usize> {
        self.expression(test, Then::Continue)?;
        self.function().jump(jump)
    }

    /// A jump over what comes next, if the value is not returned anyway.
    fn skip(&mut self, then: Then, jumps: &mut Vec<usize>) -> Result<'g, ()> {
        if then == Then::Continue {
            let jump = self.function().jump(Op::Jump(0))?;
            push(jumps, jump)?;
        }
        Ok(())
    }

    fn land_all(&mut self, jumps: &[usize]) {
        jumps.iter().for_each(|jump| self.function().land(*jump));
    }

    fn quote(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let Some([datum]) = self.list::<1>(arguments) else {
            return syntax("a quotation of one datum", form);
        };
        self.constant(datum)?;
        self.then(then)
    }

    fn conditional(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let (test, yes, no) = match (self.list::<3>(arguments), self.list::<2>(arguments)) {
            (Some([test, yes, no]), _) => (test, yes, Some(no)),
            (_, Some([test, yes])) => (test, yes, None),
            _ => return syntax("if takes two or three", form),
        };
        let mut ends = Vec::new();
        let otherwise = self.test(test, Op::JumpIfFalse(0))?;
        self.expression(yes, then)?;
        self.skip(then, &mut ends)?;
        self.function().land(otherwise);
        match no {
            Some(no) => self.expression(no, then)?,
            None => self.unspecified(then)?,
        }
        self.land_all(&ends);
        Ok(())
    }

    /// Name, and expression or parameters and body, of a definition.
    fn definition(&mut self, arguments: Value<'g>) -> Result<'g, (Ref<'g>, Definition<'g>)> {
        let cx = self.w.cx;
        let Some((target, rest)) = arguments.pair(cx) else {
            return syntax("a definition of nothing", arguments);
        };
        if let Some((target, parameters)) = target.pair(cx) {
            return Ok((self.name(target)?, Definition::Procedure(parameters, rest)));
        }
        let name = self.name(target)?;
        match self.list::<1>(rest) {
            Some([expression]) => Ok((name, Definition::Value(expression))),
            None => syntax("a definition without one value", arguments),
        }
    }

    /// Loads what a name is defined as; a procedure is named so.
    fn defined(&mut self, name: Ref<'g>, definition: Definition<'g>) -> Result<'g, ()> {
        match definition {
            Definition::Procedure(parameters, body) => self.lambda(Some(name), None, parameters, body),
            Definition::Value(expression) => self.initial(Some(name), expression),
        }
    }

    /// Loads the initial value of a variable; a procedure is named like it.
    pub fn initial(&mut self, name: Option<Ref<'g>>, expression: Value<'g>) -> Result<'g, ()> {
        if let Some((head, rest)) = expression.pair(self.w.cx)
            && head.symbol(self.w.cx) == Some("lambda")
            && let Some((parameters, body)) = rest.pair(self.w.cx)
            && self.resolve(self.name_of(head))?.is_none()
        {
            return self.lambda(name, None, parameters, body);
        }
        self.expression(expression, Then::Continue)
    }

    /// The object of a symbol.
    fn name_of(&self, symbol: Value<'g>) -> Ref<'g> {
        match symbol {
            Value::Object(symbol) => symbol,
            _ => unreachable!("symbols are objects"),
        }
    }

    fn define_global(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        if self.bodies != 0 {
            return syntax("a definition that does not begin a body", form);
        }
        let (name, definition) = self.definition(arguments)?;
        self.defined(name, definition)?;
        let index = self.function().constant(Value::Object(name))?;
        self.emit(Op::DefineGlobal(index))?;
        self.unspecified(then)
    }

    fn assignment(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let Some([target, expression]) = self.list::<2>(arguments) else {
            return syntax("an assignment of one value to one name", form);
        };
        let name = self.name(target)?;
        self.expression(expression, Then::Continue)?;
        let op = match self.resolve(name)? {
            None => Op::SetGlobal(self.function().constant(target)?),
            Some(binding) => match binding.place {
                Place::Local(index) if binding.is_variable => Op::SetLocalVariable(index),
                Place::Free(index) if binding.is_variable => Op::SetFreeVariable(index),
                _ => return syntax("the name of a loop is not assigned to", form),
            },
        };
        self.emit_marked(op)?;
        self.unspecified(then)
    }

    fn sequence(&mut self, forms: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let mut rest = forms;
        if rest.pair(cx).is_none() {
            return self.unspecified(then);
        }
        while let Some((form, tail)) = rest.pair(cx) {
            let is_last = tail.pair(cx).is_none();
            self.expression(form, if is_last { then } else { Then::Continue })?;
            rest = tail;
        }
        Ok(())
    }

    /// The arguments of a form that is a definition.
    fn as_definition(&mut self, form: Value<'g>) -> Result<'g, Option<Value<'g>>> {
        let cx = self.w.cx;
        let Some((head, arguments)) = form.pair(cx) else {
            return Ok(None);
        };
        let is_definition = head.symbol(cx) == Some("define") && self.resolve(self.name_of(head))?.is_none();
        Ok(is_definition.then_some(arguments))
    }

    pub fn body(&mut self, forms: Value<'g>, then: Then) -> Result<'g, ()> {
        self.bodies += 1;
        self.definitions(forms, then)?;
        self.bodies -= 1;
        Ok(())
    }

    /// The forms of a body: its definitions see each other.
    fn definitions(&mut self, forms: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        for form in forms.elements(cx) {
            if let Some(arguments) = self.as_definition(form)? {
                let (name, _) = self.definition(arguments)?;
                self.emit(Op::Unassigned)?;
                self.function().bind(Some(name), true)?;
            }
        }
        if self.function().locals.len() == count {
            return self.sequence(forms, then);
        }
        let mut rest = forms;
        while let Some((form, tail)) = rest.pair(cx) {
            let is_last = tail.pair(cx).is_none();
            match self.as_definition(form)? {
                None => self.expression(form, if is_last { then } else { Then::Continue })?,
                Some(arguments) => {
                    let (name, definition) = self.definition(arguments)?;
                    self.defined(name, definition)?;
                    self.define_local(name)?;
                    if is_last {
                        self.unspecified(then)?;
                    }
                }
            }
            rest = tail;
        }
        self.leave(count, depth, then)
    }

    /// Puts the accumulator into a variable of this frame.
    pub fn define_local(&mut self, name: Ref<'g>) -> Result<'g, ()> {
        match self.resolve(name)?.map(|binding| binding.place) {
            Some(Place::Local(index)) => self.emit(Op::SetLocalVariable(index)),
            _ => unreachable!("the variable was bound before"),
        }
    }

    /// Ends a scope that began with so many locals, at this depth.
    pub fn leave(&mut self, count: usize, depth: usize, then: Then) -> Result<'g, ()> {
        if then == Then::Return {
            let function = self.function();
            function.locals.truncate(count);
            function.depth = depth;
            return Ok(());
        }
        self.function().unbind(count, depth)
    }

    fn clauses(&mut self, clauses: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let mut ends = Vec::new();
        for clause in clauses.elements(cx) {
            let Some((test, body)) = clause.pair(cx) else {
                return syntax("a clause is a list", clause);
            };
            if test.symbol(cx) == Some("else") {
                self.sequence(body, then)?;
                self.land_all(&ends);
                return if ends.is_empty() { Ok(()) } else { self.then(then) };
            }
            if matches!(body, Value::Nil) {
                let end = self.test(test, Op::JumpIfTrue(0))?;
                push(&mut ends, end)?;
                continue;
            }
            let next = self.test(test, Op::JumpIfFalse(0))?;
            match self.list::<2>(body) {
                Some([arrow, receiver]) if arrow.symbol(cx) == Some("=>") => self.receive(receiver, then)?,
                _ => self.sequence(body, then)?,
            }
            self.skip(then, &mut ends)?;
            self.function().land(next);
        }
        self.constant(Value::Unspecified)?;
        self.land_all(&ends);
        self.then(then)
    }

    /// Calls a procedure with the accumulator.
    fn receive(&mut self, receiver: Value<'g>, then: Then) -> Result<'g, ()> {
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        let place = self.function().bind(None, false)?;
        self.begin_call()?;
        self.load(place, false)?;
        self.function().push()?;
        self.expression(receiver, Then::Continue)?;
        self.end_call(1, then)?;
        self.leave(count, depth, then)
    }

    fn case(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((key, clauses)) = arguments.pair(cx) else {
            return syntax("case without a key", form);
        };
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        self.expression(key, Then::Continue)?;
        let key = self.function().bind(None, false)?;
        let (mut ends, mut has_else) = (Vec::new(), false);
        for clause in clauses.elements(cx) {
            let Some((data, body)) = clause.pair(cx) else {
                return syntax("a clause is a list", clause);
            };
            has_else = data.symbol(cx) == Some("else");
            if has_else {
                self.sequence(body, then)?;
                break;
            }
            let mut hits = Vec::new();
            for datum in data.elements(cx) {
                self.load(key, false)?;
                let constant = self.function().constant(datum)?;
                self.emit(Op::Matches(constant))?;
                let hit = self.function().jump(Op::JumpIfTrue(0))?;
                push(&mut hits, hit)?;
            }
            let next = self.function().jump(Op::Jump(0))?;
            self.land_all(&hits);
            self.sequence(body, then)?;
            self.skip(then, &mut ends)?;
            self.function().land(next);
        }
        if !has_else {
            self.unspecified(then)?;
        }
        self.land_all(&ends);
        self.leave(count, depth, then)
    }

    /// `and`, `or`.
    fn junction(&mut self, forms: Value<'g>, jump: Op, empty: bool, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        if matches!(forms, Value::Nil) {
            self.constant(Value::Bool(empty))?;
            return self.then(then);
        }
        let (mut ends, mut rest) = (Vec::new(), forms);
        while let Some((form, tail)) = rest.pair(cx) {
            if matches!(tail, Value::Nil) {
                self.expression(form, then)?;
            } else {
                let end = self.test(form, jump)?;
                push(&mut ends, end)?;
            }
            rest = tail;
        }
        self.land_all(&ends);
        if ends.is_empty() { Ok(()) } else { self.then(then) }
    }

    /// `when`, `unless`.
    fn guarded(&mut self, form: Value<'g>, arguments: Value<'g>, jump: Op, then: Then) -> Result<'g, ()> {
        let Some((test, body)) = arguments.pair(self.w.cx) else {
            return syntax("a condition is missing", form);
        };
        let mut ends = Vec::new();
        let otherwise = self.test(test, jump)?;
        self.sequence(body, then)?;
        self.skip(then, &mut ends)?;
        self.function().land(otherwise);
        self.unspecified(then)?;
        self.land_all(&ends);
        Ok(())
    }

    /// `do`: each round has its own variables, so that a closure keeps those of its round.
    fn iteration(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((specs, rest)) = arguments.pair(cx) else {
            return syntax("do without variables", form);
        };
        let Some((end, body)) = rest.pair(cx) else {
            return syntax("do without an end", form);
        };
        let Some((test, result)) = end.pair(cx) else {
            return syntax("do without a test", form);
        };
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        let mut steps = Vec::new();
        for spec in specs.elements(cx) {
            let (name, initial, step) = match (self.list::<3>(spec), self.list::<2>(spec)) {
                (Some([name, initial, step]), _) => (name, initial, step),
                (_, Some([name, initial])) => (name, initial, name),
                _ => return syntax("a variable of do has a name, a value and a step", spec),
            };
            let name = self.name(name)?;
            self.expression(initial, Then::Continue)?;
            let is_variable = self.assigns(arguments, name, 100);
            self.function().bind(None, is_variable)?;
            push(&mut steps, (name, step, is_variable))?;
        }
        for (local, (name, ..)) in self.function().locals[count..].iter_mut().zip(&steps) {
            local.name = Some(*name);
        }
        let begin = self.function().here();
        let exit = self.test(test, Op::JumpIfTrue(0))?;
        self.sequence(body, Then::Continue)?;
        for (_, step, is_variable) in &steps {
            self.expression(*step, Then::Continue)?;
            if *is_variable {
                self.emit(Op::MakeVariable)?;
            }
            self.function().push()?;
        }
        for index in (0..steps.len()).rev() {
            self.emit(Op::PopLocal((depth + index) as u16))?;
        }
        self.function().depth -= steps.len();
        self.emit(Op::Loop(begin as u16))?;
        self.function().land(exit);
        self.sequence(result, then)?;
        self.leave(count, depth, then)
    }
}

/// What a name is defined as.
#[derive(Clone, Copy)]
enum Definition<'g> {
    /// Parameters and body.
    Procedure(Value<'g>, Value<'g>),
    Value(Value<'g>),
}
