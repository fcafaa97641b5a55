//! From addresses to code, for fault handlers.
//!
//! A fault handler may interrupt anything, so it can take no lock, and the table it reads is
//! consistent at every instruction. The table is a radix tree over page numbers, like the
//! processor's own: four loads find the code of an address however much code there is. Entering
//! code of n pages is n stores, small beside the copying of the pages themselves, and independent
//! of how many modules there are.
//!
//! Nodes are never freed. They are bounded by the address space ever used for code, which the
//! system reuses: about 2 KiB per MiB.
//!
//! Invariant: a leaf holds a pointer to live [`Code`]. The handler's look-up relies on the thread
//! being inside of the code it looks up, which therefore lives; everybody else's takes the writers'
//! lock, under which code that is entered can be revived or is known to be dying.

use crate::Code;
use crate::mmap::OS_PAGE_BYTES;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// User addresses have 47 bits: the page number 35, split 9, 9, 9, 8.
const ADDRESS_BITS: u32 = 47;
const PAGE_SHIFT: u32 = OS_PAGE_BYTES.trailing_zeros();
const LEAF_BITS: u32 = 8;
const INNER_BITS: u32 = 9;

type Leaf = [AtomicPtr<Code>; 1 << LEAF_BITS];
type Inner<T> = [AtomicPtr<T>; 1 << INNER_BITS];

static ROOT: Inner<Inner<Inner<Leaf>>> = [const { AtomicPtr::new(null_mut()) }; 1 << INNER_BITS];
static WRITERS: Mutex<()> = Mutex::new(());

const _: () = assert!(3 * INNER_BITS + LEAF_BITS + PAGE_SHIFT == ADDRESS_BITS);

/// The index into the tree's level whose lowest address bit is `shift`.
fn index(address: u64, shift: u32, bits: u32) -> usize {
    (address >> shift) as usize & ((1 << bits) - 1)
}

const LEAF_SHIFT: u32 = PAGE_SHIFT;
const LEVEL_2_SHIFT: u32 = LEAF_SHIFT + LEAF_BITS;
const LEVEL_1_SHIFT: u32 = LEVEL_2_SHIFT + INNER_BITS;
const LEVEL_0_SHIFT: u32 = LEVEL_1_SHIFT + INNER_BITS;

/// The slot of `address`, if its leaf exists.
fn slot(address: u64) -> Option<&'static AtomicPtr<Code>> {
    if address >> ADDRESS_BITS != 0 {
        return None;
    }
    let level1 = ROOT[index(address, LEVEL_0_SHIFT, INNER_BITS)].load(Ordering::Acquire);
    // SAFETY: nodes are published complete and never freed; here and below.
    let level1 = unsafe { level1.as_ref()? };
    let level2 = level1[index(address, LEVEL_1_SHIFT, INNER_BITS)].load(Ordering::Acquire);
    // SAFETY: see above.
    let level2 = unsafe { level2.as_ref()? };
    let leaf = level2[index(address, LEVEL_2_SHIFT, INNER_BITS)].load(Ordering::Acquire);
    // SAFETY: see above.
    let leaf = unsafe { leaf.as_ref()? };
    Some(&leaf[index(address, LEAF_SHIFT, LEAF_BITS)])
}

/// The node in `slot`, made when it is missing. Only writers call this.
fn child<T, const N: usize>(slot: &AtomicPtr<[AtomicPtr<T>; N]>) -> &'static [AtomicPtr<T>; N] {
    let mut node = slot.load(Ordering::Acquire);
    if node.is_null() {
        node = Box::leak(Box::new([const { AtomicPtr::new(null_mut()) }; N]));
        slot.store(node, Ordering::Release);
    }
    // SAFETY: nodes are never freed.
    unsafe { &*node }
}

/// The slot of `address`, which is a user address. Only writers call this.
fn make_slot(address: u64) -> &'static AtomicPtr<Code> {
    let level1 = child(&ROOT[index(address, LEVEL_0_SHIFT, INNER_BITS)]);
    let level2 = child(&level1[index(address, LEVEL_1_SHIFT, INNER_BITS)]);
    let leaf = child(&level2[index(address, LEVEL_2_SHIFT, INNER_BITS)]);
    &leaf[index(address, LEAF_SHIFT, LEAF_BITS)]
}

fn pages(code: &Code) -> impl Iterator<Item = u64> {
    let base = code.base();
    (0..code.mapped_bytes() as u64).step_by(OS_PAGE_BYTES).map(move |at| base + at)
}

/// Enters code. Its pages hold no other code, since they are its own mapping.
pub(crate) fn register(code: &Arc<Code>) {
    let _writing = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    for page in pages(code) {
        make_slot(page).store(Arc::as_ptr(code).cast_mut(), Ordering::Release);
    }
}

/// Removes code that is being dropped.
pub(crate) fn unregister(code: &Code) {
    let _writing = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    for page in pages(code) {
        if let Some(slot) = slot(page) {
            slot.store(null_mut(), Ordering::Release);
        }
    }
}

/// The code that contains `pc`. Safe to call in a signal handler.
///
/// # Safety
/// If `pc` is inside of registered code, that code lives for `'a`: e.g. because the calling thread
/// executes it, or has a frame of it.
pub(crate) unsafe fn executing<'a>(pc: u64) -> Option<&'a Code> {
    let code = slot(pc)?.load(Ordering::Acquire);
    // SAFETY: the contract.
    let code = unsafe { code.as_ref()? };
    (pc - code.base() < code.len() as u64).then_some(code)
}

/// The code that contains the address `pc`, unless it is gone.
pub fn find_code(pc: u64) -> Option<Arc<Code>> {
    let _writing = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: code leaves the registry under the lock before its memory is freed.
    unsafe { executing(pc)?.upgrade() }
}

/// What an address in guest code means.
#[derive(Clone, Debug)]
pub struct CodePos {
    /// The code it is in.
    pub code: Arc<Code>,
    /// Its offset there.
    pub offset: u32,
    /// Index of the function in the code's table.
    pub func: Option<usize>,
    /// The source position.
    pub srcloc: Option<u32>,
}

/// Looks up an address, e.g. of a [`crate::Backtrace`]. `None` when its code is gone.
pub fn lookup(pc: u64) -> Option<CodePos> {
    let code = find_code(pc)?;
    let offset = code.offset_of(pc);
    let (func, srcloc) = (code.meta().func_at(offset), code.meta().srcloc_at(offset));
    Some(CodePos { code, offset, func, srcloc })
}
