//! Compiled modules as bytes.

use crate::engine::Engine;
use crate::module::Module;
use crate::{ImageError, Result};
use anyhow::Context as _;
use runwell_compiler::serialize;
use runwell_compiler::{FuncRange, Image};
use std::path::Path;

impl Module {
    /// The compiled module as bytes that [`Module::deserialize`] reads, on this machine or one like
    /// it, with the same options and the same key.
    ///
    /// ```
    /// use runwell::{Config, Engine, ImageError, Instance, Module, Store};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::new(Config::new().image_key([1; 32]))?;
    /// let module = Module::new(
    ///     &engine,
    ///     r#"(module (func (export "seven") (result i32) (i32.const 7)))"#,
    /// )?;
    /// let mut image = module.serialize()?;
    /// let again = Module::deserialize(&engine, &image)?;
    ///
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &again, &[])?;
    /// let seven = instance.get_typed_func::<(), i32>(&mut store, "seven")?;
    /// assert_eq!(seven.call(&mut store, ())?, 7);
    ///
    /// let last = image.len() - 1;
    /// image[last] ^= 1;
    /// let error = Module::deserialize(&engine, &image).unwrap_err();
    /// assert_eq!(error.downcast_ref::<ImageError>(), Some(&ImageError::Damaged));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no key: see [`crate::Config::image_key`].
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let inner = self.inner();
        let meta = inner.code.meta();
        let funcs = meta.funcs.iter().map(|func| FuncRange {
            start: func.start,
            end: func.end,
            frame_bytes: func.frame_bytes,
        });
        let image = Image {
            text: inner.code.bytes().to_vec(),
            funcs: funcs.collect(),
            traps: meta.traps.to_vec(),
            srclocs: meta.srclocs.to_vec(),
            rests: meta.rests.to_vec(),
        };
        let key = inner.engine.image_key()?;
        Ok(serialize::serialize(&inner.wasm, &image, &inner.engine.compile_options(), &key))
    }

    /// Reads what [`Module::serialize`] wrote.
    ///
    /// Not `unsafe`, as it is in wasmtime: bytes that were not made with the engine's key are
    /// refused, whatever they are. See [`crate::Config::image_key`].
    ///
    /// # Errors
    /// An [`ImageError`] when the bytes were made by another version, for another kind of processor,
    /// with other options or another key, or have been changed; [`Module::from_image`] compiles
    /// instead. Or there is no key or no memory for the code.
    pub fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        let bytes = bytes.as_ref();
        if !serialize::is_image(bytes) {
            return Err(ImageError::NotAnImage.into());
        }
        let key = engine.image_key()?;
        let (compiled, wasm) = serialize::deserialize(bytes, &engine.compile_options(), &key)?;
        Module::load(engine, compiled, wasm.into())
    }

    /// Reads a file, then as [`Module::deserialize`].
    ///
    /// # Errors
    /// When the file cannot be read, and as for [`Module::deserialize`].
    pub fn deserialize_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .with_context(|| format!("failed to read input file: {}", path.display()))?;
        Module::deserialize(engine, bytes)
    }

    /// The module, in the binary form, that a compiled one was made of, unless it is damaged. Whoever
    /// made the image, nothing is known about the module: compile it as any other.
    pub fn wasm_in_image(image: &[u8]) -> Option<&[u8]> {
        serialize::module_in(image)
    }

    /// Reads what [`Module::serialize`] wrote or, when [`Module::deserialize`] would refuse it,
    /// compiles the module that is in it. The second result says why it was compiled.
    ///
    /// ```
    /// use runwell::{Config, Engine, ImageError, Module};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let image = Engine::new(Config::new().image_key([1; 32]))?.precompile_module(b"(module)")?;
    /// let engine = Engine::new(Config::new().image_key([2; 32]))?;
    /// let (module, refused) = Module::from_image(&engine, &image)?;
    /// assert_eq!(refused, Some(ImageError::Key));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the module in it cannot be found or compiled either.
    pub fn from_image(
        engine: &Engine,
        bytes: impl AsRef<[u8]>,
    ) -> Result<(Module, Option<ImageError>)> {
        let bytes = bytes.as_ref();
        let error = match Module::deserialize(engine, bytes) {
            Ok(module) => return Ok((module, None)),
            Err(error) => error,
        };
        let (Some(refused), Some(wasm)) =
            (error.downcast_ref::<ImageError>(), Module::wasm_in_image(bytes))
        else {
            return Err(error);
        };
        let refused = refused.clone();
        let module = Module::from_binary(engine, wasm)
            .with_context(|| format!("{refused}, and what is in it does not compile"))?;
        Ok((module, Some(refused)))
    }
}
