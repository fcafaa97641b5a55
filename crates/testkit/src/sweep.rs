//! Every operator, in the shapes in which it costs a compiler most: one operator, many times over.
//!
//! Mixtures of operators hide what one of them costs. A [`Case`] is one operator with what feeds it and
//! what takes its results: operands that have lost their registers, constants that fit no instruction,
//! values straight from memory, stacks that grow with each copy. [`Case::module`] repeats it as often as is
//! asked, so that what one copy costs is the difference between two modules. They are valid and are
//! compiled only; nobody runs them.
//!
//! Each case comes with many locals and with few, since a quote counts what many of them cost with the
//! operators that name them: where there are few, there is nothing but the operator's own row.

mod control;
mod values;

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    RefType, TableSection, TableType, TypeSection, ValType,
};

/// Copies of a case that a module has at the most: each has locals of its own.
pub const MOST_COPIES: u32 = 160;

/// Types of locals, in the order of their runs; references have no operators but their own.
const TYPES: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];

/// Locals of each type where there are few.
const FEW: u32 = 2;

/// Locals that hold references.
const REFERENCES: u32 = 4;

/// Functions, by their indices: what is called.
pub(crate) mod func {
    /// Imported, with a few parameters and results.
    pub(crate) const IMPORTED: u32 = 0;
    /// Imported, with more than registers hold.
    pub(crate) const IMPORTED_WIDE: u32 = 1;
    /// As [`IMPORTED`], with a body.
    pub(crate) const OWN: u32 = 2;
    /// As [`IMPORTED_WIDE`], with a body.
    pub(crate) const OWN_WIDE: u32 = 3;
    /// Without parameters and results.
    pub(crate) const OWN_PLAIN: u32 = 4;
}

/// Types of functions, by their indices.
pub(crate) mod ty {
    /// No parameters, no results.
    pub(crate) const PLAIN: u32 = 0;
    /// One of each type, and one result.
    pub(crate) const NARROW: u32 = 1;
    /// Twenty parameters and ten results.
    pub(crate) const WIDE: u32 = 2;
    /// A block of two numbers from two.
    pub(crate) const PAIR: u32 = 3;
}

/// Writes operators; the number says which copy they are of.
type Make = Box<dyn Fn(&mut Body, u32)>;

/// One operator in one shape.
pub struct Case {
    /// The operator, and the shape.
    pub name: String,
    /// Opcodes without prefix byte that this case is there to cover, or `0x100 + n` behind 0xfc.
    pub covers: Vec<u16>,
    /// What each copy is.
    copy: Make,
    /// Operators behind the last copy.
    last: Make,
    /// Types whose locals are live throughout.
    live: Vec<ValType>,
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = values::cases();
    cases.extend(control::cases());
    cases
}

/// How many locals the copies of a case share.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Locals {
    /// None: each copy has its own.
    Many,
    /// Two of each type.
    Few,
}

/// The operators of a body.
pub(crate) struct Body {
    bytes: Vec<u8>,
    locals: Locals,
}

impl Body {
    fn new(locals: Locals) -> Body {
        Body { bytes: Vec::new(), locals }
    }

    pub(crate) fn op(&mut self, opcode: u8) -> &mut Body {
        self.bytes.push(opcode);
        self
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Body {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn leb(&mut self, mut value: u64) -> &mut Body {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.op(value as u8)
    }

    fn signed(&mut self, mut value: i64) -> &mut Body {
        loop {
            let byte = value as u8 & 0x7f;
            value >>= 7;
            if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
                return self.op(byte);
            }
            self.op(byte | 0x80);
        }
    }

    /// An operator with one index.
    pub(crate) fn at(&mut self, opcode: u8, index: u32) -> &mut Body {
        self.op(opcode).leb(index.into())
    }

    /// A number that is no short immediate, another one for each `i`.
    pub(crate) fn constant(&mut self, ty: ValType, i: u32) -> &mut Body {
        match ty {
            ValType::I32 => self.op(0x41).signed(0x1234_5678 + 0x10_0001 * i64::from(i)),
            ValType::I64 => {
                self.op(0x42).signed(0x1234_5678_9abc_def0 + 0x1_0000_0001 * i64::from(i))
            }
            ValType::F32 => self.op(0x43).raw(&(1.5 + i as f32 * 0.37).to_le_bytes()),
            ValType::F64 => self.op(0x44).raw(&(1.5 + f64::from(i) * 0.37).to_le_bytes()),
            _ => self.raw(&[0xd0, 0x70]),
        }
    }

    /// Local number `i` of a type.
    fn local(&self, ty: ValType, i: u32) -> u32 {
        let count = match self.locals {
            Locals::Few => FEW,
            Locals::Many if TYPES.contains(&ty) => MOST_COPIES,
            Locals::Many => REFERENCES,
        };
        number(ty) * MOST_COPIES + i % count
    }

    /// Reads a local of a type.
    pub(crate) fn get(&mut self, ty: ValType, i: u32) -> &mut Body {
        self.at(0x20, self.local(ty, i))
    }

    /// Writes a local of a type.
    pub(crate) fn set(&mut self, ty: ValType, i: u32) -> &mut Body {
        self.at(0x21, self.local(ty, i))
    }

    /// Reads number `i` of a type from the memory.
    pub(crate) fn load(&mut self, ty: ValType, i: u32) -> &mut Body {
        let opcode = [0x28, 0x29, 0x2a, 0x2b][number(ty) as usize];
        self.raw(&[0x41, 0x00]).raw(&[opcode, 0]).leb(u64::from(16 * i + 4 * number(ty)))
    }

    /// Keeps a value where it can be seen, in a global of its type.
    pub(crate) fn keep(&mut self, ty: ValType) -> &mut Body {
        self.at(0x24, number(ty))
    }
}

/// The number of a type among locals and globals.
fn number(ty: ValType) -> u32 {
    TYPES.iter().position(|&other| other == ty).unwrap_or(TYPES.len()) as u32
}

impl Case {
    /// True if the case accesses memories.
    pub fn is_access(&self) -> bool {
        self.covers.iter().any(|opcode| (0x28..=0x3e).contains(opcode))
    }

