//! What differs is noticed: somebody in between changes what the evaluator is told.

use super::*;
use runwell::{Caller, Engine, Extern, Linker, Module};

const MODULE: &str = r#"(module
    (import "host" "fill" (func $fill (param i32) (result i32)))
    (memory (export "memory") 2)
    (table 4 funcref)
    (elem (i32.const 1) $f)
    (global $count (mut i64) (i64.const 0))
    (func $f)
    (func (export "run") (param $n i32) (result i32)
        (local $sum i32)
        (loop
            (local.set $sum (i32.add (local.get $sum) (call $fill (i32.mul (local.get $n) (i32.const 64)))))
            (i32.store (i32.const 2000) (local.get $sum))
            (i32.store (i32.const 70000) (i32.load (i32.const 64)))
            (global.set $count (i64.add (global.get $count) (i64.const 1)))
            (table.set (i32.const 2) (ref.func $f))
            (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

/// Makes other events of each.
struct Meddler<F>(Lockstep, F);

impl<F: FnMut(Event) -> Vec<Event> + Send + 'static> Observer for Meddler<F> {
    fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
        (self.1)(event.clone()).iter().try_for_each(|event| self.0.event(event, view))
    }
}

fn run(meddle: impl FnMut(Event) -> Vec<Event> + Send + 'static) -> (Result<i32>, Summary) {
    let engine = Engine::default();
    let module = Module::new(&engine, MODULE).expect("a module");
    let mut linker = Linker::new(&engine);
    let fill = |mut caller: Caller<'_, u32>, at: u32| {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return 0 };
        *caller.data_mut() += 3;
        let value = *caller.data();
        memory.data_mut(&mut caller)[at as usize] = value as u8;
        value
    };
    linker.func_wrap("host", "fill", fill).expect("a name");
    let mut store = Store::new(&engine, 0);
    let check = Check::default();
    let lockstep = Lockstep::new(check.clone());
    store.observe(Meddler(lockstep, meddle)).expect("an empty store");
    let result = linker.instantiate(&mut store, &module).and_then(|instance| {
        instance.get_typed_func::<i32, i32>(&mut store, "run")?.call(&mut store, 5)
    });
    (result, check.summary())
}

fn difference(meddle: impl FnMut(Event) -> Vec<Event> + Send + 'static) -> Difference {
    let (result, summary) = run(meddle);
    let error = result.expect_err("a difference");
    let found = error.downcast_ref::<Difference>().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(summary.difference.as_ref(), Some(found));
    found.clone()
}

#[test]
fn what_is_the_same_is_compared_to_the_end() {
    let (result, summary) = run(|event| vec![event]);
    assert_eq!(result.expect("a result"), 3 + 6 + 9 + 12 + 15);
    assert_eq!(summary, Summary { compared: 6, ended: None, difference: None });
}

#[test]
fn arguments() {
    let mut calls = 0;
    let found = difference(move |mut event| {
        if let Event::HostCall { args, .. } = &mut event {
            calls += 1;
            if calls == 3 {
                args[0] = Value::I32(1);
            }
        }
        vec![event]
    });
    assert_eq!(found.at, "comparison 3, an import call");
    assert_eq!(found.machine, ["calls `host::fill`(1)"]);
    assert_eq!(found.evaluator, ["calls `host::fill`(192)"]);
}

#[test]
fn results() {
    let found = difference(|event| {
        vec![match event {
            Event::Done { fuel, .. } => {
                Event::Done { outcome: Outcome::Values(vec![Value::I32(7)]), fuel }
            }
            event => event,
        }]
    });
    assert_eq!(found.what, "the end of the call");
    let found = difference(|event| {
        vec![match event {
            Event::Done { fuel, .. } => {
                Event::Done { outcome: Outcome::Trap(Trap::IntegerOverflow), fuel }
            }
            event => event,
        }]
    });
    assert!(found.machine[0].contains("overflow"), "{found}");
}

/// The evaluator is not told what the host wrote, or is told something else.
#[test]
fn memories() {
    let found = difference(|event| match event {
        Event::MemoryWrite { .. } => vec![],
        event => vec![event],
    });
    assert!(found.what.starts_with("memory 0 "), "{found}");
    let found = difference(|mut event| {
        if let Event::MemoryWrite { at: 64, bytes, .. } = &mut event {
            bytes[0] ^= 1;
        }
        vec![event]
    });
    assert_eq!(found.what, "memory 0 from 0x40 on", "{found}");
    assert!(found.to_string().lines().count() == 3, "{found}");
}

#[test]
fn answers() {
    let found = difference(|event| {
        vec![match event {
            Event::HostDone(_) => Event::HostDone(Outcome::Values(vec![Value::I32(1000)])),
            event => event,
        }]
    });
    assert_eq!(found.what, "memory 0 from 0x7d0 on", "{found}");
    let found = difference(|event| {
        vec![match event {
            Event::HostDone(_) => Event::HostDone(Outcome::Error("no".into())),
            event => event,
        }]
    });
    assert!(found.evaluator[0].contains("host's error"), "{found}");
}

/// The evaluator is told of what did not happen.
#[test]
fn globals_and_tables() {
    let fill = |value| Event::TableFill { table: 0, at: 3, value: Value::Func(value), len: 1 };
    let func = RefId::Func { instance: 0, func: 1 };
    let count = Event::GlobalSet { global: 0, value: Value::I64(77) };
    for (told, what) in [(count, "globals"), (fill(func), "element 3 of table 0")] {
        let mut told = Some(told);
        let found = difference(move |event| match event {
            Event::HostDone(_) => told.take().into_iter().chain([event]).collect(),
            event => vec![event],
        });
        assert_eq!(found.what, what, "{found}");
    }
    // Null is what is there already.
    let mut told = Some(fill(RefId::Null));
    let (_, summary) = run(move |event| match event {
        Event::HostDone(_) => told.take().into_iter().chain([event]).collect(),
        event => vec![event],
    });
    assert_eq!(summary, Summary { compared: 6, ended: None, difference: None });
}

#[test]
fn what_cannot_be_followed_ends_it() {
    let (result, summary) = run(|event| match event {
        Event::Invoke { .. } => vec![Event::Limited, event],
        event => vec![event],
    });
    assert!(result.is_ok());
    assert_eq!((summary.compared, summary.difference), (0, None));
    assert!(summary.ended.expect("a reason").contains("limiter"));
}
