//! What a body consists of, counted without validating or translating it: the ground for a quote.
//!
//! The scan that translation begins with ([`crate::scan`]) knows already what bounds SSA: constructs,
//! branches, and the edge arguments that locals may need. A [`Survey`] runs the same scan and counts
//! besides what kinds of operators there are, by [`OpKind`], and what calls, blocks and branches move. So
//! what it says of a body is what the compiler will find, including what the scan decides.
//!
//! # Complexity
//! That of the scan: O(bytes), a few nanoseconds per operator.

use crate::body;
use crate::module::ModuleInfo;
use crate::scan::Scan;
use runwell_abi::Type;
use runwell_abi::call::{ArgLoc, CallAbi};
use runwell_ir::Signature;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Operators that cost a compiler about the same.
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum OpKind { $($(#[$doc])* $name),* }

        impl OpKind {
            /// All kinds, indexed by their discriminants.
            pub const ALL: &'static [OpKind] = &[$(OpKind::$name),*];
        }
    };
}

kinds! {
    /// `nop`, `drop`, and opcodes that are not implemented.
    Nothing,
    /// `unreachable`.
    Unreachable,
    /// `block`.
    Block,
    /// `loop`.
    Loop,
    /// `if`.
    If,
    /// `else`.
    Else,
    /// `end`.
    End,
    /// `br`.
    Br,
    /// `br_if`.
    BrIf,
    /// `br_table`.
    BrTable,
    /// `return`.
    Return,
    /// `call`.
    Call,
    /// `call_indirect`.
    CallIndirect,
    /// `return_call` and `return_call_indirect`.
    TailCall,
    /// `select`.
    Select,
    /// `local.get`.
    Get,
    /// `local.set` and `local.tee`.
    Set,
    /// `global.get`.
    GlobalGet,
    /// `global.set`.
    GlobalSet,
    /// `table.get`.
    TableGet,
    /// `table.set`.
    TableSet,
    /// Loads of integers.
    Load,
    /// Loads of floats.
    FloatLoad,
    /// Stores of integers.
    Store,
    /// Stores of floats.
    FloatStore,
    /// `memory.size`, `table.size`.
    Size,
    /// Whatever calls a helper: growing, bulk operators, dropping segments.
    Helper,
    /// `i32.const`, `ref.null`.
    Const32,
    /// `i64.const`.
    Const64,
    /// `f32.const` and `f64.const`.
    FloatConst,
    /// Integer comparisons, `ref.is_null`.
    Compare,
    /// Float comparisons.
    FloatCompare,
    /// Addition, subtraction, bitwise logic.
    Alu,
    /// Integer multiplication.
    Multiply,
    /// Integer division and remainder.
    Divide,
    /// Shifts and rotations.
    Shift,
    /// Leading and trailing zeros, population count.
    Bits,
    /// Extensions and truncations of integers.
    Extend,
    /// Float arithmetic.
    FloatAlu,
    /// Signs of floats: `abs`, `neg`, `copysign`.
    Sign,
    /// Minimum and maximum.
    MinMax,
    /// Roots and rounding.
    Round,
    /// Floats to integers.
    Truncate,
    /// Integers to floats.
    Convert,
    /// Floats to floats.
    Resize,
    /// Reinterpretations.
    Bitcast,
    /// `ref.func`.
    RefFunc,
}

/// How many kinds there are.
pub const KINDS: usize = OpKind::ALL.len();

const fn kind_of(opcode: u8) -> OpKind {
    use OpKind::*;
    match opcode {
        0x00 => Unreachable,
        0x02 => Block,
        0x03 => Loop,
        0x04 => If,
        0x05 => Else,
        0x0b => End,
        0x0c => Br,
        0x0d => BrIf,
        0x0e => BrTable,
        0x0f => Return,
        0x10 => Call,
        0x11 => CallIndirect,
        0x12..=0x15 => TailCall,
        0x1b | 0x1c => Select,
        0x20 => Get,
        0x21 | 0x22 => Set,
        0x23 => GlobalGet,
        0x24 => GlobalSet,
        0x25 => TableGet,
        0x26 => TableSet,
        0x2a | 0x2b => FloatLoad,
        0x28..=0x35 => Load,
        0x38 | 0x39 => FloatStore,
        0x36..=0x3e => Store,
        0x3f => Size,
        0x40 => Helper,
        0x41 | 0xd0 => Const32,
        0x42 => Const64,
        0x43 | 0x44 => FloatConst,
        0x45..=0x5a | 0xd1 => Compare,
        0x5b..=0x66 => FloatCompare,
        0x67..=0x69 | 0x79..=0x7b => Bits,
        0x6a | 0x6b | 0x71..=0x73 | 0x7c | 0x7d | 0x83..=0x85 => Alu,
        0x6c | 0x7e => Multiply,
        0x6d..=0x70 | 0x7f..=0x82 => Divide,
        0x74..=0x78 | 0x86..=0x8a => Shift,
        0x8b | 0x8c | 0x98 | 0x99 | 0x9a | 0xa6 => Sign,
        0x8d..=0x91 | 0x9b..=0x9f => {
            if opcode == 0x9a {
                Sign
            } else {
                Round
            }
        }
        0x92..=0x95 | 0xa0..=0xa3 => FloatAlu,
        0x96 | 0x97 | 0xa4 | 0xa5 => MinMax,
        0xa7 | 0xac | 0xad | 0xc0..=0xc4 => Extend,
        0xa8..=0xab | 0xae..=0xb1 => Truncate,
        0xb2..=0xb5 | 0xb7..=0xba => Convert,
        0xb6 | 0xbb => Resize,
        0xbc..=0xbf => Bitcast,
        0xd2 => RefFunc,
        _ => Nothing,
    }
}

static KIND_OF: [OpKind; 256] = {
    let mut table = [OpKind::Nothing; 256];
    let mut op = 0;
    while op < 256 {
        table[op] = kind_of(op as u8);
        op += 1;
    }
    table
};

/// What the scan tells whoever counts.
pub(crate) trait Tally {
    /// An operator without prefix byte.
    fn operator(&mut self, opcode: u8);
    /// An operator behind the prefix byte 0xfc.
    fn prefixed(&mut self, sub: u32);
    /// A call of a function of this type, imported if `other`, or of whatever a reference is.
    fn call(&mut self, ty: u32, other: bool);
    /// An access to a memory with a static offset of so many bytes in the binary.
    fn access(&mut self, memory: u32, offset_bytes: usize);
    /// A branch table of so many entries.
    fn table(&mut self, entries: u32);
    /// A construct begins: its opcode, and how many values it takes and gives.
    fn open(&mut self, opcode: u8, params: u32, results: u32);
    /// A branch, or a target of a branch table.
    fn branch(&mut self, depth: u32);
    /// The function is left by a return or at its end.
    fn leave(&mut self);
    /// The innermost construct ends. What it merges ([`Tally::merge`]) comes before.
    fn close(&mut self);
    /// The local of this number is read.
    fn get(&mut self, local: u32);
    /// The local of this number is written.
    fn set(&mut self, local: u32);
    /// A construct ends in which the local of this number was written and into which so many ways lead.
    fn merge(&mut self, local: u32, incoming: u32, is_loop: bool);
}

impl Tally for () {
    #[inline]
    fn operator(&mut self, _: u8) {}
    #[inline]
    fn prefixed(&mut self, _: u32) {}
    #[inline]
    fn call(&mut self, _: u32, _: bool) {}
    #[inline]
    fn access(&mut self, _: u32, _: usize) {}
    #[inline]
    fn table(&mut self, _: u32) {}
    #[inline]
    fn open(&mut self, _: u8, _: u32, _: u32) {}
    #[inline]
    fn branch(&mut self, _: u32) {}
    #[inline]
    fn leave(&mut self) {}
    #[inline]
    fn close(&mut self) {}
    #[inline]
    fn get(&mut self, _: u32) {}
    #[inline]
    fn set(&mut self, _: u32) {}
    #[inline]
    fn merge(&mut self, _: u32, _: u32, _: bool) {}
}

/// Up to so many values constructs and branches move as others do; more may be stored first.
const NARROW: u32 = 4;

/// What a signature costs those that call by it.
#[derive(Copy, Clone, Default, Debug)]
struct Shape {
    params: u32,
    results: u32,
    /// Of these, how many travel in cells of the transfer buffer.
    cells: u32,
    floats: bool,
}

impl Shape {
    fn of(sig: &Signature) -> Shape {
        let cells = |abi: CallAbi, types: &[Type]| {
            let mut abi = abi;
            types.iter().filter(|&&ty| matches!(abi.next(ty), ArgLoc::Cell(_))).count() as u32
        };
        Shape {
            params: sig.params.len() as u32,
            results: sig.results.len() as u32,
            cells: cells(CallAbi::args(sig.params.len()), &sig.params)
                + cells(CallAbi::results(sig.results.len()), &sig.results),
            floats: sig.params.iter().chain(&sig.results).any(|ty| ty.is_float_class()),
        }
    }
}

/// What a body consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyFacts {
    /// Operators, by [`OpKind`].
    pub ops: [u32; KINDS],
    /// Operators read, one for each.
    pub operators: u32,
    /// Locals declared, parameters included.
    pub declared: u32,
    /// Runs of declared locals.
    pub runs: u32,
    /// Parameters that are mentioned or stand before one that is.
    pub params: u32,
    /// Results of the function.
    pub results: u32,
    /// Parameters and results of the function that travel in cells of the transfer buffer.
    pub own_cells: u32,
    /// Locals mentioned.
    pub mentioned: u32,
    /// Those that live in frame slots.
    pub demoted: u32,
    /// Blocks, loops and ifs.
    pub constructs: u32,
    /// Constructs that are open at once, at the most.
    pub depth: u32,
    /// Loops that are branched to.
    pub loops: u32,
    /// Ends that are branched to, ifs included.
    pub merges: u32,
    /// Ways into them and to loops: branches, distinct targets of branch tables, what falls through.
    pub edges: u32,
    /// Entries of branch tables.
    pub entries: u32,
    /// Edge arguments that locals may need, at most.
    pub pairs: u64,
    /// Of these, the ones whose local may be read before it is written again.
    pub live_pairs: u64,
    /// Values moved by calls, branches, blocks and returns.
    pub arity: u64,
    /// Of these, the ones that constructs, branches and returns move more than a few at once.
    pub wide_values: u64,
    /// Arguments of calls.
    pub args: u64,
    /// Results of calls.
    pub call_results: u64,
    /// Arguments and results of calls that travel in cells.
    pub cells: u64,
    /// Calls of imported functions.
    pub import_calls: u32,
    /// Accesses to memories whose length has to be compared, if 32-bit memories have guards.
    pub wide_accesses: u32,
    /// Accesses to memories but the first.
    pub other_accesses: u32,
    /// Accesses with large static offsets.
    pub far_accesses: u32,
    /// Steps of the scan.
    pub scan_steps: u64,
    /// True if there may be floats among the values.
    pub floats: bool,
}

