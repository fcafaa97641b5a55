//! The stubs between host and guest code on x86-64.
//!
//! `enter` keeps the host's callee-saved registers in its frame on the host's stack, notes that
//! frame's address in the runtime record and changes to the guest's stack. Its other half,
//! `trap_exit`, can be reached from anywhere with nothing but that address in `rsp`: by falling
//! into it when the guest returns, by a jump of the stubs below, by the fault handler rewriting the
//! interrupted context.
//!
//! The two stubs that lead out of guest code, `host_thunk` and `libcall_stub`, change back to the
//! host's stack directly below `enter`'s frame. While they are there, their unwind information
//! says that they *are* `enter`, so that backtraces of the host go from a host function straight to
//! the caller of `enter`. Nothing unwinds through the stubs: what they call catches panics.
//!
//! A guest may be suspended and continued below another frame of the host's, so nothing of `enter`'s is
//! kept in registers across the call: when the guest returns, the runtime record says where the frame
//! is, and the frame has the address of the register file.
//!
//! MXCSR: guest code runs with the architecture's default control bits (exceptions masked, round to
//! nearest, denormals kept), host code with its own. The sticky flags are nobody's. Reading the register
//! takes longer than all the rest of a host call, so the modes are found out by what they do: one
//! addition of four pairs whose sums tell the default from each other rounding, from flushing to zero
//! and from denormals as zero. What does not show are exceptions that the host has unmasked. They show
//! when one is raised in guest code or in a stub: then the fault handler notes the host's mode where
//! the way out looks for it, masks them and goes on ([`mask_exceptions`]).

use runwell_abi::RegFile;
use runwell_abi::call::{REGFILE_FLOAT, REGFILE_INT};
use runwell_abi::memory::ACTIVATION_DEPTH_BYTES;
use runwell_abi::vmctx::{
    HOST_FUNC_DISPATCH, HOST_FUNC_RUNTIME, RT_EXIT_SP, RT_FUEL, RT_GUEST_SP, RT_HOST_MXCSR,
    RT_HOST_SP, RT_LIBCALLS, RT_TRANSFER, RT_VMCTX, RUNTIME,
};
use std::arch::global_asm;

/// Status in `eax` at `trap_exit`: the fault handler noted why in the runtime record.
pub(crate) const STATUS_FAULT: u32 = 1;
/// Status: what host code called left its reason in the runtime record.
pub(crate) const STATUS_PENDING: u32 = 2;
/// Status: the fuel does not suffice. The guest can go on, see [`resume_from_fuel`].
pub(crate) const STATUS_FUEL: u32 = 3;
/// Status: a helper trapped; the code is added.
pub(crate) const STATUS_LIBCALL: u32 = 0x100;

/// Bytes of a register file, of the guest's callee-saved registers behind it, and 8 of scratch, which
/// keep the stack aligned.
const THUNK_FRAME: usize = THUNK_SAVED + 4 * 8 + 8;
/// Where the callee-saved registers are: rbx rbp r12 r13.
const THUNK_SAVED: usize = size_of::<RegFile>();
const _: () = assert!(THUNK_FRAME % 16 == 8 && REGFILE_FLOAT == 0);
// What an activation counts is more than the stubs take between a guest that calls the host and the next one.
const _: () = assert!(THUNK_FRAME + 8 < ACTIVATION_DEPTH_BYTES as usize);

unsafe extern "C" {
    /// Calls guest code, see [`enter`].
    fn runwell_vm_enter(
        code: u64,
        vmctx: u64,
        memory_base: u64,
        regs: *mut RegFile,
        runtime: *const u8,
    ) -> u32;
    /// Continues guest code, see [`resume_from_fuel`].
    fn runwell_vm_resume(at: u64, regs: *mut RegFile, runtime: *const u8) -> u32;
    static runwell_vm_fuel_stub: u8;
    static runwell_vm_fuel_resume: u8;
    static runwell_vm_host_resume: u8;
    static runwell_vm_enter_return: u8;
    static runwell_vm_trap_exit: u8;
    static runwell_vm_host_thunk: u8;
    static runwell_vm_host_thunk_ints: u8;
    static runwell_vm_host_thunk_few: u8;
    static runwell_vm_libcall_stub: u8;
    static runwell_vm_spread_stub: u8;
    static runwell_vm_truncate_stub: u8;
    static runwell_vm_convert_stub_single: u8;
    static runwell_vm_convert_stub_double: u8;
    static runwell_vm_stubs: u8;
    static runwell_vm_stubs_end: u8;
}

