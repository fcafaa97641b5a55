//! The language: which proposals are in, and what the others are called.

pub use wasmparser::WasmFeatures;

/// The proposals that are implemented: WebAssembly 2.0 without vectors, extended constant
/// expressions, multiple memories, 64-bit memories and tables, and tail calls.
///
/// `GC_TYPES` is no proposal: it admits `externref`.
pub const SUPPORTED: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::TAIL_CALL);

/// Everything the validator knows: what it refuses even so is invalid.
pub const EVERYTHING: WasmFeatures = WasmFeatures::all();

const NAMES: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::SIMD, "simd"),
    (WasmFeatures::RELAXED_SIMD, "relaxed-simd"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything-threads"),
    (WasmFeatures::ACQUIRE_RELEASE_ATOMICS, "acquire-release-atomics"),
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::EXCEPTIONS, "exception-handling"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy-exceptions"),
    (WasmFeatures::FUNCTION_REFERENCES, "function-references"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide-arithmetic"),
    (WasmFeatures::STACK_SWITCHING, "stack-switching"),
    (WasmFeatures::MEMORY_CONTROL, "memory-control"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom-descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact-import-section"),
    (WasmFeatures::COMPONENT_MODEL, "component-model"),
    (WasmFeatures::GC, "gc"),
];

/// The name of the proposal that `feature` stands for.
pub fn proposal(feature: WasmFeatures) -> &'static str {
    NAMES.iter().find(|(bit, _)| feature.intersects(*bit)).map_or("unknown", |(_, name)| name)
}

/// The proposal that a message of the validator speaks of, for the few messages without a feature.
pub(crate) fn proposal_in(message: &str) -> &'static str {
    let mentioned =
        |name: &str| message.contains(name) || message.contains(&name.replace('-', " "));
    NAMES.iter().find(|(_, name)| mentioned(name)).map_or("unknown", |(_, name)| name)
}
