//! Modules from nothing: a short sequence of random operators, valid as it is made, again and again.
//!
//! What costs much for its bytes is dense, and families show the pairs of operators that somebody has
//! thought of. Here a *unit* of up to a dozen operators is made on a model of the operand stack, so that
//! each finds what it takes, and leaves the stack as it was. Below the unit may lie a *pile*, values that
//! a call of two bytes has given by the hundred, from which operators take what is not on top of it: then
//! nothing has to be pushed. Units are repeated with other locals, constants and labels, one after the
//! other or one inside of the other, in one function or in many.

use super::genome::Genome;
use runwell_testkit::Rng;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;
const F32: ValType = ValType::F32;
const F64: ValType = ValType::F64;
const FUNC: ValType = ValType::FUNCREF;
const EXTERN: ValType = ValType::EXTERNREF;
const TYPES: [ValType; 6] = [I32, I64, F32, F64, FUNC, EXTERN];

/// Operators of a unit at the most, what it takes to even the stack apart.
const MOST_OPERATORS: u64 = 12;
/// Attempts to find an operator that takes what is on the stack.
const TRIES: usize = 24;
/// Function types that are called and branched to besides those that every module has.
const SIGNATURES: u64 = 8;
/// Values of each of them.
const MOST_VALUES: u64 = 8;
/// Attempts to find an operator on values of the module's types.
const PICKS: usize = 200;
/// Globals and imported functions that may stand before those that are used, for offsets that are not small.
const FILLERS: u32 = 600;
/// Values that a pile may have: what the type of the call may give.
const WIDEST: usize = 1000;

/// A part of a unit that may differ from one repetition to the next.
#[derive(Clone, Debug)]
enum Item {
    /// The same each time.
    Bytes(Vec<u8>),
    /// An access of a local: its opcode, which type, and by how much it moves on.
    Local(u8, ValType, usize),
    /// A constant that counts up.
    Const(ValType),
    /// A branch under a condition to a label outside, which moves on. So many constructs of the unit are
    /// open around it.
    Branch(u32),
    /// A branch table of so many such labels, likewise.
    Table(u32, u32),
}

/// Everything a unit can refer to.
struct Context {
    /// Types of values; all of them, or a few, `i32` always.
    types: Vec<ValType>,
    /// Globals, and functions, before those that are referred to.
    fillers: u32,
    /// Parameters and results, by type index; function `i`, fillers apart, is of type `i`.
    signatures: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// Values of the pile, repeated; empty if there is none.
    pattern: Vec<ValType>,
    /// Locals of each type.
    locals: usize,
    /// Labels without values around the units.
    labels: u32,
    /// Tables and memories are looked at more often than in one operator of eight.
    bulky: bool,
}

/// The unit that is being made.
struct Unit<'a> {
    context: &'a Context,
    items: Vec<Item>,
    stack: Vec<ValType>,
    /// Values taken off the pile.
    taken: usize,
    /// Where the values of each open construct start on the stack; below is out of reach.
    floors: Vec<usize>,
    /// What a branch to each of them carries.
    labels: Vec<Vec<ValType>>,
}

/// Numbers of a module's entities.
mod entity {
    use super::{EXTERN, FUNC, I32, I64, ValType};

    /// The types of their sizes and indices: a memory with guards and one with checks.
    pub(super) const MEMORIES: [ValType; 2] = [I32, I64];
    /// Elements and indices: a table of functions, one of references, and a large one.
    pub(super) const TABLES: [(ValType, ValType); 3] = [(FUNC, I32), (EXTERN, I32), (FUNC, I64)];
    /// The element segments: one that declares, one that can be copied from.
    pub(super) const PASSIVE: u8 = 1;
}

/// The type of a length where both sizes have to do.
fn lesser(a: ValType, b: ValType) -> ValType {
    if a == I64 && b == I64 { I64 } else { I32 }
}

fn leb(out: &mut Vec<u8>, value: u32) {
    super::genome::leb(out, value);
}

