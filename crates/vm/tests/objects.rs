//! Memories, tables, contexts, code and what becomes of them.

mod common;

use common::Store;
use runwell_abi::memory::{GUARD_OFFSET_32, PAGE_BYTES, RESERVED_BYTES_32};
use runwell_abi::{TrapCode, VmctxCounts, VmctxLayout};
use runwell_vm::{
    Code, CodeMeta, Error, ExternRefs, FuncMeta, GlobalCell, Memory, MemoryType, Owned, Runtime,
    RuntimeConfig, Table, TableType, Vmctx, registry,
};
use std::sync::Arc;

fn memory(min: u64, max: Option<u64>, is64: bool) -> Result<Memory, Error> {
    Memory::new(MemoryType { min, max, is64 }, u64::MAX)
}

#[test]
fn the_widest_unchecked_access_stays_in_the_reservation() {
    let last = u64::from(u32::MAX) + (GUARD_OFFSET_32 - 1) + 15;
    assert!(last < RESERVED_BYTES_32);
}

#[test]
fn memories_grow_in_place_within_their_limits() {
    let memory = memory(0, Some(3), false).unwrap();
    let base = memory.base();
    assert!(memory.is_empty());
    assert_eq!(memory.write(0, &[]), Ok(()));
    assert_eq!(memory.write(0, &[1]), Err(TrapCode::MemoryOutOfBounds));
    assert_eq!(memory.grow(0), Ok(Some(0)));
    assert_eq!(memory.grow(2), Ok(Some(0)));
    assert_eq!(memory.grow(2), Ok(None));
    assert_eq!(memory.grow(u64::MAX), Ok(None));
    assert_eq!(memory.grow(1), Ok(Some(2)));
    assert_eq!((memory.base(), memory.pages()), (base, 3));
    memory.write(3 * PAGE_BYTES - 2, b"ab").unwrap();
    assert_eq!(memory.write(3 * PAGE_BYTES - 1, b"ab"), Err(TrapCode::MemoryOutOfBounds));
    // SAFETY: nobody else uses the memory.
    assert_eq!(unsafe { memory.data() }[3 * PAGE_BYTES as usize - 3..], *b"\0ab");
    // SAFETY: the definition lives as long as the memory.
    assert_eq!(unsafe { memory.def().read() }.len, 3 * PAGE_BYTES);
}

#[test]
fn memories_have_quotas() {
    let full = memory(65536, None, false).unwrap();
    assert_eq!(full.len(), 1 << 32);
    full.write((1 << 32) - 1, &[1]).unwrap();
    assert_eq!(full.grow(1), Ok(None));
    let error = memory(65537, None, false).err().unwrap();
    assert_eq!(error.to_string(), "pages of a memory: 65537 wanted, the limit is 65536");

    let ty = MemoryType { min: 1, max: None, is64: true };
    let wide = Memory::new(ty, 16 << 30).unwrap();
    assert_eq!(wide.grow((16 << 30) / PAGE_BYTES), Ok(None));
    assert_eq!(wide.grow((8 << 30) / PAGE_BYTES), Ok(Some(1)));
    wide.write(8 << 30, &[7]).unwrap();
    assert!(Memory::new(MemoryType { min: u64::MAX, ..ty }, 16 << 30).is_err());
    // More than there are addresses.
    let huge = Memory::new(MemoryType { min: 1 << 40, ..ty }, u64::MAX).err().unwrap();
    let Error::Os { errno, .. } = huge else { panic!("{huge}") };
    assert_eq!(errno, libc::ENOMEM);
    assert!(huge.to_string().contains("Cannot allocate memory"), "{huge}");
    // No maximum, and no quota that helps.
    assert!(Memory::new(ty, u64::MAX).is_err());
}

