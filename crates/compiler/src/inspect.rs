//! What the compiler makes of one function, stage by stage, as text.

use crate::error::Error;
use crate::options::Options;
use crate::pipeline::module_env;
use core::fmt;
use runwell_codegen::Codegen;
use runwell_codegen::env::ModuleEnv;
use runwell_ir::Work;
use runwell_wasm::names::NameTable;
use runwell_wasm::{ExternKind, Limits, ModuleInfo, Parsed, Translator};

/// One stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// Its text.
    pub text: String,
    /// For each of its lines the Wasm byte offset that it belongs to, 0 for none.
    pub offsets: Vec<u32>,
}

/// What the compiler makes of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// Index of the function in the module's function index space.
    pub func: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Where its body is in the module, in bytes.
    pub body: core::ops::Range<u32>,
    /// What compiling it cost.
    pub costs: Costs,
    /// The stages in order: the IR, machine instructions before and after register allocation,
    /// machine code.
    pub sections: Vec<Section>,
}

/// What compiling one function cost.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Costs {
    /// Steps of the compiler.
    pub work: u64,
    /// Bytes of machine code, constants and jump tables included.
    pub code_bytes: u32,
    /// Bytes of its frame.
    pub frame_bytes: u32,
    /// Instructions that may trap.
    pub traps: u32,
}

/// Which function is meant.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Which<'a> {
    /// The one with this index in the function index space.
    Index(u32),
    /// The one with this name, of an export or from the name section; `$name` is a name of the
    /// latter as text modules write it.
    Name(&'a str),
}

/// Why there is nothing to inspect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InspectError {
    /// No function is meant, or more than one, or one without a body.
    Which(WhichError),
    /// The module or the function cannot be compiled.
    Compile(Error),
}

/// Why [`Which`] does not name a function with a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhichError {
    /// No function has this index.
    Index {
        /// The index.
        index: u32,
        /// How many functions there are.
        funcs: u32,
    },
    /// No function has this name.
    Name {
        /// The name.
        name: String,
        /// What is exported by this name, if anything is.
        exported: Option<ExternKind>,
        /// Some names that would do, at most [`SUGGESTIONS`].
        suggestions: Vec<String>,
    },
    /// Several functions have this name.
    Ambiguous {
        /// The name.
        name: String,
        /// Their indices, ascending.
        funcs: Vec<u32>,
    },
    /// The function is imported.
    Imported {
        /// Its index.
        index: u32,
        /// The module it is imported from.
        module: String,
        /// Its name there.
        name: String,
    },
}

/// How many names an error lists at most.
pub const SUGGESTIONS: usize = 8;

impl fmt::Display for WhichError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhichError::Index { index, funcs: 0 } => {
                write!(f, "there is no function {index}: the module has none")
            }
            WhichError::Index { index, funcs } => {
                write!(f, "there is no function {index}: the last one is {}", funcs - 1)
            }
            WhichError::Name { name, exported: Some(kind), .. } => {
                let kind = match kind {
                    ExternKind::Func => "function",
                    ExternKind::Table => "table",
                    ExternKind::Memory => "memory",
                    ExternKind::Global => "global",
                };
                write!(f, "`{name}` is no function but a {kind}")
            }
            WhichError::Name { name, suggestions, .. } => {
                write!(f, "there is no function `{name}`")?;
                if !suggestions.is_empty() {
                    write!(f, "; there is `{}`", suggestions.join("`, `"))?;
                }
                Ok(())
            }
            WhichError::Ambiguous { name, funcs } => {
                let list: Vec<String> = funcs.iter().map(u32::to_string).collect();
                let list = list.join(", ");
                write!(f, "several functions are named `{name}`: {list}; give the index of one")
            }
            WhichError::Imported { index, module, name } => write!(
                f,
                "function {index} is imported (`{name}` from `{module}`), its code is not in this \
                 module"
            ),
        }
    }
}