fn below(rng: &mut Rng, n: usize) -> usize {
    rng.below(n.max(1) as u64) as usize
}

fn number(ty: ValType) -> usize {
    TYPES.iter().position(|&one| one == ty).unwrap_or(0)
}

impl Context {
    fn any_type(&self, rng: &mut Rng) -> ValType {
        *rng.pick(&self.types)
    }

    /// An operator on the global of a type.
    fn global(&self, opcode: u8, ty: ValType) -> Vec<u8> {
        let mut bytes = vec![opcode];
        leb(&mut bytes, self.fillers + number(ty) as u32);
        bytes
    }

    /// Local number `at` of a type. The first ones of each type are parameters.
    fn local(&self, ty: ValType, at: usize) -> u32 {
        let which = self.types.iter().position(|&one| one == ty).unwrap_or(0);
        (at * self.types.len() + which) as u32
    }
}

/// What a numeric operator of one byte takes and gives.
fn numeric(op: u8) -> (&'static [ValType], ValType) {
    match op {
        0x45 | 0x67..=0x69 | 0xc0 | 0xc1 => (&[I32], I32),
        0x46..=0x4f | 0x6a..=0x78 => (&[I32, I32], I32),
        0x50 | 0xa7 => (&[I64], I32),
        0x51..=0x5a => (&[I64, I64], I32),
        0x5b..=0x60 => (&[F32, F32], I32),
        0x61..=0x66 => (&[F64, F64], I32),
        0x79..=0x7b | 0xc2..=0xc4 => (&[I64], I64),
        0x7c..=0x8a => (&[I64, I64], I64),
        0x8b..=0x91 => (&[F32], F32),
        0x92..=0x98 => (&[F32, F32], F32),
        0x99..=0x9f => (&[F64], F64),
        0xa0..=0xa6 => (&[F64, F64], F64),
        0xa8 | 0xa9 | 0xbc => (&[F32], I32),
        0xaa | 0xab => (&[F64], I32),
        0xac | 0xad => (&[I32], I64),
        0xae | 0xaf => (&[F32], I64),
        0xb0 | 0xb1 | 0xbd => (&[F64], I64),
        0xb2 | 0xb3 | 0xbe => (&[I32], F32),
        0xb4 | 0xb5 => (&[I64], F32),
        0xb6 => (&[F64], F32),
        0xb7 | 0xb8 => (&[I32], F64),
        0xb9 | 0xba | 0xbf => (&[I64], F64),
        _ => (&[F32], F64),
    }
}

/// The type that a load or store of this opcode is of.
fn accessed(op: u8) -> ValType {
    match op {
        0x28 | 0x2c..=0x2f | 0x36 | 0x3a | 0x3b => I32,
        0x29 | 0x30..=0x35 | 0x37 | 0x3c..=0x3e => I64,
        0x2a | 0x38 => F32,
        _ => F64,
    }
}

/// One operator: its bytes, what it takes and what it gives.
type Operator = (Vec<u8>, Vec<ValType>, Vec<ValType>);

fn access(rng: &mut Rng, op: u8) -> (Vec<u8>, ValType) {
    let memory = below(rng, entity::MEMORIES.len());
    let mut bytes = vec![op];
    // The least alignment, and the memory's index where it is not the first.
    bytes.push(if memory == 0 { 0 } else { 0x40 });
    if memory != 0 {
        bytes.push(memory as u8);
    }
    if memory != 0 && rng.one_in(8) {
        // More than 32 bits.
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    } else {
        leb(&mut bytes, if rng.one_in(4) { 1 << rng.below(31) } else { 0 });
    }
    (bytes, entity::MEMORIES[memory])
}

