//! Guest code by hand, and a store to run it in.
//!
//! The functions stand in one position-independent block of assembly whose bytes are published as
//! code, with tables made from its labels.

#![allow(dead_code, unreachable_pub)]

use runwell_abi::vmctx::FuncRefDef;
use runwell_abi::{LibCall, RegFile, TrapCode, Type, VmctxCounts, VmctxLayout};
use runwell_vm::{
    Code, CodeMeta, Exit, FuncMeta, HostCall, HostFunc, HostShape, InstanceData, Memory,
    MemoryType, Owned, Payload, Runtime, RuntimeConfig, Table, TableType, Vmctx,
};
use std::arch::global_asm;
use std::sync::{Arc, OnceLock};

global_asm!(
    ".pushsection .rodata.guest, \"a\", @progbits",
    ".macro func name, frame",
    "  .balign 16",
    "  .set frame_\\name, \\frame",
    "  .globl guest_\\name",
    "  .hidden guest_\\name",
    "  guest_\\name\\():",
    "  .pushsection .rodata.guest_funcs, \"a\", @progbits",
    "  .long guest_\\name - guest_start, guest_\\name\\()_end - guest_start, \\frame",
    "  .popsection",
    "  .if \\frame",
    "  sub rsp, \\frame",
    "  .endif",
    ".endm",
    ".macro end name",
    "  .if frame_\\name",
    "  add rsp, frame_\\name",
    "  .endif",
    "  ret",
    "  guest_\\name\\()_end:",
    ".endm",
    // The next instruction may trap.
    ".macro trap code",
    "  .pushsection .rodata.guest_traps, \"a\", @progbits",
    "  .long 77f - guest_start, \\code",
    "  .popsection",
    "  77:",
    ".endm",
    // A call through the imported function whose pointer is at [r14 + offset].
    ".macro call_import offset",
    "  mov rax, [r14 + \\offset]",
    "  mov [rsp], r14",
    "  mov r10, r14",
    "  mov r14, [rax + 8]",
    "  mov r15, [rax + 16]",
    "  call [rax]",
    "  mov r14, [rsp]",
    "  mov r15, [r14 + 64]",
    ".endm",
    ".pushsection .rodata.guest_funcs, \"a\", @progbits",
    ".globl guest_funcs, guest_funcs_end",
    "guest_funcs:",
    ".popsection",
    ".pushsection .rodata.guest_traps, \"a\", @progbits",
    ".globl guest_traps, guest_traps_end",
    "guest_traps:",
    ".popsection",
    ".globl guest_start, guest_end",
    "guest_start:",
    // (i64 x6, v128 x8) -> (i64 x4, v128 x4): mixes all argument registers and destroys all
    // registers a guest may.
    "func mix, 0",
    "lea rax, [rdi + r8]",
    "lea rdx, [rsi + rsi]",
    "lea r11, [rcx + 100]",
    "mov rsi, r9",
    "mov rcx, r11",
    "paddq xmm0, xmm4",
    "paddq xmm1, xmm5",
    "paddq xmm2, xmm6",
    "paddq xmm3, xmm7",
    "mov r8, 8",
    "mov r9, 9",
    "mov r10, 10",
    "mov r11, 11",
    "pcmpeqd xmm8, xmm8",
    "pcmpeqd xmm15, xmm15",
    "end mix",
    // () -> (vmctx, memory base, rsp at entry, mxcsr)
    "func state, 8",
    "mov rax, r14",
    "mov rdx, r15",
    "lea rcx, [rsp + 8]",
    "stmxcsr [rsp]",
    "mov esi, [rsp]",
    "end state",
    // (seven i64) -> (five i64, doubled and reversed): one of each through the transfer buffer.
    "func cells, 0",
    "mov r11, [r14]",
    "mov rax, [r11 + 64]",
    "lea r10, [rdi + rdi]",
    "mov [r11 + 64], r10",
    "add rax, rax",
    "lea rdx, [r9 + r9]",
    "lea r10, [r8 + r8]",
    "lea rsi, [rcx + rcx]",
    "mov rcx, r10",
    "end cells",
    "func unreachable, 24",
    "trap 0",
    "ud2",
    "end unreachable",
    // (dividend, divisor) -> quotient
    "func div, 8",
    "mov rax, rdi",
    "xor edx, edx",
    "trap 6",
    "div rsi",
    "end div",
    // (address) -> byte
    "func load, 40",
    "mov edi, edi",
    "trap 1",
    "movzx eax, byte ptr [r15 + rdi]",
    "end load",
    // (address, value)
    "func store, 40",
    "mov edi, edi",
    "trap 1",
    "mov qword ptr [r15 + rdi], rsi",
    "end store",
    // (address): an access no table knows
    "func bad_load, 8",
    "mov rax, [rdi]",
    "end bad_load",
    // (n): calls itself n times, then traps
    "func recurse, 24",
    "test rdi, rdi",
    "je 1f",
    "dec rdi",
    "call guest_recurse",
    "jmp 2f",
    "1:",
    "trap 0",
    "ud2",
    "2:",
    "end recurse",
    // endless recursion with the stack check
    "func overflow, 1000",
    "mov r11, [r14]",
    "cmp rsp, [r11 + 56]",
    "jae 1f",
    "trap 8",
    "ud2",
    "1:",
    "call guest_overflow",
    "end overflow",
    // recursion without a check: runs into the guard
    "func unchecked, 1000",
    "mov [rsp], rax",
    "call guest_unchecked",
    "end unchecked",
    // calls imported function 0 with its own arguments
    "func import0, 24",
    "call_import 80",
    "end import0",
    // calls imported function 0, gives MXCSR
    "func mode, 24",
    "call_import 80",
    "stmxcsr [rsp + 8]",
    "mov eax, [rsp + 8]",
    "end mode",
    // calls import0, keeping values in callee-saved registers
    "func outer, 56",
    "mov [rsp + 8], rbx",
    "mov [rsp + 16], rbp",
    "mov [rsp + 24], r12",
    "mov [rsp + 32], r13",
    "mov rbx, 1",
    "mov rbp, 2",
    "mov r12, 3",
    "mov r13, 4",
    "call guest_import0",
    "imul rbp, rbp, 10",
    "add rbx, rbp",
    "imul r12, r12, 100",
    "imul r13, r13, 1000",
    "add rbx, r12",
    "lea rdx, [rbx + r13]",
    "mov rcx, r14",
    "mov rsi, r15",
    "mov rbx, [rsp + 8]",
    "mov rbp, [rsp + 16]",
    "mov r12, [rsp + 24]",
    "mov r13, [rsp + 32]",
    "end outer",
    // (helper, five arguments) -> (result, r14, r15)
    "func helper, 8",
    "mov rax, rdi",
    "call [r14 + 16]",
    "mov rdx, r14",
    "mov rcx, r15",
    "end helper",
    // tail call of imported function 0
    "func tail, 8",
    "mov rax, [r14 + 80]",
    "mov r10, r14",
    "mov r14, [rax + 8]",
    "mov r15, [rax + 16]",
    "add rsp, 8",
    "jmp [rax]",
    "guest_tail_end:",
    "guest_end:",
    ".popsection",
    ".pushsection .rodata.guest_funcs, \"a\", @progbits",
    "guest_funcs_end:",
    ".popsection",
    ".pushsection .rodata.guest_traps, \"a\", @progbits",
    "guest_traps_end:",
    ".popsection",
);

