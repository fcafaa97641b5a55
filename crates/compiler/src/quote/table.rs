//! From what a body consists of to what it costs at the most.
//!
//! A body is a vector of counts: operators by kind, and [`Term`]s for what is not proportional to
//! operators. What compiling it costs is bounded by the sum of the counts, each times a row of the table
//! ([`super::rows`]). The bounds rest on what the passes promise:
//!
//! - *Operators* become a bounded number of instructions each, and these a bounded number of bytes, with
//!   what their operands may need: a reload or a constant, a copy of what is overwritten, a store of what
//!   leaves its register.
//! - *Edges* carry what the scan has counted: [`Term::LivePairs`] for locals, [`Term::Arity`] for operands.
//!   An argument costs a load and a store at worst, from slot to slot. Values that stay in registers
//!   across edges are moved within the budget of the allocator, so much per instruction, and are in the
//!   rows of the operators that make edges.
//! - *Locals* beyond the phi budget live in slots, which costs by their accesses ([`Term::SlotOps`]).
//! - *Wide calls* move what does not fit registers through cells ([`Term::Cells`]).
//! - *Accesses* that are compared with the memory's length ([`Term::WideAccesses`]).

use super::rows;
use runwell_wasm::survey::{BodyFacts, KINDS, OpKind};

/// The version of the tables and of what is counted. A change of any figure in them, or of what the scan
/// of a body counts, changes what quotes say and is a new version: compile work may have been charged to
/// somebody by it.
pub const VERSION: u32 = 5;

macro_rules! terms {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What a body has besides operators that cost the same wherever they stand.
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Term { $($(#[$doc])* $name),* }

        impl Term {
            /// All terms, indexed by their discriminants.
            pub const ALL: &'static [Term] = &[$(Term::$name),*];
        }
    };
}

terms! {
    /// Edge arguments that locals may need.
    Pairs,
    /// Runs of declared locals.
    Runs,
    /// Parameters in use.
    Params,
    /// Parameters and results that travel in cells.
    OwnCells,
    /// Locals mentioned.
    Mentioned,
    /// Constructs that are open at once, at the most.
    Depth,
    /// Loops that are branched to.
    Loops,
    /// Ends that are branched to.
    Merges,
    /// Entries of branch tables.
    Entries,
    /// Edge arguments of locals that may be read.
    LivePairs,
    /// Values moved by calls, branches, blocks and returns.
    Arity,
    /// Of these, the ones that constructs, branches and returns move more than a few at once.
    WideValues,
    /// Results of calls.
    CallResults,
    /// Arguments and results of calls that travel in cells.
    Cells,
    /// Calls of imported functions.
    ImportCalls,
    /// Accesses that are compared with the memory's length.
    WideAccesses,
    /// Accesses to memories but the first.
    OtherAccesses,
    /// Accesses with large static offsets.
    FarAccesses,
    /// Steps of the scan.
    ScanSteps,
    /// Locals declared.
    Declared,
    /// Accesses to locals, if some of them live in slots.
    SlotOps,
    /// Operators, if there are floats among the values.
    FloatOps,
    /// Edge arguments of locals that may be read, if there are floats among the values.
    FloatPairs,
    /// Accesses to locals that have no register, where there are more of them than registers: the part of all
    /// accesses that these locals are of all locals.
    ManyOps,
    /// Edge arguments of locals that may be read, the same part of them.
    ManyPairs,
    /// The function itself.
    Function,
}

/// What one thing costs, in tenths: steps, bytes of code, bytes of its tables, bytes of memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) work: u32,
    pub(super) code: u32,
    pub(super) tables: u32,
    pub(super) memory: u32,
}

/// How many terms there are.
const TERMS: usize = Term::ALL.len();

/// Rows by name, in the order of the enumerations.
pub(super) struct Rows {
    pub(super) kinds: [(OpKind, Row); KINDS],
    pub(super) terms: [(Term, Row); TERMS],
}

/// So many locals have registers, unless operands need them.
const FEW_LOCALS: u32 = 12;

/// Of `count` things that are as likely to be about one of `locals` as about another, those about locals that
/// have no register: those whose next access is farthest go without.
fn about_many(count: u64, locals: u32) -> u64 {
    let many = u64::from(locals.saturating_sub(FEW_LOCALS));
    count.saturating_mul(many).div_ceil(u64::from(locals.max(1)))
}

/// How many things are counted: operators by kind, and terms.
pub const COUNTS: usize = KINDS + TERMS;

/// The name of row number `row`.
///
/// # Panics
/// When it is not below [`COUNTS`].
pub fn name(row: usize) -> String {
    match row.checked_sub(KINDS) {
        None => format!("OpKind::{:?}", OpKind::ALL[row]),
        Some(term) => format!("Term::{:?}", Term::ALL[term]),
    }
}

/// The rows for code that is metered or not, in tenths: steps of work, bytes of code, bytes of tables, bytes
/// of memory.
pub fn rows(metered: bool) -> [[u32; 4]; COUNTS] {
    Table::of(metered).0.map(|row| [row.work, row.code, row.tables, row.memory])
}

/// A body as a vector: operators by kind, then terms.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Counts([u64; COUNTS]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; COUNTS])
    }
}

