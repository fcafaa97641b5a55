//! Conversions between floats and unsigned 64-bit integers, which are partly done by stubs, and entirely
//! where code is dense: at all borders, with the right trap at the right operator and the right fuel.

use runwell::{Config, Engine, Func, Instance, Module, Store, Trap, Val, WasmBacktrace};

/// Conversions back and forth that make a function dense.
const CHAIN: usize = 800;

/// A function `f` whose last operator is `op`, the first on its parameter, behind `chain`. The last bytes of
/// the module are those of that operator, and an `end`.
fn module(chain: &str, param: &str, op: &str, result: &str) -> String {
    format!(
        r#"(module (global $kept (mut f64) (f64.const 7)) (func (export "f") (param {param}) (result {result})
            global.get 0 {chain} global.set 0
            local.get 0 {op}))"#
    )
}

struct Guest {
    store: Store<()>,
    func: Func,
    /// Where its last operator is.
    at: usize,
}

const FUEL: u64 = 1_000_000;

impl Guest {
    fn new(chain: &str, param: &str, op: &str, result: &str) -> Guest {
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let text = module(chain, param, op, result).replace("$kept ", "");
        let wasm = wat::parse_str(text).unwrap();
        // Saturating operators have a prefix.
        let at = wasm.len() - if op.contains("sat") { 3 } else { 2 };
        let module = Module::new(&engine, &wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let func = instance.get_func(&mut store, "f").unwrap();
        Guest { store, func, at }
    }

    /// The result, or why and where it trapped; and the fuel that it took.
    fn call(&mut self, arg: Val) -> (Result<Val, (Trap, usize)>, u64) {
        self.store.set_fuel(FUEL).unwrap();
        let mut results = [Val::I32(0)];
        let outcome = self.func.call(&mut self.store, &[arg], &mut results);
        let outcome = outcome.map(|()| results[0]).map_err(|error| {
            let trace = error.downcast_ref::<WasmBacktrace>().unwrap();
            let at = trace.frames()[0].module_offset().unwrap();
            (*error.downcast_ref::<Trap>().unwrap(), at)
        });
        (outcome, FUEL - self.store.get_fuel().unwrap())
    }
}

/// Doubles around all borders, of both signs.
fn doubles() -> Vec<f64> {
    let powers = [0.0f64, 31.0, 32.0, 52.0, 53.0, 62.0, 63.0, 64.0, 65.0, 1023.0];
    let near =
        |x: f64| [x.next_down().next_down(), x.next_down(), x, x.next_up(), x.next_up().next_up()];
    let mut all: Vec<f64> = powers.iter().flat_map(|&power| near(power.exp2())).collect();
    all.extend([0.0, 0.5, 0.9999999, 1.5, 1e-310, 12345.678, 1.2345e19, f64::INFINITY]);
    all.extend([f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)]);
    all.iter().flat_map(|&x| [x, -x]).collect()
}

/// What a conversion of `x` gives: `least` and `end` are the integers' range.
fn trapping(x: f64, least: f64, end: f64) -> Result<f64, Trap> {
    match x.trunc() {
        whole if whole.is_nan() => Err(Trap::BadConversionToInteger),
        whole if whole < least || whole >= end => Err(Trap::IntegerOverflow),
        whole => Ok(whole),
    }
}

/// No chain, and one behind which code is dense: nothing makes these conversions shorter than what counts as
/// that.
fn chains() -> [String; 2] {
    [0, CHAIN].map(|n| "i64.trunc_f64_s f64.convert_i64_s ".repeat(n))
}