/// Counts bodies: a reusable context for one module.
#[derive(Debug)]
pub struct Survey {
    scan: Scan,
    tally: Counts,
    runs: Vec<(u32, Type)>,
}

/// What is counted of one body.
#[derive(Copy, Clone, Debug)]
struct Now {
    ops: [u32; KINDS],
    args: u64,
    results: u64,
    cells: u64,
    import_calls: u32,
    wide_accesses: u32,
    other_accesses: u32,
    far_accesses: u32,
    entries: u32,
    depth: u32,
    arity: u64,
    wide_values: u64,
    floats: bool,
}

impl Now {
    const NOTHING: Now = Now {
        ops: [0; KINDS],
        args: 0,
        results: 0,
        cells: 0,
        import_calls: 0,
        wide_accesses: 0,
        other_accesses: 0,
        far_accesses: 0,
        entries: 0,
        depth: 0,
        arity: 0,
        wide_values: 0,
        floats: false,
    };
}

/// What is known of the edge arguments that a local may need: which of them carry a value that is read.
///
/// Those of a merge are *pending* until the next access in text order. A read makes them live. A write
/// that nothing branches around makes them dead. Behind any other write they are *deferred*: other ways
/// may lead to the ends of the constructs that are open there, so that they are pending again as soon as
/// one of these ends and merges the local, and a read before that reads what was written. The second
/// arm of an if is such another way, too: after an `else` all that is deferred counts as pending.
///
/// What is pending at the end of a loop is live if the loop reads the local before it writes it. A write
/// comes before everything behind it in the text up to the end of the construct it is in, since all
/// ways there pass it; so a read is *exposed* to the loops that were entered after the last such write.
#[derive(Copy, Clone, Default, Debug)]
struct Carried {
    /// Control operators there had been when the first of the pending ones was met.
    since: u32,
    /// `else` operators there had been when the first of the deferred ones was met.
    elses: u32,
    pending: u32,
    deferred: u32,
    /// The last write: how many constructs were open, the innermost of them, and how many there had been.
    height: u32,
    inside: u32,
    written: u32,
    /// Reads so far: the earliest write that one of them may see, and how many constructs there had been
    /// at the last of them.
    exposed: u32,
    read: u32,
    live: u64,
}