#[test]
fn memories_are_recycled_empty_and_closed() {
    for round in 0..100 {
        let pages = round % 3;
        let memory = memory(pages, None, false).unwrap();
        // SAFETY: nobody else uses the memory.
        let data = unsafe { memory.data_mut() };
        assert!(data.iter().step_by(512).all(|&byte| byte == 0));
        data.fill(0xff);
        if round % 5 == 0 {
            memory.grow(2).unwrap();
            memory.fill(pages * PAGE_BYTES, 0xee, 2 * PAGE_BYTES).unwrap();
        }
    }
    // What the one before had beyond this one's end faults.
    for (min, name) in [(9, "store"), (0, "load")] {
        let store = Store::new();
        store.instances[0].memory.grow(min).unwrap();
        let end = store.instances[0].memory.len();
        assert!(store.call(name, &[end - 8, 1]).is_ok());
        assert_eq!(
            store.call(name, &[end, 1]).unwrap_err().trap(),
            Some(TrapCode::MemoryOutOfBounds)
        );
    }
}

#[test]
fn copies_overlap_and_cross_memories() {
    let (a, b) = (memory(1, None, false).unwrap(), memory(1, None, true).err());
    assert!(b.is_none() || matches!(b, Some(Error::Os { .. })));
    let b = memory(1, Some(1), true).unwrap();
    a.write(0, b"abcdef").unwrap();
    a.copy_from(2, &a, 0, 4).unwrap();
    b.copy_from(10, &a, 0, 6).unwrap();
    let mut bytes = [0; 6];
    b.read(10, &mut bytes).unwrap();
    assert_eq!(&bytes, b"ababcd");
    for (at, from, len) in [(u64::MAX, 0, 1), (0, u64::MAX, 1), (0, 0, u64::MAX), (1, 0, 1 << 16)] {
        assert_eq!(a.copy_from(at, &b, from, len), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(a.init(at, b"segment", from, len), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(a.fill(at, 1, len.max((1 << 16) + 1)), Err(TrapCode::MemoryOutOfBounds));
    }
    a.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"ababcd");
    a.copy_from(1 << 16, &b, 1 << 16, 0).unwrap();
}

#[test]
fn tables_grow_in_place_within_their_limits() {
    for max in [Some(20), Some(5000), None] {
        let table = Table::new(TableType { min: 3, max, is64: false }, 5, 10_000_000).unwrap();
        // SAFETY: the definition lives as long as the table.
        let base = unsafe { table.def().read() }.base;
        assert_eq!(table.get(2), Some(5));
        assert_eq!(table.get(3), None);
        assert_eq!(table.grow(7, 6), Some(3));
        assert_eq!(table.grow(u64::MAX, 6), None);
        assert_eq!(table.grow(max.unwrap_or(10_000_000) - 9, 6), None);
        assert_eq!(table.grow(max.unwrap_or(10_000_000) - 10, 0), Some(10));
        assert_eq!((table.get(9), table.get(10)), (Some(6), Some(0)));
        assert_eq!(table.set(table.len() - 1, 1), Ok(()));
        assert_eq!(table.set(table.len(), 1), Err(TrapCode::TableOutOfBounds));
        // SAFETY: as above.
        let def = unsafe { table.def().read() };
        assert_eq!((def.base, def.len), (base, table.len()));
    }
    let empty = Table::new(TableType::default(), 0, 0).unwrap();
    assert_eq!((empty.get(0), empty.grow(1, 0), empty.grow(0, 0)), (None, None, Some(0)));
    let error = Table::new(TableType { min: 11, ..Default::default() }, 0, 10).err().unwrap();
    assert_eq!(error.to_string(), "elements of a table: 11 wanted, the limit is 10");
}

#[test]
fn contexts_hold_what_is_set() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let layout = VmctxLayout::new(VmctxCounts {
        memories: 2,
        imported_tables: 1,
        own_tables: 1,
        imported_globals: 1,
        own_globals: 2,
        imported_funcs: 1,
        escaped_funcs: 2,
        types: 3,
    });
    let vmctx = Vmctx::new(&layout, &runtime);
    assert!(vmctx.as_ptr().addr().is_multiple_of(16));
    assert_eq!(vmctx.memory_base(), 0);
    let memories = [(); 2].map(|()| Owned::new(memory(1, Some(1), false).unwrap()));
    let ty = TableType { min: 1, max: Some(2), is64: false };
    let tables = [(); 2].map(|()| Owned::new(Table::new(ty, 0, 10).unwrap()));
    for i in 0..2 {
        vmctx.set_memory(i, &memories[i as usize]);
        // SAFETY: the context is used before it is dropped only.
        unsafe { vmctx.set_table(i, &tables[i as usize]) };
    }
    let cell = Owned::new(GlobalCell::new(77));
    vmctx.set_imported_global(0, cell.value_ptr());
    for i in 0..3 {
        vmctx.set_type_id(i, 100 + i);
        // SAFETY: the cells are ours.
        unsafe { *vmctx.global(i).as_ptr() += u128::from(i) };
    }
    vmctx.set_escaped_func(0, 1, 2);
    vmctx.set_escaped_func(1, 3, 4);
    vmctx.set_imported_func(0, vmctx.escaped_func(1));

    // SAFETY: all offsets are inside of the context.
    let word = |offset: u32| unsafe { vmctx.as_ptr().add(offset as usize).cast::<u64>().read() };
    assert_eq!(word(0), runtime.as_ptr().as_ptr() as u64);
    assert_eq!(vmctx.memory_base(), memories[0].base() as u64);
    assert_eq!(word(layout.memory(1)), memories[1].base() as u64);
    assert_eq!(word(layout.memory(1) + 8), memories[1].def().as_ptr() as u64);
    assert_eq!(word(layout.table(0)), tables[0].def().as_ptr() as u64);
    assert_eq!(tables[1].def().as_ptr() as u64, vmctx.as_ptr() as u64 + u64::from(layout.table(1)));
    tables[1].grow(1, 9);
    assert_eq!(word(layout.table(1) + 8), 2);
    assert_eq!(word(layout.global(2)), 2);
    // SAFETY: the cell lives.
    assert_eq!(unsafe { cell.value_ptr().read() }, 77);
    assert_eq!(word(layout.type_id(0)), 101 << 32 | 100);
    // SAFETY: the record was set above.
    let func = unsafe { vmctx.imported_func(0).read() };
    assert_eq!((func.code, func.type_id), (3, 4));
    assert_eq!(func.vmctx, vmctx.as_ptr() as u64);
    assert_eq!(func.memory_base, memories[0].base() as u64);
}

