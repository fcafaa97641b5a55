//! Other engines as subjects.

use runwell::{Config, Engine};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_testkit::Nans;
use runwell_testkit::differential::{Agreed, compare};
use runwell_testkit::subject::{Interface, Machine, Outcome, Subject};

/// Bytes of stack for guests; wasmtime allows no more than its stacks for asynchronous calls have.
const STACK: usize = 2 << 20;

/// All engines that are compared.
pub(crate) struct Engines {
    runwell: Vec<(&'static str, Engine)>,
    wasmtime: wasmtime::Engine,
    wasmi: wasmi::Engine,
}

impl Engines {
    pub(crate) fn new() -> Engines {
        let engine = |name, optimize, guards| {
            let mut config = Config::new();
            config.max_wasm_stack(16 << 20).verify(true).compile_jobs(1);
            config.optimize(optimize).guarded_memories(guards);
            (name, Engine::new(&config).expect("an engine"))
        };
        Engines {
            runwell: vec![
                engine("runwell", true, true),
                engine("runwell, not optimised, explicit checks", false, false),
            ],
            wasmtime: wasmtime_engine(),
            wasmi: wasmi_engine(),
        }
    }

    /// Compares a module that masks its NaNs on all of them. With what agreed comes what wasmi alone said
    /// otherwise: its last release has faults that generated modules meet every few minutes.
    ///
    /// # Errors
    /// The first difference within runwell, or from wasmtime; that somebody refuses the module.
    pub(crate) fn compare(
        &self,
        wasm: &[u8],
        seed: u64,
    ) -> Result<(Agreed, Option<String>), String> {
        let interface = Interface::of(wasm).ok_or("the module is refused")?;
        let machines: Result<Vec<Machine>, String> =
            self.runwell.iter().map(|(name, engine)| Machine::new(name, engine, wasm)).collect();
        let mut machines = machines?;
        let mut wasmtime = Wasmtime::new(&self.wasmtime, wasm)?;
        let mut wasmi = Wasmi::new(&self.wasmi, wasm)?;
        // All are compared with the first.
        let mut subjects: Vec<&mut dyn Subject> =
            machines.iter_mut().map(|machine| machine as &mut dyn Subject).collect();
        subjects.push(&mut wasmtime);
        subjects.push(&mut wasmi);
        match compare(&interface, &mut subjects, seed, Nans::Masked) {
            Ok(agreed) => Ok((agreed, None)),
            Err(difference) => {
                subjects.pop();
                let agreed = compare(&interface, &mut subjects, seed, Nans::Masked)?;
                Ok((agreed, Some(difference)))
            }
        }
    }
}

/// wasmtime with its optimising compiler; NaNs that operations make are canonical.
fn wasmtime_engine() -> wasmtime::Engine {
    let mut config = wasmtime::Config::new();
    config.strategy(wasmtime::Strategy::Cranelift);
    config.cranelift_nan_canonicalization(true);
    config.wasm_memory64(true).wasm_multi_memory(true).wasm_tail_call(true);
    config.max_wasm_stack(STACK);
    wasmtime::Engine::new(&config).expect("an engine of wasmtime")
}

struct Wasmtime {
    module: wasmtime::Module,
    store: wasmtime::Store<()>,
    instance: Option<wasmtime::Instance>,
}

impl Wasmtime {
    fn new(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Wasmtime, String> {
        let module = wasmtime::Module::from_binary(engine, wasm)
            .map_err(|error| format!("wasmtime refuses it: {error:#}"))?;
        Ok(Wasmtime { module, store: wasmtime::Store::new(engine, ()), instance: None })
    }

    fn export(&mut self, name: &str) -> wasmtime::Extern {
        let instance = self.instance.expect("an instance has been made");
        instance.get_export(&mut self.store, name).expect("an export")
    }

    fn failed(error: &wasmtime::Error) -> Outcome {
        use wasmtime::Trap;
        let Some(trap) = error.downcast_ref::<Trap>() else {
            return Outcome::Failed(format!("{error:#}"));
        };
        Outcome::Trapped(match trap {
            Trap::StackOverflow => return Outcome::Gave,
            Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
            Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
            Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
            Trap::BadSignature => TrapCode::BadSignature,
            Trap::IntegerOverflow => TrapCode::IntegerOverflow,
            Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
            Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
            Trap::UnreachableCodeReached => TrapCode::Unreachable,
            Trap::NullReference => TrapCode::NullReference,
            other => return Outcome::Failed(format!("{other}")),
        })
    }
}

fn wasmtime_bits(val: &wasmtime::Val) -> u64 {
    use wasmtime::Val;
    match val {
        Val::I32(v) => u64::from(*v as u32),
        Val::I64(v) => *v as u64,
        Val::F32(v) => u64::from(*v),
        Val::F64(v) => *v,
        Val::V128(v) => v.as_u128() as u64,
        Val::FuncRef(func) => u64::from(func.is_some()),
        Val::ExternRef(object) => u64::from(object.is_some()),
        _ => u64::MAX,
    }
}

impl Subject for Wasmtime {
    fn name(&self) -> String {
        "wasmtime".to_string()
    }