impl Carried {
    fn settle(&mut self) {
        self.live += u64::from(self.pending) + u64::from(self.deferred);
        (self.pending, self.deferred) = (0, 0);
    }
}

/// An open construct.
#[derive(Copy, Clone, Debug)]
struct Open {
    number: u32,
    /// Values that a branch to it carries.
    label_arity: u32,
}

#[derive(Debug)]
struct Counts {
    /// Per local, by number, as far as the body has come.
    carried: Vec<Carried>,
    /// Operators met that control may leave from to elsewhere, and the `else`s among them.
    controls: u32,
    elses: u32,
    /// Constructs met, arms of ifs counted each, and the numbers of those that are open.
    opened: u32,
    open: Vec<Open>,
    /// Results of the function.
    results: u32,
    /// Per type of the module.
    shapes: Vec<Shape>,
    /// Per memory: true if it is a 64-bit one.
    wide: Vec<bool>,
    /// True if the module has a global of a float type.
    float_globals: bool,
    now: Now,
}

/// Opcodes of the operators from which control may go elsewhere than on, as bits: `loop`, `if`, `else`,
/// branches.
const LEAVES: u64 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 0xc | 1 << 0xd | 1 << 0xe | 1 << 0xf;

impl Counts {
    /// Values are moved by a construct, a branch or a return.
    #[inline]
    fn moves(&mut self, values: u32) {
        self.now.arity += u64::from(values);
        if values > NARROW {
            self.now.wide_values += u64::from(values);
        }
    }

