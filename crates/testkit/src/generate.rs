//! Modules made by wasm-smith.

use crate::{Nans, Rng};
use arbitrary::Unstructured;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// Loops and calls that a generated module may run before it stops itself.
const FUEL: u32 = 2_000;

/// Bytes that a module is made of at the most.
const BYTES: u64 = 6_000;

/// The language that runs: WebAssembly 2.0 without SIMD, and of 3.0 extended constant expressions,
/// several memories, 64-bit memories and tail calls. What is rolled per module are sizes and what is
/// left out, so that not every module has a little of everything.
fn config(rng: &mut Rng, nans: Nans) -> Config {
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
        compact_imports_enabled: false,
        memory64_enabled: !rng.one_in(4),
        multi_value_enabled: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        canonicalize_nans: nans == Nans::Masked,
        allow_floats: !rng.one_in(4),
        // Accesses, divisions and conversions are then made such that they do not trap.
        disallow_traps: rng.one_in(2),
        export_everything: true,
        max_imports: 0,
        min_funcs: 1,
        max_funcs: 1 + rng.below(12) as usize,
        min_memories: u32::from(!rng.one_in(6)),
        max_memories: 1 + rng.below(3) as usize,
        max_tables: 1 + rng.below(3) as usize,
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        memory_max_size_required: true,
        memory_offset_choices: MemoryOffsetChoices(90, 9, 1),
        max_table_elements: 200,
        table_max_size_required: true,
        max_instructions: 50 + rng.below(600) as usize,
        max_values: 1 + rng.below(20) as usize,
        ..Config::default()
    }
}

/// A valid module without imports that ends, made of `bytes`, with masked NaNs and a size of its own;
/// `None` when they do not suffice.
pub fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let usual = Config {
        memory64_enabled: true,
        allow_floats: true,
        disallow_traps: false,
        max_funcs: 12,
        min_memories: 0,
        max_memories: 3,
        max_tables: 3,
        max_instructions: 400,
        max_values: 10,
        memory_offset_choices: MemoryOffsetChoices::default(),
        ..config(&mut Rng(0), Nans::Masked)
    };
    module_of(usual, bytes)
}

/// A valid module without imports that ends, made from `seed`; `None` when this seed does not give
/// one.
pub fn from_seed(seed: u64, nans: Nans) -> Option<Vec<u8>> {
    let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let config = config(&mut rng, nans);
    let len = 200 + rng.below(BYTES);
    module_of(config, &rng.bytes(len as usize))
}

fn module_of(config: Config, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut module = Module::new(config, &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}