    fn instantiate(&mut self) -> Outcome {
        self.store = wasmtime::Store::new(self.module.engine(), ());
        match wasmtime::Instance::new(&mut self.store, &self.module, &[]) {
            Ok(instance) => {
                self.instance = Some(instance);
                Outcome::Returned(Vec::new())
            }
            Err(error) => Wasmtime::failed(&error),
        }
    }

    fn call(&mut self, export: &str, args: &[u64], sig: &Signature) -> Outcome {
        use wasmtime::Val;
        let func = self.export(export).into_func().expect("a function");
        let params: Vec<Val> = args
            .iter()
            .zip(&sig.params)
            .map(|(&bits, ty)| match ty {
                Type::I32 => Val::I32(bits as i32),
                Type::I64 => Val::I64(bits as i64),
                Type::F32 => Val::F32(bits as u32),
                Type::F64 => Val::F64(bits),
                Type::V128 => Val::V128(u128::from(bits).into()),
                Type::FuncRef => Val::FuncRef(None),
                Type::AnyRef => Val::ExternRef(None),
            })
            .collect();
        let mut results = vec![Val::I32(0); sig.results.len()];
        match func.call(&mut self.store, &params, &mut results) {
            Ok(()) => Outcome::Returned(results.iter().map(wasmtime_bits).collect()),
            Err(error) => Wasmtime::failed(&error),
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        self.export(export).into_memory().expect("a memory").data(&self.store)
    }

    fn global(&mut self, export: &str) -> u64 {
        let global = self.export(export).into_global().expect("a global");
        wasmtime_bits(&global.get(&mut self.store))
    }

    fn table_nulls(&mut self, export: &str) -> Vec<bool> {
        let table = self.export(export).into_table().expect("a table");
        let size = table.size(&self.store);
        let null = |element: Option<wasmtime::Ref>| element.is_none_or(|r| r.is_null());
        (0..size).map(|at| null(table.get(&mut self.store, at))).collect()
    }
}

/// wasmi as it is by default, deeper.
fn wasmi_engine() -> wasmi::Engine {
    let mut config = wasmi::Config::default();
    config.wasm_memory64(true).wasm_multi_memory(true).wasm_tail_call(true);
    config.set_max_recursion_depth(4_000).set_max_stack_height(STACK);
    wasmi::Engine::new(&config)
}

struct Wasmi {
    engine: wasmi::Engine,
    module: wasmi::Module,
    store: wasmi::Store<()>,
    instance: Option<wasmi::Instance>,
}

impl Wasmi {
    fn new(engine: &wasmi::Engine, wasm: &[u8]) -> Result<Wasmi, String> {
        let module = wasmi::Module::new(engine, wasm)
            .map_err(|error| format!("wasmi refuses it: {error}"))?;
        let store = wasmi::Store::new(engine, ());
        Ok(Wasmi { engine: engine.clone(), module, store, instance: None })
    }