    /// The entry of a local, fresh at the first look in a body.
    #[inline]
    fn carried(&mut self, local: u32) -> &mut Carried {
        // Numbers are given in order.
        if local as usize == self.carried.len() {
            self.carried.push(Carried { exposed: u32::MAX, ..Carried::default() });
        }
        &mut self.carried[local as usize]
    }
}

impl Tally for Counts {
    #[inline]
    fn operator(&mut self, opcode: u8) {
        self.now.ops[KIND_OF[opcode as usize] as usize] += 1;
        self.controls += (LEAVES >> opcode.min(63)) as u32 & 1;
        if opcode == 0x05 {
            self.elses += 1;
            self.opened += 1;
            if let Some(last) = self.open.last_mut() {
                last.number = self.opened;
                // What falls out of the first arm; the second one's have been counted at the start.
                let values = last.label_arity;
                self.moves(values);
            }
        }
    }

    fn prefixed(&mut self, sub: u32) {
        let kind = match sub {
            0..=7 => OpKind::Truncate,
            16 => OpKind::Size,
            _ => OpKind::Helper,
        };
        self.now.ops[kind as usize] += 1;
    }

    #[inline]
    fn call(&mut self, ty: u32, other: bool) {
        let Some(shape) = self.shapes.get(ty as usize) else { return };
        let now = &mut self.now;
        now.arity += u64::from(shape.params) + u64::from(shape.results);
        now.args += u64::from(shape.params);
        now.results += u64::from(shape.results);
        now.cells += u64::from(shape.cells);
        now.floats |= shape.floats;
        now.import_calls += u32::from(other);
    }

