//! Bulk operators on more than a slice: what they do, and that they can be stopped inside.

use runwell::{Engine, Instance, Module, Store, Trap, TypedFunc};
use std::time::Duration;

const GUEST: &str = r#"(module
    (memory (export "memory") 8192)
    (table (export "table") 400000 funcref)
    (func $f) (elem declare func $f)
    (func (export "copy") (param i32 i32 i32)
        (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "fill") (param i32 i32 i32)
        (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "table-fill") (param i32 i32)
        (table.fill (local.get 0) (ref.func $f) (local.get 1)))
    (func (export "table-copy") (param i32 i32 i32)
        (table.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "is-null") (param i32) (result i32) (ref.is_null (table.get (local.get 0)))))"#;

fn store() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance)
}

type Three = TypedFunc<(i32, i32, i32), ()>;

#[test]
fn long_copies_and_fills() {
    let (mut store, instance) = store();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let copy: Three = instance.get_typed_func(&mut store, "copy").unwrap();
    let fill: Three = instance.get_typed_func(&mut store, "fill").unwrap();
    const LEN: usize = (5 << 20) + 77;
    let mut model: Vec<u8> =
        (0..2 * LEN as u32).map(|n| (n.wrapping_mul(40_503) >> 7) as u8).collect();
    memory.write(&mut store, 0, &model).unwrap();
    for (to, from) in [(1, 0), (0, 1), (LEN - 9, 0), (0, LEN - 9), (1 << 20, 0), (3, 3)] {
        copy.call(&mut store, (to as i32, from as i32, LEN as i32)).unwrap();
        model.copy_within(from..from + LEN, to);
        assert!(memory.data(&store)[..2 * LEN] == model, "{to} {from}");
    }
    fill.call(&mut store, (5, 0xab, LEN as i32)).unwrap();
    model[5..5 + LEN].fill(0xab);
    assert!(memory.data(&store)[..2 * LEN] == model);
    // Nothing is done when the end is outside, however far that is.
    for func in [&copy, &fill] {
        let error = func.call(&mut store, (8, 0, i32::MAX)).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        assert!(memory.data(&store)[..2 * LEN] == model);
    }
}

#[test]
fn long_tables() {
    let (mut store, instance) = store();
    let fill: TypedFunc<(i32, i32), ()> =
        instance.get_typed_func(&mut store, "table-fill").unwrap();
    let copy: Three = instance.get_typed_func(&mut store, "table-copy").unwrap();
    let is_null: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "is-null").unwrap();
    let mut null = vec![1; 400_000];
    fill.call(&mut store, (100, 150_000)).unwrap();
    null[100..150_100].fill(0);
    for (to, from) in [(0, 50), (40_000, 10)] {
        copy.call(&mut store, (to, from, 300_000)).unwrap();
        null.copy_within(from as usize..from as usize + 300_000, to as usize);
        for at in (0..400_000).step_by(37).chain([49, 50, 150_049, 150_050, 399_999]) {
            assert_eq!(is_null.call(&mut store, at).unwrap(), null[at as usize], "{to} {at}");
        }
    }
    assert!(copy.call(&mut store, (200_000, 0, 200_001)).is_err());
}

#[test]
fn a_long_fill_is_stopped_inside() {
    let (mut store, instance) = store();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let fill: Three = instance.get_typed_func(&mut store, "fill").unwrap();
    let handle = store.interrupt_handle().unwrap();
    let len = memory.data_size(&store) as i32;
    // Half a gigabyte of fresh pages takes far longer; the first one may be lost to a slow start.
    for round in 1..=20 {
        let handle = handle.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            handle.interrupt()
        });
        let result = fill.call(&mut store, (0, round, len));
        let stopped = stopper.join().unwrap();
        let Err(error) = result else { continue };
        assert!(stopped);
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
        let data = memory.data(&store);
        if data[0] == round as u8 && data[data.len() - 1] != round as u8 {
            return;
        }
    }
    panic!("no fill was stopped inside");
}