    /// A module whose one function of interest, the last one, has so many copies.
    ///
    /// # Panics
    /// When they are more than [`MOST_COPIES`].
    pub fn module(&self, copies: u32, locals: Locals) -> Vec<u8> {
        assert!(copies <= MOST_COPIES, "{copies} copies");
        let mut body = Body::new(locals);
        let refs = (REFERENCES, ValType::FUNCREF);
        let runs = TYPES.iter().map(|&ty| (MOST_COPIES, ty)).chain([refs]);
        body.leb(TYPES.len() as u64 + 1);
        for (count, ty) in runs {
            let code = match ty {
                ValType::I32 => 0x7f,
                ValType::I64 => 0x7e,
                ValType::F32 => 0x7d,
                ValType::F64 => 0x7c,
                _ => 0x70,
            };
            body.leb(count.into()).op(code);
        }
        for &ty in &self.live {
            let count = if locals == Locals::Few { FEW } else { MOST_COPIES };
            (0..count).for_each(|i| _ = body.load(ty, i).set(ty, i));
        }
        (0..copies).for_each(|i| (self.copy)(&mut body, i));
        (self.last)(&mut body, copies);
        for &ty in &self.live {
            let opcode = [0x36, 0x37, 0x38, 0x39][number(ty) as usize];
            let count = if locals == Locals::Few { FEW } else { MOST_COPIES };
            for i in 0..count {
                body.raw(&[0x41, 0x00]).get(ty, i).raw(&[opcode, 0]);
                body.leb(u64::from(16 * i + 4 * number(ty)));
            }
        }
        body.op(0x0b);
        module(&body.bytes)
    }
}

/// The module around a body.
fn module(body: &[u8]) -> Vec<u8> {
    let narrow = TYPES.to_vec();
    let wide: Vec<ValType> = (0..20).map(|i| TYPES[i % 4]).collect();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function(narrow, [ValType::I32]);
    types.ty().function(wide.iter().copied(), wide[..10].iter().copied());
    types.ty().function([ValType::I32, ValType::I64], [ValType::I32, ValType::I64]);
    let mut imports = ImportSection::new();
    imports.import("m", "narrow", EntityType::Function(ty::NARROW));
    imports.import("m", "wide", EntityType::Function(ty::WIDE));
    let mut functions = FunctionSection::new();
    [ty::NARROW, ty::WIDE, ty::PLAIN, ty::PLAIN].iter().for_each(|&ty| _ = functions.function(ty));
    let mut tables = TableSection::new();
    for element_type in [RefType::FUNCREF, RefType::FUNCREF] {
        tables.table(TableType {
            element_type,
            table64: false,
            minimum: 4,
            maximum: None,
            shared: false,
        });
    }
    let mut memories = MemorySection::new();
    for memory64 in [false, false, true] {
        let (maximum, shared, page_size_log2) = (None, false, None);
        memories.memory(MemoryType { minimum: 1, maximum, memory64, shared, page_size_log2 });
    }
    let mut globals = GlobalSection::new();
    for val_type in TYPES {
        let init = match val_type {
            ValType::I32 => ConstExpr::i32_const(1),
            ValType::I64 => ConstExpr::i64_const(1),
            ValType::F32 => ConstExpr::f32_const(1f32.into()),
            _ => ConstExpr::f64_const(1f64.into()),
        };
        globals.global(GlobalType { val_type, mutable: true, shared: false }, &init);
    }
    let mut elements = ElementSection::new();
    elements.passive(Elements::Functions(vec![func::OWN, func::OWN_PLAIN].into()));
    let mut data = DataSection::new();
    data.passive([1, 2, 3]);
    let mut code = CodeSection::new();
    let mut callee = |consts: &[u8]| {
        let mut body = vec![0];
        body.extend_from_slice(consts);
        body.push(0x0b);
        code.raw(&body);
    };
    callee(&[0x20, 0]);
    callee(&(0..10u8).flat_map(|i| [0x20, i]).collect::<Vec<_>>());
    callee(&[]);
    code.raw(body);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables);
    module.section(&memories).section(&globals).section(&elements);
    module.section(&DataCountSection { count: 1 }).section(&code).section(&data);
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_valid() {
        for case in cases() {
            let locals = [Locals::Many, Locals::Few];
            for (copies, locals) in
                [0, 1, 7, MOST_COPIES].iter().flat_map(|&c| locals.map(|l| (c, l)))
            {
                let module = case.module(copies, locals);
                let fault =
                    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
                        .validate_all(&module)
                        .err();
                assert_eq!(fault.map(|fault| fault.to_string()), None, "{} {copies}", case.name);
            }
        }
    }

    #[test]
    fn every_operator_has_a_case() {
        let covered: std::collections::BTreeSet<u16> =
            cases().iter().flat_map(|case| case.covers.iter().copied()).collect();
        let plain = (0x00..=0x05).chain([0x0b]).chain(0x0c..=0x13).chain([0x1a, 0x1b, 0x1c]);
        let plain = plain.chain(0x20..=0x26).chain(0x28..=0xc4).chain(0xd0..=0xd2);
        for opcode in plain.chain(0x100..=0x100 + 17) {
            assert!(covered.contains(&opcode), "{opcode:#x}");
        }
    }
}
