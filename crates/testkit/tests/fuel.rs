//! Fuel is what a plain count of operators gives, wherever the guest stops, and in slices of any size.
//!
//! The count is kept by the guest itself ([`runwell_testkit::count`]), which runs as unmetered machine code
//! and by the meaning of the IR. Then for N from 0 to the total, and for some where the total is large, a call
//! with N units that gets the rest when it has none left must end as one that has all of them from the start:
//! results, traps, fuel, and the hash of the state, in which memories, globals and tables are.

use runwell::{
    Config, Engine, Instance, Module, OperatorClass, ResumableCall, Schedule, StateHash, Store,
    Trap, Val, ValType,
};
use runwell_abi::TrapCode;
use runwell_ir::eval::Stop;
use runwell_testkit::count::{COUNTER, counting};
use runwell_testkit::{Rng, generate, oracle};

fn engine(schedule: Option<Schedule>, guarded: bool) -> Engine {
    let mut config = Config::new();
    config.parallel_compilation(false).guarded_memories(guarded).verify(true);
    if let Some(schedule) = schedule {
        config.fuel_schedule(schedule);
    }
    Engine::new(&config).unwrap()
}

fn argument(rng: &mut Rng, ty: ValType) -> Option<Val> {
    let bits = rng.next_u64() >> (rng.next_u64() % 64);
    Some(match ty {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32((bits as f32).to_bits()),
        ValType::F64 => Val::F64((bits as f64).to_bits()),
        _ => return None,
    })
}

/// How a call ended: its results as text, or the trap.
type End = Result<String, Trap>;

struct Run {
    store: Store<()>,
    instance: Instance,
    /// What instantiation has used.
    used: u64,
}

const PLENTY: u64 = 1 << 62;
/// Instructions that the evaluator follows a call for.
const STEPS: u64 = 4_000_000;
/// Totals up to which a call is cut at every unit.
const ALL_CUTS: u64 = 400;
/// Cuts of a call that uses more.
const SOME_CUTS: usize = 12;
/// Calls of a module that are cut.
const CUT_CALLS: usize = 3;

fn start(module: &Module) -> Option<Run> {
    let mut store = Store::new(module.engine(), ());
    let metered = store.set_fuel(PLENTY).is_ok();
    let instance = Instance::new(&mut store, module, &[]).ok()?;
    let used = if metered { PLENTY - store.get_fuel().unwrap() } else { 0 };
    Some(Run { store, instance, used })
}

/// The state, without the fuel that somebody has given.
fn state(run: &mut Run) -> StateHash {
    run.store.set_fuel(0).unwrap();
    run.store.state_hash()
}

/// The count by the meaning of the IR, as long as it can follow.
struct Evaluated(Option<oracle::Instance>);

fn bits(val: &Val) -> u64 {
    match *val {
        Val::I32(v) => u64::from(v as u32),
        Val::I64(v) => v as u64,
        Val::F32(v) => v.into(),
        Val::F64(v) => v,
        _ => unreachable!("arguments are numbers"),
    }
}

impl Evaluated {
    fn counter(&self) -> Option<u64> {
        let instance = self.0.as_ref()?;
        Some(instance.raw_global(instance.info().globals.len() - 1))
    }

    /// Calls, and says what that cost; whether it trapped has to be as wanted.
    fn call(&mut self, name: &str, params: &[Val], wanted: &End) -> Option<u64> {
        let before = self.counter()?;
        let params: Vec<u64> = params.iter().map(bits).collect();
        match self.0.as_mut()?.call(name, &params, STEPS) {
            Err(Stop::Steps | Stop::Trap(TrapCode::StackOverflow)) => {
                self.0 = None;
                None
            }
            result => {
                assert_eq!(result.is_ok(), wanted.is_ok(), "{name}: {result:?}, {wanted:?}");
                Some(self.counter()? - before)
            }
        }
    }
}

impl Run {
    fn call(&mut self, name: &str, params: &[Val]) -> Option<End> {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        match func.call(&mut self.store, params, &mut results) {
            Ok(()) => Some(Ok(format!("{results:?}"))),
            Err(error) => match error.downcast_ref::<Trap>() {
                // How deep guests may call depends on frames, which counting changes.
                Some(Trap::StackOverflow) => None,
                Some(&trap) => Some(Err(trap)),
                None => panic!("{error:#}"),
            },
        }
    }