#[test]
fn external_references() {
    let mut refs = ExternRefs::default();
    let handle = refs.insert(Box::new(5u32));
    let other = refs.insert(Box::new("x"));
    assert!(handle != 0 && handle != other && refs.len() == 2);
    assert_eq!(refs.get(handle).and_then(|value| value.downcast_ref()), Some(&5u32));
    *refs.get_mut(handle).unwrap().downcast_mut().unwrap() = 6u32;
    assert_eq!(refs.get(handle).and_then(|value| value.downcast_ref()), Some(&6u32));
    assert!(refs.get(0).is_none() && refs.get(3).is_none() && refs.get(u64::MAX).is_none());
}

#[test]
fn look_ups_in_code() {
    let func = |start, end| FuncMeta { start, end, frame_bytes: 8 };
    let meta = CodeMeta {
        funcs: [func(0, 5), func(16, 20), func(20, 64)].into(),
        traps: [(3, TrapCode::Unreachable), (17, TrapCode::NullReference)].into(),
        srclocs: [(1, 100), (4, 101), (30, 102)].into(),
        rests: Box::default(),
    };
    let owner: Arc<dyn std::any::Any + Send + Sync> = Arc::new(9u8);
    let bytes: Vec<u8> = (0..64).collect();
    let code = Code::publish(&bytes, meta, owner).unwrap();
    assert_eq!(code.bytes(), bytes);
    let meta = code.meta();
    let funcs = [0, 4, 5, 15, 16, 19, 20, 63, 64].map(|at| meta.func_at(at));
    let [a, b, c] = [Some(0), Some(1), Some(2)];
    assert_eq!(funcs, [a, a, None, None, b, b, c, c, None]);
    assert_eq!(
        [2, 3, 17].map(|at| meta.trap_at(at).map(|code| code as u8)),
        [None, Some(0), Some(9)]
    );
    let srclocs = [0, 1, 3, 4, 16, 20, 29, 30, 63].map(|at| meta.srcloc_at(at));
    let [p, q, r] = [Some(100), Some(101), Some(102)];
    assert_eq!(srclocs, [None, p, p, q, None, None, None, r, r]);

    let base = code.base();
    let at = registry::lookup(base + 30).unwrap();
    assert_eq!((at.offset, at.func, at.srcloc), (30, Some(2), Some(102)));
    assert!(Arc::ptr_eq(&at.code, &code));
    assert!(registry::lookup(base + 64).is_none());
    assert!(registry::lookup(base - 1).is_none_or(|at| !Arc::ptr_eq(&at.code, &code)));
    drop(code);
    assert!(registry::lookup(base).is_some());
    drop(at);
    assert!(registry::lookup(base).is_none());
    assert!(registry::lookup(0).is_none() && registry::lookup(u64::MAX).is_none());
}

