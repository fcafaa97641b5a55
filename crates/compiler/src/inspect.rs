//! What the compiler makes of one function, stage by stage, as text.

use crate::error::Error;
use crate::options::Options;
use crate::pipeline::module_env;
use runwell_codegen::Codegen;
use runwell_ir::Work;
use runwell_wasm::{Limits, Parsed, Translator};

/// One stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// Its text.
    pub text: String,
}

/// What the compiler makes of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// Index of the function in the module's function index space.
    pub func: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The stages in order.
    pub sections: Vec<Section>,
}

/// Which function is meant.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Which<'a> {
    /// The one with this index in the function index space.
    Index(u32),
    /// The one with this name: of an export, else from the name section.
    Name(&'a str),
}

/// Compiles one function of a module and describes each stage.
///
/// # Errors
/// When there is no such function or it is imported, and as for [`crate::compile`].
pub fn inspect(bytes: &[u8], which: Which<'_>, options: &Options) -> Result<Inspection, Error> {
    let parsed = Parsed::parse(bytes, &Limits::default())?;
    let info = &parsed.info;
    let names = info.names.decode(bytes);
    let func = match which {
        Which::Index(index) => Some(index),
        Which::Name(name) => info
            .export(name)
            .filter(|export| export.kind == runwell_wasm::ExternKind::Func)
            .map(|export| export.index)
            .or_else(|| {
                let mut funcs = names.funcs().iter().map(|&(index, _)| index);
                funcs.find(|&index| names.func(bytes, index) == Some(name))
            }),
    };
    let refuse = |message: String| Error::Invalid { message, offset: 0, func: None };
    let func = func.ok_or_else(|| refuse(format!("there is no function {which:?}")))?;
    if func as usize >= info.funcs.len() {
        return Err(refuse(format!("there are only {} functions", info.funcs.len())));
    }
    let Some(own) = func.checked_sub(info.imported_funcs()) else {
        return Err(refuse(format!("function {func} is imported and has no code here")));
    };
    let env = module_env(info, options);
    let mut translator = Translator::new();
    let ir = translator.translate(info, &parsed.validation, bytes, own as usize)?;
    let mut sections = vec![Section { title: "SSA", text: runwell_ir::print::function(ir) }];
    let (_, listing) = Codegen::new()
        .inspect(ir, &env, &mut Work::new())
        .map_err(|error| Error::codegen(error, func))?;
    sections.push(Section { title: "machine instructions", text: listing.selected });
    sections.push(Section { title: "after register allocation", text: listing.allocated });
    sections.push(Section { title: "machine code", text: listing.machine });
    Ok(Inspection { func, name: names.func(bytes, func).map(str::to_string), sections })
}
