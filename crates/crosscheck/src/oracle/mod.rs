//! Runs modules by the meaning of the IR alone.
//!
//! [`Code`] is a module as IR, by default without any rewrite of the optimiser; an [`Instance`] runs one
//! that imports nothing. A [`Store`] has any number of instances and what they share; functions that are
//! neither of the two are a [`Host`]'s.

mod env;
mod pace;
mod store;

pub use pace::{Answer, Pace};
pub use store::{DIRTY_PAGE, Host, Import, Reference, Saved, Store};

use runwell_abi::TrapCode;
use runwell_ir::Function;
use runwell_ir::eval::Stop;
use runwell_wasm::{ExternKind, Limits, ModuleInfo, Parsed, Passes, Translator};
use std::rc::Rc;

/// A module as IR.
pub struct Code {
    info: ModuleInfo,
    funcs: Vec<Rc<Function>>,
    /// What a frame of each function counts.
    depths: Vec<u32>,
    /// Contents of the data segments.
    data: Vec<Vec<u8>>,
}

impl Code {
    /// Translates a module with these rewrites of the optimiser.
    ///
    /// # Errors
    /// When it is invalid, unsupported or too large.
    pub fn new(bytes: &[u8], passes: Passes) -> Result<Code, Refused> {
        let parsed = Parsed::parse(bytes, &Limits::default())?;
        let mut translator = Translator::with_passes(passes);
        let mut funcs = Vec::new();
        for own in 0..parsed.info.bodies.len() {
            let func = translator.translate(&parsed.info, &parsed.validation, bytes, own)?;
            runwell_ir::verify::verify(func).map_err(Refused::Module)?;
            funcs.push(Rc::new(func.clone()));
        }
        let info = parsed.info;
        let content = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
        let data = info.data.iter().map(|d| bytes[content(&d.bytes)].to_vec()).collect();
        let depths = funcs.iter().map(|func| func.depth_bytes).collect();
        Ok(Code { info, funcs, depths, data })
    }

    /// `wasm` as [`crate::count::counting`] makes it of `original`, translated without any rewrites. Frames
    /// count what they do in the original.
    ///
    /// # Errors
    /// As for [`Code::new`].
    pub fn counting(original: &[u8], wasm: &[u8]) -> Result<Code, Refused> {
        let mut code = Code::new(wasm, Passes::NONE)?;
        code.depths = Code::new(original, Passes::NONE)?.depths;
        Ok(code)
    }

    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.info
    }
}

/// Why there is no instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The module is invalid, unsupported or too large.
    Module(String),
    /// A segment is out of bounds or the start function stopped.
    Start(Stop),
}

impl From<runwell_wasm::Error> for Refused {
    fn from(error: runwell_wasm::Error) -> Refused {
        Refused::Module(error.to_string())
    }
}

impl From<TrapCode> for Refused {
    fn from(code: TrapCode) -> Refused {
        Refused::Start(Stop::Trap(code))
    }
}

/// An instance of a module that imports nothing, in a store of its own.
pub struct Instance {
    code: Rc<Code>,
    store: Store,
}

impl Instance {
    /// Instantiates a module without imports, translated without rewrites. `steps` bounds its start
    /// function.
    ///
    /// # Errors
    /// When the module is refused, a segment is out of bounds or the start function stops.
    pub fn new(bytes: &[u8], steps: u64) -> Result<Instance, Refused> {
        Instance::of(&Rc::new(Code::new(bytes, Passes::NONE)?), steps)
    }

    /// Instantiates a translated module. `steps` bounds its start function.
    ///
    /// # Errors
    /// When it has imports, a segment is out of bounds or the start function stops.
    pub fn of(code: &Rc<Code>, steps: u64) -> Result<Instance, Refused> {
        if !code.info.imports.is_empty() {
            return Err(Refused::Module("there is nothing to import".to_string()));
        }
        let mut instance = Instance { code: code.clone(), store: Store::default() };
        instance.store.instantiate(code, &[])?;
        if let Some(start) = code.info.start {
            instance.call_index(start, &[], steps).map_err(Refused::Start)?;
        }
        Ok(instance)
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// When it traps or the steps are used up.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn call(&mut self, export: &str, args: &[u64], steps: u64) -> Result<Vec<u64>, Stop> {
        let export = self.code.info.export(export).expect("an export");
        assert_eq!(export.kind, ExternKind::Func);
        let index = export.index;
        self.call_index(index, args, steps)
    }

    fn call_index(&mut self, func: u32, args: &[u64], steps: u64) -> Result<Vec<u64>, Stop> {
        self.store.call(Reference::Func { instance: 0, func }, args, steps)
    }

    /// The content of memory `index`.
    pub fn memory(&self, index: usize) -> &[u8] {
        self.store.memory(index)
    }

    /// The bits of global `index`, unless it is a reference.
    pub fn global(&self, index: usize) -> Option<u64> {
        (!self.code.info.globals[index].ty.is_ref()).then(|| self.raw_global(index))
    }

    /// The bits of global `index`; of a reference only whether it is null are to be relied on.
    pub fn raw_global(&self, index: usize) -> u64 {
        self.store.globals()[index]
    }

    /// For each element of table `index`, whether it is null.
    pub fn table_nulls(&self, index: usize) -> Vec<bool> {
        self.store.table(index).iter().map(|&element| element == 0).collect()
    }

    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.code.info
    }
}