/// An operator on a whole memory.
fn of_memory(rng: &mut Rng) -> Operator {
    let memory = below(rng, entity::MEMORIES.len());
    let (size, number) = (entity::MEMORIES[memory], memory as u8);
    match rng.below(6) {
        0 => (vec![0x3f, number], Vec::new(), vec![size]),
        1 => (vec![0x40, number], vec![size], vec![size]),
        2 => (vec![0xfc, 11, number], vec![size, I32, size], Vec::new()),
        3 => {
            let from = below(rng, entity::MEMORIES.len());
            let other = entity::MEMORIES[from];
            let takes = vec![size, other, lesser(size, other)];
            (vec![0xfc, 10, number, from as u8], takes, Vec::new())
        }
        4 => (vec![0xfc, 8, 0, number], vec![size, I32, I32], Vec::new()),
        _ => (vec![0xfc, 9, 0], Vec::new(), Vec::new()),
    }
}

/// An operator on a table.
fn of_table(rng: &mut Rng) -> Operator {
    let table = below(rng, entity::TABLES.len());
    let ((element, size), number) = (entity::TABLES[table], table as u8);
    match rng.below(10) {
        0 | 1 => (vec![0x25, number], vec![size], vec![element]),
        2 | 3 => (vec![0x26, number], vec![size, element], Vec::new()),
        4 => (vec![0xfc, 16, number], Vec::new(), vec![size]),
        5 => (vec![0xfc, 15, number], vec![element, size], vec![size]),
        6 => {
            // From a table of the same elements.
            let from = if element == FUNC { *rng.pick(&[0, 2]) } else { table };
            let other = entity::TABLES[from].1;
            let takes = vec![size, other, lesser(size, other)];
            (vec![0xfc, 14, number, from as u8], takes, Vec::new())
        }
        7 if element == FUNC => {
            (vec![0xfc, 12, entity::PASSIVE, number], vec![size, I32, I32], Vec::new())
        }
        8 => (vec![0xfc, 13, entity::PASSIVE], Vec::new(), Vec::new()),
        _ => (vec![0xfc, 17, number], vec![size, element, size], Vec::new()),
    }
}

/// An operator that is no control and no access of a local, on values of the module's types.
fn operator(rng: &mut Rng, context: &Context) -> Operator {
    let fits = |(_, takes, gives): &Operator| {
        takes.iter().chain(gives).all(|ty| context.types.contains(ty))
    };
    (0..PICKS)
        .map(|_| any_operator(rng, context))
        .find(fits)
        .unwrap_or_else(|| (vec![0x01], Vec::new(), Vec::new()))
}

fn any_operator(rng: &mut Rng, context: &Context) -> Operator {
    if context.bulky && rng.one_in(2) {
        return if rng.one_in(2) { of_memory(rng) } else { of_table(rng) };
    }
    match rng.below(24) {
        0..=10 => {
            let op = 0x45 + rng.below(0x80) as u8;
            let (takes, gives) = numeric(op);
            (vec![op], takes.to_vec(), vec![gives])
        }
        11 => {
            let sub = rng.below(8) as u8;
            let takes = if sub & 2 == 0 { F32 } else { F64 };
            (vec![0xfc, sub], vec![takes], vec![if sub < 4 { I32 } else { I64 }])
        }
        12 | 13 => {
            let op = 0x28 + rng.below(14) as u8;
            let (bytes, address) = access(rng, op);
            (bytes, vec![address], vec![accessed(op)])
        }
        14 => {
            let op = 0x36 + rng.below(9) as u8;
            let (bytes, address) = access(rng, op);
            (bytes, vec![address, accessed(op)], Vec::new())
        }
        15 => of_memory(rng),
        16 => of_table(rng),
        17 => match rng.below(3) {
            0 => (vec![0xd0, 0x70], Vec::new(), vec![FUNC]),
            1 => (vec![0xd2, 0], Vec::new(), vec![FUNC]),
            _ => {
                let ty = *rng.pick(&[FUNC, EXTERN]);
                (vec![0xd1], vec![ty], vec![I32])
            }
        },
        18 => {
            let ty = context.any_type(rng);
            let bytes = match ty {
                FUNC => vec![0x1c, 1, 0x70],
                EXTERN => vec![0x1c, 1, 0x6f],
                _ => vec![0x1b],
            };
            (bytes, vec![ty, ty, I32], vec![ty])
        }
        19 => {
            let ty = context.any_type(rng);
            match rng.below(2) {
                0 => (context.global(0x23, ty), Vec::new(), vec![ty]),
                _ => (context.global(0x24, ty), vec![ty], Vec::new()),
            }
        }
        20 => (vec![0x1a], vec![context.any_type(rng)], Vec::new()),
        _ => {
            let index = below(rng, context.signatures.len());
            let (takes, gives) = &context.signatures[index];
            let mut takes = takes.clone();
            let mut bytes = vec![0x10];
            if rng.one_in(3) {
                leb(&mut bytes, index as u32);
                let table = *rng.pick(&[0, 2]);
                bytes[0] = 0x11;
                bytes.push(table as u8);
                takes.push(entity::TABLES[table].1);
            } else {
                leb(&mut bytes, context.fillers + index as u32);
            }
            (bytes, takes, gives.clone())
        }
    }
}

