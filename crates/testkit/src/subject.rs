//! What is compared: something that runs a module.
//!
//! Values are bits, zero-extended. References only tell whether they are null: 0 if so, else 1.

use crate::oracle;
use runwell::{Engine, Error, Linker, Module, Ref, Store, Trap, Val};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_ir::eval::Stop;
use runwell_wasm::{ExternKind, Limits, ModuleInfo, Parsed, Passes};
use std::rc::Rc;

/// What a call, or making an instance, came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returned these values.
    Returned(Vec<u64>),
    /// It trapped.
    Trapped(TrapCode),
    /// It took longer or went deeper than this subject can follow, which tells nothing.
    Gave,
    /// It failed in a way that no module may bring about.
    Failed(String),
}

/// Something that runs a module without imports.
pub trait Subject {
    /// How to call it in a report.
    fn name(&self) -> String;
    /// Makes a new instance, which the other methods are about.
    fn instantiate(&mut self) -> Outcome;
    /// Calls an exported function of this signature.
    fn call(&mut self, export: &str, args: &[u64], sig: &Signature) -> Outcome;
    /// The content of an exported memory.
    fn memory(&mut self, export: &str) -> &[u8];
    /// The bits of an exported global.
    fn global(&mut self, export: &str) -> u64;
    /// For each element of an exported table, whether it is null.
    fn table_nulls(&mut self, export: &str) -> Vec<bool>;
}

/// What is exported, by name.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Functions.
    pub funcs: Vec<(String, Signature)>,
    /// Memories.
    pub memories: Vec<String>,
    /// Globals.
    pub globals: Vec<(String, Type)>,
    /// Tables.
    pub tables: Vec<String>,
}

impl Interface {
    /// The exports of a module; `None` when runwell does not accept its shell.
    pub fn of(wasm: &[u8]) -> Option<Interface> {
        Some(Interface::of_info(&Parsed::parse(wasm, &Limits::default()).ok()?.info))
    }

    fn of_info(info: &ModuleInfo) -> Interface {
        let mut interface = Interface::default();
        for export in &info.exports {
            let name = export.name.to_string();
            match export.kind {
                ExternKind::Func => {
                    interface.funcs.push((name, info.signature(export.index).clone()));
                }
                ExternKind::Memory => interface.memories.push(name),
                ExternKind::Global => {
                    interface.globals.push((name, info.globals[export.index as usize].ty));
                }
                ExternKind::Table => interface.tables.push(name),
            }
        }
        interface
    }
}

/// The meaning of the IR.
pub struct Oracle {
    name: &'static str,
    code: Rc<oracle::Code>,
    instance: Option<oracle::Instance>,
    steps: u64,
}

impl Oracle {
    /// A module by the meaning of the IR that the front end makes without any rewrite. Each call may
    /// take `steps` instructions.
    ///
    /// # Errors
    /// When the module is refused.
    pub fn new(wasm: &[u8], steps: u64) -> Result<Oracle, String> {
        Oracle::with_passes("evaluator", wasm, Passes::NONE, steps)
    }

    /// The same with these rewrites of the optimiser.
    ///
    /// # Errors
    /// When the module is refused.
    pub fn with_passes(
        name: &'static str,
        wasm: &[u8],
        passes: Passes,
        steps: u64,
    ) -> Result<Oracle, String> {
        let code = oracle::Code::new(wasm, passes).map_err(|refused| format!("{refused:?}"))?;
        Ok(Oracle { name, code: Rc::new(code), instance: None, steps })
    }

    fn instance(&mut self) -> &mut oracle::Instance {
        self.instance.as_mut().expect("an instance has been made")
    }

    fn index(&self, export: &str) -> usize {
        self.code.info().export(export).expect("an export").index as usize
    }
}

fn stopped(stop: Stop) -> Outcome {
    match stop {
        Stop::Steps | Stop::Trap(TrapCode::StackOverflow) => Outcome::Gave,
        Stop::Trap(code) => Outcome::Trapped(code),
    }
}

/// What is told of a value.
fn told(ty: Type, bits: u64) -> u64 {
    if ty.is_ref() { u64::from(bits != 0) } else { bits }
}

impl Subject for Oracle {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn instantiate(&mut self) -> Outcome {
        match oracle::Instance::of(&self.code, self.steps) {
            Ok(instance) => {
                self.instance = Some(instance);
                Outcome::Returned(Vec::new())
            }
            Err(oracle::Refused::Start(stop)) => stopped(stop),
            Err(oracle::Refused::Module(message)) => Outcome::Failed(message),
        }
    }

