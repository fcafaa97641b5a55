//! What tests do with commands that show a module: they get every family of hostile modules, and damaged
//! ones.

use crate::fail::{self, Code, in_file};
use runwell::{Config, Engine, Result};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Sizes of the modules.
const SIZES: [usize; 2] = [2 << 10, 8 << 10];
/// Growth of an amount per byte from one size to the next. A product of two counts grows by four.
const DRIFT: f64 = 2.0;
/// Amounts per byte that may grow all the same: they are far from the bound.
const FEW: f64 = 60.0;
/// Memory that does not depend on the module, and what other tests have meanwhile.
const BASE: f64 = (1 << 20) as f64;
/// Damaged modules of each family.
const DAMAGED: u64 = 12;

/// Bytes of text that a command makes, and of memory that it takes at the most, per byte of module.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Amounts {
    pub(crate) text: f64,
    pub(crate) memory: f64,
}

fn engine(metered: bool) -> Engine {
    Engine::new(Config::new().compile_jobs(1).consume_fuel(metered)).expect("an engine")
}

/// Checks that what `show` makes of families, which is so many bytes of text, is below `most` and does not
/// grow faster than the module. Families may be refused.
pub(crate) fn in_proportion(most: Amounts, show: impl Fn(&Engine, &[u8]) -> Result<usize>) {
    // Memory is that of the process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = Vec::new();
    let mut worst = [(0.0, ""); 2];
    for metered in [false, true] {
        let engine = engine(metered);
        for family in runwell_bombs::families() {
            let mut before = [f64::INFINITY; 2];
            for size in SIZES {
                let module = (family.make)(size);
                let (shown, memory) = runwell_heap::peak(|| show(&engine, &module));
                let Ok(text) = shown else { continue };
                let bytes = module.len() as f64;
                let now = [text as f64 / bytes, memory as f64 / bytes];
                let rates = [now[0], (memory as f64 - BASE).max(0.0) / bytes];
                for (what, most) in [most.text, most.memory].into_iter().enumerate() {
                    let unit = ["bytes of text", "bytes of memory"][what];
                    let (all, earlier) = (now[what], before[what]);
                    // What does not depend on the module is in both sizes here. What is cut off at a limit
                    // comes up to it first: so a third size decides whether growth goes on.
                    let grows = |all: f64, earlier: f64| all > FEW && all > DRIFT * earlier;
                    let goes_on = || {
                        let module = (family.make)(4 * size);
                        let (shown, memory) = runwell_heap::peak(|| show(&engine, &module));
                        let bytes = module.len() as f64;
                        shown.is_ok_and(|text| {
                            grows([text as f64 / bytes, memory as f64 / bytes][what], all)
                        })
                    };
                    if rates[what] > most || (grows(all, earlier) && goes_on()) {
                        let name = family.name;
                        wrong.push(format!("{name}: {earlier:.0}, then {all:.0} {unit}"));
                    }
                    if rates[what] > worst[what].0 {
                        worst[what] = (rates[what], family.name);
                    }
                }
                before = now;
            }
        }
    }
    println!("{worst:.0?}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Checks that damaged modules are shown, or refused as what they are.
pub(crate) fn damaged(show: impl Fn(&Engine, &[u8]) -> Result<usize>) {
    let engine = engine(false);
    let (mut shown, mut refused) = (0, 0);
    for (number, family) in (0..).zip(runwell_bombs::families()) {
        let whole = (family.make)(512);
        for seed in 0..DAMAGED {
            let module = damage(&whole, number * DAMAGED + seed);
            let Err(error) = show(&engine, &module) else {
                shown += 1;
                continue;
            };
            refused += 1;
            let error = in_file(error, Path::new("x.wasm"));
            let code = fail::code(&error);
            let expected = matches!(code, Code::Invalid | Code::Unsupported);
            assert!(expected, "{}, {seed}: {code:?}: {error:#}", family.name);
        }
    }
    println!("{shown} shown, {refused} refused");
    assert!(shown > 50 && refused > 50, "{shown} shown, {refused} refused");
}

/// A module with some bytes changed, left out or put in.
fn damage(module: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut below = |end: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize % end.max(1)
    };
    let mut module = module.to_vec();
    for _ in 0..1 + below(3) {
        // Not the header: that is refused at once.
        let at = 8 + below(module.len().saturating_sub(8));
        let byte = below(256) as u8;
        match below(4) {
            0 => module.truncate(at),
            1 => module.insert(at.min(module.len()), byte),
            _ => {
                if let Some(place) = module.get_mut(at) {
                    *place = byte;
                }
            }
        }
    }
    module
}