global_asm!(
    // Unwind rows of a stub that runs directly below `enter`'s frame.
    ".macro runwell_vm_cfi_below_enter",
    "  .cfi_def_cfa rsp, 80",
    "  .cfi_offset rip, -8",
    "  .cfi_offset rbp, -16",
    "  .cfi_offset rbx, -24",
    "  .cfi_offset r12, -32",
    "  .cfi_offset r13, -40",
    "  .cfi_offset r14, -48",
    "  .cfi_offset r15, -56",
    ".endm",

    // Jumps to \otherwise unless the float mode is the default one, as far as that shows.
    ".macro runwell_vm_check_mode otherwise",
    "  movaps xmm15, xmmword ptr [rip + runwell_vm_mode]",
    "  addps xmm15, xmmword ptr [rip + runwell_vm_mode + 16]",
    "  pcmpeqd xmm15, xmmword ptr [rip + runwell_vm_mode + 32]",
    "  movmskps eax, xmm15",
    "  cmp eax, 15",
    "  jne \\otherwise",
    ".endm",

    ".pushsection .text.runwell_vm, \"ax\", @progbits",
    ".hidden runwell_vm_stubs",
    ".globl runwell_vm_stubs",
    "runwell_vm_stubs:",

    // enter(code rdi, vmctx rsi, memory_base rdx, regs rcx, runtime r8) -> status eax
    ".balign 16",
    ".hidden runwell_vm_enter",
    ".globl runwell_vm_enter",
    ".type runwell_vm_enter, @function",
    "runwell_vm_enter:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    ".cfi_offset rbx, -24",
    "push r12",
    ".cfi_offset r12, -32",
    "push r13",
    ".cfi_offset r13, -40",
    "push r14",
    ".cfi_offset r14, -48",
    "push r15",
    ".cfi_offset r15, -56",
    "sub rsp, 24",
    // The fault handler may write to both of these.
    "mov dword ptr [rsp], 0x1f80",
    "mov dword ptr [r8 + {RT_HOST_MXCSR}], 0x1f80",
    "mov qword ptr [r8 + {RT_HOST_SP}], rsp",
    "runwell_vm_check_mode 5f",
    "2:",
    "mov qword ptr [rsp + 8], rcx",
    "mov rsp, qword ptr [r8 + {RT_GUEST_SP}]",
    "mov r13, qword ptr [r8 + {RT_FUEL}]",
    "mov r14, rsi",
    "mov r15, rdx",
    "mov rbx, rcx",
    "mov r11, rdi",
    // The caller is no instance.
    "xor r10d, r10d",
    "movaps xmm0, xmmword ptr [rbx]",
    "movaps xmm1, xmmword ptr [rbx + 16]",
    "movaps xmm2, xmmword ptr [rbx + 32]",
    "movaps xmm3, xmmword ptr [rbx + 48]",
    "movaps xmm4, xmmword ptr [rbx + 64]",
    "movaps xmm5, xmmword ptr [rbx + 80]",
    "movaps xmm6, xmmword ptr [rbx + 96]",
    "movaps xmm7, xmmword ptr [rbx + 112]",
    "mov rdi, qword ptr [rbx + {REGFILE_INT}]",
    "mov rsi, qword ptr [rbx + {REGFILE_INT} + 8]",
    "mov rdx, qword ptr [rbx + {REGFILE_INT} + 16]",
    "mov rcx, qword ptr [rbx + {REGFILE_INT} + 24]",
    "mov r8, qword ptr [rbx + {REGFILE_INT} + 32]",
    "mov r9, qword ptr [rbx + {REGFILE_INT} + 40]",
    "call r11",
    // The return address that ends walks of the guest's stack.
    ".hidden runwell_vm_enter_return",
    ".globl runwell_vm_enter_return",
    "runwell_vm_enter_return:",
    // Of the registers only r14 is known: the guest may have been suspended, and `enter`'s frame then
    // is where `resume` put it.
    "mov r11, qword ptr [r14 + {RUNTIME}]",
    "mov qword ptr [r11 + {RT_FUEL}], r13",
    "mov rsp, qword ptr [r11 + {RT_HOST_SP}]",
    "mov rbx, qword ptr [rsp + 8]",
    "mov qword ptr [rbx + {REGFILE_INT}], rax",
    "mov qword ptr [rbx + {REGFILE_INT} + 8], rdx",
    "mov qword ptr [rbx + {REGFILE_INT} + 16], rcx",
    "mov qword ptr [rbx + {REGFILE_INT} + 24], rsi",
    "movaps xmmword ptr [rbx], xmm0",
    "movaps xmmword ptr [rbx + 16], xmm1",
    "movaps xmmword ptr [rbx + 32], xmm2",
    "movaps xmmword ptr [rbx + 48], xmm3",
    "xor eax, eax",
    // Here with `enter`'s frame in rsp and the status in eax; nothing else is known.
    ".hidden runwell_vm_trap_exit",
    ".globl runwell_vm_trap_exit",
    "runwell_vm_trap_exit:",
    ".cfi_def_cfa rsp, 80",
    "mov ecx, dword ptr [rsp]",
    "and ecx, 0xffc0",
    "cmp ecx, 0x1f80",
    "je 3f",
    "ldmxcsr dword ptr [rsp]",
    "3:",
    "add rsp, 24",
    ".cfi_adjust_cfa_offset -24",
    "pop r15",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r15",
    "pop r14",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r14",
    "pop r13",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbp",
    "ret",
    ".cfi_def_cfa rbp, 16",
    ".cfi_offset rbx, -24",
    ".cfi_offset r12, -32",
    ".cfi_offset r13, -40",
    ".cfi_offset r14, -48",
    ".cfi_offset r15, -56",
    ".cfi_offset rbp, -16",
    "5:",
    "stmxcsr dword ptr [rsp]",
    "mov eax, dword ptr [rsp]",
    "mov dword ptr [r8 + {RT_HOST_MXCSR}], eax",
    "ldmxcsr dword ptr [rip + runwell_vm_mxcsr]",
    "jmp 2b",
    ".cfi_endproc",
    ".size runwell_vm_enter, . - runwell_vm_enter",

    // resume(at rdi, regs rsi, runtime rdx) -> status eax: makes the same frame as `enter` and goes to
    // `at` with the runtime record in rbx.
    ".balign 16",
    ".hidden runwell_vm_resume",
    ".globl runwell_vm_resume",
    ".type runwell_vm_resume, @function",
    "runwell_vm_resume:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    ".cfi_offset rbx, -24",
    "push r12",
    ".cfi_offset r12, -32",
    "push r13",
    ".cfi_offset r13, -40",
    "push r14",
    ".cfi_offset r14, -48",
    "push r15",
    ".cfi_offset r15, -56",
    "sub rsp, 24",
    "stmxcsr dword ptr [rsp]",
    "mov eax, dword ptr [rsp]",
    "mov dword ptr [rdx + {RT_HOST_MXCSR}], eax",
    "ldmxcsr dword ptr [rip + runwell_vm_mxcsr]",
    "mov qword ptr [rdx + {RT_HOST_SP}], rsp",
    "mov qword ptr [rsp + 8], rsi",
    "mov rbx, rdx",
    "jmp rdi",
    ".cfi_endproc",
    ".size runwell_vm_resume, . - runwell_vm_resume",

    // Guest code has not enough fuel: keeps everything on the guest's stack and leaves.
    ".balign 16",
    ".hidden runwell_vm_fuel_stub",
    ".globl runwell_vm_fuel_stub",
    "runwell_vm_fuel_stub:",
    "push rax",
    "push rcx",
    "push rdx",
    "push rbx",
    "push rbp",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r12",
    "push r14",
    "push r15",
    "mov r11, qword ptr [r14 + {RUNTIME}]",
    "mov qword ptr [r11 + {RT_FUEL}], r13",
    "mov qword ptr [r11 + {RT_VMCTX}], r14",
    "lea rax, [rsp + 13 * 8]",
    "mov qword ptr [r11 + {RT_EXIT_SP}], rax",
    "mov rbp, rsp",
    "sub rsp, 16 * 16 + 16",
    "and rsp, -16",
    // Nothing on a guest's stack points to it: a suspended guest may go on on another one.
    "sub rbp, rsp",
    "mov qword ptr [rsp + 16 * 16], rbp",
    "movaps xmmword ptr [rsp], xmm0",
    "movaps xmmword ptr [rsp + 16], xmm1",
    "movaps xmmword ptr [rsp + 32], xmm2",
    "movaps xmmword ptr [rsp + 48], xmm3",
    "movaps xmmword ptr [rsp + 64], xmm4",
    "movaps xmmword ptr [rsp + 80], xmm5",
    "movaps xmmword ptr [rsp + 96], xmm6",
    "movaps xmmword ptr [rsp + 112], xmm7",
    "movaps xmmword ptr [rsp + 128], xmm8",
    "movaps xmmword ptr [rsp + 144], xmm9",
    "movaps xmmword ptr [rsp + 160], xmm10",
    "movaps xmmword ptr [rsp + 176], xmm11",
    "movaps xmmword ptr [rsp + 192], xmm12",
    "movaps xmmword ptr [rsp + 208], xmm13",
    "movaps xmmword ptr [rsp + 224], xmm14",
    "movaps xmmword ptr [rsp + 240], xmm15",
    "mov qword ptr [r11 + {RT_GUEST_SP}], rsp",
    "mov rsp, qword ptr [r11 + {RT_HOST_SP}]",
    "mov eax, {STATUS_FUEL}",
    "jmp runwell_vm_trap_exit",
    // Back again, the runtime record in rbx.
    ".hidden runwell_vm_fuel_resume",
    ".globl runwell_vm_fuel_resume",
    "runwell_vm_fuel_resume:",
    "mov rsp, qword ptr [rbx + {RT_GUEST_SP}]",
    "mov r13, qword ptr [rbx + {RT_FUEL}]",
    "movaps xmm0, xmmword ptr [rsp]",
    "movaps xmm1, xmmword ptr [rsp + 16]",
    "movaps xmm2, xmmword ptr [rsp + 32]",
    "movaps xmm3, xmmword ptr [rsp + 48]",
    "movaps xmm4, xmmword ptr [rsp + 64]",
    "movaps xmm5, xmmword ptr [rsp + 80]",
    "movaps xmm6, xmmword ptr [rsp + 96]",
    "movaps xmm7, xmmword ptr [rsp + 112]",
    "movaps xmm8, xmmword ptr [rsp + 128]",
    "movaps xmm9, xmmword ptr [rsp + 144]",
    "movaps xmm10, xmmword ptr [rsp + 160]",
    "movaps xmm11, xmmword ptr [rsp + 176]",
    "movaps xmm12, xmmword ptr [rsp + 192]",
    "movaps xmm13, xmmword ptr [rsp + 208]",
    "movaps xmm14, xmmword ptr [rsp + 224]",
    "movaps xmm15, xmmword ptr [rsp + 240]",
    "add rsp, qword ptr [rsp + 16 * 16]",
    "pop r15",
    "pop r14",
    "pop r12",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rbp",
    "pop rbx",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "ret",

    // Guest calls host: r14 the host function's record, r10 the caller's context. The frame is that of a
    // whole register file, but only registers that the function's type may use are kept and given: 2 or
    // 6 arguments and 2 or 4 results of the integer class, and those of the float class or none.
    ".macro runwell_vm_host_thunk_for name many floats",
    ".balign 16",
    ".hidden \\name",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    ".cfi_startproc",
    "mov r11, qword ptr [r14 + {HOST_FUNC_RUNTIME}]",
    "mov qword ptr [r11 + {RT_EXIT_SP}], rsp",
    "mov qword ptr [r11 + {RT_VMCTX}], r10",
    "sub rsp, {THUNK_FRAME}",
    ".cfi_adjust_cfa_offset {THUNK_FRAME}",
    "mov qword ptr [r11 + {RT_GUEST_SP}], rsp",
    "mov qword ptr [r11 + {RT_FUEL}], r13",
    ".if \\floats",
    "movaps xmmword ptr [rsp], xmm0",
    "movaps xmmword ptr [rsp + 16], xmm1",
    "movaps xmmword ptr [rsp + 32], xmm2",
    "movaps xmmword ptr [rsp + 48], xmm3",
    "movaps xmmword ptr [rsp + 64], xmm4",
    "movaps xmmword ptr [rsp + 80], xmm5",
    "movaps xmmword ptr [rsp + 96], xmm6",
    "movaps xmmword ptr [rsp + 112], xmm7",
    ".endif",
    "mov qword ptr [rsp + {REGFILE_INT}], rdi",
    "mov qword ptr [rsp + {REGFILE_INT} + 8], rsi",
    ".if \\many",
    "mov qword ptr [rsp + {REGFILE_INT} + 16], rdx",
    "mov qword ptr [rsp + {REGFILE_INT} + 24], rcx",
    "mov qword ptr [rsp + {REGFILE_INT} + 32], r8",
    "mov qword ptr [rsp + {REGFILE_INT} + 40], r9",
    ".endif",
    "mov eax, dword ptr [r11 + {RT_HOST_MXCSR}]",
    "and eax, 0xffc0",
    "cmp eax, 0x1f80",
    "je 2f",
    "ldmxcsr dword ptr [r11 + {RT_HOST_MXCSR}]",
    "2:",
    "mov rdi, r14",
    "mov rsi, rsp",
    "mov rdx, r10",
    ".cfi_remember_state",
    "mov rsp, qword ptr [r11 + {RT_HOST_SP}]",
    "runwell_vm_cfi_below_enter",
    "call qword ptr [r14 + {HOST_FUNC_DISPATCH}]",
    "mov r11, qword ptr [r14 + {HOST_FUNC_RUNTIME}]",
    "test eax, eax",
    "jne runwell_vm_host_left",
    "mov rsp, qword ptr [r11 + {RT_GUEST_SP}]",
    ".cfi_restore_state",
    "runwell_vm_check_mode 6f",
    "3:",
    "mov r13, qword ptr [r11 + {RT_FUEL}]",
    "mov rax, qword ptr [rsp + {REGFILE_INT}]",
    "mov rdx, qword ptr [rsp + {REGFILE_INT} + 8]",
    ".if \\many",
    "mov rcx, qword ptr [rsp + {REGFILE_INT} + 16]",
    "mov rsi, qword ptr [rsp + {REGFILE_INT} + 24]",
    ".endif",
    ".if \\floats",
    "movaps xmm0, xmmword ptr [rsp]",
    "movaps xmm1, xmmword ptr [rsp + 16]",
    "movaps xmm2, xmmword ptr [rsp + 32]",
    "movaps xmm3, xmmword ptr [rsp + 48]",
    ".endif",
    "add rsp, {THUNK_FRAME}",
    ".cfi_adjust_cfa_offset -{THUNK_FRAME}",
    "ret",
    ".cfi_adjust_cfa_offset {THUNK_FRAME}",
    "6:",
    "ldmxcsr dword ptr [rip + runwell_vm_mxcsr]",
    "jmp 3b",
    ".cfi_endproc",
    ".size \\name, . - \\name",
    ".endm",
    "runwell_vm_host_thunk_for runwell_vm_host_thunk_few, 0, 0",
    "runwell_vm_host_thunk_for runwell_vm_host_thunk_ints, 1, 0",
    "runwell_vm_host_thunk_for runwell_vm_host_thunk, 1, 1",

    // The host function gave a status. It has kept the guest's callee-saved registers, which a guest that
    // is suspended here will want back.
    "runwell_vm_host_left:",
    "mov rdx, qword ptr [r11 + {RT_GUEST_SP}]",
    "mov qword ptr [rdx + {THUNK_SAVED}], rbx",
    "mov qword ptr [rdx + {THUNK_SAVED} + 8], rbp",
    "mov qword ptr [rdx + {THUNK_SAVED} + 16], r12",
    "mov qword ptr [rdx + {THUNK_SAVED} + 24], r13",
    "jmp runwell_vm_trap_exit",
    // The host function's answer is in the register file; the runtime record in rbx.
    ".hidden runwell_vm_host_resume",
    ".globl runwell_vm_host_resume",
    "runwell_vm_host_resume:",
    "mov r11, rbx",
    "mov rsp, qword ptr [r11 + {RT_GUEST_SP}]",
    "mov rbx, qword ptr [rsp + {THUNK_SAVED}]",
    "mov rbp, qword ptr [rsp + {THUNK_SAVED} + 8]",
    "mov r12, qword ptr [rsp + {THUNK_SAVED} + 16]",
    "mov r13, qword ptr [r11 + {RT_FUEL}]",
    "mov rax, qword ptr [rsp + {REGFILE_INT}]",
    "mov rdx, qword ptr [rsp + {REGFILE_INT} + 8]",
    "mov rcx, qword ptr [rsp + {REGFILE_INT} + 16]",
    "mov rsi, qword ptr [rsp + {REGFILE_INT} + 24]",
    "movaps xmm0, xmmword ptr [rsp]",
    "movaps xmm1, xmmword ptr [rsp + 16]",
    "movaps xmm2, xmmword ptr [rsp + 32]",
    "movaps xmm3, xmmword ptr [rsp + 48]",
    "add rsp, {THUNK_FRAME}",
    "ret",

    // Guest calls helper rax. Helpers do not compute with floats, so MXCSR stays.
    ".balign 16",
    ".hidden runwell_vm_libcall_stub",
    ".globl runwell_vm_libcall_stub",
    ".type runwell_vm_libcall_stub, @function",
    "runwell_vm_libcall_stub:",
    ".cfi_startproc",
    "mov r11, qword ptr [r14 + {RUNTIME}]",
    "mov qword ptr [r11 + {RT_EXIT_SP}], rsp",
    "mov qword ptr [r11 + {RT_VMCTX}], r14",
    "mov qword ptr [r11 + {RT_FUEL}], r13",
    "lea r10, [rsp - 8]",
    "mov qword ptr [r11 + {RT_GUEST_SP}], r10",
    "mov r10, qword ptr [r11 + {RT_LIBCALLS}]",
    "mov rdi, r14",
    ".cfi_remember_state",
    "mov rsp, qword ptr [r11 + {RT_HOST_SP}]",
    "runwell_vm_cfi_below_enter",
    "call qword ptr [r10 + rax * 8]",
    "test edx, edx",
    "jne 4f",
    "mov r11, qword ptr [r14 + {RUNTIME}]",
    "mov rsp, qword ptr [r11 + {RT_EXIT_SP}]",
    ".cfi_restore_state",
    "ret",
    "4:",
    "runwell_vm_cfi_below_enter",
    "mov eax, edx",
    "jmp runwell_vm_trap_exit",
    ".cfi_endproc",
    ".size runwell_vm_libcall_stub, . - runwell_vm_libcall_stub",

    // Loads arguments from cells at r11 as r10 says, see `SpreadCode`. \\at is the register of the field
    // that is next, \\to of what is loaded, in 32 and 64 bits.
    ".macro runwell_vm_spread_int at at8 to to64",
    "mov \\to, \\at",
    "and \\to, 14",
    "mov \\to64, qword ptr [r11 + \\to64 * 8]",
    "test \\at8, 1",
    "je 2f",
    "mov \\to, \\to",
    "2:",
    "shr \\at, 4",
    ".endm",
    ".macro runwell_vm_spread_float to",
    "mov esi, edi",
    "and esi, 14",
    "movsd \\to, qword ptr [r11 + rsi * 8]",
    "shr edi, 4",
    ".endm",
    ".balign 16",
    ".hidden runwell_vm_spread_stub",
    ".globl runwell_vm_spread_stub",
    "runwell_vm_spread_stub:",
    "mov rdi, r10",
    "shr rdi, 32",
    "runwell_vm_spread_float xmm0",
    "runwell_vm_spread_float xmm1",
    "runwell_vm_spread_float xmm2",
    "runwell_vm_spread_float xmm3",
    "runwell_vm_spread_float xmm4",
    "runwell_vm_spread_float xmm5",
    "runwell_vm_spread_float xmm6",
    "runwell_vm_spread_float xmm7",
    "mov edi, r10d",
    "shr edi, 24",
    "mov rdx, qword ptr [r14 + {RUNTIME}]",
    "runwell_vm_spread_int edi dil esi rsi",
    "mov qword ptr [rdx + {RT_TRANSFER}], rsi",
    "runwell_vm_spread_int edi dil esi rsi",
    "mov qword ptr [rdx + {RT_TRANSFER} + 16], rsi",
    "runwell_vm_spread_int r10d r10b edi rdi",
    "runwell_vm_spread_int r10d r10b esi rsi",
    "runwell_vm_spread_int r10d r10b edx rdx",
    "runwell_vm_spread_int r10d r10b ecx rcx",
    "runwell_vm_spread_int r10d r10b r8d r8",
    "runwell_vm_spread_int r10d r10b r9d r9",
    "ret",

    // The double in xmm15 as an unsigned integer in r11: 2^64 - 1 from 2^64 on, zero for what is negative
    // and for a NaN. The carry flag is set where the number is not in range, and then the parity flag for a
    // NaN. All other registers are kept.
    ".balign 16",
    ".hidden runwell_vm_truncate_stub",
    ".globl runwell_vm_truncate_stub",
    "runwell_vm_truncate_stub:",
    "cvttsd2si r11, xmm15",
    "test r11, r11",
    "js 2f",
    "ret",
    // From 2^63 on, or not in range: what is above 2^63, converted, with the top bit set. That bit is set
    // before where this does not fit either.
    "2:",
    "subsd xmm15, qword ptr [rip + runwell_vm_power_63]",
    "cvttsd2si r11, xmm15",
    "btc r11, 63",
    "jc 3f",
    "ret",
    "3:",
    "ucomisd xmm15, qword ptr [rip + runwell_vm_power_63]",
    "jae 4f",
    // Below or unordered, as the flags go on to say.
    "mov r11d, 0",
    "ret",
    "4:",
    "mov r11, -1",
    "stc",
    "ret",

    // The unsigned integer in r11 as a float in xmm15: with the top bit set, half of it, the bit that is
    // lost kept sticky for the rounding, and doubled. All other registers are kept.
    ".macro runwell_vm_convert_stub_for name convert add",
    ".balign 16",
    ".hidden \\name",
    ".globl \\name",
    "\\name:",
    "xorps xmm15, xmm15",
    "test r11, r11",
    "js 2f",
    "\\convert xmm15, r11",
    "ret",
    "2:",
    "shr r11, 1",
    "jnc 3f",
    "or r11, 1",
    "3:",
    "\\convert xmm15, r11",
    "\\add xmm15, xmm15",
    "ret",
    ".endm",
    "runwell_vm_convert_stub_for runwell_vm_convert_stub_single cvtsi2ss addss",
    "runwell_vm_convert_stub_for runwell_vm_convert_stub_double cvtsi2sd addsd",
    ".hidden runwell_vm_stubs_end",
    ".globl runwell_vm_stubs_end",
    "runwell_vm_stubs_end:",
    ".popsection",

    ".pushsection .rodata.runwell_vm, \"a\", @progbits",
    ".balign 4",
    "runwell_vm_mxcsr: .long 0x1f80",
    ".balign 8",
    "runwell_vm_power_63: .quad 0x43e0000000000000",
    ".balign 16",
    // 1 and three quarters of its last place, both ways; two denormals; normal numbers whose difference
    // is none. Then the sums.
    "runwell_vm_mode: .long 0x3f800000, 0xbf800000, 0x00000001, 0x00c00000",
    "  .long 0x33c00000, 0xb3c00000, 0x00000001, 0x80800000",
    "  .long 0x3f800001, 0xbf800001, 0x00000002, 0x00400000",
    ".popsection",
    RT_GUEST_SP = const RT_GUEST_SP,
    RT_HOST_SP = const RT_HOST_SP,
    RT_LIBCALLS = const RT_LIBCALLS,
    RT_VMCTX = const RT_VMCTX,
    RT_EXIT_SP = const RT_EXIT_SP,
    RT_HOST_MXCSR = const RT_HOST_MXCSR,
    RUNTIME = const RUNTIME,
    HOST_FUNC_RUNTIME = const HOST_FUNC_RUNTIME,
    HOST_FUNC_DISPATCH = const HOST_FUNC_DISPATCH,
    REGFILE_INT = const REGFILE_INT,
    THUNK_FRAME = const THUNK_FRAME,
    THUNK_SAVED = const THUNK_SAVED,
    RT_FUEL = const RT_FUEL,
    RT_TRANSFER = const RT_TRANSFER,
    STATUS_FUEL = const STATUS_FUEL,
);