    fn call(&mut self, export: &str, args: &[u64], sig: &Signature) -> Outcome {
        let steps = self.steps;
        match self.instance().call(export, args, steps) {
            Ok(results) => Outcome::Returned(
                results.iter().zip(&sig.results).map(|(&bits, &ty)| told(ty, bits)).collect(),
            ),
            Err(stop) => stopped(stop),
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        let index = self.index(export);
        self.instance().memory(index)
    }

    fn global(&mut self, export: &str) -> u64 {
        let index = self.index(export);
        let ty = self.code.info().globals[index].ty;
        told(ty, self.instance().raw_global(index))
    }

    fn table_nulls(&mut self, export: &str) -> Vec<bool> {
        let index = self.index(export);
        self.instance().table_nulls(index)
    }
}

/// More fuel than generated modules use, where it is metered, but for tables of 64 bits: growing one costs by
/// the number of elements asked for, and what is asked for can be a hundredth of this.
const PLENTY: u64 = 1 << 62;

/// Fuel that only such an operator cannot be paid with.
const MUCH: u64 = 1 << 40;

/// runwell's machine code.
pub struct Machine {
    name: String,
    module: Module,
    store: Store<()>,
    instance: Option<runwell::Instance>,
}

impl Machine {
    /// Compiles a module. `name` says with which options.
    ///
    /// # Errors
    /// When the module is refused.
    pub fn new(name: &str, engine: &Engine, wasm: &[u8]) -> Result<Machine, String> {
        let module = Module::from_binary(engine, wasm).map_err(|error| format!("{error:#}"))?;
        let store = Store::new(engine, ());
        Ok(Machine { name: name.to_string(), module, store, instance: None })
    }

    fn instance(&self) -> runwell::Instance {
        self.instance.expect("an instance has been made")
    }
}

fn failed(error: &Error) -> Outcome {
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Outcome::Gave,
        Some(trap) => match trap_code(*trap) {
            Some(code) => Outcome::Trapped(code),
            None => Outcome::Failed(format!("{error:#}")),
        },
        None => Outcome::Failed(format!("{error:#}")),
    }
}

/// The code of a trap that modules of the language as it is can run into.
fn trap_code(trap: Trap) -> Option<TrapCode> {
    Some(match trap {
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::NullReference => TrapCode::NullReference,
        _ => return None,
    })
}

/// A value of type `ty`; references are null.
fn val(ty: Type, bits: u64) -> Val {
    match ty {
        Type::I32 => Val::I32(bits as i32),
        Type::I64 => Val::I64(bits as i64),
        Type::F32 => Val::F32(bits as u32),
        Type::F64 => Val::F64(bits),
        Type::V128 => Val::V128(u128::from(bits).into()),
        Type::FuncRef => Val::FuncRef(None),
        Type::AnyRef => Val::ExternRef(None),
    }
}

fn bits(val: &Val) -> u64 {
    match *val {
        Val::I32(v) => u64::from(v as u32),
        Val::I64(v) => v as u64,
        Val::F32(v) => u64::from(v),
        Val::F64(v) => v,
        Val::V128(v) => v.as_u128() as u64,
        Val::FuncRef(func) => u64::from(func.is_some()),
        Val::ExternRef(object) => u64::from(object.is_some()),
    }
}

impl Subject for Machine {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn instantiate(&mut self) -> Outcome {
        let engine = self.module.engine().clone();
        self.store = Store::new(&engine, ());
        // Only a metered one has fuel to be set.
        if self.store.get_fuel().is_ok()
            && let Err(error) = self.store.set_fuel(PLENTY)
        {
            return failed(&error);
        }
        match Linker::new(&engine).instantiate(&mut self.store, &self.module) {
            Ok(instance) => {
                self.instance = Some(instance);
                Outcome::Returned(Vec::new())
            }
            Err(error) => failed(&error),
        }
    }

    fn call(&mut self, export: &str, args: &[u64], sig: &Signature) -> Outcome {
        let instance = self.instance();
        let Some(func) = instance.get_func(&mut self.store, export) else {
            return Outcome::Failed(format!("there is no function {export}"));
        };
        let params: Vec<Val> = args.iter().zip(&sig.params).map(|(&b, &ty)| val(ty, b)).collect();
        let mut results = vec![Val::I32(0); sig.results.len()];
        match func.call(&mut self.store, &params, &mut results) {
            Ok(()) => Outcome::Returned(results.iter().map(bits).collect()),
            Err(error)
                if error.downcast_ref() == Some(&Trap::OutOfFuel)
                    && self.store.get_fuel().is_ok_and(|left| left > MUCH) =>
            {
                Outcome::Gave
            }
            Err(error) => failed(&error),
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        let memory = self.instance().get_memory(&mut self.store, export);
        memory.expect("an exported memory").data(&self.store)
    }

    fn global(&mut self, export: &str) -> u64 {
        let global = self.instance().get_global(&mut self.store, export);
        bits(&global.expect("an exported global").get(&mut self.store))
    }

    fn table_nulls(&mut self, export: &str) -> Vec<bool> {
        let table = self.instance().get_table(&mut self.store, export).expect("an exported table");
        let size = table.size(&self.store);
        (0..size)
            .map(|at| match table.get(&mut self.store, at) {
                Some(Ref::Func(func)) => func.is_none(),
                Some(Ref::Extern(object)) => object.is_none(),
                None => true,
            })
            .collect()
    }
}