/// A module whose data segment has more than three slices, and whose element segment more than two.
fn with_segments() -> (Store<()>, Instance, Vec<u8>) {
    let bytes: Vec<u8> = (0..(3 << 20) + 5u32).map(|n| b'0' + (n % 71) as u8).collect();
    let text = String::from_utf8(bytes.clone()).unwrap().replace('\\', "\\\\");
    let elements = "$f $g ".repeat(150_000);
    let module = format!(
        r#"(module
        (memory (export "memory") 100)
        (table $t (export "table") 10 10_000_000 funcref)
        (data $d "{text}")
        (elem $e func {elements})
        (func $f) (func $g)
        (func (export "init") (param i32 i32 i32)
            (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
        (func (export "table-init") (param i32 i32 i32)
            (table.init $e (local.get 0) (local.get 1) (local.get 2)))
        (func (export "grow") (param i32) (result i32) (table.grow (ref.func $f) (local.get 0))))"#
    );
    let engine = Engine::default();
    let module = Module::new(&engine, module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    (store, instance, bytes)
}

#[test]
fn long_segments() {
    let (mut store, instance, bytes) = with_segments();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let init: Three = instance.get_typed_func(&mut store, "init").unwrap();
    let len = bytes.len() - 3;
    init.call(&mut store, (7, 3, len as i32)).unwrap();
    assert!(memory.data(&store)[7..7 + len] == bytes[3..] && memory.data(&store)[..7] == [0; 7]);
    for (at, from, len) in [(0, 4, len), ((100 << 16) - 9, 0, 10), (0, bytes.len() + 1, 0)] {
        let error = init.call(&mut store, (at, from as i32, len as i32)).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
    }
    assert!(memory.data(&store)[7..7 + len] == bytes[3..]);

    let table = instance.get_table(&mut store, "table").unwrap();
    let grow: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "grow").unwrap();
    let init: Three = instance.get_typed_func(&mut store, "table-init").unwrap();
    assert_eq!(grow.call(&mut store, 400_000).unwrap(), 10);
    assert_eq!(grow.call(&mut store, 0).unwrap(), 400_010);
    assert_eq!(grow.call(&mut store, 9_999_999).unwrap(), -1);
    let func =
        |store: &mut Store<()>, at: u64| table.get(store, at).unwrap().unwrap_func().copied();
    assert!(func(&mut store, 9).is_none() && func(&mut store, 10).is_some());
    assert_eq!(func(&mut store, 10), func(&mut store, 400_009));
    let f = func(&mut store, 10);
    init.call(&mut store, (20, 1, 299_999)).unwrap();
    for (at, is_f) in [(19, true), (20, false), (21, true), (300_018, false), (300_019, true)] {
        assert_eq!(func(&mut store, at) == f, is_f, "{at}");
    }
    for (at, from, len) in [(0, 2, 299_999), (400_009, 0, 2), (0, 300_001, 0)] {
        let error = init.call(&mut store, (at, from, len)).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::TableOutOfBounds));
    }
}

#[test]
fn a_long_grow_is_stopped_inside() {
    for _ in 1..=20 {
        let (mut store, instance, _) = with_segments();
        let table = instance.get_table(&mut store, "table").unwrap();
        let grow: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "grow").unwrap();
        let handle = store.interrupt_handle().unwrap();
        let stopper = std::thread::spawn(move || while !handle.interrupt() {});
        let error = grow.call(&mut store, 9_000_000);
        let size = table.size(&store);
        if error.is_ok() {
            // Too late; there has to be something to stop.
            let engine = store.engine().clone();
            let spin =
                Module::new(&engine, r#"(module (func (export "f") (loop (br 0))))"#).unwrap();
            let spin = Instance::new(&mut store, &spin, &[]).unwrap();
            let spin = spin.get_typed_func::<(), ()>(&mut store, "f").unwrap();
            spin.call(&mut store, ()).unwrap_err();
        }
        stopper.join().unwrap();
        let Err(error) = error else { continue };
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
        if size > 10 && table.get(&mut store, size - 1).unwrap().is_null() {
            return;
        }
    }
    panic!("no growth was stopped inside");
}
