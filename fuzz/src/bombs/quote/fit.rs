//! Tables by linear programming: what has been met is covered, and real modules are quoted no more than
//! is promised.

use super::archive::Figure;
use super::{Measured, Sample, Tables, measure};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};
use runwell_compiler::quote::table::{self, COUNTS};
use std::collections::BTreeSet;

/// Of real modules only functions count that cost so much of their quote.
const LEAST_SHARE: f64 = 0.6;
/// What real modules are quoted at the most, in times the truth, by figures: a little less than is promised.
const TIMES: [f64; Figure::COUNT] = [3.9, 3.9, 3.9];
/// The most that everything met is quoted in times the truth because there is room for it, and the part of
/// that room which is used.
const MOST_ROOM: f64 = 1.5;
const USED_ROOM: f64 = 0.95;
/// What rounding up and [`Column::raise`] may add to that.
const MORE_TIMES: f64 = 0.07;
/// How much worse it is to lower a row than to raise it: that nothing has been met which needs it does not
/// say that there is nothing.
const LOWERING: f64 = 3.0;
/// How far a row may fall, in times what it is.
const LEAST_ROW: f64 = 0.25;
/// Changes are compared with what a row is, or with this part of what rows are on the average.
const LITTLE: f64 = 0.02;
/// Constraints that are added at a time, and how often.
const ADDED: usize = 60;
const TURNS: usize = 80;

/// A real module in one way.
pub(super) struct Real {
    name: String,
    metered: bool,
    counts: [Vec<f64>; Figure::COUNT],
    /// What is quoted beside the functions, and the truth.
    rest: [f64; Figure::COUNT],
    cost: [f64; Figure::COUNT],
}

impl Real {
    /// Compiles it; its functions that come near to their quotes go to `samples`.
    pub(super) fn of(
        name: &str,
        module: &[u8],
        way: u64,
        samples: &mut Vec<Sample>,
    ) -> Option<Real> {
        let measured = measure(module, way).ok().flatten()?;
        let mut counts = vec![0.0; COUNTS];
        let memory = measured.memory(way);
        let quoted = measured.quote.functions.iter();
        for (sample, quoted) in measured.samples(way).zip(quoted) {
            counts
                .iter_mut()
                .zip(sample.counts.iter())
                .for_each(|(sum, &count)| *sum += f64::from(count));
            let [work, code, _] = sample.cost;
            if (work / quoted.work as f64).max(code / quoted.code_bytes as f64) > LEAST_SHARE {
                samples.push(sample);
            }
        }
        let largest: Vec<f64> = memory.counts.iter().map(|&count| count.into()).collect();
        // What is quoted of memory beside what the rows say has been taken off the truth there.
        let rest_of_memory = measured.memory as f64 - memory.cost[Figure::Memory as usize];
        samples.push(memory);
        let Measured { quote, compiled, memory, .. } = measured;
        let sum = |of: fn(&runwell_compiler::quote::FunctionQuote) -> u64| -> u64 {
            quote.functions.iter().map(of).sum()
        };
        let rest = [
            (quote.work - sum(|func| func.work)) as f64,
            (quote.code_bytes - sum(|func| func.code_bytes)) as f64,
            rest_of_memory,
        ];
        let report = &compiled.report;
        let cost = [report.work.total() as f64, report.code_bytes as f64, memory as f64];
        let counts = [counts.clone(), counts, largest];
        Some(Real { name: name.into(), metered: way & 1 != 0, counts, rest, cost })
    }

    /// The quote in times the truth.
    fn times(&self, rows: &[f64], figure: Figure) -> f64 {
        let own: f64 =
            rows.iter().zip(&self.counts[figure as usize]).map(|(row, count)| row * count).sum();
        (own / 10.0 + self.rest[figure as usize]) / self.cost[figure as usize]
    }
}

/// The tables nearest to `tables` that cover all samples and quote real modules as is promised.
///
/// With `last`, rows that real modules have little of are raised where not everything is covered as many times as
/// it might be.
pub(super) fn fit(samples: &[&Sample], real: &[Real], tables: &Tables, last: bool) -> Tables {
    let mut fitted = tables.clone();
    for metered in [false, true] {
        let samples: Vec<&Sample> =
            samples.iter().copied().filter(|sample| sample.metered == metered).collect();
        let real: Vec<&Real> = real.iter().filter(|real| real.metered == metered).collect();
        for figure in Figure::ALL {
            let before = tables.rows(metered, figure);
            let word = if metered { "metered" } else { "plain" };
            print!("{word} {}: ", figure.name());
            let column = Column { samples: &samples, real: &real, rows: before, figure };
            match solve(&column) {
                Ok((mut rows, room)) => {
                    if last {
                        column.raise(&mut rows, USED_ROOM * MOST_ROOM / room);
                    }
                    print!("covers {room:.3} times what was met; ");
                    changes(&real, before, &rows, figure);
                    fitted.0[usize::from(metered)][figure as usize] = rows;
                }
                Err(error) => println!("no table: {error}"),
            }
        }
    }
    fitted
}

