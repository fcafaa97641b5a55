//! Modules made of bytes.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// Operators a loop may run before a generated module stops itself.
const FUEL: u32 = 2_000;

/// The language that runs: WebAssembly 2.0 without SIMD, and of 3.0 extended constant expressions,
/// several memories, 64-bit memories and tail calls.
fn config() -> Config {
    Config {
        simd_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        custom_descriptors_enabled: false,
        memory64_enabled: true,
        multi_value_enabled: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        canonicalize_nans: true,
        export_everything: true,
        max_imports: 0,
        min_funcs: 1,
        max_funcs: 12,
        max_memories: 3,
        max_tables: 3,
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        memory_max_size_required: true,
        max_table_elements: 200,
        table_max_size_required: true,
        max_instructions: 400,
        ..Config::default()
    }
}

/// A valid module that ends, made of `bytes`; `None` when they do not suffice.
pub fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut module = Module::new(config(), &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}