/// Calls guest code at `code` on the runtime's guest stack with the registers of `regs`, where the
/// results are left. Gives 0, or a status when guest code was left early.
///
/// # Safety
/// The arguments are those of a [`crate::Runtime::invoke`] whose contract holds, and the runtime
/// record's guest stack pointer is 16-byte aligned with room below.
#[inline]
pub(crate) unsafe fn enter(
    code: u64,
    vmctx: u64,
    memory_base: u64,
    regs: *mut RegFile,
    runtime: *const u8,
) -> u32 {
    // SAFETY: the contract is passed on.
    unsafe { runwell_vm_enter(code, vmctx, memory_base, regs, runtime) }
}

/// Continues guest code that left with [`STATUS_FUEL`]: it tries again to pay. Results and status as for
/// [`enter`].
///
/// # Safety
/// The runtime's guest stack pointer is where that exit left it, and nothing has changed there or
/// above. `regs` is as for [`enter`].
pub(crate) unsafe fn resume_from_fuel(regs: *mut RegFile, runtime: *const u8) -> u32 {
    // SAFETY: the contract is passed on.
    unsafe { runwell_vm_resume(&raw const runwell_vm_fuel_resume as u64, regs, runtime) }
}

/// Continues guest code behind the call of a host function that was left with a status, as if it had
/// returned what is in the register file at the guest stack pointer.
///
/// # Safety
/// As for [`resume_from_fuel`], but for that register file.
pub(crate) unsafe fn resume_from_host(regs: *mut RegFile, runtime: *const u8) -> u32 {
    // SAFETY: the contract is passed on.
    unsafe { runwell_vm_resume(&raw const runwell_vm_host_resume as u64, regs, runtime) }
}

