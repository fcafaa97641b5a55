//! The picture: compile time against run time, every engine a point, as SVG.
//!
//! Both axes are logarithmic, and relative to wasmtime's Cranelift; a point is a geometric mean over
//! programs. Colours follow the reader's light or dark theme. Labels are laid out so that none covers
//! another, a point, or the edge.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::engine::Engine;
use crate::results::{Builds, Results, geomean, ratios};

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 526.0;
/// What the axes leave for the points.
const FIELD: Rect = Rect { left: 78.0, top: 58.0, right: 796.0, bottom: 446.0 };
/// Pixels of a letter of a label and of a line, generously: readers' fonts differ.
const LETTER: f64 = 7.6;
const LINE: f64 = 17.0;
const RADIUS: f64 = 6.5;

/// A rectangle of the picture.
#[derive(Clone, Copy, Debug)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn around(x: f64, y: f64, radius: f64) -> Rect {
        Rect { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn inside(&self, other: &Rect) -> bool {
        self.left >= other.left
            && self.right <= other.right
            && self.top >= other.top
            && self.bottom <= other.bottom
    }
}

/// An engine in the picture: ratios to Cranelift.
#[derive(Clone, Debug)]
struct Point {
    label: String,
    compile: f64,
    run: f64,
    /// The one that the picture is about.
    ours: bool,
}

/// A logarithmic axis from one pixel to another.
struct Axis {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis for values, with room at its ends.
    fn new(values: impl Iterator<Item = f64>, room: f64, from: f64, to: f64) -> Axis {
        let (mut low, mut high) = (1.0_f64, 1.0_f64);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        Axis { from, to, low: low / room, high: high * room }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }

    /// Values of one digit: 1, 2 and 5 of each power of ten where there is room, else 1 and 3.
    fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let digits: &[f64] = if decades > 2.0 { &[1.0, 3.0] } else { &[1.0, 2.0, 5.0] };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        (first..=last)
            .flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)))
            .filter(|tick| *tick >= self.low && *tick <= self.high)
            .collect()
    }
}

