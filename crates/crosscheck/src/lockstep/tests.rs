//! What differs is noticed: somebody in between changes what the evaluator is told.

use super::*;
use runwell::tape::{RefId, Value};
use runwell::{Caller, Config, Engine, Extern, Linker, Module};

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

const GROWING: &str = r#"(module (memory 1 3)
    (func (export "run") (param i32) (result i32)
        (drop (memory.grow (local.get 0)))
        (i32.store (i32.const 0) (i32.const 1))
        (i32.add (memory.grow (i32.const 1)) (memory.grow (i32.const 1)))))"#;

/// Calls `run` with 1 where an observer meddles, with this much fuel, if any.
fn observed(
    text: &str,
    fuel: Option<u64>,
    meddle: impl FnMut(Event) -> Vec<Event> + Send + 'static,
) -> (Result<i32>, Summary) {
    let engine = Engine::new(Config::new().consume_fuel(fuel.is_some())).expect("an engine");
    let module = Module::new(&engine, text).expect("a module");
    let mut store = Store::new(&engine, ());
    if let Some(fuel) = fuel {
        store.set_fuel(fuel).expect("a metered store");
    }
    let check = Check::default();
    store.observe(Meddler(Lockstep::new(check.clone()), meddle)).expect("an empty store");
    let linker = Linker::new(&engine);
    let result = linker.instantiate(&mut store, &module).and_then(|instance| {
        instance.get_typed_func::<i32, i32>(&mut store, "run")?.call(&mut store, 1)
    });
    (result, check.summary())
}

#[test]
fn limiters() {
    let what =
        |(_, summary): (Result<i32>, Summary)| summary.difference.map(|difference| difference.what);
    assert_eq!(what(observed(GROWING, None, |event| vec![event])), None);
    // One that the machine does not have and that says this. It is asked once for each growth, and once
    // more where one fails all the same.
    let limited = |answers: &'static [bool]| {
        what(observed(GROWING, None, move |event| match event {
            Event::Invoke { .. } => vec![Event::Limited, event],
            Event::Done { .. } => {
                answers.iter().map(|&answer| Event::Answer(Ok(answer))).chain([event]).collect()
            }
            event => vec![event],
        }))
    };
    assert_eq!(limited(&[true, true, true, false]), None);
    let limiter = Some("the limiter".to_string());
    assert_eq!(limited(&[]), limiter);
    assert_eq!(limited(&[true; 2]), limiter);
    assert_eq!(limited(&[true; 5]), limiter);
    assert_eq!(limited(&[false, true, true]), Some("the end of the call".to_string()));
}

const COSTLY: &str = r#"(module (memory 1) (global $g (mut i32) (i32.const 0))
    (func (export "run") (param $n i32) (result i32)
        (i32.store (i32.const 0) (i32.const 1))
        (loop
            (global.set $g (i32.add (global.get $g) (i32.const 3)))
            (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))
        (global.get $g)))"#;

#[test]
fn fuel_that_runs_out() {
    let (result, summary) = observed(COSTLY, Some(60), |event| vec![event]);
    assert_eq!(result.expect_err("a trap").downcast_ref(), Some(&Trap::OutOfFuel));
    assert_eq!(summary, Summary { compared: 1, ended: None, difference: None });
    // It has run out somewhere else, with what would have been left there; or has not.
    let what = |fuel: u64, meddle: fn(Event) -> Vec<Event>| {
        let (_, summary) = observed(COSTLY, Some(fuel), meddle);
        summary.difference.expect("a difference").what
    };
    let elsewhere = |event| match event {
        Event::Done { outcome, fuel: Some(left) } => {
            vec![Event::Done { outcome, fuel: Some(left + 4) }]
        }
        event => vec![event],
    };
    assert_eq!(what(60, elsewhere), "where fuel does not suffice");
    let far = |event| match event {
        Event::Done { outcome, .. } => vec![Event::Done { outcome, fuel: Some(49) }],
        event => vec![event],
    };
    assert_eq!(what(60, far), "globals");
    let returns = |event| match event {
        Event::Done { fuel, .. } => {
            vec![Event::Done { outcome: Outcome::Values(vec![Value::I32(60)]), fuel }]
        }
        event => vec![event],
    };
    assert_eq!(what(60, returns), "the fuel used");
    let runs_out = |event| match event {
        Event::Done { fuel, .. } => {
            vec![Event::Done { outcome: Outcome::Trap(Trap::OutOfFuel), fuel }]
        }
        event => vec![event],
    };
    assert_eq!(what(1000, runs_out), "the end of the call");
}

/// Somebody who stops a guest although there is enough: the evaluator sees that behind the stop.
#[test]
fn a_stop_for_fuel_that_need_not_be() {
    use crate::follower::{End, Report, Run, State};
    use crate::oracle::Reference;
    let ways = |used: u64, had: u64| {
        let evaluator = Evaluator::new(Some(runwell::Schedule::default()), 1 << 20);
        let Ok(evaluator) = evaluator else { panic!("there are threads") };
        let tell = |command| assert!(evaluator.tell(command).is_ok());
        tell(Command::Module(wat::parse_str(COSTLY).expect("a module").into()));
        tell(Command::Instantiate(0, Vec::new()));
        assert!(matches!(evaluator.report(), Ok(Report::Filled(Ok(()), _))));
        tell(Command::Invoke(Reference::Func { instance: 0, func: 0 }, vec![1], 0));
        tell(Command::Run(Run { used: Some(used), ..Run::default() }));
        let Ok(Report::Stopped(State { counted, .. })) = evaluator.report() else {
            panic!("it goes as far")
        };
        assert!(counted <= used);
        tell(Command::Give { used, up: Some(had) });
        let Ok(Report::Done(End::Failed, state)) = evaluator.report() else { panic!("it ends") };
        assert_eq!(state.counted, used);
        state.early
    };
    // A turn costs eleven units, of which some are behind.
    assert_eq!(ways(25, 25), None);
    let early = (26..50).find_map(|had| Some((had, ways(25, had)?))).expect("it can pay at last");
    assert_eq!(early.1, (early.0, early.0));
    assert!((1..=11).contains(&(early.0 - 25)), "{early:?}");
}