unsafe extern "C" {
    static guest_start: u8;
    static guest_end: u8;
    static guest_funcs: u8;
    static guest_funcs_end: u8;
    static guest_traps: u8;
    static guest_traps_end: u8;
}

/// The functions in the order of the assembly.
const NAMES: [&str; 16] = [
    "mix",
    "state",
    "cells",
    "unreachable",
    "div",
    "load",
    "store",
    "bad_load",
    "recurse",
    "overflow",
    "unchecked",
    "import0",
    "mode",
    "outer",
    "helper",
    "tail",
];

/// The items between two labels.
fn between<T: Copy>(start: *const u8, end: *const u8) -> Vec<T> {
    let bytes = end as usize - start as usize;
    assert_eq!(bytes % size_of::<T>(), 0);
    // SAFETY: the labels enclose a table of such items in constant data.
    (0..bytes / size_of::<T>())
        .map(|i| unsafe { start.cast::<T>().add(i).read_unaligned() })
        .collect()
}

/// Publishes a fresh copy of the guest code.
pub fn publish() -> Arc<Code> {
    let bytes: Vec<u8> = between(&raw const guest_start, &raw const guest_end);
    let funcs: Vec<[u32; 3]> = between(&raw const guest_funcs, &raw const guest_funcs_end);
    let traps: Vec<[u32; 2]> = between(&raw const guest_traps, &raw const guest_traps_end);
    assert_eq!(funcs.len(), NAMES.len());
    let meta = CodeMeta {
        funcs: funcs
            .iter()
            .map(|&[start, end, frame_bytes]| FuncMeta { start, end, frame_bytes })
            .collect(),
        traps: traps
            .iter()
            .map(|&[at, code]| (at, TrapCode::from_u8(code as u8).unwrap()))
            .collect(),
        // The position of code is its offset times ten.
        srclocs: funcs
            .iter()
            .flat_map(|f| [(f[0], 10 * f[0]), (f[0] + 4, 10 * f[0] + 1)])
            .collect(),
        rests: Box::default(),
    };
    Code::publish(&bytes, meta, Arc::new("the guest")).unwrap()
}