fn changes(real: &[&Real], before: &[f64], rows: &[f64], figure: Figure) {
    let worst = real.iter().max_by(|a, b| a.times(rows, figure).total_cmp(&b.times(rows, figure)));
    if let Some(worst) = worst {
        print!("{:.2} times the truth, for {};", worst.times(rows, figure), worst.name);
    }
    for (at, (before, now)) in before.iter().zip(rows).enumerate() {
        if before != now {
            print!(" {} {before} > {now}", table::name(at));
        }
    }
    println!();
}

/// What a table is to be.
#[derive(Copy, Clone)]
enum Aim {
    /// The one that covers what was met the most times: what was not met is covered by that, too.
    Room,
    /// The one nearest to the present that covers it so many times.
    Nearest(f64),
}

/// One column of one table.
struct Column<'a> {
    samples: &'a [&'a Sample],
    real: &'a [&'a Real],
    /// As it is at present.
    rows: &'a [f64],
    figure: Figure,
}

/// A column, and how many times everything met is covered.
fn solve(column: &Column) -> Result<(Vec<f64>, f64), microlp::Error> {
    // What is needed of all samples is found on the way, and mostly the same for both.
    let mut needed = Vec::new();
    let (_, room) = column.solve(Aim::Room, &mut needed)?;
    let (rows, _) = column.solve(Aim::Nearest(USED_ROOM * room), &mut needed)?;
    // Whole tenths, and never less.
    Ok((rows.into_iter().map(|row| (row - 1e-6).ceil().max(0.0) + 0.0).collect(), USED_ROOM * room))
}

impl Column<'_> {
    /// Raises rows to so many times what they are, those first that are the least part of what real modules are
    /// quoted, as long as these keep what is promised: what has not been met is more likely there than in
    /// rows that real modules are full of.
    fn raise(&self, rows: &mut [f64], by: f64) {
        let figure = self.figure as usize;
        let part = |rows: &[f64], row: usize| {
            let of = |real: &&Real| rows[row] * real.counts[figure][row] / real.cost[figure];
            self.real.iter().map(of).fold(0.0, f64::max)
        };
        let mut order: Vec<(f64, usize)> =
            (0..rows.len()).map(|row| (part(rows, row), row)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, row) in order {
            let before = rows[row];
            rows[row] = (before * by.max(1.0)).floor();
            let most = TIMES[figure] + MORE_TIMES;
            if self.real.iter().any(|real| real.times(rows, self.figure) > most) {
                rows[row] = before;
            }
        }
    }

    fn cost(&self, at: usize) -> f64 {
        10.0 * self.samples[at].cost[self.figure as usize]
    }

    /// How many times a sample is covered.
    fn covered(&self, at: usize, rows: &[f64]) -> f64 {
        let counts = self.samples[at].counts.iter();
        let sum: f64 = rows.iter().zip(counts).map(|(row, &count)| row * f64::from(count)).sum();
        sum / self.cost(at)
    }

    /// Adds to `needed` the samples that the solution depends on.
    fn solve(&self, aim: Aim, needed: &mut Vec<usize>) -> Result<(Vec<f64>, f64), microlp::Error> {
        // By how much each row rises and falls, and the room.
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let mut variables: Vec<(Variable, Variable)> = Vec::new();
        let rows = self.rows;
        let little = (LITTLE * rows.iter().sum::<f64>() / rows.len() as f64).max(1.0);
        for &row in rows {
            let price = match aim {
                Aim::Room => 0.0,
                Aim::Nearest(_) => 1.0 / row.max(little),
            };
            let rise = problem.add_var(price, (0.0, f64::INFINITY));
            let fall = problem.add_var(LOWERING * price, (0.0, (1.0 - LEAST_ROW) * row));
            variables.push((rise, fall));
        }
        let room = match aim {
            Aim::Room => problem.add_var(-1.0, (0.0, MOST_ROOM)),
            Aim::Nearest(room) => problem.add_var(0.0, (room, room)),
        };
        let terms = |counts: &mut dyn Iterator<Item = f64>, scale: f64| {
            let mut terms = Vec::new();
            for (&(rise, fall), count) in variables.iter().zip(counts) {
                if count != 0.0 {
                    terms.push((rise, count / scale));
                    terms.push((fall, -count / scale));
                }
            }
            terms
        };
        let figure = self.figure as usize;
        for real in self.real {
            // In times the truth.
            let counts = &mut real.counts[figure].iter().copied();
            let left = TIMES[figure] - real.times(rows, self.figure);
            problem.add_constraint(terms(counts, 10.0 * real.cost[figure]), ComparisonOp::Le, left);
        }
        let cover = |problem: &mut Problem, at: usize| {
            let counts = &mut self.samples[at].counts.iter().map(|&count| f64::from(count));
            let mut sum = terms(counts, self.cost(at));
            sum.push((room, -1.0));
            problem.add_constraint(&sum, ComparisonOp::Ge, -self.covered(at, rows));
        };
        needed.iter().for_each(|&at| cover(&mut problem, at));
        let mut left: BTreeSet<usize> =
            (0..self.samples.len()).filter(|&at| self.cost(at) > 0.0).collect();
        needed.iter().for_each(|at| _ = left.remove(at));
        let mut now = rows.to_vec();
        let mut covers = match aim {
            Aim::Room => MOST_ROOM,
            Aim::Nearest(room) => room,
        };
        for turn in 0..TURNS {
            if turn > 0 || !needed.is_empty() {
                let solution = problem
                    .solve()?
                    .into_solution()
                    .map_err(|_| microlp::Error::InternalError("interrupted".into()))?;
                for ((now, &row), &(rise, fall)) in now.iter_mut().zip(rows).zip(&variables) {
                    *now = row + solution.var_value(rise) - solution.var_value(fall);
                }
                covers = solution.var_value(room);
            }
            let mut lacking: Vec<(f64, usize)> = left
                .iter()
                .map(|&at| (self.covered(at, &now), at))
                .filter(|&(covered, _)| covered < covers - 1e-6)
                .collect();
            if lacking.is_empty() {
                break;
            }
            lacking.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for &(_, at) in lacking.iter().take(ADDED) {
                left.remove(&at);
                needed.push(at);
                cover(&mut problem, at);
            }
        }
        Ok((now, covers))
    }
}