impl std::error::Error for WhichError {}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InspectError::Which(error) => error.fmt(f),
            InspectError::Compile(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InspectError {}

impl<E: Into<Error>> From<E> for InspectError {
    fn from(error: E) -> InspectError {
        InspectError::Compile(error.into())
    }
}

/// Compiles one function of a module as [`crate::compile`] does, checkers included when the options
/// ask for them, and describes each stage.
///
/// # Errors
/// When no function, several functions or one without a body are meant, and as for
/// [`crate::compile`], but other functions may be faulty.
///
/// # Complexity
/// Linear in `bytes`, and in the text it makes.
pub fn inspect(
    bytes: &[u8],
    which: Which<'_>,
    options: &Options,
) -> Result<Inspection, InspectError> {
    let mut inspector = Inspector::new(bytes, options)?;
    let func = find(&inspector.parsed.info, &inspector.names, bytes, which);
    inspector.function(func.map_err(InspectError::Which)?)
}

/// Describes one function of a module after the other.
pub struct Inspector<'a> {
    bytes: &'a [u8],
    parsed: Parsed,
    names: NameTable,
    /// Exported functions, ascending, and where in the list of exports each is first.
    exported: Vec<(u32, usize)>,
    env: ModuleEnv,
    translator: Translator,
    codegen: Codegen,
    verify: bool,
}

impl<'a> Inspector<'a> {
    /// Reads the module and what code generation has to know of all its functions.
    ///
    /// # Errors
    /// As for [`crate::compile`], but functions may be faulty.
    ///
    /// # Complexity
    /// Linear in `bytes`.
    pub fn new(bytes: &'a [u8], options: &Options) -> Result<Inspector<'a>, Error> {
        let parsed = Parsed::parse(bytes, &Limits::default())?;
        let info = &parsed.info;
        let names = info.names.decode(bytes);
        let leaves = info.tail_calls_leave(bytes, &mut Work::new());
        let env = module_env(info, options, leaves);
        let mut translator = Translator::with_passes(options.passes);
        translator.set_schedule(options.schedule);
        // As it is compiled, fallbacks included.
        translator.set_budget(options.budget.passes, None);
        let exports = info.exports.iter().enumerate();
        let funcs = exports.filter(|(_, export)| export.kind == ExternKind::Func);
        let mut exported: Vec<(u32, usize)> = funcs.map(|(at, e)| (e.index, at)).collect();
        exported.sort_unstable();
        exported.dedup_by_key(|&mut (func, _)| func);
        let codegen = Codegen::new();
        let verify = options.verify;
        Ok(Inspector { bytes, parsed, names, exported, env, translator, codegen, verify })
    }

    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.parsed.info
    }

    /// The index of the function that is meant.
    ///
    /// # Errors
    /// When no function, several functions or one without a body are meant.
    pub fn find(&self, which: Which<'_>) -> Result<u32, WhichError> {
        find(&self.parsed.info, &self.names, self.bytes, which)
    }

    /// Describes a function by its index in the function index space.
    ///
    /// # Errors
    /// When it is imported or not there, or cannot be compiled.
    ///
    /// # Complexity
    /// Linear in the function.
    pub fn function(&mut self, func: u32) -> Result<Inspection, InspectError> {
        let func = self.find(Which::Index(func)).map_err(InspectError::Which)?;
        let (bytes, info) = (self.bytes, &self.parsed.info);
        let own = (func - info.imported_funcs()) as usize;
        self.translator.translate(info, &self.parsed.validation, bytes, own)?;
        let (ir, work) = self.translator.parts();
        if self.verify {
            runwell_ir::verify::verify(ir)
                .map_err(|message| Error::Bug { message: message.to_string(), func: Some(func) })?;
        }
        let (compiled, listing) = self
            .codegen
            .inspect(ir, &self.env, work, self.verify)
            .map_err(|error| Error::codegen(error, func, info.bodies[own].start))?;
        // Folding, value numbering and forwarding happen while it is made, there is no earlier form.
        let text = runwell_ir::print::function(ir);
        let offsets = last_named(&text, |line| hex(line.rsplit_once(" @0x")?.1));
        let translated = Section { title: "IR after translation", text, offsets };
        let text = listing.machine;
        let mut offsets =
            last_named(&text, |line| hex(line.get(..9)?.trim().strip_prefix("0x")?));
        for (line, offset) in text.lines().zip(&mut offsets) {
            if line
                .get(9..17)
                .and_then(|at| hex(at.trim()))
                .is_none_or(|at| at >= compiled.code_bytes)
            {
                *offset = 0;
            }
        }
        let machine = Section { title: "machine code", text, offsets };
        let (text, offsets) = (listing.selected, listing.selected_from);
        let selected = Section { title: "machine instructions", text, offsets };
        let (text, offsets) = (listing.allocated, listing.allocated_from);
        let allocated = Section { title: "after register allocation", text, offsets };
        let name = self.names.func(bytes, func).or_else(|| {
            let at = self.exported.binary_search_by_key(&func, |&(func, _)| func).ok()?;
            Some(&*info.exports[self.exported[at].1].name)
        });
        Ok(Inspection {
            func,
            name: name.map(str::to_string),
            body: info.bodies[own].clone(),
            costs: Costs {
                work: work.total(),
                code_bytes: compiled.code.len() as u32,
                frame_bytes: compiled.frame_bytes,
                traps: compiled.traps.len() as u32,
            },
            sections: vec![translated, selected, allocated, machine],
        })
    }
}

