//! Constant expressions: initial values of globals and tables, offsets and items of segments.
//!
//! An expression is a run in the module's pool of postfix operations; evaluation is a loop with a
//! stack of values. Validation has made sure that types fit and the stack never underflows.

use runwell_abi::Type;

/// One operation of a constant expression, in postfix order.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ConstOp {
    /// A 32-bit integer.
    I32(u32),
    /// A 64-bit integer.
    I64(u64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// The value of a global.
    GlobalGet(u32),
    /// A reference to a function.
    RefFunc(u32),
    /// The null reference of a type.
    RefNull(Type),
    /// Addition modulo 2^32.
    I32Add,
    /// Subtraction modulo 2^32.
    I32Sub,
    /// Multiplication modulo 2^32.
    I32Mul,
    /// Addition modulo 2^64.
    I64Add,
    /// Subtraction modulo 2^64.
    I64Sub,
    /// Multiplication modulo 2^64.
    I64Mul,
}

/// A constant expression: a run in the pool of the module, see
/// [`crate::ModuleInfo::const_ops`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ConstExpr {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// What a constant expression may ask its surroundings. Values are bits, zero-extended; references
/// are machine addresses, 0 when null.
pub trait ConstEnv {
    /// The current value of global `index`.
    fn global(&mut self, index: u32) -> u128;
    /// A reference to function `index`.
    fn func(&mut self, index: u32) -> u128;
}

/// Evaluates the operations of a validated expression. `stack` is scratch space. O(operations).
///
/// # Panics
/// When `ops` is not the expression of a validated module.
pub fn eval(ops: &[ConstOp], stack: &mut Vec<u128>, env: &mut impl ConstEnv) -> u128 {
    if let [op] = ops
        && let Some(bits) = leaf(*op, env)
    {
        return bits;
    }
    stack.clear();
    for &op in ops {
        if let Some(bits) = leaf(op, env) {
            stack.push(bits);
            continue;
        }
        let b = stack.pop().expect("a validated expression") as u64;
        let a = stack.pop().expect("a validated expression") as u64;
        let wide = match op {
            ConstOp::I32Add | ConstOp::I64Add => a.wrapping_add(b),
            ConstOp::I32Sub | ConstOp::I64Sub => a.wrapping_sub(b),
            _ => a.wrapping_mul(b),
        };
        let narrow = matches!(op, ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul);
        stack.push(if narrow { u128::from(wide as u32) } else { u128::from(wide) });
    }
    stack.pop().expect("a validated expression")
}

fn leaf(op: ConstOp, env: &mut impl ConstEnv) -> Option<u128> {
    Some(match op {
        ConstOp::I32(bits) | ConstOp::F32(bits) => u128::from(bits),
        ConstOp::I64(bits) | ConstOp::F64(bits) => u128::from(bits),
        ConstOp::GlobalGet(index) => env.global(index),
        ConstOp::RefFunc(index) => env.func(index),
        ConstOp::RefNull(_) => 0,
        ConstOp::I32Add
        | ConstOp::I32Sub
        | ConstOp::I32Mul
        | ConstOp::I64Add
        | ConstOp::I64Sub
        | ConstOp::I64Mul => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Env;

    impl ConstEnv for Env {
        fn global(&mut self, index: u32) -> u128 {
            u128::from(index) * 100
        }

        fn func(&mut self, index: u32) -> u128 {
            u128::from(index) + 0x1000
        }
    }

    #[test]
    fn arithmetic_wraps_at_its_own_width() {
        use ConstOp::*;
        let mut stack = Vec::new();
        let mut run = |ops: &[ConstOp]| eval(ops, &mut stack, &mut Env);
        assert_eq!(run(&[I32(1), I32(2), I32Sub]), 0xffff_ffff);
        assert_eq!(run(&[I64(1), I64(2), I64Sub]), 0xffff_ffff_ffff_ffff);
        assert_eq!(run(&[GlobalGet(3), I32(2), I32(5), I32Mul, I32Add]), 310);
        assert_eq!(run(&[I64(1 << 63), I64(2), I64Mul]), 0);
        assert_eq!(run(&[RefFunc(2)]), 0x1002);
        assert_eq!(run(&[RefNull(Type::FuncRef)]), 0);
    }
}