    /// Calls with `first` units, then with `more` until it ends; the fuel left at last.
    fn call_in_slices(&mut self, name: &str, params: &[Val], first: u64, more: u64) -> (End, u64) {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        self.store.set_fuel(first).unwrap();
        let mut call = func.call_resumable(&mut self.store, params, &mut results);
        let mut given = first;
        loop {
            match call {
                Ok(ResumableCall::Finished) => {
                    return (Ok(format!("{results:?}")), given - self.store.get_fuel().unwrap());
                }
                Ok(ResumableCall::Suspended(suspended)) => {
                    assert!(suspended.needs_fuel());
                    let left = self.store.get_fuel().unwrap();
                    assert!(left <= given);
                    self.store.set_fuel(left + more).unwrap();
                    given += more;
                    call = suspended.resume(&mut self.store, &mut results);
                }
                Err(error) => {
                    let trap = *error.downcast_ref::<Trap>().expect("a trap");
                    return (Err(trap), given - self.store.get_fuel().unwrap());
                }
            }
        }
    }
}

/// What has been looked at.
#[derive(Default, Debug)]
struct Looked {
    calls: usize,
    evaluated: usize,
    traps: usize,
    cuts: usize,
}

/// Where a call that uses so much is cut.
fn cuts(used: u64, rng: &mut Rng) -> Vec<u64> {
    if used <= ALL_CUTS {
        return (0..=used + 1).collect();
    }
    let mut cuts = vec![0, 1, used - 1, used, used + 1];
    cuts.extend((0..SOME_CUTS).map(|_| rng.next_u64() % used));
    cuts
}

/// Compares everything for one module.
fn compare(wasm: &[u8], schedule: Schedule, rng: &mut Rng, looked: &mut Looked) {
    let guarded = rng.next_u64().is_multiple_of(2);
    let metered = Module::new(&engine(Some(schedule), guarded), wasm).unwrap();
    let counting = counting(wasm, schedule).unwrap();
    let counted = Module::new(&engine(None, guarded), &counting).unwrap();
    let (Some(mut run), Some(mut count)) = (start(&metered), start(&counted)) else { return };
    // Without exports nothing can be called.
    let Some(counter) = count.instance.get_global(&mut count.store, COUNTER) else { return };
    let mut evaluated = Evaluated(oracle::Instance::new(&counting, STEPS).ok());
    let executed = counter.get(&mut count.store).unwrap_i64() as u64;
    assert_eq!(run.used, executed, "the start function");
    assert!(evaluated.counter().is_none_or(|counted| counted == executed), "the start function");
    let names: Vec<String> = run
        .instance
        .exports(&mut run.store)
        .filter(|export| export.clone().into_extern().into_func().is_some())
        .map(|export| export.name().to_string())
        .collect();
    let mut before: Vec<(String, Vec<Val>)> = Vec::new();
    for name in names {
        let func = run.instance.get_func(&mut run.store, &name).unwrap();
        let ty = func.ty(&run.store);
        let Some(params) = ty.params().map(|ty| argument(rng, ty)).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let counted = counter.get(&mut count.store).unwrap_i64();
        run.store.set_fuel(PLENTY).unwrap();
        let Some(wanted) = count.call(&name, &params) else { return };
        let Some(end) = run.call(&name, &params) else { return };
        assert_eq!(format!("{end:?}"), format!("{wanted:?}"), "{name}");
        let used = PLENTY - run.store.get_fuel().unwrap();
        let executed = (counter.get(&mut count.store).unwrap_i64() - counted) as u64;
        assert_eq!(used, executed, "{name} of {params:?}: {end:?}");
        if let Some(executed) = evaluated.call(&name, &params, &end) {
            assert_eq!(used, executed, "{name} of {params:?}: {end:?}, by the evaluator");
            looked.evaluated += 1;
        }
        looked.calls += 1;
        looked.traps += usize::from(end.is_err());
        if before.len() < CUT_CALLS {
            let whole = state(&mut run);
            looked.cuts += cut(&metered, &before, (&name, &params), (&end, used, whole), rng);
        }
        before.push((name, params));
    }
}

