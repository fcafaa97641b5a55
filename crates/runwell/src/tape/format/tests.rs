//! Logs survive the round trip, torn ones are read to their end, damaged ones do no harm.

use super::*;
use crate::Trap;
use crate::state::StateHash;
use crate::state::refs::RefId;
use crate::tape::event::{Import, Outcome, Setup, Value, Wait};
use crate::types::{FuncType, GlobalType, MemoryType, Mutability, RefType, TableType, ValType};
use std::io::Cursor;

fn events() -> Vec<Event> {
    let func = RefId::Func { instance: 1, func: 70_000 };
    let values = vec![
        Value::I32(u32::MAX),
        Value::I64(u64::MAX),
        Value::F32(0x7fc0_0000),
        Value::F64(1 << 63),
        Value::V128(u128::MAX - 5),
        Value::Func(func),
        Value::Func(RefId::Host(3)),
        Value::Extern(RefId::Object(1 << 40)),
        Value::Extern(RefId::Null),
    ];
    let outcomes = [
        Outcome::Values(values.clone()),
        Outcome::Trap(Trap::IntegerOverflow),
        Outcome::Error("no such file".to_string()),
        Outcome::Suspend,
    ];
    let funcref = TableType::new(RefType::FUNCREF, 3, Some(9));
    let ty = FuncType::of([ValType::I32, ValType::F64], [ValType::V128, ValType::EXTERNREF]);
    let mut events = vec![
        Event::Start(Setup { settings: vec![("fuel".to_string(), 1 << 50)] }),
        Event::Module((*b"\0asm").into()),
        Event::NewMemory(MemoryType::new64(1, None)),
        Event::NewTable(funcref, Value::Func(func)),
        Event::NewGlobal(GlobalType::new(ValType::I64, Mutability::Var), Value::I64(4)),
        Event::NewHostFunc(ty),
        Event::NewObject,
        Event::Limited,
        Event::Instantiate {
            module: 0,
            imports: vec![
                Import::Func(func),
                Import::Memory(1),
                Import::Table(300),
                Import::Global(3),
            ],
        },
        Event::MemoryGrow { memory: 0, delta: u64::MAX },
        Event::MemoryWrite { memory: 2, at: 1 << 33, bytes: vec![1, 2, 3] },
        Event::TableGrow { table: 0, delta: 1, init: Value::Func(RefId::Null) },
        Event::TableFill { table: 0, at: 1, value: Value::Func(func), len: 2 },
        Event::TableCopy { to: 0, at: 1, table: 2, from: 3, len: 4 },
        Event::GlobalSet { global: 0, value: Value::I64(5) },
        Event::SetFuel(1_000_000),
        Event::Answer(Ok(true)),
        Event::Answer(Err("too much".to_string())),
        Event::Invoke { func, args: values.clone(), resumable: false },
        Event::Invoke { func, args: Vec::new(), resumable: true },
        Event::Suspended { wait: Wait::Fuel, fuel: Some(3) },
        Event::Suspended { wait: Wait::Answer, fuel: None },
        Event::Resume { answer: values.clone() },
        Event::Cancel,
        Event::HostCall { func: 9, args: values, fuel: None },
        Event::Panicked,
        Event::End { hash: StateHash([7; 32]), note: b"0".to_vec() },
    ];
    for outcome in outcomes {
        events.push(Event::Instantiated(outcome.clone()));
        events.push(Event::Done { outcome: outcome.clone(), fuel: Some(12) });
        events.push(Event::HostDone(outcome));
    }
    events
}

fn log() -> Vec<u8> {
    let mut log = head();
    events().iter().for_each(|event| log.extend(encode(event)));
    log
}

fn read(log: Vec<u8>) -> Result<(Vec<Event>, bool), LogError> {
    let mut reader = LogReader::new(Cursor::new(log))?;
    let mut events = Vec::new();
    while let Some(event) = reader.next()? {
        events.push(event);
    }
    Ok((events, reader.is_torn()))
}

#[test]
fn events_survive_the_round_trip() {
    assert_eq!(read(log()), Ok((events(), false)));
}

#[test]
fn a_torn_log_is_read_to_its_end() {
    let (log, all) = (log(), events());
    for len in head().len()..log.len() {
        let (found, torn) = read(log[..len].to_vec()).expect("a log");
        assert_eq!(found, all[..found.len()], "{len}");
        // Torn, unless it ends exactly behind an event.
        let end = head().len() + found.iter().map(|e| encode(e).len()).sum::<usize>();
        assert_eq!(torn, end != len, "{len}");
    }
}

#[test]
fn damage_is_an_error_or_another_event() {
    let log = log();
    for at in 0..log.len() {
        for bit in 0..8 {
            let mut damaged = log.clone();
            damaged[at] ^= 1 << bit;
            let outcome = read(damaged);
            match at {
                0..12 => assert_eq!(outcome, Err(LogError::NotALog)),
                12 => assert!(outcome.is_err()),
                _ => assert_ne!(outcome, Ok((events(), false)), "{at} {bit}"),
            }
        }
    }
}

#[test]
fn lengths_are_not_believed() {
    let mut log = head();
    log.extend([0xff; 9]);
    log.push(1);
    assert_eq!(read(log), Ok((vec![], true)));
}