/// The stub that code goes to when its fuel does not suffice.
pub(crate) fn fuel_stub_address() -> u64 {
    &raw const runwell_vm_fuel_stub as u64
}

/// Runs `f` with the control bits that guest code runs with, and puts the thread's own back, also when
/// `f` panics. Threads that `f` starts begin with those of guests.
pub fn with_guest_floats<R>(f: impl FnOnce() -> R) -> R {
    /// Puts the control register back.
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the value is what the register held before.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &self.0, options(nostack, readonly)) };
        }
    }
    let (mut own, guest) = (0u32, 0x1f80u32);
    // SAFETY: stores the control register, and loads the value that the architecture starts with.
    // Compiled code assumes this value; `f` is called from behind the load.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut own, options(nostack));
        std::arch::asm!("ldmxcsr [{}]", in(reg) &guest, options(nostack, readonly));
    }
    let _restore = Restore(own);
    f()
}

/// Runs code of the host, called by a helper, with the host's control bits, as far as they are known to be
/// others (`host`), and puts those of the guest back, also when `f` panics.
pub(crate) fn with_host_floats<R>(host: u32, f: impl FnOnce() -> R) -> R {
    const CONTROL: u32 = 0xffc0;
    const DEFAULT: u32 = 0x1f80;
    /// Puts the control register back.
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the value is what the register held before.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &self.0, options(nostack, readonly)) };
        }
    }
    let mut guest = 0u32;
    // SAFETY: stores the control register.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut guest, options(nostack)) };
    let _restore = Restore(guest);
    if host & CONTROL != DEFAULT {
        // SAFETY: loads what the host's thread had in the register; `f` is called from behind the load.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &host, options(nostack, readonly)) };
    }
    f()
}