/// A ratio as people say it.
fn times(ratio: f64) -> String {
    let text = format!("{ratio:.3}");
    format!("{}×", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Where a label begins, and the box that it fills.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: f64,
    /// Of the text's baseline.
    y: f64,
    area: Rect,
    /// Whether it is so far from its point that a line has to lead there.
    leads: bool,
}

/// Places labels near their points, one after the other: at the nearest of the candidates that is free.
///
/// A label whose every candidate is taken gets the first one, and covers something; `None` of those in
/// use does (see the tests).
fn place(points: &[(f64, f64, &str)], taken: &[Rect]) -> Vec<Place> {
    let mut taken: Vec<Rect> = taken.to_vec();
    taken.extend(points.iter().map(|&(x, y, _)| Rect::around(x, y, RADIUS + 1.0)));
    let mut places = Vec::new();
    for &(x, y, label) in points {
        let width = label.chars().count() as f64 * LETTER;
        let candidates: Vec<Place> = [0.0, 14.0, 28.0, 44.0, 60.0]
            .into_iter()
            .flat_map(|far| {
                let side = RADIUS + 6.0 + far;
                let over = RADIUS + 4.0 + far;
                [
                    (x + side, y - LINE / 2.0),
                    (x - side - width, y - LINE / 2.0),
                    (x - width / 2.0, y - over - LINE),
                    (x - width / 2.0, y + over),
                    (x + side, y - over - LINE / 2.0),
                    (x + side, y + over - LINE / 2.0),
                    (x - side - width, y - over - LINE / 2.0),
                    (x - side - width, y + over - LINE / 2.0),
                ]
                .map(|(left, top)| Place {
                    x: left,
                    y: top + LINE * 0.75,
                    area: Rect { left, top, right: left + width, bottom: top + LINE },
                    leads: far > 0.0,
                })
            })
            .collect();
        let free = |place: &&Place| {
            place.area.inside(&FIELD) && !taken.iter().any(|rect| rect.overlaps(&place.area))
        };
        let chosen = *candidates.iter().find(free).unwrap_or(&candidates[0]);
        taken.push(chosen.area);
        places.push(chosen);
    }
    places
}

/// The geometric means of an engine's ratios, where it was measured.
fn means(results: &Results, builds: &Builds, engine: Engine) -> Option<(f64, f64)> {
    let time = |sample: &_| results.time(sample);
    let compile = geomean(&ratios(&builds.compile, engine, time))?;
    Some((compile, geomean(&ratios(&builds.run, engine, time))?))
}

/// The points, and the run time of native code.
fn points(results: &Results) -> (Vec<Point>, Option<f64>) {
    let time = |sample: &_| results.time(sample);
    let mut points = Vec::new();
    for engine in Engine::ALL {
        let ours = engine == Engine::Runwell;
        // An engine that was measured with the base builds is where it is in relation to those.
        let base = results.base.as_ref().filter(|base| base.engines.contains(&engine));
        let from_base = base
            .filter(|_| engine != Engine::Cranelift)
            .and_then(|base| means(results, base, engine));
        let label = engine.label();
        if let Some((compile, run)) = from_base {
            points.push(Point { label: format!("{label} *"), compile, run, ours });
        } else if let Some((compile, run)) = means(results, &results.main, engine) {
            points.push(Point { label: label.into(), compile, run, ours });
        }
    }
    let native = geomean(&ratios(&results.main.run, Engine::Native, time));
    (points, native)
}

const STYLE: &str = "\
text{font:13px -apple-system,'Segoe UI',Roboto,'Noto Sans',Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-size:17px;font-weight:600}.soft{fill:#59636e}.page{fill:#fff;stroke:#d1d9e0}\
.grid{stroke:#e4e9ee}.one{stroke:#9aa4ae}.native{stroke:#59636e;stroke-dasharray:5 4}\
.peer{fill:#4a6fa5}.ours{fill:#c2410c}.name{font-weight:500}text.ours{font-weight:700}\
.name,text.ours{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.lead{stroke:#9aa4ae}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.soft{fill:#9198a1}\
.page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#21272e}.one{stroke:#656c76}\
.native{stroke:#9198a1}.name,text.ours{stroke:#0d1117}.peer{fill:#79a8e8}.ours{fill:#fb8147}.lead{stroke:#656c76}}";

fn draw(points: &[Point], native: Option<f64>) -> String {
    let x = Axis::new(points.iter().map(|p| p.compile), 1.9, FIELD.left, FIELD.right);
    let runs = points.iter().map(|p| p.run).chain(native);
    let y = Axis::new(runs, 1.35, FIELD.bottom, FIELD.top);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-label=\"Compile time against run time of WebAssembly engines\">\n\
         <style>{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{}\" y=\"34\">Time to compile, and time to run what was compiled</text>\n\
         <text class=\"soft\" x=\"{}\" y=\"34\" text-anchor=\"end\">better: down and to the left</text>",
        WIDTH - 1.0,
        HEIGHT - 1.0,
        FIELD.left,
        FIELD.right,
    );
    for tick in x.ticks() {
        let (at, class) = (x.at(tick), if tick == 1.0 { "one" } else { "grid" });
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{at:.1} {}V{}\"/>\
             <text class=\"soft\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            FIELD.top,
            FIELD.bottom,
            FIELD.bottom + 20.0,
            times(tick),
        );
    }
    for tick in y.ticks() {
        let (at, class) = (y.at(tick), if tick == 1.0 { "one" } else { "grid" });
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{} {at:.1}H{}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            FIELD.left,
            FIELD.right,
            FIELD.left - 8.0,
            at + 4.5,
            times(tick),
        );
    }
    let starred = points.iter().any(|point| point.label.ends_with('*'));
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">compile time, Cranelift = 1</text>\n\
         <text transform=\"translate(24 {:.1}) rotate(-90)\" text-anchor=\"middle\">run time, Cranelift = 1</text>\n\
         <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">geometric means over programs; \
         logarithmic axes{}</text>",
        (FIELD.left + FIELD.right) / 2.0,
        FIELD.bottom + 42.0,
        (FIELD.top + FIELD.bottom) / 2.0,
        (FIELD.left + FIELD.right) / 2.0,
        FIELD.bottom + 62.0,
        if starred { "; * builds without tail calls and other optional features" } else { "" },
    );
    let mut taken = Vec::new();
    if let Some(native) = native {
        let at = y.at(native);
        let label = Engine::Native.label();
        let (left, top) = (FIELD.right - label.len() as f64 * LETTER - 4.0, at + 3.0);
        taken.push(Rect { left, top, right: FIELD.right, bottom: top + LINE });
        // A label on the line could hardly be read.
        taken.push(Rect { left: FIELD.left, top: at - 1.5, right: FIELD.right, bottom: at + 1.5 });
        let _ = writeln!(
            out,
            "<path class=\"native\" d=\"M{} {at:.1}H{}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            FIELD.left,
            FIELD.right,
            FIELD.right - 4.0,
            top + LINE * 0.75,
        );
    }
    let spots: Vec<(f64, f64, &str)> =
        points.iter().map(|p| (x.at(p.compile), y.at(p.run), p.label.as_str())).collect();
    for ((point, place), &(x, y, label)) in points.iter().zip(place(&spots, &taken)).zip(&spots) {
        if place.leads {
            let near = x.clamp(place.area.left, place.area.right);
            let middle = (place.area.top + place.area.bottom) / 2.0;
            let _ =
                writeln!(out, "<path class=\"lead\" d=\"M{x:.1} {y:.1}L{near:.1} {middle:.1}\"/>");
        }
        let (class, name) = if point.ours { ("ours", "ours") } else { ("peer", "name") };
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\"><title>{label}: \
             compiles in {}, runs in {}</title></circle>\
             <text class=\"{name}\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            times(point.compile),
            times(point.run),
            place.x,
            place.y,
        );
    }
    out + "</svg>\n"
}

