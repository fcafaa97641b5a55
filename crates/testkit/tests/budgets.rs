//! Ceilings: what is over one is refused with the same words however many threads compile, what is
//! just below is not, and cheaper ways are counted.

use runwell_abi::{Arch, Features, Target};
use runwell_bombs::find;
use runwell_compiler::budget::{Ceiling, name};
use runwell_compiler::{
    Budget, Error, Fallback, Options, Pass, Report, Resource, compile, schedule, validate,
};
use runwell_testkit::{Nans, program};

fn options(budget: Budget, jobs: usize) -> Options {
    let target = Target { arch: Arch::X64, features: Features::default() };
    Options { jobs, budget, ..Options::new(target) }
}

/// Two modules put to the test: one of a few large functions, one of many small ones.
fn modules() -> [Vec<u8>; 2] {
    let small = find("tiny_funcs").expect("a family");
    [program::module(7, Nans::Seen), (small.make)(60_000)]
}

fn report(module: &[u8]) -> Report {
    compile(module, &options(Budget::DEFAULT, 1)).expect("an ordinary module").report
}

/// What compiling says with a budget, which must not depend on threads.
fn outcome(module: &[u8], budget: Budget) -> Option<Error> {
    let one = compile(module, &options(budget, 1)).err();
    for jobs in [2, 4] {
        assert_eq!(compile(module, &options(budget, jobs)).err(), one, "{jobs} threads");
    }
    one
}

/// The budget with which compiling must just succeed, made from a figure, and with one less fails.
#[track_caller]
fn edge(module: &[u8], what: &str, figure: u64, with: impl Fn(u64) -> Budget) -> Option<u32> {
    assert!(figure > 0, "{what}");
    assert_eq!(outcome(module, with(figure)), None, "{what}");
    match outcome(module, with(figure - 1)) {
        Some(Error::Limit { name, limit, func, offset }) => {
            assert_eq!((name, limit), (what, figure - 1));
            assert!(offset > 0 && offset < module.len(), "{offset}");
            func
        }
        other => panic!("{what}: {other:?}"),
    }
}

const fn flat(base: u64) -> Ceiling {
    Ceiling { per_unit: 0, base }
}

#[test]
fn ceilings_of_functions() {
    for module in modules() {
        // Without regard to size, so that the largest function is the worst.
        let mut budget = Budget::DEFAULT;
        (budget.memory, budget.code) = (flat(u64::MAX >> 1), flat(u64::MAX >> 1));
        budget.passes.per_unit = [0; Pass::COUNT];
        budget.passes.base = [0; Pass::COUNT];
        budget.passes.base[Pass::Scan as usize] = u32::MAX;
        budget.passes.cheaper_at = 100;
        let report = compile(&module, &options(budget, 1)).unwrap().report;
        for (resource, worst) in report.budgets() {
            let (what, with): (_, &dyn Fn(u64) -> Budget) = match resource {
                Resource::Memory => {
                    (name::MEMORY, &|limit| Budget { memory: flat(limit), ..budget })
                }
                Resource::Code => (name::CODE, &|limit| Budget { code: flat(limit), ..budget }),
                // The passes that end with a look at the meter for all that they have spent.
                Resource::Work(Pass::Scan | Pass::Translate | Pass::Emit) => {
                    (runwell_wasm::WORK, &|limit| {
                        let mut budget = budget;
                        let Resource::Work(pass) = resource else { unreachable!() };
                        budget.passes.base = [0; Pass::COUNT];
                        budget.passes.base[Pass::Scan as usize] = limit as u32;
                        // What comes behind may spend as it likes.
                        let next = (pass as usize + 1).min(Pass::COUNT - 1);
                        budget.passes.base[next] = u32::MAX;
                        budget
                    })
                }
                Resource::Work(_) => continue,
            };
            let func = edge(&module, what, worst.used, with);
            assert_eq!(func, Some(worst.func), "{what}");
        }
    }
}

#[test]
fn ceilings_of_modules() {
    for module in modules() {
        let report = report(&module);
        // A step per batch of functions comes after the last one.
        let info = compile(&module, &options(Budget::DEFAULT, 1)).unwrap().info;
        let batches = schedule::batches(info.bodies.iter().map(|body| body.len())).len();
        let functions = report.work.total() - batches as u64;
        let with = |limit| Budget { module_work: flat(limit), ..Budget::DEFAULT };
        edge(&module, name::MODULE_WORK, functions, with);
        let image = compile(&module, &options(Budget::DEFAULT, 1)).unwrap().image;
        let code: u64 = image.funcs.iter().map(|f| u64::from(f.end - f.start)).sum();
        edge(&module, name::MODULE_CODE, code, |limit| Budget {
            module_code: flat(limit),
            ..Budget::DEFAULT
        });
        let parse = report.work.spent(Pass::Parse);
        let func = {
            let with = |limit| Budget { module_parse: flat(limit), ..Budget::DEFAULT };
            assert_eq!(outcome(&module, with(parse)), None);
            outcome(&module, with(parse / 2)).and_then(|error| error.func())
        };
        assert_eq!(func, None, "nothing of it is in a function");
        assert!(outcome(&module, Budget { module_image: flat(code), ..Budget::DEFAULT }).is_some());
    }
}

#[test]
fn a_fault_in_front_of_the_ceiling_is_what_is_reported() {
    let mut module = (find("tiny_funcs").unwrap().make)(60_000);
    let budget = Budget { module_work: flat(report(&module).work.total() / 2), ..Budget::DEFAULT };
    let over = outcome(&module, budget).expect("too much");
    let Error::Limit { offset, .. } = over else { panic!("{over}") };
    let end = module.len() - 1;
    // The body's last byte is its end.
    assert_eq!(module[end], 0x0b);
    module[end] = 0x7f;
    assert_eq!(outcome(&module, budget), Some(over), "a fault behind it");
    let early = module[..offset].iter().rposition(|&byte| byte == 0x0b).unwrap();
    module[early] = 0x7f;
    let fault = outcome(&module, budget).unwrap();
    assert!(matches!(fault, Error::Invalid { .. } | Error::Unsupported { .. }), "{fault}");
}

#[test]
fn validation_keeps_the_ceilings_of_its_passes() {
    let module = program::module(7, Nans::Seen);
    let mut budget = Budget::DEFAULT;
    budget.passes.per_unit = [0; Pass::COUNT];
    budget.passes.base = [0; Pass::COUNT];
    let error = validate(&module, &options(budget, 1)).unwrap_err();
    assert!(matches!(error, Error::Limit { name: runwell_wasm::WORK, limit: 0, .. }), "{error}");
}

#[test]
fn cheaper_ways_are_taken_and_counted() {
    let module = program::module(7, Nans::Seen);
    let plain = compile(&module, &options(Budget::DEFAULT, 1)).unwrap();
    for (fallback, functions) in plain.report.fallbacks() {
        assert!(functions == 0 || fallback == Fallback::Slots, "{}", fallback.name());
    }
    let mut budget = Budget::DEFAULT;
    budget.passes.cheaper_at = 0;
    let mut before = None;
    for jobs in [1, 3] {
        let mut options = options(budget, jobs);
        options.verify = true;
        let thrifty = compile(&module, &options).unwrap();
        for (fallback, functions) in thrifty.report.fallbacks() {
            assert!(functions > 0 || fallback == Fallback::Slots, "{}", fallback.name());
        }
        assert_ne!(thrifty.image.text, plain.image.text);
        assert!(before.is_none_or(|image| image == thrifty.image));
        before = Some(thrifty.image);
    }
}