/// The return address of guest functions that the host called.
pub(crate) fn enter_return_address() -> u64 {
    &raw const runwell_vm_enter_return as u64
}

/// The code of host functions as guests call them, for types with at most so many values in registers of
/// the integer class, arguments and results, and in those of the float class.
pub(crate) fn host_thunk_address(args: [usize; 2], results: [usize; 2]) -> u64 {
    if args[1] > 0 || results[1] > 0 {
        &raw const runwell_vm_host_thunk as u64
    } else if args[0] > 2 || results[0] > 2 {
        &raw const runwell_vm_host_thunk_ints as u64
    } else {
        &raw const runwell_vm_host_thunk_few as u64
    }
}

/// The stub by which guests call helpers.
pub(crate) fn libcall_stub_address() -> u64 {
    &raw const runwell_vm_libcall_stub as u64
}

/// The stub that loads arguments from homes.
pub(crate) fn spread_stub_address() -> u64 {
    &raw const runwell_vm_spread_stub as u64
}

/// The stub by which guests convert floats to unsigned 64-bit integers.
pub(crate) fn truncate_stub_address() -> u64 {
    &raw const runwell_vm_truncate_stub as u64
}

/// The stubs by which guests convert unsigned 64-bit integers to singles and to doubles.
pub(crate) fn convert_stub_addresses() -> [u64; 2] {
    [
        &raw const runwell_vm_convert_stub_single as u64,
        &raw const runwell_vm_convert_stub_double as u64,
    ]
}