/// Code that all tests of a process share.
pub fn shared_code() -> Arc<Code> {
    static CODE: OnceLock<Arc<Code>> = OnceLock::new();
    CODE.get_or_init(publish).clone()
}

/// Index of a function in the code's table.
pub fn index(name: &str) -> usize {
    NAMES.iter().position(|&other| other == name).expect("a guest function")
}

/// An instance with one memory, one table, one imported function.
pub struct Instance {
    pub vmctx: Vmctx,
    pub memory: Owned<Memory>,
    pub table: Owned<Table>,
    pub data: Owned<InstanceData>,
    pub host: Option<HostFunc>,
}

/// Types of values that take all registers.
const ALL: [Type; 16] = {
    let mut types = [Type::I64; 16];
    let mut at = 8;
    while at < types.len() {
        types[at] = Type::F64;
        at += 1;
    }
    types
};

/// A store with instances.
pub struct Store {
    pub instances: Vec<Instance>,
    pub code: Arc<Code>,
    // Last, so that instances go first.
    pub runtime: Owned<Runtime>,
}

impl Store {
    pub fn new() -> Store {
        Store::with(shared_code(), RuntimeConfig::default())
    }

    pub fn with(code: Arc<Code>, config: RuntimeConfig) -> Store {
        let runtime = Runtime::new(config).unwrap();
        let mut store = Store { instances: Vec::new(), code, runtime };
        store.add_instance();
        store
    }

    pub fn add_instance(&mut self) -> usize {
        let counts = VmctxCounts {
            memories: 1,
            imported_funcs: 1,
            escaped_funcs: NAMES.len() as u32,
            ..VmctxCounts::default()
        };
        let layout = VmctxLayout::new(counts);
        assert_eq!((layout.memory(0), layout.imported_func(0)), (64, 80));
        let vmctx = Vmctx::new(&layout, &self.runtime);
        let memory = MemoryType { min: 1, max: Some(10), is64: false };
        let memory = Owned::new(Memory::new(memory, u64::MAX).unwrap());
        let table = TableType { min: 4, max: Some(8), is64: false };
        let table = Owned::new(Table::new(table, 0, u64::MAX).unwrap());
        vmctx.set_memory(0, &memory);
        for (i, func) in self.code.meta().funcs.iter().enumerate() {
            vmctx.set_escaped_func(i as u32, self.code.address(func.start), 7);
        }
        let data = Owned::new(InstanceData {
            memories: [memory.as_ptr()].into(),
            tables: [table.as_ptr()].into(),
            data: [runwell_vm::DataSegment::new(Arc::from(*b"xxhelloxx"), 2..7)].into(),
            elems: [runwell_vm::ElemSegment::new([11, 22, 33].into())].into(),
            owner: self.instances.len() as u64,
        });
        vmctx.set_instance(&data);
        self.instances.push(Instance { vmctx, memory, table, data, host: None });
        self.instances.len() - 1
    }

    /// Imports a host function into an instance.
    pub fn import<F>(&mut self, instance: usize, func: F)
    where
        F: Fn(HostCall<'_>) -> Result<(), Payload> + Send + Sync + 'static,
    {
        let host = HostFunc::new(&self.runtime, 1, HostShape::new(ALL, ALL), func);
        self.instances[instance].vmctx.set_imported_func(0, host.func_ref());
        self.instances[instance].host = Some(host);
    }

    pub fn func(&self, instance: usize, name: &str) -> FuncRefDef {
        // SAFETY: the record was set when the instance was made.
        unsafe { self.instances[instance].vmctx.escaped_func(index(name) as u32).read() }
    }

    /// Calls a function of instance 0 with integers; gives the integer results.
    pub fn call(&self, name: &str, args: &[u64]) -> Result<[u64; 4], Box<Exit>> {
        call(&self.runtime, &self.func(0, name), args)
    }
}

/// Calls a function with integers; gives the integer results.
pub fn call(runtime: &Runtime, func: &FuncRefDef, args: &[u64]) -> Result<[u64; 4], Box<Exit>> {
    let mut regs = RegFile { float: [0; 8], int: [0; 6] };
    regs.int[..args.len()].copy_from_slice(args);
    // SAFETY: the guest code follows the convention and all of its objects are alive.
    unsafe { runtime.invoke(func, &mut regs)? };
    Ok(regs.int[..4].try_into().unwrap())
}

/// The names of the functions of a backtrace.
pub fn frames(exit: &Exit) -> Vec<&'static str> {
    names(&exit.backtrace)
}

/// The names of the functions of a backtrace.
pub fn names(backtrace: &runwell_vm::Backtrace) -> Vec<&'static str> {
    let lookup = |&pc| NAMES[runwell_vm::registry::lookup(pc).unwrap().func.unwrap()];
    backtrace.pcs.iter().map(lookup).collect()
}

/// A helper's number, as the guest function `helper` takes it.
pub fn helper(call: LibCall) -> u64 {
    call as u64
}
