//! A program in which something else has gdb's JIT interface links, and both have one list.

#![allow(non_upper_case_globals, reason = "gdb looks for these names")]

use runwell_vm::{Code, CodeMeta, FuncMeta, debug};
use std::ptr::{addr_of, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The interface as another library has it.
#[repr(C)]
pub struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

#[repr(C)]
struct Entry {
    next: *mut Entry,
    prev: *mut Entry,
    file: *const u8,
    len: u64,
}

#[unsafe(no_mangle)]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: 0, relevant: null_mut(), first: null_mut() };

static TOLD: AtomicU32 = AtomicU32::new(0);

#[unsafe(no_mangle)]
extern "C" fn __jit_debug_register_code() {
    // SAFETY: whoever calls this has the list to itself.
    let action = unsafe { (*addr_of!(__jit_debug_descriptor)).action };
    TOLD.fetch_add(1 << (8 * (action - 1)), Ordering::Relaxed);
}

#[test]
fn two_of_one_interface() {
    let funcs = vec![FuncMeta { start: 0, end: 5, frame_bytes: 8 }].into();
    let meta = CodeMeta { funcs, ..CodeMeta::default() };
    let code = Code::publish(&[0x48, 0x83, 0xec, 8, 0xc3], meta, Arc::new(())).unwrap();
    let registration = debug::register(&code, &["guest".to_string()]);
    // SAFETY: nobody else registers anything in this process.
    let file = unsafe {
        let first = (*addr_of!(__jit_debug_descriptor)).first.as_ref().expect("an entry");
        std::slice::from_raw_parts(first.file, first.len as usize)
    };
    assert!(file.starts_with(b"\x7fELF") && file.windows(7).any(|part| part == b"\0guest\0"));
    assert_eq!(TOLD.load(Ordering::Relaxed), 1);
    drop(registration);
    // SAFETY: as above.
    assert!(unsafe { (*addr_of!(__jit_debug_descriptor)).first.is_null() });
    assert_eq!(TOLD.load(Ordering::Relaxed), 0x101);
}