impl Unit<'_> {
    /// The value that is `depth` below the top, if an operator may take it.
    fn top(&self, depth: usize) -> Option<ValType> {
        let floor = self.floors.last().copied().unwrap_or(0);
        let own = self.stack.len() - floor;
        if depth < own {
            return Some(self.stack[self.stack.len() - 1 - depth]);
        }
        let pattern = &self.context.pattern;
        if !self.floors.is_empty() || pattern.is_empty() {
            return None;
        }
        let under = self.taken + depth - own;
        Some(pattern[pattern.len() - 1 - under % pattern.len()])
    }

    fn has(&self, takes: &[ValType]) -> bool {
        takes.iter().rev().enumerate().all(|(depth, &ty)| self.top(depth) == Some(ty))
    }

    fn take(&mut self, count: usize) {
        let floor = self.floors.last().copied().unwrap_or(0);
        for _ in 0..count {
            if self.stack.len() > floor {
                self.stack.pop();
            } else {
                self.taken += 1;
            }
        }
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        self.items.push(Item::Bytes(bytes));
    }

    /// Pushes a value from somewhere.
    fn push(&mut self, rng: &mut Rng, ty: ValType) {
        let item = match rng.below(4) {
            0 if number(ty) < 4 => Item::Const(ty),
            1 => Item::Bytes(self.context.global(0x23, ty)),
            _ => Item::Local(0x20, ty, below(rng, 3)),
        };
        self.items.push(item);
        self.stack.push(ty);
    }

    /// Does away with the top of the stack.
    fn pop(&mut self, rng: &mut Rng, ty: ValType) {
        let item = match rng.below(4) {
            0 => Item::Bytes(vec![0x1a]),
            1 => Item::Local(0x21, ty, below(rng, 3)),
            _ => Item::Bytes(self.context.global(0x24, ty)),
        };
        self.items.push(item);
        self.take(1);
    }

    fn apply(&mut self, (bytes, takes, gives): Operator) {
        self.bytes(bytes);
        self.take(takes.len());
        self.stack.extend(gives);
    }

    /// One more operator, usually one that finds what it takes.
    fn step(&mut self, rng: &mut Rng, nesting: u32) {
        match rng.below(8) {
            0 => {
                let ty = self.context.any_type(rng);
                self.push(rng, ty);
            }
            1 if self.top(0).is_some() => {
                let ty = self.top(0).unwrap_or(I32);
                if rng.one_in(3) {
                    self.items.push(Item::Local(0x22, ty, below(rng, 3)));
                } else {
                    self.pop(rng, ty);
                }
            }
            2 if nesting < 2 => self.control(rng, nesting),
            3 if self.has(&[I32]) && self.context.labels > 0 => {
                self.items.push(Item::Branch(self.floors.len() as u32));
                self.take(1);
            }
            4 if !self.labels.is_empty() && rng.one_in(2) => self.branch(rng),
            _ => {
                let mut found = operator(rng, self.context);
                for _ in 0..TRIES {
                    if self.has(&found.1) {
                        break;
                    }
                    found = operator(rng, self.context);
                }
                if !self.has(&found.1) {
                    found.1.clone().into_iter().for_each(|ty| self.push(rng, ty));
                }
                self.apply(found);
            }
        }
    }

    /// A branch under a condition out of a construct of this unit, with what its label carries.
    fn branch(&mut self, rng: &mut Rng) {
        let depth = below(rng, self.labels.len());
        let mut takes = self.labels[self.labels.len() - 1 - depth].clone();
        takes.push(I32);
        if !self.has(&takes) {
            takes.iter().for_each(|&ty| self.push(rng, ty));
        }
        self.bytes(vec![0x0d, depth as u8]);
        self.take(1);
    }

    /// A construct of no values or of those of a signature, with a few operators in it.
    fn control(&mut self, rng: &mut Rng, nesting: u32) {
        let opcode = *rng.pick(&[0x02, 0x03, 0x04]);
        let mut index = None;
        if rng.one_in(2) {
            let at = below(rng, self.context.signatures.len());
            let (takes, _) = &self.context.signatures[at];
            // A condition comes on top.
            let takes: Vec<ValType> =
                takes.iter().copied().chain((opcode == 0x04).then_some(I32)).collect();
            if !self.has(&takes) {
                takes.iter().for_each(|&ty| self.push(rng, ty));
            }
            index = Some(at);
        } else if opcode == 0x04 && !self.has(&[I32]) {
            self.push(rng, I32);
        }
        let mut bytes = vec![opcode];
        let (takes, gives) =
            index.map_or_else(Default::default, |at| self.context.signatures[at].clone());
        match index {
            Some(at) => leb(&mut bytes, at as u32),
            None => bytes.push(0x40),
        }
        self.bytes(bytes);
        self.take(takes.len() + usize::from(opcode == 0x04));
        let arms = if opcode == 0x04 && (index.is_some() || rng.one_in(3)) { 2 } else { 1 };
        for arm in 0..arms {
            if arm == 1 {
                self.bytes(vec![0x05]);
            }
            self.floors.push(self.stack.len());
            self.labels.push(if opcode == 0x03 { takes.clone() } else { gives.clone() });
            self.stack.extend(&takes);
            for _ in 0..rng.below(4) {
                self.step(rng, nesting + 1);
            }
            self.leave(rng, opcode, &takes, &gives);
            let floor = self.floors.pop().unwrap_or(0);
            self.labels.pop();
            self.stack.truncate(floor);
        }
        self.bytes(vec![0x0b]);
        self.stack.extend(gives);
    }

    /// Makes the stack what the end of a construct wants, or leaves by a branch.
    fn leave(&mut self, rng: &mut Rng, opcode: u8, takes: &[ValType], gives: &[ValType]) {
        let floor = self.floors.last().copied().unwrap_or(0);
        let label = if opcode == 0x03 { takes } else { gives };
        if rng.one_in(4) && self.has(label) {
            if rng.one_in(2) {
                self.bytes(vec![0x0c, 0]);
            } else {
                // A table that carries the same to the same label, a few times.
                self.push(rng, I32);
                let entries = rng.below(4) as u8;
                self.bytes([&[0x0e, entries], &*vec![0; 1 + usize::from(entries)]].concat());
            }
            return self.dead(rng);
        }
        if rng.one_in(12) {
            self.exit(rng);
            return self.dead(rng);
        }
        if self.stack[floor..] == *gives {
            return;
        }
        while self.stack.len() > floor {
            let ty = self.stack[self.stack.len() - 1];
            self.pop(rng, ty);
        }
        gives.iter().for_each(|&ty| self.push(rng, ty));
    }

    /// A way out of the function, or far.
    fn exit(&mut self, rng: &mut Rng) {
        let signatures = &self.context.signatures;
        let quiet: Vec<usize> =
            (0..signatures.len()).filter(|&at| signatures[at].1.is_empty()).collect();
        match rng.below(5) {
            0 => self.bytes(vec![0x00]),
            1 if self.context.labels > 0 => {
                self.push(rng, I32);
                let entries = rng.below(6) as u32;
                self.items.push(Item::Table(self.floors.len() as u32, entries));
            }
            2 | 3 if !quiet.is_empty() => {
                let index = *rng.pick(&quiet);
                signatures[index].0.iter().for_each(|&ty| self.push(rng, ty));
                let mut bytes = vec![0x12];
                if rng.one_in(2) {
                    bytes[0] = 0x13;
                    leb(&mut bytes, index as u32);
                    bytes.push(0);
                    self.push(rng, I32);
                } else {
                    leb(&mut bytes, self.context.fillers + index as u32);
                }
                self.bytes(bytes);
            }
            _ => self.bytes(vec![0x0f]),
        }
    }

    /// Now and then what control does not reach: any operator finds there what it takes.
    fn dead(&mut self, rng: &mut Rng) {
        if rng.one_in(4) {
            for _ in 0..1 + rng.below(4) {
                let (mut bytes, _, gives) = operator(rng, self.context);
                bytes.resize(bytes.len() + gives.len(), 0x1a);
                self.bytes(bytes);
            }
        }
    }

    /// Leaves the stack as it was; of the pile whole patterns are gone.
    fn even(&mut self, rng: &mut Rng) {
        while let Some(&ty) = self.stack.last() {
            self.pop(rng, ty);
        }
        let pattern = self.context.pattern.len();
        while pattern > 0 && !self.taken.is_multiple_of(pattern) {
            let ty = self.top(0).unwrap_or(I32);
            self.pop(rng, ty);
        }
    }
}

