//! The operand stack, and the operators that only move values.

use crate::body::Cx;
use runwell_ir::Value;

impl Cx {
    #[inline]
    pub(crate) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Takes the topmost value. Validation has made sure that there is one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Value {
        let value = self.stack.pop().expect("a validated operand");
        let at = self.stack.len();
        if self.at_home(at) { self.taken_from_home(at, value) } else { value }
    }

    #[inline]
    pub(crate) fn top(&mut self) -> Value {
        self.fetch(self.stack.len() - 1);
        *self.stack.last().expect("a validated operand")
    }

    /// Takes the topmost two values, the upper one second.
    #[inline]
    pub(crate) fn pop2(&mut self) -> (Value, Value) {
        let b = self.pop();
        let a = self.pop();
        (a, b)
    }

    /// Moves the topmost `count` values to `args`.
    pub(crate) fn pop_args(&mut self, count: usize) {
        self.args.clear();
        let start = self.stack.len() - count;
        self.fetch(start);
        self.args.extend(self.stack.drain(start..));
        self.cut(start as u32);
        self.extra += count;
    }

    /// `select`, typed or not.
    pub(crate) fn select(&mut self) {
        let cond = self.pop();
        if let Some(value) = self.select_at_home(cond) {
            return self.push(value);
        }
        let (a, b) = self.pop2();
        let ty = self.b.func.value_type(a);
        let value = self.b.select(ty, cond, a, b);
        self.push(value);
    }

    /// `drop`.
    pub(crate) fn drop_value(&mut self) {
        self.cut(self.stack.len() as u32 - 1);
    }
}