#[test]
fn floats_to_integers() {
    let exp = f64::exp2;
    // Operator, whether its operand is a single, its range, and its result from a number in range.
    type Make = fn(f64) -> Val;
    let ops: [(&str, bool, f64, f64, Make); 12] = [
        ("i64.trunc_f64_u", false, 0.0, exp(64.0), |x| Val::I64(x as u64 as i64)),
        ("i64.trunc_f32_u", true, 0.0, exp(64.0), |x| Val::I64(x as u64 as i64)),
        ("i64.trunc_f64_s", false, -exp(63.0), exp(63.0), |x| Val::I64(x as i64)),
        ("i64.trunc_f32_s", true, -exp(63.0), exp(63.0), |x| Val::I64(x as i64)),
        ("i32.trunc_f64_u", false, 0.0, exp(32.0), |x| Val::I32(x as u32 as i32)),
        ("i32.trunc_f32_u", true, 0.0, exp(32.0), |x| Val::I32(x as u32 as i32)),
        ("i32.trunc_f64_s", false, -exp(31.0), exp(31.0), |x| Val::I32(x as i32)),
        ("i32.trunc_f32_s", true, -exp(31.0), exp(31.0), |x| Val::I32(x as i32)),
        ("i64.trunc_sat_f64_u", false, 0.0, exp(64.0), |x| Val::I64(x as u64 as i64)),
        ("i64.trunc_sat_f32_u", true, 0.0, exp(64.0), |x| Val::I64(x as u64 as i64)),
        ("i32.trunc_sat_f64_u", false, 0.0, exp(32.0), |x| Val::I32(x as u32 as i32)),
        ("i64.trunc_sat_f64_s", false, -exp(63.0), exp(63.0), |x| Val::I64(x as i64)),
    ];
    for (op, single, least, end, make) in ops {
        let (param, result) = (if single { "f32" } else { "f64" }, &op[..3]);
        for chain in chains() {
            let mut guest = Guest::new(&chain, param, op, result);
            let mut fuel = None;
            for x in doubles() {
                let (x, arg) = match single {
                    true => (f64::from(x as f32), Val::F32((x as f32).to_bits())),
                    false => (x, Val::F64(x.to_bits())),
                };
                let wanted = match trapping(x, least, end) {
                    Ok(whole) => Ok(make(whole)),
                    // What `as` does is what is wanted.
                    Err(_) if op.contains("sat") => Ok(make(x)),
                    Err(trap) => Err((trap, guest.at)),
                };
                let (outcome, used) = guest.call(arg);
                let same = match (&outcome, &wanted) {
                    (Ok(a), Ok(b)) => format!("{a:?}") == format!("{b:?}"),
                    (a, b) => a.as_ref().err() == b.as_ref().err(),
                };
                assert!(same, "{op} of {x:e}: {outcome:?}, not {wanted:?}");
                // The operator that traps has been paid for.
                assert_eq!(*fuel.get_or_insert(used), used, "{op} of {x:e}");
            }
        }
    }
}

#[test]
fn integers_to_floats() {
    let borders = [0u32, 23, 24, 31, 39, 40, 52, 53, 62, 63];
    let around = |power: u32| {
        let x = 1u64 << power;
        // With ties, and a bit far below that decides them.
        let tie = x | x >> 24 | x >> 53;
        [x.wrapping_sub(1), x, x + 1, tie, tie | 1, tie.wrapping_sub(1), x | x >> 24 | 1]
    };
    let mut all: Vec<u64> = borders.into_iter().flat_map(around).collect();
    all.extend([
        u64::MAX,
        u64::MAX - 1,
        u64::MAX - 0x400,
        u64::MAX << 10,
        u64::MAX << 39,
        !0 << 40,
    ]);
    for chain in chains() {
        let mut double = Guest::new(&chain, "i64", "f64.convert_i64_u", "f64");
        let mut single = Guest::new(&chain, "i64", "f32.convert_i64_u", "f32");
        for &x in &all {
            let bits = |outcome: Result<Val, _>| match outcome {
                Ok(Val::F64(bits)) => bits,
                Ok(Val::F32(bits)) => u64::from(bits),
                other => panic!("{x}: {other:?}"),
            };
            let arg = || Val::I64(x as i64);
            assert_eq!(bits(double.call(arg()).0), (x as f64).to_bits(), "{x:#x}");
            assert_eq!(bits(single.call(arg()).0), u64::from((x as f32).to_bits()), "{x:#x}");
        }
    }
}

/// So many calls of the host, with conversions between them.
fn ticks(count: usize) -> impl FnMut(u64) -> (u64, bool) {
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let turns = "call 0 i64.trunc_f64_u f64.convert_i64_u ".repeat(count);
    let text = format!(
        r#"(module (import "" "tick" (func)) (global (mut f64) (f64.const 7))
            (func (export "f") global.get 0 {turns} global.set 0))"#
    );
    let module = Module::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, 0u64);
    let tick = Func::wrap(&mut store, |mut caller: runwell::Caller<'_, u64>| {
        *caller.data_mut() += 1;
    });
    let instance = Instance::new(&mut store, &module, &[tick.into()]).unwrap();
    let func = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
    move |fuel| {
        *store.data_mut() = 0;
        store.set_fuel(fuel).unwrap();
        let outcome = func.call(&mut store, ());
        if let Err(error) = &outcome {
            assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel), "{error:#}");
        }
        (*store.data(), outcome.is_ok())
    }
}

/// Where code is dense, charges are written another way. They take the same, and stop at the same places.
#[test]
fn fuel_where_code_is_dense() {
    let least = |call: &mut dyn FnMut(u64) -> (u64, bool), done: &dyn Fn((u64, bool)) -> bool| {
        (0..1000).find(|&fuel| done(call(fuel))).unwrap()
    };
    let mut few = ticks(3);
    let [first, second] = [1, 2].map(|n| least(&mut few, &|(ticks, _)| ticks >= n));
    let all = least(&mut few, &|(_, returned)| returned);
    let turn = second - first;
    const MANY: u64 = 400;
    let mut many = ticks(MANY as usize);
    let end = all + (MANY - 3) * turn;
    for fuel in 0..end + 5 {
        let ticks = if fuel < first { 0 } else { (1 + (fuel - first) / turn).min(MANY) };
        assert_eq!(many(fuel), (ticks, fuel >= end), "with {fuel} units of fuel");
    }
}