/// The tables as source text, with the columns that are not fitted as they are.
pub(super) fn text(tables: &Tables) -> String {
    let mut text = String::new();
    for metered in [false, true] {
        text += if metered { "metered\n" } else { "plain\n" };
        let [work, code, memory] = Figure::ALL.map(|figure| tables.rows(metered, figure));
        for (at, row) in table::rows(metered).iter().enumerate() {
            let (name, of_tables) = (table::name(at), row[2]);
            let (work, code, memory) = (work[at], code[at], memory[at]);
            text += &format!("({name}, row({work}, {code}, {of_tables}, {memory})),\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(counts: &[(usize, f32)], work: f64) -> Sample {
        let mut all = Box::new([0f32; COUNTS]);
        counts.iter().for_each(|&(at, count)| all[at] = count);
        Sample { metered: false, counts: all, cost: [work, 0.0, 0.0] }
    }

    fn real(counts: &[(usize, f64)], work: f64) -> Real {
        let mut all = vec![0.0; COUNTS];
        counts.iter().for_each(|&(at, count)| all[at] = count);
        let counts = [all, vec![0.0; COUNTS], vec![0.0; COUNTS]];
        Real { name: "one".into(), metered: false, counts, rest: [0.0; 3], cost: [work, 1.0, 1.0] }
    }

    #[test]
    fn everything_met_is_covered_and_real_modules_keep_their_promise() {
        // Of two things the second costs far more than its row says, and a real module has many of the first.
        let samples = [sample(&[(0, 10.0)], 20.0), sample(&[(0, 5.0), (1, 10.0)], 100.0)];
        let samples: Vec<&Sample> = samples.iter().collect();
        let real = [real(&[(0, 1000.0), (1, 10.0)], 700.0)];
        let real: Vec<&Real> = real.iter().collect();
        let mut rows = vec![30.0; COUNTS];
        rows[1] = 20.0;
        let figure = Figure::Work;
        let column = Column { samples: &samples, real: &real, rows: &rows, figure };
        let (fitted, room) = solve(&column).expect("a table");
        assert!(room > 1.1 && room < MOST_ROOM, "{room}");
        (0..samples.len()).for_each(|at| assert!(column.covered(at, &fitted) >= room - 1e-6));
        let slack = 0.1 * 1010.0 / 700.0;
        assert!(real[0].times(&fitted, figure) <= TIMES[0] + slack, "what rounding adds");
        assert!(fitted[2..].iter().all(|&row| row == 30.0), "others stay as they are");
    }
}