/// Writes the picture.
///
/// # Errors
/// When nothing was measured beside Cranelift, or the file cannot be written.
pub fn write(results: &Results, path: &Path) -> Result<()> {
    let (points, native) = points(results);
    if points.is_empty() {
        anyhow::bail!("a picture needs compile and run times beside Cranelift's");
    }
    std::fs::write(path, draw(&points, native))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("picture: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cover_nothing() {
        // Engines of much the same speed: two clusters, and one at each edge.
        let spots: Vec<(f64, f64, &str)> = vec![
            (200.0, 200.0, "wasmtime Cranelift"),
            (206.0, 204.0, "wasmer Cranelift *"),
            (212.0, 198.0, "V8 TurboFan"),
            (196.0, 210.0, "V8 Liftoff"),
            (700.0, 420.0, "wasmtime Winch *"),
            (704.0, 424.0, "wasmer Singlepass *"),
            (FIELD.right - 4.0, 100.0, "runwell"),
            (FIELD.left + 4.0, 100.0, "wasmi"),
        ];
        let native = Rect { left: FIELD.left, top: 430.0, right: FIELD.right, bottom: 433.0 };
        let places = place(&spots, &[native]);
        for (i, place) in places.iter().enumerate() {
            assert!(place.area.inside(&FIELD), "{} leaves the field", spots[i].2);
            assert!(!place.area.overlaps(&native), "{} is on the line", spots[i].2);
            for (j, other) in places.iter().enumerate().filter(|(j, _)| *j != i) {
                assert!(!place.area.overlaps(&other.area), "{} on {}", spots[i].2, spots[j].2);
            }
            for &(x, y, label) in &spots {
                let point = Rect::around(x, y, RADIUS);
                assert!(!place.area.overlaps(&point), "{} on the point of {label}", spots[i].2);
            }
        }
    }

    #[test]
    fn axes_are_logarithmic_and_have_ticks() {
        let axis = Axis::new([0.1, 10.0].into_iter(), 1.0, 0.0, 200.0);
        assert!((axis.at(0.1)).abs() < 1e-9);
        assert!((axis.at(1.0) - 100.0).abs() < 1e-9);
        assert!((axis.at(10.0) - 200.0).abs() < 1e-9);
        let ticks: Vec<String> = axis.ticks().into_iter().map(times).collect();
        assert_eq!(ticks, ["0.1×", "0.2×", "0.5×", "1×", "2×", "5×", "10×"]);
    }

    #[test]
    fn every_engine_and_the_native_line_are_drawn() {
        let point =
            |label: &str, compile, run, ours| Point { label: label.into(), compile, run, ours };
        let svg = draw(
            &[point("runwell", 0.1, 0.9, true), point("wasmtime Cranelift", 1.0, 1.0, false)],
            Some(0.85),
        );
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("runwell: compiles in 0.1×, runs in 0.9×"));
        assert!(svg.contains("class=\"native\" d="));
        assert!(svg.ends_with("</svg>\n"));
    }
}
