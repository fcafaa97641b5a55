//! What belongs to a module as a whole: everything but function bodies, and putting functions together.

use super::table::{Cost, Counts, Table};
use crate::image::{FUNC_ALIGN, FuncRange, func_align};
use runwell_abi::fuel::{BYTES_SHIFT, ELEMENTS_SHIFT, OperatorClass, Schedule};
use runwell_wasm::survey::{BodyFacts, OpKind};
use runwell_wasm::{ConstExpr, ExternKind, ModuleInfo, SegmentMode};

/// What a thread holds before it has seen a function: its tables of fixed size.
const THREAD_BYTES: u64 = 256 << 10;
/// What compiling holds before it has seen the module.
const BASE_BYTES: u64 = 32 << 10;
/// What the machine code of a batch and its tables take while the batch is made, beside themselves: lists
/// that grow hold up to twice what is in them, and each function is made in lists of its own first.
const MAKING: u64 = 2;
/// Bytes for a batch beside what is in it.
const BATCH_BYTES: u64 = 1 << 10;
/// Bytes that linking holds for a call that it patches.
const PATCH_BYTES: u64 = 8;
/// Bytes that reading and validating holds for each entity, its own list and the validator's, both of
/// them growing.
const ENTITY_BYTES: u64 = 160;
/// What an import takes beside that: the validator keeps a map of them by both names, whose strings are
/// blocks of their own.
const IMPORT_BYTES: u64 = 128;
/// The same for a type, for which the validator keeps sets and maps.
const TYPE_BYTES: u64 = 700;
/// And for a parameter or result of a type.
const VALUE_TYPE_BYTES: u64 = 24;
/// Bytes for a function body: its range, its part of the list of batches.
const BODY_BYTES: u64 = 64;
/// Bytes for an item of an element segment, or an operator of a constant expression.
const ITEM_BYTES: u64 = 64;

/// Sums over functions, and the largest of what threads use again.
#[derive(Default)]
pub(super) struct Sums {
    work: u64,
    code: u64,
    tables: u64,
    calls: u64,
    functions: u64,
    leaves: bool,
    largest: Counts,
    /// Code and tables of the current batch, those of the largest one, and how many there are.
    batch: u64,
    largest_batch: u64,
    batches: u64,
}

/// Bytes for a function beside its code and tables: its range and its padding.
const FUNCTION_BYTES: u64 = (size_of::<FuncRange>() + FUNC_ALIGN) as u64;

/// Bytes of code by which a call gets longer when the instance may be left by a tail call: two registers that
/// name it and its memory are loaded again, by 8 and 7 bytes. A function stores the first.
const RESTORED: u64 = 15;

impl Sums {
    /// Adds a function, in order.
    pub(super) fn add(&mut self, facts: &BodyFacts, cost: &Cost) {
        let of = |kind: OpKind| u64::from(facts.ops[kind as usize]);
        self.work += cost.work;
        // What is lost to its alignment comes before it.
        self.code +=
            cost.code + func_align(usize::try_from(cost.code).unwrap_or(usize::MAX)) as u64 - 1;
        self.tables += cost.tables;
        self.calls += of(OpKind::Call) + of(OpKind::CallIndirect) + of(OpKind::TailCall);
        self.functions += 1;
        self.batch += cost.code + cost.tables + FUNCTION_BYTES;
        self.leaves |= of(OpKind::TailCall) > 0;
        self.largest = self.largest.max(&cost.counts);
    }

    /// The functions so far end a batch: something that one thread makes at a time.
    pub(super) fn end_batch(&mut self) {
        self.largest_batch = self.largest_batch.max(std::mem::take(&mut self.batch));
        self.batches += 1;
    }

    /// What each further thread adds.
    pub(super) fn per_thread(&self, table: &Table) -> u64 {
        THREAD_BYTES + table.memory(&self.largest) + MAKING * self.largest_batch
    }

    /// The figures of the module.
    pub(super) fn total(&self, bytes: u64, info: &ModuleInfo, table: &Table) -> Cost {
        let mut code = self.code;
        if self.leaves {
            code += RESTORED * (self.calls + self.functions);
        }
        let link = code / FUNC_ALIGN as u64 + self.calls + self.functions;
        let ranges = self.functions * size_of::<FuncRange>() as u64;
        let image = code + self.tables + ranges;
        // Threads are done, and what they held is gone, when everything is copied into one image.
        let compiling = self.per_thread(table) + image;
        let linking = 2 * image + PATCH_BYTES * self.calls;
        let memory = BASE_BYTES
            + compiling.max(linking)
            + BATCH_BYTES * self.batches
            + parsed(info)
            + bytes / 4;
        Cost { work: self.work + link, code, tables: 0, memory, counts: Counts::default() }
    }
}