    fn export(&self, name: &str) -> wasmi::Extern {
        let instance = self.instance.expect("an instance has been made");
        instance.get_export(&self.store, name).expect("an export")
    }

    fn failed(error: &wasmi::Error) -> Outcome {
        use wasmi::TrapCode as Trap;
        Outcome::Trapped(match error.as_trap_code() {
            Some(Trap::StackOverflow) => return Outcome::Gave,
            Some(Trap::MemoryOutOfBounds) => TrapCode::MemoryOutOfBounds,
            Some(Trap::TableOutOfBounds) => TrapCode::TableOutOfBounds,
            Some(Trap::IndirectCallToNull) => TrapCode::IndirectCallToNull,
            Some(Trap::BadSignature) => TrapCode::BadSignature,
            Some(Trap::IntegerOverflow) => TrapCode::IntegerOverflow,
            Some(Trap::IntegerDivisionByZero) => TrapCode::IntegerDivisionByZero,
            Some(Trap::BadConversionToInteger) => TrapCode::BadConversionToInteger,
            Some(Trap::UnreachableCodeReached) => TrapCode::Unreachable,
            _ => return Outcome::Failed(format!("{error}")),
        })
    }
}

fn wasmi_bits(val: &wasmi::Val) -> u64 {
    use wasmi::Val;
    match val {
        Val::I32(v) => u64::from(*v as u32),
        Val::I64(v) => *v as u64,
        Val::F32(v) => u64::from(v.to_bits()),
        Val::F64(v) => v.to_bits(),
        Val::V128(v) => v.as_u128() as u64,
        Val::FuncRef(func) => u64::from(!func.is_null()),
        Val::ExternRef(object) => u64::from(!object.is_null()),
    }
}

impl Subject for Wasmi {
    fn name(&self) -> String {
        "wasmi".to_string()
    }

    fn instantiate(&mut self) -> Outcome {
        self.store = wasmi::Store::new(&self.engine, ());
        let linker = wasmi::Linker::new(&self.engine);
        match linker.instantiate_and_start(&mut self.store, &self.module) {
            Ok(instance) => {
                self.instance = Some(instance);
                Outcome::Returned(Vec::new())
            }
            Err(error) => Wasmi::failed(&error),
        }
    }

    fn call(&mut self, export: &str, args: &[u64], sig: &Signature) -> Outcome {
        use wasmi::{Nullable, Val};
        let func = self.export(export).into_func().expect("a function");
        let params: Vec<Val> = args
            .iter()
            .zip(&sig.params)
            .map(|(&bits, ty)| match ty {
                Type::I32 => Val::I32(bits as i32),
                Type::I64 => Val::I64(bits as i64),
                Type::F32 => Val::F32(f32::from_bits(bits as u32).into()),
                Type::F64 => Val::F64(f64::from_bits(bits).into()),
                Type::V128 => Val::V128(u128::from(bits).into()),
                Type::FuncRef => Val::FuncRef(Nullable::Null),
                Type::AnyRef => Val::ExternRef(Nullable::Null),
            })
            .collect();
        let mut results = vec![Val::I32(0); sig.results.len()];
        match func.call(&mut self.store, &params, &mut results) {
            Ok(()) => Outcome::Returned(results.iter().map(wasmi_bits).collect()),
            Err(error) => Wasmi::failed(&error),
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        self.export(export).into_memory().expect("a memory").data(&self.store)
    }

    fn global(&mut self, export: &str) -> u64 {
        let global = self.export(export).into_global().expect("a global");
        wasmi_bits(&global.get(&self.store))
    }

    fn table_nulls(&mut self, export: &str) -> Vec<bool> {
        let table = self.export(export).into_table().expect("a table");
        let size = table.size(&self.store);
        let null = |element: Option<wasmi::Ref>| element.is_none_or(|r| r.is_null());
        (0..size).map(|at| null(table.get(&self.store, at))).collect()
    }
}