#[test]
fn empty_and_large_code() {
    let code = Code::publish(&[], CodeMeta::default(), Arc::new(())).unwrap();
    assert!(code.is_empty() && registry::lookup(code.base()).is_none());
    let large = vec![0xcc; 5 << 20];
    let code = Code::publish(&large, CodeMeta::default(), Arc::new(())).unwrap();
    let last = registry::lookup(code.base() + (5 << 20) - 1).unwrap();
    assert_eq!(last.offset, (5 << 20) - 1);
}

#[test]
#[should_panic(expected = "ascend")]
fn unsorted_tables_are_refused() {
    let traps = [(5, TrapCode::Unreachable), (5, TrapCode::Unreachable)].into();
    let _ = Code::publish(&[0; 8], CodeMeta { traps, ..Default::default() }, Arc::new(()));
}

#[test]
fn threads_register_and_look_up() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..500 {
                    let code = common::publish();
                    let base = code.base();
                    let found = registry::find_code(base).unwrap();
                    assert!(Arc::ptr_eq(&found, &code));
                    drop(code);
                    drop(found);
                    // Somebody else's by now, or nobody's.
                    let _ = registry::lookup(base);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn elements_that_are_not_null_are_found() {
    use runwell_vm::table::DEFAULT_QUOTA_ELEMENTS;
    for (min, max) in [(0, Some(9)), (9, Some(9)), (1024, None), (5_000_000, Some(6_000_000))] {
        let ty = TableType { min, max, is64: false };
        let table = Table::new(ty, 0, DEFAULT_QUOTA_ELEMENTS).expect("a table");
        assert_eq!(table.non_null().next(), None);
        let mut wanted: Vec<(u64, u64)> = [0, 1, 8, 511, 512, 1023, min.saturating_sub(1)]
            .into_iter()
            .filter(|&at| at < min)
            .map(|at| (at, at + 1))
            .collect();
        wanted.dedup();
        for &(at, value) in wanted.iter().rev() {
            table.set(at, value).expect("inside");
        }
        assert_eq!(table.non_null().collect::<Vec<_>>(), wanted, "{min}");
        if let Some(&(at, _)) = wanted.first() {
            table.set(at, 0).expect("inside");
            assert_eq!(table.non_null().collect::<Vec<_>>(), wanted[1..], "{min}");
        }
    }
}