    #[inline]
    fn access(&mut self, memory: u32, offset_bytes: usize) {
        let now = &mut self.now;
        now.other_accesses += u32::from(memory != 0);
        now.wide_accesses += u32::from(self.wide.get(memory as usize).is_none_or(|&wide| wide));
        now.far_accesses += u32::from(offset_bytes >= 5);
    }

    #[inline]
    fn table(&mut self, entries: u32) {
        self.now.entries = self.now.entries.saturating_add(entries);
    }

    #[inline]
    fn open(&mut self, opcode: u8, params: u32, results: u32) {
        self.moves(params);
        self.moves(results);
        self.opened += 1;
        self.open.push(Open {
            number: self.opened,
            label_arity: if opcode == 0x03 { params } else { results },
        });
        self.now.depth = self.now.depth.max(self.open.len() as u32);
    }

    #[inline]
    fn branch(&mut self, depth: u32) {
        let at = self.open.len().wrapping_sub(1 + depth as usize);
        let values = self.open.get(at).map_or(self.results, |open| open.label_arity);
        self.moves(values);
    }

    #[inline]
    fn leave(&mut self) {
        self.moves(self.results);
    }

    #[inline]
    fn close(&mut self) {
        self.open.pop();
    }

    #[inline]
    fn get(&mut self, local: u32) {
        let carried = self.carried(local);
        carried.live += u64::from(std::mem::take(&mut carried.pending));
        let (elses, opened) = (self.elses, self.opened);
        let open = &self.open;
        let carried = &mut self.carried[local as usize];
        if carried.elses != elses {
            carried.settle();
        }
        let before = match carried.height {
            0 => true,
            height => {
                open.get(height as usize - 1).is_some_and(|open| open.number == carried.inside)
            }
        };
        carried.exposed = carried.exposed.min(if before { carried.written } else { 0 });
        carried.read = opened;
    }

    #[inline]
    fn set(&mut self, local: u32) {
        let (controls, elses, opened) = (self.controls, self.elses, self.opened);
        let (height, inside) = (self.open.len() as u32, self.open.last().map_or(0, |o| o.number));
        let carried = self.carried(local);
        let pending = std::mem::take(&mut carried.pending);
        if pending > 0 && carried.since != controls {
            if carried.deferred == 0 {
                carried.elses = elses;
            }
            carried.deferred = carried.deferred.saturating_add(pending);
        }
        (carried.height, carried.inside, carried.written) = (height, inside, opened);
    }

    #[inline]
    fn merge(&mut self, local: u32, incoming: u32, is_loop: bool) {
        let controls = self.controls;
        // The loop that ends is the innermost construct.
        let Some(&open) = self.open.last() else { return };
        let number = open.number;
        let carried = self.carried(local);
        if is_loop && carried.exposed < number && carried.read >= number {
            carried.live += u64::from(incoming);
            return carried.settle();
        }
        if carried.pending == 0 {
            carried.since = controls;
        }
        if carried.deferred > 0 {
            // The merge may have been reached from before the write.
            carried.since = u32::MAX;
        }
        let deferred = std::mem::take(&mut carried.deferred);
        carried.pending = carried.pending.saturating_add(deferred).saturating_add(incoming);
    }
}