/// Bytes that reading a module's sections holds.
fn parsed(info: &ModuleInfo) -> u64 {
    let len = |len: usize| len as u64;
    let values: usize = info.types.iter().map(|sig| sig.params.len() + sig.results.len()).sum();
    let entities = info.imports.len()
        + info.funcs.len()
        + info.tables.len()
        + info.memories.len()
        + info.globals.len()
        + info.exports.len()
        + info.elements.len()
        + info.data.len();
    let names: usize =
        info.imports.iter().map(|import| import.module.len() + import.name.len()).sum::<usize>()
            + info.exports.iter().map(|export| export.name.len()).sum::<usize>();
    let items: usize = info.elements.iter().map(|segment| segment.items.len()).sum();
    TYPE_BYTES * len(info.types.len())
        + VALUE_TYPE_BYTES * len(values)
        + ENTITY_BYTES * len(entities)
        + IMPORT_BYTES * len(info.imports.len())
        + 4 * len(names)
        + ITEM_BYTES * len(items + info.const_op_count())
        + BODY_BYTES * len(info.bodies.len())
}

/// What making an instance costs, in things that the module asks for. By the schedule of fuel they have a
/// price each, see [`InstantiationCost::fuel`].
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct InstantiationCost {
    /// Imports, which are looked up and checked.
    pub imports: u64,
    /// Globals, tables and memories that are made, functions that get a reference, and segments.
    pub entities: u64,
    /// Operators of constant expressions, those of element segments among them.
    pub operators: u64,
    /// Pages of memory at the start.
    pub pages: u64,
    /// Elements of tables at the start.
    pub elements: u64,
    /// Active segments.
    pub active: u64,
    /// Bytes that active data segments write.
    pub data_bytes: u64,
    /// Elements that active element segments write.
    pub segment_elements: u64,
}

impl InstantiationCost {
    /// What instances of a module cost. O(module without its bodies).
    pub fn of(info: &ModuleInfo) -> InstantiationCost {
        let imported = |kind: ExternKind| {
            info.imports.iter().filter(|import| import.ty.kind() == kind).count()
        };
        let memories = &info.memories[imported(ExternKind::Memory)..];
        let tables = &info.tables[imported(ExternKind::Table)..];
        let globals = info.globals.len() - imported(ExternKind::Global);
        let escaped = info.escaped.iter().filter(|&&number| number != ModuleInfo::NONE).count();
        let entities = globals
            + tables.len()
            + memories.len()
            + escaped
            + info.elements.len()
            + info.data.len();
        let ops = |expr: &ConstExpr| info.const_ops(*expr).len() as u64;
        let mut cost = InstantiationCost {
            imports: info.imports.len() as u64,
            entities: entities as u64,
            operators: info.const_op_count() as u64,
            pages: memories.iter().fold(0, |sum, ty| sum.saturating_add(ty.min)),
            elements: tables.iter().fold(0, |sum, ty| sum.saturating_add(ty.min)),
            ..InstantiationCost::default()
        };
        let active = |mode: &SegmentMode| matches!(mode, SegmentMode::Active { .. });
        for segment in &info.elements {
            // Items that are function indices are no expressions, and cost as much.
            cost.operators += segment.items.len() as u64;
            if active(&segment.mode) {
                cost.active += 1;
                cost.segment_elements += segment.items.len() as u64;
            }
        }
        for segment in info.data.iter().filter(|segment| active(&segment.mode)) {
            cost.active += 1;
            cost.data_bytes += u64::from(segment.bytes.end - segment.bytes.start);
        }
        debug_assert!(info.global_inits.iter().map(ops).sum::<u64>() <= cost.operators);
        cost
    }

    /// The price in fuel: what a guest would pay that did the same by operators. Imports, entities and
    /// operators of constant expressions cost as simple operators do; memories and tables as growing by
    /// what they have at the start, that is, tables by the element; active segments as bulk operators of
    /// their length. A page costs one unit, since it is cleared when it is touched.
    pub fn fuel(&self, schedule: &Schedule) -> u64 {
        let cost = |class| u64::from(schedule.cost(class));
        let simple = self.imports.saturating_add(self.entities).saturating_add(self.operators);
        cost(OperatorClass::Simple)
            .saturating_mul(simple)
            .saturating_add(self.pages)
            .saturating_add(self.elements >> ELEMENTS_SHIFT)
            .saturating_add(cost(OperatorClass::Bulk).saturating_mul(self.active))
            .saturating_add(self.data_bytes >> BYTES_SHIFT)
            .saturating_add(self.segment_elements >> ELEMENTS_SHIFT)
    }
}
