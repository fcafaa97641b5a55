//! Why guest code stopped, and where.

use crate::context::AsContext;
use crate::module::Module;
use core::fmt;
use runwell_abi::TrapCode;

/// Why guest code stopped.
///
/// ```
/// use runwell::{Engine, Instance, Module, Store, Trap};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module (func (export "f") (param i32) (result i32)
///         (i32.div_s (i32.const 1) (local.get 0))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let f = instance.get_typed_func::<i32, i32>(&mut store, "f")?;
/// let error = f.call(&mut store, 0).unwrap_err();
/// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::IntegerDivisionByZero));
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Trap {
    /// `unreachable` was executed.
    UnreachableCodeReached,
    /// A memory access outside of the memory.
    MemoryOutOfBounds,
    /// A table access outside of the table.
    TableOutOfBounds,
    /// An indirect call through a null element.
    IndirectCallToNull,
    /// An indirect call to a function of another type.
    BadSignature,
    /// An integer result out of range.
    IntegerOverflow,
    /// Integer division by zero.
    IntegerDivisionByZero,
    /// A NaN converted to an integer.
    BadConversionToInteger,
    /// The call stack is exhausted.
    StackOverflow,
    /// A null reference was used.
    NullReference,
    /// The fuel is used up.
    OutOfFuel,
    /// Another thread asked the guest to stop.
    Interrupt,
    /// An atomic access that is not aligned.
    HeapMisaligned,
    /// A cast to a type that the reference does not have.
    CastFailure,
    /// An array access outside of the array.
    ArrayOutOfBounds,
}

impl Trap {
    pub(crate) fn from_code(code: TrapCode) -> Trap {
        match code {
            TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
            TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
            TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
            TrapCode::BadSignature => Trap::BadSignature,
            TrapCode::IntegerOverflow => Trap::IntegerOverflow,
            TrapCode::IntegerDivisionByZero => Trap::IntegerDivisionByZero,
            TrapCode::BadConversionToInteger => Trap::BadConversionToInteger,
            TrapCode::StackOverflow => Trap::StackOverflow,
            TrapCode::NullReference => Trap::NullReference,
            TrapCode::OutOfFuel => Trap::OutOfFuel,
            TrapCode::Interrupt => Trap::Interrupt,
            TrapCode::UnalignedAtomic => Trap::HeapMisaligned,
            TrapCode::CastFailure => Trap::CastFailure,
            TrapCode::ArrayOutOfBounds => Trap::ArrayOutOfBounds,
            _ => Trap::UnreachableCodeReached,
        }
    }

    pub(crate) fn code(self) -> TrapCode {
        match self {
            Trap::UnreachableCodeReached => TrapCode::Unreachable,
            Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
            Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
            Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
            Trap::BadSignature => TrapCode::BadSignature,
            Trap::IntegerOverflow => TrapCode::IntegerOverflow,
            Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
            Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
            Trap::StackOverflow => TrapCode::StackOverflow,
            Trap::NullReference => TrapCode::NullReference,
            Trap::OutOfFuel => TrapCode::OutOfFuel,
            Trap::Interrupt => TrapCode::Interrupt,
            Trap::HeapMisaligned => TrapCode::UnalignedAtomic,
            Trap::CastFailure => TrapCode::CastFailure,
            Trap::ArrayOutOfBounds => TrapCode::ArrayOutOfBounds,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Trap::UnreachableCodeReached => "wasm `unreachable` instruction executed",
            Trap::MemoryOutOfBounds => "out of bounds memory access",
            Trap::TableOutOfBounds => "undefined element: out of bounds table access",
            Trap::IndirectCallToNull => "uninitialized element",
            Trap::BadSignature => "indirect call type mismatch",
            Trap::IntegerOverflow => "integer overflow",
            Trap::IntegerDivisionByZero => "integer divide by zero",
            Trap::BadConversionToInteger => "invalid conversion to integer",
            Trap::StackOverflow => "call stack exhausted",
            Trap::NullReference => "null reference",
            Trap::OutOfFuel => "all fuel consumed by WebAssembly",
            Trap::Interrupt => "interrupt",
            Trap::HeapMisaligned => "unaligned atomic",
            Trap::CastFailure => "cast failure",
            Trap::ArrayOutOfBounds => "out of bounds array access",
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.message())
    }
}

impl std::error::Error for Trap {}

/// One guest frame of a backtrace.
#[derive(Clone)]
pub struct FrameInfo {
    pub(crate) module: Module,
    pub(crate) func_index: u32,
    pub(crate) module_offset: Option<usize>,
    pub(crate) func_start: usize,
}

impl FrameInfo {
    /// The module of the function.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Index of the function in its module.
    pub fn func_index(&self) -> u32 {
        self.func_index
    }

    /// Name of the module, from its name section.
    pub fn module_name(&self) -> Option<&str> {
        self.module.name()
    }

    /// Name of the function: from the name section, or of an export.
    pub fn func_name(&self) -> Option<&str> {
        self.module.inner().func_name(self.func_index)
    }

    /// Byte offset of the operator in the module.
    pub fn module_offset(&self) -> Option<usize> {
        self.module_offset
    }

    /// Byte offset of the operator in the function's body.
    pub fn func_offset(&self) -> Option<usize> {
        self.module_offset.map(|at| at.saturating_sub(self.func_start))
    }
}

impl fmt::Debug for FrameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameInfo")
            .field("module", &self.module_name())
            .field("func_index", &self.func_index)
            .field("func_name", &self.func_name())
            .field("module_offset", &self.module_offset)
            .finish_non_exhaustive()
    }
}

/// The guest frames that were active, innermost first. Attached to errors that leave guest code;
/// `error.downcast_ref::<WasmBacktrace>()` finds it.
///
/// ```
/// use runwell::{Engine, Instance, Module, Store, WasmBacktrace};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module $m (func $inner unreachable) (func (export "outer") call $inner))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let outer = instance.get_typed_func::<(), ()>(&mut store, "outer")?;
/// let error = outer.call(&mut store, ()).unwrap_err();
/// let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames();
/// assert_eq!(frames[0].func_name(), Some("inner"));
/// assert_eq!(frames[1].func_name(), Some("outer"));
/// assert_eq!(frames[1].module().name(), Some("m"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct WasmBacktrace {
    pub(crate) frames: Vec<FrameInfo>,
    pub(crate) truncated: bool,
}

impl WasmBacktrace {
    /// The frames of a store's guests that are active now; none when none is. Meant for host
    /// functions.
    pub fn capture(store: impl AsContext) -> WasmBacktrace {
        let store = store.as_context();
        crate::code::symbolize(&store.opaque().runtime.backtrace())
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
}

/// Characters of a name that a message shows: a module can give each function a name of 100,000 bytes.
const SHOWN: usize = 256;

/// A name, cut where it is too long to be read.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
        }
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error while executing at wasm backtrace:")?;
        for (i, frame) in self.frames.iter().enumerate() {
            let name = frame.module_name().unwrap_or("<unknown>");
            write!(f, "\n  {i:>3}: ")?;
            match frame.module_offset() {
                Some(offset) => write!(f, "{offset:#8x}")?,
                None => write!(f, "       ?")?,
            }
            write!(f, " - {}!", Shown(name))?;
            match frame.func_name() {
                Some(func) => Shown(func).fmt(f)?,
                None => write!(f, "<wasm function {}>", frame.func_index())?,
            }
        }
        if self.truncated {
            write!(f, "\n   … (more frames left out)")?;
        }
        Ok(())
    }
}