/// A unit and how much of the pile it takes.
fn unit(rng: &mut Rng, context: &Context, operators: u64) -> (Vec<Item>, usize) {
    let mut unit = Unit {
        context,
        items: Vec::new(),
        stack: Vec::new(),
        taken: 0,
        floors: Vec::new(),
        labels: Vec::new(),
    };
    for _ in 0..1 + rng.below(operators) {
        unit.step(rng, 0);
    }
    unit.even(rng);
    (unit.items, unit.taken)
}

/// Writes a unit for the `turn`th time, with `inner` labels between it and those of the context.
fn write(out: &mut Vec<u8>, context: &Context, unit: &[Item], turn: usize, inner: u32) {
    for item in unit {
        match item {
            Item::Bytes(bytes) => out.extend_from_slice(bytes),
            Item::Local(op, ty, stride) => {
                out.push(*op);
                leb(out, context.local(*ty, turn * stride % context.locals));
            }
            Item::Const(ty) => match number(*ty) {
                0 => out.extend([0x41, turn as u8 & 63]),
                1 => out.extend([0x42, turn as u8 & 63]),
                2 => {
                    out.push(0x43);
                    out.extend((turn as f32).to_le_bytes());
                }
                _ => {
                    out.push(0x44);
                    out.extend((turn as f64).to_le_bytes());
                }
            },
            Item::Branch(own) => {
                out.push(0x0d);
                leb(out, inner + own + turn as u32 % context.labels);
            }
            Item::Table(own, entries) => {
                out.push(0x0e);
                leb(out, *entries);
                for entry in 0..=*entries {
                    leb(out, inner + own + (turn as u32 + entry) % context.labels);
                }
            }
        }
    }
}

