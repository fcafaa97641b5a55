//! What `runwell bombs` prints: figures per byte, and which of them are over their bounds.

use super::measure::Figures;
use runwell::{Fallback, Pass, Resource};
use runwell_bombs::Family;
use std::fmt::Write as _;

/// What runwell promises at the most, per byte of module.
mod bound {
    /// Microseconds.
    pub(super) const TIME: f64 = 1.0;
    /// Bytes of memory, at the peak.
    pub(super) const MEMORY: f64 = 200.0;
    /// Bytes of machine code.
    pub(super) const CODE: f64 = 32.0;
    /// Growth of time from the second largest size to the largest, as an exponent.
    pub(super) const SLOPE: f64 = 1.05;
    /// Growth of work per byte from one size to the next.
    pub(super) const DRIFT: f64 = 1.05;
    /// Steps per byte that may change: sections cost two to three, bodies more.
    pub(super) const FEW: f64 = 4.0;
}

/// The families that come nearest to what may be spent.
#[derive(Default)]
pub(super) struct Worst {
    /// Per pass: steps per byte of module.
    passes: [(f64, &'static str); Pass::COUNT],
    /// Per budget: the share that a function used.
    shares: [(f64, &'static str); Resource::COUNT],
    /// Per fallback: modules that take it.
    fallbacks: [u32; Fallback::COUNT],
}

impl Worst {
    pub(super) fn add(&mut self, family: &'static str, figures: &Figures) {
        let keep = |worst: &mut (f64, &'static str), new: f64| {
            if new > worst.0 {
                *worst = (new, family);
            }
        };
        for (worst, &steps) in self.passes.iter_mut().zip(&figures.passes) {
            keep(worst, figures.per_byte(steps as f64));
        }
        for (worst, &share) in self.shares.iter_mut().zip(&figures.shares) {
            keep(worst, share);
        }
        for (families, &functions) in self.fallbacks.iter_mut().zip(&figures.fallbacks) {
            *families += u32::from(functions > 0);
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = format!("\n{:<10} {:>12}  most in family\n", "pass", "steps/byte");
        for (pass, (steps, family)) in Pass::ALL.iter().zip(self.passes) {
            let _ = writeln!(out, "{:<10} {steps:>12.2}  {family}", pass.name());
        }
        let _ = writeln!(out, "\n{:<10} {:>12}  most in family", "budget", "share");
        for (resource, (share, family)) in Resource::ALL.iter().zip(self.shares) {
            let _ = writeln!(out, "{:<10} {:>11.2}%  {family}", resource.name(), 100.0 * share);
        }
        let _ = writeln!(out, "\n{:<17} {:>8}", "fallback", "modules");
        for (fallback, modules) in Fallback::ALL.iter().zip(self.fallbacks) {
            let _ = writeln!(out, "{:<17} {modules:>8}", fallback.name());
        }
        out
    }
}

/// How time grows between the two largest modules, as an exponent.
pub(super) fn slope(row: &[Figures]) -> Option<f64> {
    let mut sorted: Vec<&Figures> =
        row.iter().filter(|figures| figures.refused.is_none()).collect();
    sorted.sort_by_key(|figures| figures.bytes);
    let [.., small, large] = sorted.as_slice() else { return None };
    let size = (large.bytes as f64 / small.bytes as f64).ln();
    (size > 0.0).then(|| (large.micros / small.micros).ln() / size)
}

/// Which of time, work, memory and code of module `at` are over their bounds.
pub(super) fn marks(row: &[Figures], at: usize) -> [bool; 4] {
    let [time, work, memory, code] = row[at].columns();
    let before = row[..at].iter().rev().find(|earlier| earlier.refused.is_none());
    let grows =
        before.is_some_and(|earlier| work > (earlier.columns()[1] * bound::DRIFT).max(bound::FEW));
    [time > bound::TIME, grows, memory > bound::MEMORY, code > bound::CODE]
}

/// Whether it is time that is over its bounds, which another measurement may change.
pub(super) fn is_slow(row: &[Figures]) -> bool {
    (0..row.len()).any(|at| marks(row, at)[0])
        || slope(row).is_some_and(|slope| slope > bound::SLOPE)
}

/// Whether anything is over its bound.
pub(super) fn is_over(row: &[Figures]) -> bool {
    row.iter().any(|figures| figures.refused.is_some())
        || (0..row.len()).any(|at| marks(row, at).contains(&true))
        || is_slow(row)
}

pub(super) fn text(family: &Family, row: &[Figures]) -> String {
    let mut out = String::new();
    for (at, figures) in row.iter().enumerate() {
        let _ = write!(out, "{:<24} {:>8}", if at == 0 { family.name } else { "" }, figures.bytes);
        let [time, work, memory, code] = figures.columns();
        let [slow, grows, large, long] = marks(row, at).map(|over| if over { '!' } else { ' ' });
        let _ = write!(
            out,
            "  {time:>7.3}{slow}  {work:>8.2}{grows}  {memory:>8.1}{large}  {code:>7.2}{long}"
        );
        if let Some(why) = &figures.refused {
            let _ = write!(out, "  ! refused: {why}");
        }
        out.push('\n');
    }
    if let Some(slope) = slope(row) {
        let over = if slope > bound::SLOPE { " !" } else { "" };
        let _ = writeln!(out, "{:<24} slope {slope:.3}{over}", "");
    }
    out
}

pub(super) fn json(family: &Family, row: &[Figures]) -> String {
    let number = |x: f64| if x.is_finite() { format!("{x:.4}") } else { "null".to_string() };
    let mut out = format!("{{\"family\":\"{}\",\"slope\":", family.name);
    out.push_str(&slope(row).map_or("null".to_string(), number));
    let _ = write!(out, ",\"over\":{},\"sizes\":[", is_over(row));
    for (at, figures) in row.iter().enumerate() {
        let [time, work, memory, code] = figures.columns().map(number);
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            out,
            "{comma}{{\"bytes\":{},\"micros_per_byte\":{time},\"work_per_byte\":{work},\
             \"memory_per_byte\":{memory},\"code_per_byte\":{code},\"accepted\":{},\"over\":{}",
            figures.bytes,
            figures.refused.is_none(),
            marks(row, at).contains(&true),
        );
        for (pass, &steps) in Pass::ALL.iter().zip(&figures.passes) {
            let steps = number(figures.per_byte(steps as f64));
            let _ = write!(out, ",\"{}_per_byte\":{steps}", pass.name());
        }
        for (resource, &share) in Resource::ALL.iter().zip(&figures.shares) {
            let _ = write!(out, ",\"{}_share\":{}", resource.name(), number(share));
        }
        out.push('}');
    }
    out.push_str("]}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(bytes: usize, micros: f64, work: u64) -> Figures {
        Figures { micros, work, ..Figures::of(bytes) }
    }

    #[test]
    fn what_is_over_is_marked() {
        let row = [figures(1000, 100.0, 10000), figures(4000, 1600.0, 43000)];
        assert_eq!(marks(&row, 1), [false, true, false, false]);
        assert!((slope(&row).unwrap() - 2.0).abs() < 1e-9);
        assert!(is_over(&row) && is_slow(&row));
        let row = [figures(1000, 100.0, 10000), figures(4000, 400.0, 41000)];
        assert!(!is_over(&row) && !is_slow(&row));
        let row = [figures(1000, 1001.0, 1000)];
        assert!(is_over(&row) && slope(&row).is_none());
        let row = [figures(1000, 100.0, 10000), figures(4000, 400.0, 43000)];
        assert!(is_over(&row) && !is_slow(&row));
    }
}
