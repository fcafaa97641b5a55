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