/// The offset of each line of a text in which an offset is named only where it changes.
fn last_named(text: &str, named: impl Fn(&str) -> Option<u32>) -> Vec<u32> {
    let mut offset = 0;
    text.lines()
        .map(|line| {
            offset = named(line).unwrap_or(offset);
            // Heads of blocks belong to no operator.
            if line.starts_with("  ") { offset } else { 0 }
        })
        .collect()
}

fn hex(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok()
}

/// The index of the function that is meant; it has a body.
fn find(
    info: &ModuleInfo,
    names: &NameTable,
    bytes: &[u8],
    which: Which<'_>,
) -> Result<u32, WhichError> {
    let func = match which {
        Which::Index(index) if (index as usize) < info.funcs.len() => index,
        Which::Index(index) => {
            return Err(WhichError::Index { index, funcs: info.funcs.len() as u32 });
        }
        Which::Name(name) => by_name(info, names, bytes, name)?,
    };
    if func >= info.imported_funcs() {
        return Ok(func);
    }
    let mut imports = info.imports.iter().filter(|import| import.ty.kind() == ExternKind::Func);
    let (module, name) = imports.nth(func as usize).map_or_else(Default::default, |import| {
        (import.module.to_string(), import.name.to_string())
    });
    Err(WhichError::Imported { index: func, module, name })
}

fn by_name(
    info: &ModuleInfo,
    names: &NameTable,
    bytes: &[u8],
    name: &str,
) -> Result<u32, WhichError> {
    let in_section = |name: &str| -> Vec<u32> {
        let known = |&index: &u32| (index as usize) < info.funcs.len();
        let funcs = names.funcs().iter().map(|&(index, _)| index).filter(known);
        funcs.filter(|&index| names.func(bytes, index) == Some(name)).collect()
    };
    let export = info.export(name);
    let mut funcs = in_section(name);
    funcs.extend(export.filter(|e| e.kind == ExternKind::Func).map(|e| e.index));
    if let (true, Some(name)) = (funcs.is_empty(), name.strip_prefix('$')) {
        funcs = in_section(name);
    }
    funcs.sort_unstable();
    funcs.dedup();
    let name = name.to_string();
    match funcs[..] {
        [func] => Ok(func),
        [] => {
            let exported = export.map(|export| export.kind);
            Err(WhichError::Name { name, exported, suggestions: suggestions(info, names, bytes) })
        }
        _ => Err(WhichError::Ambiguous { name, funcs }),
    }
}

/// The first names of functions with bodies: of exports, then from the name section.
fn suggestions(info: &ModuleInfo, names: &NameTable, bytes: &[u8]) -> Vec<String> {
    let own = |index: u32| index >= info.imported_funcs();
    let exports = info.exports.iter().filter(|e| e.kind == ExternKind::Func && own(e.index));
    let exports = exports.map(|export| &*export.name);
    let others = names.funcs().iter().filter(|&&(index, _)| own(index));
    let others = others.filter_map(|&(index, _)| names.func(bytes, index));
    let mut list: Vec<String> = Vec::new();
    for name in exports.chain(others) {
        if list.len() == SUGGESTIONS {
            break;
        }
        if !list.iter().any(|known| known == name) {
            list.push(name.to_string());
        }
    }
    list
}