/// Cuts a call, in fresh instances that are brought to the same state by the same calls; says how often.
fn cut(
    metered: &Module,
    before: &[(String, Vec<Val>)],
    (name, params): (&str, &[Val]),
    (wanted, used, whole): (&End, u64, StateHash),
    rng: &mut Rng,
) -> usize {
    let mut ways: Vec<(u64, u64)> =
        cuts(used, rng).into_iter().map(|first| (first, PLENTY)).collect();
    // In many slices; and one unit after the other, where that is not too long.
    ways.extend([0, used / 3, used / 2].map(|first| (first, 1 + used / 7)));
    if used <= ALL_CUTS {
        ways.push((0, 1));
    }
    for &(first, more) in &ways {
        let mut sliced = start(metered).unwrap();
        for (name, params) in before {
            sliced.store.set_fuel(PLENTY).unwrap();
            sliced.call(name, params);
        }
        let (end, spent) = sliced.call_in_slices(name, params, first, more);
        assert_eq!(format!("{end:?}"), format!("{wanted:?}"), "{name} from {first} by {more}");
        assert_eq!(spent, used, "{name} from {first} by {more}");
        assert_eq!(state(&mut sliced), whole, "{name} from {first} by {more}");
    }
    ways.len()
}

#[test]
fn fuel_is_a_count_of_operators() {
    let costly = Schedule::default()
        .with(OperatorClass::Load, 7)
        .and_then(|s| s.with(OperatorClass::Divide, 40))
        .and_then(|s| s.with(OperatorClass::Simple, 0))
        .and_then(|s| s.with(OperatorClass::Structure, 3))
        .and_then(|s| s.with(OperatorClass::Call, 60_000))
        .unwrap();
    let (mut looked, mut modules) = (Looked::default(), 0);
    for seed in 0..2500 {
        let mut rng = Rng(seed);
        let bytes = rng.bytes(600 + 40 * (seed as usize % 80));
        let Some(wasm) = generate::module(&bytes) else { continue };
        let schedule = if seed % 3 == 0 { costly } else { Schedule::default() };
        // Shown when the test fails: the last one is the culprit.
        println!("seed {seed}");
        compare(&wasm, schedule, &mut rng, &mut looked);
        modules += 1;
    }
    println!("{modules} modules, {looked:?}");
    assert!(modules > 1000 && looked.calls > 1500, "{modules} modules, {looked:?}");
    let returned = looked.calls - looked.traps;
    assert!(looked.evaluated > 1500 && returned > 400 && looked.traps > 400, "{looked:?}");
    assert!(looked.cuts > 30_000, "{looked:?}");
}

/// Operators that hand on many values, each kind of label, and a function of many locals. Exported
/// functions take what `compare` can make up.
const WIDE: &str = r#"(module
    (type $many (func (result i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64)))
    (type $through (func
        (param i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64)
        (result i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64)))
    (type $away (func (param i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64)))
    (memory 1)
    (table funcref (elem $make $same))
    (global $turns (mut i32) (i32.const 0))
    (func $make (type $many)
        i32.const 1 i64.const 2 i32.const 3 i64.const 4 i32.const 5 i64.const 6 i32.const 7 i64.const 8
        i32.const 9 i64.const 10 i32.const 11 i64.const 12 i32.const 13 i64.const 14 i32.const 15
        i64.const 16 i32.const 17 i64.const 18)
    (func $same (type $through)
        local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 local.get 6 local.get 7
        local.get 8 local.get 9 local.get 10 local.get 11 local.get 12 local.get 13 local.get 14
        local.get 15 local.get 16 local.get 17 return)
    (func $tail (type $through)
        local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 local.get 6 local.get 7
        local.get 8 local.get 9 local.get 10 local.get 11 local.get 12 local.get 13 local.get 14
        local.get 15 local.get 16 local.get 17 return_call $same)
    (func $drop (type $away)
        (i64.store (i32.and (local.get 0) (i32.const 1023)) (local.get 17)))
    (func (export "calls") (param $n i32)
        (loop $again
            (call $drop (call_indirect (type $through) (call $tail (call $make)) (i32.const 1)))
            (br_if $again (i32.gt_s
                (local.tee $n (i32.sub (i32.and (local.get $n) (i32.const 15)) (i32.const 1)))
                (i32.const 0)))))
    (func (export "labels") (param $n i32)
        (global.set $turns (i32.and (local.get $n) (i32.const 7)))
        (call $make)
        (loop $again (type $through)
            (global.set $turns (i32.sub (global.get $turns) (i32.const 1)))
            (br_if $again (i32.gt_s (global.get $turns) (i32.const 0))))
        (block $out (type $through)
            (br_if $out (i32.and (local.get $n) (i32.const 1)))
            (block $in (type $through)
                (br_table $out $in $in (local.get $n))))
        (if (type $through) (i32.and (local.get $n) (i32.const 2))
            (then (br 0))
            (else (call $same)))
        (call $drop))
    (func (export "locals") (param $n i32) (result i32)
        (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32)
        (if (i32.eqz (local.get $n)) (then (return (i32.const 3))))
        (i32.load (local.get $n)))
    (func (export "traps at once") (local i64 i64 i64 i64 i64 i64 i64 i64) unreachable)
    (func (export "many at once") (type $many) (call $make)))"#;

