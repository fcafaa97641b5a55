//! From steps to seconds, on this machine.

use crate::options::Options;
use crate::pipeline;
use runwell_abi::{Arch, Features, Target};
use std::sync::OnceLock;
use std::time::Duration;

/// How long a step takes on this machine, by compiling a small module. An estimate: other modules have
/// other mixtures of steps, and the machine other things to do.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Calibration {
    nanos_per_step: f64,
}

/// Functions of the module that is compiled.
const FUNCTIONS: usize = 96;
/// How often it is compiled; the fastest counts, since everything else is interference.
const ROUNDS: usize = 5;
/// How much longer a step may take in a module that does not fit the caches as the small one does.
const LARGE_MODULE: f64 = 2.0;

impl Calibration {
    /// Measures this machine, once per process: it takes a few milliseconds.
    pub fn of_this_machine() -> Calibration {
        static MEASURED: OnceLock<Calibration> = OnceLock::new();
        *MEASURED.get_or_init(Calibration::measure)
    }

    /// A calibration made elsewhere.
    pub const fn from_nanos_per_step(nanos_per_step: f64) -> Calibration {
        Calibration { nanos_per_step }
    }

    /// Nanoseconds that a step may take.
    pub const fn nanos_per_step(self) -> f64 {
        self.nanos_per_step
    }

    /// How long `work` steps may take on one thread.
    pub fn duration(self, work: u64) -> Duration {
        Duration::from_secs_f64((work as f64 * self.nanos_per_step * 1e-9).min(1e9))
    }

    fn measure() -> Calibration {
        let target = Target { arch: Arch::X64, features: Features::default() };
        let options = Options { jobs: 1, ..Options::new(target) };
        let module = module();
        let nanos = (0..ROUNDS).filter_map(|_| {
            let report = pipeline::compile(&module, &options).ok()?.report;
            Some(report.elapsed.as_secs_f64() * 1e9 / report.work.total().max(1) as f64)
        });
        let fastest = nanos.fold(f64::INFINITY, f64::min);
        // Compiling it cannot fail; should it ever, a slow machine is the safe answer.
        let nanos_per_step = if fastest.is_finite() { fastest * LARGE_MODULE } else { 100.0 };
        Calibration { nanos_per_step }
    }
}

/// The body of each function: a loop over memory with a branch, a call and some arithmetic, as compilers
/// of C make it.
const BODY: &[u8] = &[
    0x01, 0x03, 0x7f, // three locals besides the two parameters
    0x02, 0x40, // block
    0x20, 0x01, 0x45, 0x0d, 0x00, // leave if the length is zero
    0x03, 0x40, // loop
    0x20, 0x00, 0x2d, 0x00, 0x04, 0x22, 0x02, // byte at the address plus 4
    0x20, 0x03, 0x41, 0x1f, 0x6c, 0x6a, 0x21, 0x03, // sum = sum * 31 + byte
    0x02, 0x40, // block
    0x20, 0x02, 0x41, 0xff, 0x00, 0x71, 0x0d, 0x00, // leave if byte & 127
    0x20, 0x04, 0x41, 0x01, 0x6a, 0x22, 0x04, // count the others
    0x20, 0x03, 0x10, 0x00, 0x20, 0x04, 0x73, 0x21, 0x03, // sum = f(count, sum) ^ count
    0x0b, // end
    0x20, 0x00, 0x20, 0x03, 0x36, 0x02, 0x10, // store the sum at the address plus 16
    0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00, // address + 1
    0x20, 0x01, 0x41, 0x7f, 0x6a, 0x22, 0x01, 0x0d, 0x00, // length - 1, again unless zero
    0x0b, 0x0b, // ends
    0x20, 0x03, 0x20, 0x04, 0x6a, 0x0b, // sum + count
];

/// The module: a memory and [`FUNCTIONS`] functions from two numbers to one.
fn module() -> Vec<u8> {
    let mut out = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, content: &[u8]| {
        out.push(id);
        leb(&mut out, content.len());
        out.extend_from_slice(content);
    };
    section(1, &[1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f]);
    let mut functions = Vec::new();
    leb(&mut functions, FUNCTIONS);
    functions.resize(functions.len() + FUNCTIONS, 0);
    section(3, &functions);
    section(5, &[1, 0, 1]);
    let mut code = Vec::new();
    leb(&mut code, FUNCTIONS);
    for _ in 0..FUNCTIONS {
        leb(&mut code, BODY.len());
        code.extend_from_slice(BODY);
    }
    section(10, &code);
    out
}

fn leb(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_can_be_measured() {
        let target = Target { arch: Arch::X64, features: Features::default() };
        let compiled = pipeline::compile(&module(), &Options::new(target)).unwrap();
        assert_eq!(compiled.report.functions as usize, FUNCTIONS);
        let calibration = Calibration::of_this_machine();
        assert!(calibration.nanos_per_step() > 0.1, "{calibration:?}");
        assert!(calibration.duration(2_000) >= 2 * calibration.duration(900));
        assert_eq!(calibration, Calibration::of_this_machine());
    }
}
