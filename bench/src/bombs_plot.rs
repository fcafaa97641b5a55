//! Plots as SVG: a grid of panels with logarithmic axes.

use std::fmt::Write as _;

/// One engine in one panel.
#[derive(Default)]
pub struct Series {
    /// Bytes and seconds.
    pub points: Vec<(f64, f64)>,
    /// Where it was stopped.
    pub end: Option<(f64, f64)>,
}

/// One family.
pub struct Panel {
    pub title: String,
    pub series: Vec<Series>,
}

const COLUMNS: usize = 4;
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 190.0;
/// Room around the axes of a panel.
const LEFT: f64 = 48.0;
const TOP: f64 = 26.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 28.0;
/// Room for the names of the series.
const LEGEND: f64 = 30.0;

/// Told apart also where colours are not (Okabe and Ito 2008).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#000000", "#999999"];

/// The shortest time that is drawn: what is less is not measured, and nothing has no logarithm.
const LEAST_SECONDS: f64 = 1e-6;

/// A logarithmic axis.
#[derive(Copy, Clone)]
struct Axis {
    min: f64,
    max: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, x: f64) -> f64 {
        let part = (x.max(self.min) / self.min).ln() / (self.max / self.min).ln();
        self.from + part * (self.to - self.from)
    }
}

/// The smallest and the largest of some numbers, or two that will do where there are none.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let min = values.clone().fold(f64::INFINITY, f64::min);
    let max = values.fold(0.0, f64::max);
    if min < max { (min, max) } else { (1.0, 10.0) }
}

fn bytes(x: f64) -> String {
    if x >= 1e6 { format!("{:.0} MB", x / 1_048_576.0) } else { format!("{:.0} KB", x / 1024.0) }
}

fn seconds(x: f64) -> String {
    match x {
        x if x >= 0.9 => format!("{x:.0} s"),
        x if x >= 0.9e-3 => format!("{:.0} ms", x * 1e3),
        x => format!("{:.0} µs", x * 1e6),
    }
}

/// The picture; `names` are those of the series.
pub fn svg(panels: &[Panel], names: &[&str]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS as f64 * WIDTH, rows as f64 * HEIGHT + LEGEND);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let mut x = LEFT;
    for (i, name) in names.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let _ = writeln!(
            out,
            "<line x1=\"{x}\" y1=\"15\" x2=\"{:.1}\" y2=\"15\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"19\" font-size=\"12\">{}</text>",
            x + 24.0,
            x + 30.0,
            escape(name)
        );
        x += 42.0 + 6.8 * name.len() as f64;
    }
    let all = panels.iter().flat_map(|panel| &panel.series);
    let points = all.flat_map(|series| series.points.iter().copied().chain(series.end));
    let points = points.map(|(bytes, seconds)| (bytes, seconds.max(LEAST_SECONDS)));
    let (first, last) = range(points.clone().map(|point| point.0));
    let (low, high) = range(points.map(|point| point.1));
    for (i, panel) in panels.iter().enumerate() {
        let (x, y) = ((i % COLUMNS) as f64 * WIDTH, (i / COLUMNS) as f64 * HEIGHT + LEGEND);
        let across = Axis { min: first, max: last, from: x + LEFT, to: x + WIDTH - RIGHT };
        let up = Axis { min: low, max: high, from: y + HEIGHT - BOTTOM, to: y + TOP };
        draw(&mut out, panel, across, up);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, panel: &Panel, across: Axis, up: Axis) {
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" font-weight=\"bold\">{}</text>",
        across.from,
        up.to - 6.0,
        escape(&panel.title)
    );
    // A line of the grid for each power of ten of seconds, and for each fourfold of bytes.
    let mut power = 10f64.powf(up.min.log10().ceil());
    while power <= up.max {
        let y = up.at(power);
        let _ = writeln!(
            out,
            "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            across.from,
            across.to,
            across.from - 4.0,
            y + 3.0,
            seconds(power)
        );
        power *= 10.0;
    }
    let mut size = 1024f64;
    while size <= across.max * 1.02 {
        if size >= across.min * 0.98 {
            let x = across.at(size);
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#eeeeee\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                up.from,
                up.to,
                up.from + 14.0,
                bytes(size)
            );
        }
        size *= 4.0;
    }
    // What is in proportion to the size: lines of slope one.
    for decade in -9..2 {
        let rate = 10f64.powi(decade);
        let from = across.min.max(up.min / rate);
        let to = across.max.min(up.max / rate);
        if from < to {
            line(
                out,
                &[(from, from * rate), (to, to * rate)],
                across,
                up,
                "#bbbbbb",
                "1\" stroke-dasharray=\"1 3",
            );
        }
    }
    for (series, colour) in panel.series.iter().zip(COLOURS.iter().cycle()) {
        line(out, &series.points, across, up, colour, "2");
        for &(bytes, seconds) in &series.points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.2\" fill=\"{colour}\"/>",
                across.at(bytes),
                up.at(seconds)
            );
        }
        // Stopped there: an arrow upwards.
        if let Some((bytes, seconds)) = series.end {
            let (x, y) = (across.at(bytes), up.at(seconds));
            if let Some(&last) = series.points.last() {
                line(
                    out,
                    &[last, (bytes, seconds)],
                    across,
                    up,
                    colour,
                    "2\" stroke-dasharray=\"4 3",
                );
            }
            let _ = writeln!(
                out,
                "<path d=\"M{:.1} {:.1} L{x:.1} {:.1} L{:.1} {:.1} Z\" fill=\"{colour}\"/>",
                x - 4.0,
                y + 2.0,
                y - 6.0,
                x + 4.0,
                y + 2.0
            );
        }
    }
}

fn line(
    out: &mut String,
    points: &[(f64, f64)],
    across: Axis,
    up: Axis,
    colour: &str,
    width: &str,
) {
    if points.len() < 2 {
        return;
    }
    let mut path = String::new();
    for &(x, y) in points {
        let _ = write!(path, "{:.1},{:.1} ", across.at(x), up.at(y));
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        path.trim_end()
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_inside_of_its_panel() {
        let series = |k: f64| Series {
            points: vec![(4096.0, k), (65536.0, 16.0 * k)],
            end: Some((1_048_576.0, 10.0)),
        };
        let panels: Vec<Panel> = (0..5)
            .map(|i| Panel { title: format!("a<{i}"), series: vec![series(0.0), series(1e-3)] })
            .collect();
        let picture = svg(&panels, &["one", "two"]);
        assert!(picture.contains("a&lt;4") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<circle").count(), 20);
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
        for part in picture.split("cx=\"").skip(1) {
            let x: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=COLUMNS as f64 * WIDTH).contains(&x));
        }
    }
}