#[test]
fn what_moves_many_values_costs_by_them() {
    let wasm = wat::parse_str(WIDE).unwrap();
    let dear = Schedule::default().with(OperatorClass::Structure, 2).unwrap();
    let mut looked = Looked::default();
    for seed in 0..30 {
        let schedule = if seed % 2 == 0 { Schedule::default() } else { dear };
        compare(&wasm, schedule, &mut Rng(seed), &mut looked);
    }
    assert_eq!((looked.calls, looked.evaluated), (30 * 5, 30 * 5), "{looked:?}");
    // By hand: a call of 18 results that is dropped at home, and the end of a function of as many.
    let engine = engine(Some(Schedule::default()), true);
    let mut run = start(&Module::new(&engine, &wasm).unwrap()).unwrap();
    run.store.set_fuel(1000).unwrap();
    run.call("many at once", &[]).unwrap().unwrap();
    // The call and two ends hand on 18 values each, which is two units, and there are 18 constants.
    assert_eq!(1000 - run.store.get_fuel().unwrap(), (1 + 2) + (18 + 2) + 2);
    // 8 locals, which are set to zero before the guest traps.
    run.store.set_fuel(1000).unwrap();
    assert_eq!(run.call("traps at once", &[]), Some(Err(Trap::UnreachableCodeReached)));
    assert_eq!(run.store.get_fuel().unwrap(), 999);
}

/// A function of many branch tables that all name the same labels, blocks and loops, with operators in
/// between that others can see, or that trap.
fn tables(rng: &mut Rng) -> String {
    const LABELS: usize = 14;
    let mut text = "(module (memory 1) (global $seen (export \"seen\") (mut i32) (i32.const 0))
        (func (export \"tables\") (param $n i32) (local $turns i32) (loop $again
        (br_if 1 (i32.gt_u (local.get $turns) (i32.const 20)))
        (local.set $turns (i32.add (local.get $turns) (i32.const 1)))"
        .to_string();
    for label in 0..LABELS {
        let kind = if label % 5 == 4 { "loop" } else { "block" };
        text += &format!("({kind} $l{label} ");
        if kind == "loop" {
            text += "(br_if $again (i32.gt_u (local.get $turns) (i32.const 18)))
                (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
                (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 5)) (i32.const 3)))";
        }
    }
    for table in 0..24u32 {
        text += match rng.below(4) {
            0 => "(global.set $seen (i32.add (global.get $seen) (i32.const 1)))",
            1 => "(drop (i32.div_u (i32.const 100) (i32.and (local.get $n) (i32.const 15))))",
            2 => "(br_if $l0 (i32.eq (local.get $n) (i32.const 7))) (nop)",
            _ => "(i32.store (i32.and (local.get $n) (i32.const 1023)) (local.get $turns))",
        };
        text += &format!(
            "(if (i32.eq (i32.and (local.get $n) (i32.const 31)) (i32.const {table}))
                (then (br_table "
        );
        // The loop around all of this, and the function's own label, too.
        (0..LABELS as u32 + 2).for_each(|label| text += &format!("{} ", (label * 7 + table) % 17));
        text += &format!("(i32.shr_u (local.get $n) (i32.const {})))))", table % 24);
    }
    for label in 0..LABELS {
        text += ")";
        (0..rng.below(4)).for_each(|_| text += "(drop (i32.popcnt (local.get $n)))");
        if rng.one_in(2) {
            text += "(global.set $seen (i32.mul (global.get $seen) (i32.const 3)))";
        }
        text += &format!("(local.set $n (i32.add (local.get $n) (i32.const {label})))");
    }
    text + "(br $again))))"
}

/// Where branch tables name the same labels over and over, these settle: see `runwell_wasm::meter`.
#[test]
fn tables_that_repeat_their_labels_cost_what_they_execute() {
    let mut looked = Looked::default();
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let text = tables(&mut rng);
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        compare(&wasm, Schedule::default(), &mut rng, &mut looked);
    }
    println!("{looked:?}");
    assert_eq!((looked.calls, looked.evaluated), (60, 60), "{looked:?}");
    assert!(looked.traps > 3 && looked.traps < 57 && looked.cuts > 1000, "{looked:?}");
}
