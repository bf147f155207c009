//! The forms that bind names: `let` and its kin.

use alloc::vec::Vec;

use super::code::Op;
use super::compiler::{Compiler, Then};
use super::error::Result;
use super::function::syntax;
use super::reader::push;
use super::value::{Ref, Value};

impl<'g> Compiler<'g> {
    /// Name and initial expression.
    fn binding(&mut self, binding: Value<'g>) -> Result<'g, (Ref<'g>, Value<'g>)> {
        match self.list::<2>(binding) {
            Some([name, expression]) => Ok((self.name(name)?, expression)),
            None => syntax("a binding is a name and a value", binding),
        }
    }

    pub fn parallel(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((bindings, body)) = arguments.pair(cx) else {
            return syntax("let without bindings", form);
        };
        if bindings.symbol(cx).is_some() {
            return self.named(form, bindings, body, then);
        }
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        let mut names = Vec::new();
        for binding in bindings.elements(cx) {
            let (name, expression) = self.binding(binding)?;
            self.initial(Some(name), expression)?;
            let is_variable = self.assigns(body, name, 100);
            self.function().bind(None, is_variable)?;
            push(&mut names, name)?;
        }
        for (local, name) in self.function().locals[count..].iter_mut().zip(names) {
            local.name = Some(name);
        }
        self.body(body, then)?;
        self.leave(count, depth, then)
    }

    /// A loop: a procedure that is called at once and knows itself by name.
    fn named(&mut self, form: Value<'g>, name: Value<'g>, rest: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((bindings, body)) = rest.pair(cx) else {
            return syntax("let without bindings", form);
        };
        let name = self.name(name)?;
        self.begin_call()?;
        let mut count = 0;
        let (mut parameters, mut last) = (Value::Nil, None);
        for binding in bindings.elements(cx) {
            let (parameter, expression) = self.binding(binding)?;
            self.initial(Some(parameter), expression)?;
            self.function().push()?;
            let pair = self.w.cons(Value::Object(parameter), Value::Nil)?;
            match last {
                None => parameters = pair,
                Some((_, tail)) => pair.store(cx, tail),
            }
            last = pair.fields();
            count += 1;
        }
        self.lambda(Some(name), Some(name), parameters, body)?;
        self.end_call(count, then)
    }

    pub fn sequential(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((bindings, body)) = arguments.pair(cx) else {
            return syntax("let* without bindings", form);
        };
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        for binding in bindings.elements(cx) {
            let (name, expression) = self.binding(binding)?;
            self.initial(Some(name), expression)?;
            // Later bindings may assign to it as well.
            let is_variable = self.assigns(arguments, name, 100);
            self.function().bind(Some(name), is_variable)?;
        }
        self.body(body, then)?;
        self.leave(count, depth, then)
    }

    pub fn recursive(&mut self, form: Value<'g>, arguments: Value<'g>, then: Then) -> Result<'g, ()> {
        let cx = self.w.cx;
        let Some((bindings, body)) = arguments.pair(cx) else {
            return syntax("letrec without bindings", form);
        };
        let (count, depth) = (self.function().locals.len(), self.function().depth);
        for binding in bindings.elements(cx) {
            let (name, _) = self.binding(binding)?;
            self.emit(Op::Unassigned)?;
            self.function().bind(Some(name), true)?;
        }
        for binding in bindings.elements(cx) {
            let (name, expression) = self.binding(binding)?;
            self.initial(Some(name), expression)?;
            self.define_local(name)?;
        }
        self.body(body, then)?;
        self.leave(count, depth, then)
    }
}