/// The operators of one function, of about `size` bytes.
fn body(rng: &mut Rng, context: &Context, width: usize, pile: u32, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    (0..context.labels).for_each(|_| out.extend([0x02, 0x40]));
    let (items, taken) = unit(rng, context, MOST_OPERATORS);
    if context.pattern.is_empty() && rng.one_in(3) {
        // One inside of the other.
        let (back, _) = unit(rng, context, MOST_OPERATORS / 3);
        let open = *rng.pick(&[0x02, 0x03, 0x04]);
        let mut once = Vec::new();
        write(&mut once, context, &items, 100, 200);
        write(&mut once, context, &back, 100, 200);
        let turns = size / (once.len() + 3).max(1);
        for turn in 0..turns {
            write(&mut out, context, &items, turn, turn as u32);
            if open == 0x04 {
                out.extend([0x20, 0]);
            }
            out.extend([open, 0x40]);
        }
        for turn in (0..turns).rev() {
            out.push(0x0b);
            write(&mut out, context, &back, turn, turn as u32);
        }
    } else {
        let mut turn = 0;
        while out.len() < size {
            let before = out.len();
            let mut left = width;
            if !context.pattern.is_empty() {
                out.extend([0x02, 0x40, 0x10]);
                leb(&mut out, pile);
            }
            let inner = u32::from(!context.pattern.is_empty());
            while left >= taken && out.len() < size {
                write(&mut out, context, &items, turn, inner);
                left -= taken;
                turn += 1;
                if context.pattern.is_empty() || taken == 0 && out.len() > before + 4 * WIDEST {
                    break;
                }
            }
            if !context.pattern.is_empty() {
                out.extend([0x0c, 0, 0x0b]);
            }
            if out.len() == before {
                break;
            }
        }
    }
    (0..context.labels).for_each(|_| out.push(0x0b));
    out.push(0x0b);
    out
}

