//! Types as bytes.
//!
//! While there are few types, a byte is enough for each, and lists of types compare and copy as
//! strings of bytes do. With references to types of the module, of which there may be any number, a
//! code becomes the number of a distinct type in a table of the module: [`Code`] gets wider, and
//! [`fits`], which is asked only about codes that are not equal, goes by that table.

use runwell_abi::Type;
use runwell_ir::Signature;

/// The type of an operand.
pub(crate) type Code = u8;

/// The code of a type.
pub(crate) const fn code(ty: Type) -> Code {
    ty as Code
}

pub(crate) const I32: Code = code(Type::I32);
pub(crate) const I64: Code = code(Type::I64);
pub(crate) const F32: Code = code(Type::F32);
pub(crate) const F64: Code = code(Type::F64);
pub(crate) const FUNC_REF: Code = code(Type::FuncRef);
pub(crate) const EXTERN_REF: Code = code(Type::AnyRef);

/// An operand of unknown type, in unreachable code.
pub(crate) const BOTTOM: Code = Code::MAX;

/// The codes below are those of types.
const TYPES: Code = Type::ALL.len() as Code;

/// The name of a type in messages.
pub(crate) fn name(code: Code) -> &'static str {
    match Type::ALL.get(usize::from(code)) {
        Some(Type::I32) => "i32",
        Some(Type::I64) => "i64",
        Some(Type::F32) => "f32",
        Some(Type::F64) => "f64",
        Some(Type::V128) => "v128",
        Some(Type::FuncRef) => "funcref",
        Some(Type::AnyRef) => "externref",
        None => "bot",
    }
}

/// True for types of references.
pub(crate) fn is_ref(code: Code) -> bool {
    matches!(code, FUNC_REF | EXTERN_REF)
}

/// True if an operand of type `found` may stand where `wanted` is asked for. No type of the language
/// is a proper subtype of another one.
pub(crate) fn fits(found: Code, wanted: Code) -> bool {
    found == wanted || found == BOTTOM
}

/// True if operands of the types `found` may stand where `wanted` are asked for, both of one length.
/// There is no early way out, so that many types are compared at once.
pub(crate) fn all_fit(found: &[Code], wanted: &[Code]) -> bool {
    let pairs = found.iter().zip(wanted);
    pairs.fold(true, |fit, (&found, &wanted)| fit & fits(found, wanted))
}

/// A list of types: a range of the module's string. Lists of the same range are equal.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct List {
    start: u32,
    pub(crate) len: u32,
}

impl List {
    /// No types.
    pub(crate) const EMPTY: List = List { start: 0, len: 0 };

    /// One type. The string begins with one of each.
    pub(crate) const fn of(code: Code) -> List {
        List { start: code as u32, len: 1 }
    }
}

/// A function type: its parameters and behind them its results.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sig {
    start: u32,
    params: u32,
    results: u32,
}

impl Sig {
    #[inline]
    pub(crate) fn params(self) -> List {
        List { start: self.start, len: self.params }
    }

    #[inline]
    pub(crate) fn results(self) -> List {
        List { start: self.start + self.params, len: self.results }
    }
}

/// The lists of types of a module.
#[derive(Debug)]
pub(crate) struct Types {
    string: Box<[Code]>,
    signatures: Box<[Sig]>,
}

impl Types {
    /// Collects the lists of the function types of a valid module. O(types they name).
    pub(crate) fn new(signatures: &[Signature]) -> Types {
        let named = |sig: &Signature| sig.params.len() + sig.results.len();
        let len = usize::from(TYPES) + signatures.iter().map(named).sum::<usize>();
        let mut string = Vec::with_capacity(len);
        string.extend(0..TYPES);
        let add = |sig: &Signature| {
            let start = string.len() as u32;
            string.extend(sig.params.iter().chain(&sig.results).map(|&ty| code(ty)));
            Sig { start, params: sig.params.len() as u32, results: sig.results.len() as u32 }
        };
        let signatures = signatures.iter().map(add).collect();
        Types { string: string.into(), signatures }
    }

    /// The function type of a number.
    #[inline]
    pub(crate) fn signature(&self, index: u32) -> Option<Sig> {
        self.signatures.get(index as usize).copied()
    }

    /// The types of a list.
    #[inline]
    pub(crate) fn list(&self, list: List) -> &[Code] {
        let start = list.start as usize;
        &self.string[start..start + list.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_of_the_signatures() {
        let sig = |params: &[Type], results: &[Type]| Signature {
            params: params.into(),
            results: results.into(),
        };
        let sigs = [
            sig(&[], &[]),
            sig(&[Type::I32, Type::F64], &[Type::AnyRef]),
            sig(&Type::ALL, &[Type::I64; 1000]),
        ];
        let types = Types::new(&sigs);
        for (index, sig) in sigs.iter().enumerate() {
            let found = types.signature(index as u32).unwrap();
            let codes = |types: &[Type]| types.iter().map(|&ty| code(ty)).collect::<Vec<Code>>();
            assert_eq!(types.list(found.params()), codes(&sig.params));
            assert_eq!(types.list(found.results()), codes(&sig.results));
        }
        assert!(types.signature(3).is_none());
        for ty in Type::ALL {
            assert_eq!(types.list(List::of(code(ty))), [code(ty)]);
        }
        assert!(types.list(List::EMPTY).is_empty());
    }

    #[test]
    fn only_unknown_operands_fit_what_they_are_not() {
        for found in Type::ALL {
            assert!(fits(BOTTOM, code(found)) && !fits(code(found), BOTTOM));
            for wanted in Type::ALL {
                assert_eq!(fits(code(found), code(wanted)), found == wanted);
            }
        }
        let wanted: Vec<Code> = (0..100).map(|i| i % TYPES).collect();
        let mut found = wanted.clone();
        assert!(all_fit(&found, &wanted));
        for at in 0..wanted.len() {
            found[at] = BOTTOM;
            assert!(all_fit(&found, &wanted));
            found[at] = (wanted[at] + 1) % TYPES;
            assert!(!all_fit(&found, &wanted));
            found[at] = wanted[at];
        }
    }
}
