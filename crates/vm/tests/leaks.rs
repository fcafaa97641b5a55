//! Nothing is left behind: mappings and memory of the process after many rounds.

mod common;

use common::Store;
use runwell_abi::{VmctxCounts, VmctxLayout};
use runwell_vm::{
    GlobalCell, Memory, MemoryType, Owned, Runtime, RuntimeConfig, Table, TableType, Vmctx,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tests that count the process's mappings run one at a time.
fn counting() -> MutexGuard<'static, ()> {
    static COUNTING: Mutex<()> = Mutex::new(());
    COUNTING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn nothing_is_left_of_many_stores() {
    let _counting = counting();
    let round = |n: u64| {
        let mut store = Store::new();
        store.add_instance();
        store.import(0, |_| Err(Box::new("error")));
        store.instances[0].memory.grow(n % 3).unwrap();
        assert_eq!(store.call("div", &[n, 1]).unwrap()[0], n);
        assert!(store.call("import0", &[n]).is_err());
        assert!(store.call("recurse", &[10]).is_err());
    };
    (0..100).for_each(round);
    let (maps, resident) = (mappings(), resident_kib());
    (0..5_000).for_each(round);
    assert!(mappings() <= maps + 16, "{maps} mappings became {}", mappings());
    assert!(resident_kib() < resident + 4096, "{resident} KiB became {}", resident_kib());
}

#[test]
fn nothing_is_left_of_a_million_contexts() {
    let _counting = counting();
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let counts = VmctxCounts { own_globals: 3, escaped_funcs: 5, types: 7, ..Default::default() };
    let layout = VmctxLayout::new(counts);
    let cell = |n: u64| {
        drop(Vmctx::new(&layout, &runtime));
        Owned::new(GlobalCell::new(u128::from(n)))
    };
    (0..1000).for_each(|n| drop(cell(n)));
    let (maps, resident) = (mappings(), resident_kib());
    (0..1_000_000).for_each(|n| drop(cell(n)));
    assert!(mappings() <= maps + 16 && resident_kib() < resident + 4096);
}

#[test]
fn nothing_is_left_of_many_threads() {
    let _counting = counting();
    let round = || {
        let run = || drop(Store::new().call("unreachable", &[]));
        std::thread::spawn(run).join().unwrap();
    };
    (0..20).for_each(|_| round());
    let maps = mappings();
    (0..300).for_each(|_| round());
    assert!(mappings() <= maps + 16, "{maps} mappings became {}", mappings());
}

#[test]
fn many_memories_at_once() {
    let _counting = counting();
    let memories: Vec<_> = (0..2000)
        .map(|_| Memory::new(MemoryType { min: 1, ..MemoryType::default() }, u64::MAX).unwrap())
        .collect();
    for (i, memory) in memories.iter().enumerate() {
        memory.write(i as u64, &[1]).unwrap();
    }
    drop(memories);
    assert!(mappings() < 2000);
}

#[test]
fn a_huge_table_costs_nothing_until_touched() {
    let _counting = counting();
    let before = resident_kib();
    let ty = TableType { min: 10_000_000, max: None, is64: true };
    let table = Table::new(ty, 0, 10_000_000).unwrap();
    assert_eq!(table.get(9_999_999), Some(0));
    assert!(resident_kib() < before + (8 << 10));
}