/// The rows of [`Counts`].
pub(super) struct Table([Row; COUNTS]);

static PLAIN: Table = Table::new(&rows::PLAIN);
static METERED: Table = Table::new(&rows::METERED);

impl Table {
    /// Checks, when it is compiled, that each row stands where its name belongs.
    const fn new(rows: &Rows) -> Table {
        let mut table = [Row { work: 0, code: 0, tables: 0, memory: 0 }; COUNTS];
        let mut at = 0;
        while at < KINDS {
            let (kind, row) = rows.kinds[at];
            assert!(kind as usize == at, "rows of kinds are out of order");
            table[at] = row;
            at += 1;
        }
        let mut at = 0;
        while at < TERMS {
            let (term, row) = rows.terms[at];
            assert!(term as usize == at, "rows of terms are out of order");
            table[KINDS + at] = row;
            at += 1;
        }
        Table(table)
    }

    /// The table for code that is metered or not.
    pub(super) fn of(metered: bool) -> &'static Table {
        if metered { &METERED } else { &PLAIN }
    }

    /// What a body costs at the most.
    pub(super) fn cost(&self, facts: &BodyFacts, guarded: bool) -> Cost {
        let counts = Counts::of(facts, guarded);
        let mut tenths = [0u64; 4];
        for (row, &count) in self.0.iter().zip(&counts.0) {
            tenths[0] += u64::from(row.work) * count;
            tenths[1] += u64::from(row.code) * count;
            tenths[2] += u64::from(row.tables) * count;
            tenths[3] += u64::from(row.memory) * count;
        }
        let [work, code, tables, memory] = tenths.map(|tenths| tenths.div_ceil(10));
        Cost { work, code, tables, memory, counts }
    }

    /// The memory of a thread that has compiled bodies whose counts are at most these.
    pub(super) fn memory(&self, counts: &Counts) -> u64 {
        let tenths =
            self.0.iter().zip(&counts.0).map(|(row, &count)| u64::from(row.memory) * count);
        tenths.sum::<u64>().div_ceil(10)
    }
}

impl Counts {
    /// How many there are of each, in the order of the rows.
    pub fn as_array(&self) -> &[u64; COUNTS] {
        &self.0
    }

    pub(super) fn of(facts: &BodyFacts, guarded: bool) -> Counts {
        let of = |kind: OpKind| u64::from(facts.ops[kind as usize]);
        let mut counts = [0; COUNTS];
        for (count, &ops) in counts.iter_mut().zip(&facts.ops) {
            *count = u64::from(ops);
        }
        let accesses = || {
            of(OpKind::Load) + of(OpKind::FloatLoad) + of(OpKind::Store) + of(OpKind::FloatStore)
        };
        let wide = if guarded { u64::from(facts.wide_accesses) } else { accesses() };
        let slot_ops = if facts.demoted > 0 { of(OpKind::Get) + of(OpKind::Set) } else { 0 };
        let many = |count| about_many(count, facts.mentioned);
        let float_ops = if facts.floats { facts.operators } else { 0 };
        let terms = [
            (Term::Pairs, facts.pairs),
            (Term::Runs, facts.runs.into()),
            (Term::Params, facts.params.into()),
            (Term::OwnCells, facts.own_cells.into()),
            (Term::Mentioned, facts.mentioned.into()),
            (Term::Depth, facts.depth.into()),
            (Term::Loops, facts.loops.into()),
            (Term::Merges, facts.merges.into()),
            (Term::Entries, facts.entries.into()),
            (Term::LivePairs, facts.live_pairs),
            (Term::Arity, facts.arity),
            (Term::WideValues, facts.wide_values),
            (Term::CallResults, facts.call_results),
            (Term::Cells, facts.cells),
            (Term::ImportCalls, facts.import_calls.into()),
            (Term::WideAccesses, wide),
            (Term::OtherAccesses, facts.other_accesses.into()),
            (Term::FarAccesses, facts.far_accesses.into()),
            (Term::ScanSteps, facts.scan_steps),
            (Term::Declared, facts.declared.into()),
            (Term::SlotOps, slot_ops),
            (Term::FloatOps, float_ops.into()),
            (Term::FloatPairs, if facts.floats { facts.live_pairs } else { 0 }),
            (Term::ManyOps, many(of(OpKind::Get) + of(OpKind::Set))),
            (Term::ManyPairs, many(facts.live_pairs)),
            (Term::Function, 1),
        ];
        for (term, count) in terms {
            counts[KINDS + term as usize] = count;
        }
        Counts(counts)
    }

    /// The larger of both, count by count: memory that is used again is as large as the largest count
    /// has made it.
    pub(super) fn max(&self, other: &Counts) -> Counts {
        let mut counts = *self;
        for (mine, &theirs) in counts.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(theirs);
        }
        counts
    }
}

/// What a body costs at the most.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Steps of work.
    pub work: u64,
    /// Bytes of machine code.
    pub code: u64,
    /// Bytes of the tables that belong to it.
    pub tables: u64,
    /// Bytes of memory that a thread needs while it compiles the body.
    pub memory: u64,
    /// What it was computed from.
    pub counts: Counts,
}