/// Program counter and stack pointer of an interrupted context.
pub(crate) fn trapped_pc_sp(context: &libc::ucontext_t) -> (u64, u64) {
    let regs = &context.uc_mcontext.gregs;
    (regs[libc::REG_RIP as usize] as u64, regs[libc::REG_RSP as usize] as u64)
}

/// If a float exception that the host has unmasked has interrupted guest code or a stub (`in_code` says
/// if it is guest code), masks all of them in the context and gives the host's control bits.
pub(crate) fn mask_exceptions(
    context: &mut libc::ucontext_t,
    info: &libc::siginfo_t,
    in_code: bool,
) -> Option<u32> {
    /// `si_code` of integer divisions.
    const FPE_INTDIV: i32 = 1;
    const FPE_INTOVF: i32 = 2;
    const MASKS: u32 = 0x1f80;
    const CONTROL: u32 = 0xffc0;
    let pc = trapped_pc_sp(context).0;
    let stubs = &raw const runwell_vm_stubs as u64..&raw const runwell_vm_stubs_end as u64;
    if matches!(info.si_code, FPE_INTDIV | FPE_INTOVF) || !(in_code || stubs.contains(&pc)) {
        return None;
    }
    // SAFETY: if the system has saved the registers for floats, the pointer is to where it will load them
    // from again.
    let floats = unsafe { context.uc_mcontext.fpregs.as_mut()? };
    let host = floats.mxcsr & CONTROL;
    if host & MASKS == MASKS {
        return None;
    }
    floats.mxcsr = MASKS;
    Some(host)
}

