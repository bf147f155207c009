//! Quasi-quotation.

use alloc::vec::Vec;

use super::code::Op;
use super::compiler::{Compiler, Then};
use super::error::Result;
use super::function::syntax;
use super::reader::push;
use super::value::Value;

impl<'g> Compiler<'g> {
    /// A quasi-quotation within `level` of them: a constant, or conses of what is constant and what is not.
    pub fn template(&mut self, template: Value<'g>, level: u32) -> Result<'g, ()> {
        let cx = self.w.cx;
        if !self.has_unquote(template, 100) {
            return self.constant(template);
        }
        if let Some([inner]) = self.tagged(template, "unquote") {
            if level == 1 {
                return self.expression(inner, Then::Continue);
            }
            return self.nested("unquote", inner, level - 1);
        }
        if let Some([inner]) = self.tagged(template, "quasiquote") {
            return self.nested("quasiquote", inner, level + 1);
        }
        if template.vector(cx).is_some() {
            return syntax("a vector with values in it is made by vector", template);
        }
        let depth = self.function().depth;
        let (mut spliced, mut rest) = (Vec::new(), template);
        while let Some((head, tail)) = rest.pair(cx) {
            if self.tagged(rest, "unquote").is_some() || self.tagged(rest, "quasiquote").is_some() {
                break; // behind a dot
            }
            let inner = self.tagged(head, "unquote-splicing").filter(|_| level == 1);
            push(&mut spliced, inner.is_some())?;
            match inner {
                Some([inner]) => {
                    self.begin_call()?;
                    self.expression(inner, Then::Continue)?;
                }
                None => self.template(head, level)?,
            }
            self.function().push()?;
            rest = tail;
        }
        self.template(rest, level)?;
        while let Some(is_spliced) = spliced.pop() {
            if is_spliced {
                self.function().push()?;
                let append = Value::Object(self.w.symbol("append")?);
                let index = self.function().constant(append)?;
                self.emit(Op::Global(index))?;
                self.end_call(2, Then::Continue)?;
            } else {
                self.emit(Op::Cons)?;
                self.function().depth -= 1;
            }
        }
        debug_assert_eq!(self.function().depth, depth);
        Ok(())
    }

    /// `(name inner)`, with what is inside at another level.
    fn nested(&mut self, name: &str, inner: Value<'g>, level: u32) -> Result<'g, ()> {
        let name = Value::Object(self.w.symbol(name)?);
        self.constant(name)?;
        self.function().push()?;
        self.template(inner, level)?;
        self.function().push()?;
        self.constant(Value::Nil)?;
        self.emit(Op::Cons)?;
        self.emit(Op::Cons)?;
        self.function().depth -= 2;
        Ok(())
    }

    /// The argument of `(name argument)`.
    fn tagged(&self, datum: Value<'g>, name: &str) -> Option<[Value<'g>; 1]> {
        let (head, tail) = datum.pair(self.w.cx)?;
        if head.symbol(self.w.cx) != Some(name) {
            return None;
        }
        self.list::<1>(tail)
    }

    fn has_unquote(&self, datum: Value<'g>, depth: u32) -> bool {
        let cx = self.w.cx;
        let is_unquote =
            |value: Value<'g>| matches!(value.symbol(cx), Some("unquote" | "unquote-splicing" | "quasiquote"));
        if depth == 0 {
            return true;
        }
        if let Some(elements) = datum.vector(cx) {
            return elements
                .iter()
                .any(|field| self.has_unquote(Value::of(cx, field), depth - 1));
        }
        let mut elements = datum.elements(cx);
        elements
            .by_ref()
            .any(|element| is_unquote(element) || self.has_unquote(element, depth - 1))
    }
}