impl Survey {
    /// A context for `module`.
    pub fn new(module: &ModuleInfo) -> Survey {
        let tally = Counts {
            shapes: module.types.iter().map(Shape::of).collect(),
            wide: module.memories.iter().map(|ty| ty.memory64).collect(),
            float_globals: module.globals.iter().any(|global| global.ty.is_float_class()),
            now: Now::NOTHING,
            carried: Vec::new(),
            controls: 0,
            elses: 0,
            opened: 0,
            open: Vec::new(),
            results: 0,
        };
        Survey { scan: Scan::default(), tally, runs: Vec::new() }
    }

    /// Counts own function number `own`. What cannot be read is left out: the validator refuses the
    /// body there or earlier.
    ///
    /// # Panics
    /// When `own` is out of range or `bytes` is another binary.
    pub fn body(&mut self, module: &ModuleInfo, bytes: &[u8], own: usize) -> BodyFacts {
        let ty = module.funcs[module.imported_funcs() as usize + own];
        let sig = &module.types[ty as usize];
        let range = module.bodies[own].clone();
        let body = &bytes[range.start as usize..range.end as usize];
        let params = sig.params.len() as u32;
        let declared = body::declarations(body, range.start, params, &mut self.runs);
        let Ok(Some((declared, start))) = declared else {
            self.runs.clear();
            self.scan.nothing();
            self.tally.now = Now::NOTHING;
            return self.facts(Shape::default(), 0);
        };
        self.tally.now = Now::NOTHING;
        self.tally.carried.clear();
        self.tally.opened = 0;
        self.tally.open.clear();
        self.tally.results = sig.results.len() as u32;
        self.scan.run(module, sig, &body[start..], declared, &mut self.tally);
        let shape = self.tally.shapes[ty as usize];
        self.facts(shape, declared)
    }

    fn facts(&self, own: Shape, declared: u32) -> BodyFacts {
        let Survey { scan, tally, runs } = self;
        let now = &tally.now;
        let mut live = 0;
        let (mut demoted, mut locals, mut floats) = (0, 0, now.floats || own.floats);
        for (number, &local) in scan.mentioned.iter().enumerate() {
            let is_demoted = scan.is_demoted(number as u32);
            demoted += u32::from(is_demoted);
            live += tally.carried.get(number).map_or(0, |c| if is_demoted { 0 } else { c.live });
            locals = locals.max(local + 1);
            if !floats && local >= own.params {
                let run = runs.partition_point(|&(end, _)| end <= local);
                floats = runs.get(run).is_none_or(|&(_, ty)| ty.is_float_class());
            }
        }
        use OpKind::*;
        let made = [
            FloatLoad, FloatConst, FloatAlu, Sign, MinMax, Round, Truncate, Convert, Resize,
            Bitcast,
        ];
        floats |= made.iter().any(|&kind| now.ops[kind as usize] > 0);
        floats |= tally.float_globals && now.ops[GlobalGet as usize] > 0;
        let (mut loops, mut merges, mut edges) = (0, 0, 0u32);
        for construct in &scan.constructs {
            if construct.is_loop {
                loops += u32::from(construct.branches > 0);
            } else {
                merges += u32::from(construct.branches > 0);
            }
            edges = edges.saturating_add(construct.branches);
        }
        BodyFacts {
            ops: now.ops,
            operators: scan.operators,
            declared,
            runs: runs.len() as u32,
            params: own.params.min(locals),
            results: own.results,
            own_cells: own.cells,
            mentioned: scan.mentioned.len() as u32,
            demoted,
            constructs: scan.constructs.len() as u32,
            depth: now.depth,
            loops,
            merges: merges + now.ops[If as usize],
            edges,
            entries: now.entries,
            wide_values: now.wide_values,
            pairs: scan.pairs,
            live_pairs: live,
            arity: now.arity,
            args: now.args,
            call_results: now.results,
            cells: now.cells,
            import_calls: now.import_calls,
            wide_accesses: now.wide_accesses,
            other_accesses: now.other_accesses,
            far_accesses: now.far_accesses,
            scan_steps: scan.work() as u64,
            floats,
        }
    }
}