/// Notes the host's mode for the way out of the guest code below the frame of `enter` at `host_sp`.
///
/// # Safety
/// There is such a frame of this thread.
pub(crate) unsafe fn set_host_mode(host_sp: u64, mode: u32) {
    // SAFETY: the frame begins with the mode.
    unsafe { *(host_sp as *mut u32) = mode };
}

/// The fuel that an interrupted context has left, in metered code.
pub(crate) fn trapped_fuel(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.gregs[libc::REG_R13 as usize] as u64
}

/// The parity flag of an interrupted context: a comparison of floats sets it when they are unordered.
pub(crate) fn trapped_parity(context: &libc::ucontext_t) -> bool {
    const PARITY: i64 = 1 << 2;
    context.uc_mcontext.gregs[libc::REG_EFL as usize] & PARITY != 0
}

/// What the interrupted instruction, a division, divides by.
///
/// # Safety
/// The program counter is at a division by a general-purpose register of 32 or 64 bits.
pub(crate) unsafe fn trapped_divisor(context: &libc::ucontext_t) -> u64 {
    const BY_NUMBER: [libc::c_int; 16] = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    // A REX prefix or none, the opcode, and a byte whose lower three bits are the register's.
    let pc = trapped_pc_sp(context).0 as *const u8;
    // SAFETY: an instruction of at least two bytes is there, and of three if it begins with a prefix.
    let (rex, operand) = unsafe {
        match *pc {
            rex @ 0x40..=0x4f => (rex, *pc.add(2)),
            _ => (0, *pc.add(1)),
        }
    };
    let number = usize::from((operand & 7) | (rex & 1) << 3);
    let value = context.uc_mcontext.gregs[BY_NUMBER[number] as usize] as u64;
    if rex & 8 == 0 { value & 0xffff_ffff } else { value }
}

/// Makes an interrupted context continue at `trap_exit` with `host_sp` and a status.
pub(crate) fn redirect(context: &mut libc::ucontext_t, host_sp: u64, status: u32) {
    /// The direction flag, which host code wants clear.
    const DIRECTION: i64 = 1 << 10;
    let regs = &mut context.uc_mcontext.gregs;
    regs[libc::REG_RIP as usize] = (&raw const runwell_vm_trap_exit) as i64;
    regs[libc::REG_RSP as usize] = host_sp as i64;
    regs[libc::REG_RAX as usize] = i64::from(status);
    regs[libc::REG_EFL as usize] &= !DIRECTION;
}