fn values(rng: &mut Rng, types: &[ValType]) -> Vec<ValType> {
    let one = *rng.pick(types);
    let mixed = rng.one_in(2);
    let count = if rng.one_in(2) { rng.below(3) } else { rng.below(MOST_VALUES + 1) };
    (0..count).map(|_| if mixed { *rng.pick(types) } else { one }).collect()
}

/// A module of about `size` bytes. Most are valid: only recursion of types and of limits is not modelled.
pub(super) fn module(rng: &mut Rng, size: usize) -> Option<Genome> {
    let all = rng.one_in(2);
    let types: Vec<ValType> =
        TYPES.into_iter().filter(|&ty| ty == I32 || all || rng.one_in(3)).collect();
    let mut signatures: Vec<_> = (0..1 + rng.below(SIGNATURES))
        .map(|_| (values(rng, &types), values(rng, &types)))
        .collect();
    let pattern = if rng.one_in(2) { Vec::new() } else { values(rng, &types) };
    let width = (size / 64).clamp(8, WIDEST) / pattern.len().max(1) * pattern.len();
    let pile = signatures.len();
    if !pattern.is_empty() {
        let all = pattern.iter().copied().cycle().take(width).collect();
        signatures.push((Vec::new(), all));
    }
    let main = signatures.len() as u32;
    let mut section = TypeSection::new();
    for (params, results) in &signatures {
        section.ty().function(params.iter().copied(), results.iter().copied());
    }
    section.ty().function(types.iter().copied(), []);
    // The pile is for calls of its own.
    signatures.truncate(pile);
    let fillers = if rng.one_in(4) { FILLERS } else { 0 };
    let context = Context {
        types,
        fillers,
        signatures,
        pattern,
        locals: *rng.pick(&[1, 1, 3, 16, 64, 1000]),
        labels: *rng.pick(&[0, 1, 1, 2, 16, 100]),
        bulky: rng.one_in(6),
    };
    // What is not defined is asked for: then the code has to look where it is.
    let foreign = rng.one_in(4);

    let mut imports = ImportSection::new();
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    (0..fillers).for_each(|_| _ = imports.import("", "", EntityType::Function(0)));
    let imported = if rng.one_in(2) { below(rng, pile + 1) as u32 } else { 0 };
    for ty in 0..main {
        if ty < imported {
            imports.import("", "", EntityType::Function(ty));
        } else {
            functions.function(ty);
            let mut callee = Function::new([]);
            callee.instructions().unreachable().end();
            code.function(&callee);
        }
    }
    let each = if rng.one_in(3) { 16 + below(rng, 400) } else { size };
    let locals = (context.locals - 1) * context.types.len();
    let mut written = 0;
    let mut seed = Rng(rng.next_u64());
    while written + each <= size {
        functions.function(main);
        // All functions are the same, but for one module in four.
        let mut own = if rng.one_in(4) { Rng(rng.next_u64()) } else { Rng(seed.0) };
        let body = body(&mut own, &context, width, fillers + pile as u32, each);
        let runs = (0..locals).map(|at| (1, context.types[at % context.types.len()]));
        let mut func = Function::new(runs);
        written += body.len() + 8 + 2 * locals;
        func.raw(body);
        code.function(&func);
    }
    seed.next_u64();

    let mut tables = TableSection::new();
    for (element, size) in entity::TABLES {
        let table = TableType {
            element_type: if element == FUNC { RefType::FUNCREF } else { RefType::EXTERNREF },
            table64: size == I64,
            minimum: 10,
            maximum: None,
            shared: false,
        };
        if foreign {
            imports.import("", "", table);
        } else {
            tables.table(table);
        }
    }
    let mut memories = MemorySection::new();
    for size in entity::MEMORIES {
        let memory = MemoryType {
            minimum: 1,
            maximum: None,
            memory64: size == I64,
            shared: false,
            page_size_log2: None,
        };
        if foreign {
            imports.import("", "", memory);
        } else {
            memories.memory(memory);
        }
    }
    let mut globals = GlobalSection::new();
    for ty in std::iter::repeat_n(I64, fillers as usize).chain(TYPES) {
        let init = match number(ty) {
            0 => ConstExpr::i32_const(0),
            1 => ConstExpr::i64_const(0),
            2 => ConstExpr::f32_const(0.0.into()),
            3 => ConstExpr::f64_const(0.0.into()),
            4 => ConstExpr::ref_null(wasm_encoder::HeapType::FUNC),
            _ => ConstExpr::ref_null(wasm_encoder::HeapType::EXTERN),
        };
        let global = GlobalType { val_type: ty, mutable: true, shared: false };
        if foreign {
            imports.import("", "", global);
        } else {
            globals.global(global, &init);
        }
    }
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, fillers + main);
    let mut elements = ElementSection::new();
    elements.declared(Elements::Functions([0].as_slice().into()));
    elements.passive(Elements::Functions([0; 3].as_slice().into()));
    let mut data = DataSection::new();
    data.passive([1, 2, 3]);
    let mut module = Module::new();
    module.section(&section).section(&imports).section(&functions).section(&tables);
    module.section(&memories).section(&globals).section(&exports).section(&elements);
    module.section(&DataCountSection { count: 1 }).section(&code).section(&data);
    Genome::parse(&module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bombs::genome::valid;

    #[test]
    fn most_modules_are_valid_and_of_the_size_asked_for() {
        let mut good = 0;
        let mut sizes = Vec::new();
        for seed in 0..300 {
            let mut rng = Rng(seed);
            let module = module(&mut rng, 4000).expect("core sections alone").encode();
            if valid(&module) {
                good += 1;
                sizes.push(module.len());
            }
        }
        sizes.sort_unstable();
        assert!(good > 290, "{good} of 300");
        let (few, many) = (sizes[sizes.len() / 20], sizes[sizes.len() * 19 / 20]);
        assert!(few > 3000 && many < 20_000, "{few} to {many} bytes");
    }

    #[test]
    fn numeric_operators_are_what_the_validator_says() {
        for op in 0x45..=0xc4u8 {
            let (takes, gives) = numeric(op);
            let mut types = TypeSection::new();
            types.ty().function(takes.iter().copied(), [gives]);
            let mut functions = FunctionSection::new();
            functions.function(0);
            let mut func = Function::new([]);
            (0..takes.len() as u32).for_each(|at| {
                func.instructions().local_get(at);
            });
            func.raw([op, 0x0b]);
            let mut code = CodeSection::new();
            code.function(&func);
            let mut module = Module::new();
            module.section(&types).section(&functions).section(&code);
            assert!(valid(&module.finish()), "{op:#x}");
        }
    }
}
