//! Counting operators in the guest itself: the independent answer to "how much fuel is that".
//!
//! A module is rewritten so that each operator first adds its cost to a global, bulk operators what
//! their length costs, and operators that hand on values what these cost. Run without metering, the global
//! says what a plain count of executed operators gives, whatever the compiler makes of the code around it.

use runwell_abi::fuel::{
    BYTES_SHIFT, ELEMENTS_SHIFT, OperatorClass, Schedule, VALUES_PER_UNIT, class_of,
};
use std::convert::Infallible;
use wasm_encoder::reencode::{self, Error, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, GlobalSection, GlobalType,
    Instruction, Module, SectionId, ValType,
};
use wasmparser::{BinaryReader, BlockType, FunctionBody, Operator};

/// The name under which the counter is exported.
pub const COUNTER: &str = "executed operators";

/// The module `wasm` with a counter of what `schedule` charges, which is its last global.
///
/// # Errors
/// When it is malformed.
pub fn counting(wasm: &[u8], schedule: Schedule) -> Result<Vec<u8>, String> {
    let mut counter = Counter { schedule, types: Types::read(wasm)?, global: None, body: 0 };
    let mut module = Module::new();
    counter
        .parse_core_module(&mut module, wasmparser::Parser::new(0), wasm)
        .map_err(|error| format!("{error}"))?;
    Ok(module.finish())
}

/// Which lengths are 64 bits wide, and what functions take and give.
struct Types {
    memories: Vec<bool>,
    tables: Vec<bool>,
    globals: u32,
    /// Parameters and results of each type.
    types: Vec<(u64, u64)>,
    /// The type of each function, imported ones first.
    funcs: Vec<u32>,
    imported: u32,
}

impl Types {
    fn read(wasm: &[u8]) -> Result<Types, String> {
        let limits = runwell_wasm::Limits::default();
        let parsed = runwell_wasm::Parsed::parse(wasm, &limits).map_err(|e| format!("{e:?}"))?;
        let info = &parsed.info;
        let len = |values: usize| values as u64;
        Ok(Types {
            memories: info.memories.iter().map(|ty| ty.memory64).collect(),
            tables: info.tables.iter().map(|ty| ty.table64).collect(),
            globals: info.globals.len() as u32,
            types: info
                .types
                .iter()
                .map(|ty| (len(ty.params.len()), len(ty.results.len())))
                .collect(),
            funcs: info.funcs.clone(),
            imported: info.imported_funcs(),
        })
    }

    fn of_block(&self, ty: BlockType) -> (u64, u64) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => self.types[index as usize],
        }
    }

    /// The values that `op` hands on, where the labels in `open` are open: what a branch to each takes and
    /// what falls through its end, the function's first.
    fn moved(&self, op: &Operator<'_>, open: &[(u64, u64)]) -> u64 {
        let label = |depth: u32| open[open.len() - 1 - depth as usize].0;
        let both = |(params, results): (u64, u64)| params + results;
        match *op {
            Operator::Call { function_index } => {
                both(self.types[self.funcs[function_index as usize] as usize])
            }
            Operator::CallIndirect { type_index, .. } => both(self.types[type_index as usize]),
            Operator::ReturnCall { function_index } => {
                self.types[self.funcs[function_index as usize] as usize].0
            }
            Operator::ReturnCallIndirect { type_index, .. } => self.types[type_index as usize].0,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                label(relative_depth)
            }
            Operator::BrTable { ref targets } => label(targets.default()),
            Operator::Return => open[0].1,
            Operator::Loop { blockty } => self.of_block(blockty).0,
            Operator::Else | Operator::End => open[open.len() - 1].1,
            _ => 0,
        }
    }
}

struct Counter {
    schedule: Schedule,
    types: Types,
    global: Option<u32>,
    body: usize,
}

impl Counter {
    /// `counter += units`, the latter from the stack when there is no constant.
    fn add(&self, function: &mut Function, units: Option<i64>) {
        let global = self.types.globals;
        if let Some(units) = units {
            if units == 0 {
                return;
            }
            function.instruction(&Instruction::I64Const(units));
        }
        function.instruction(&Instruction::GlobalGet(global));
        function.instruction(&Instruction::I64Add);
        function.instruction(&Instruction::GlobalSet(global));
    }

    /// The width of the length that `op` finds on top of the stack, and what it costs per unit.
    fn length(&self, op: &Operator<'_>) -> Option<(bool, u32)> {
        let (memories, tables) = (&self.types.memories, &self.types.tables);
        Some(match *op {
            Operator::MemoryFill { mem } => (memories[mem as usize], BYTES_SHIFT),
            Operator::MemoryCopy { dst_mem, src_mem } => {
                (memories[dst_mem as usize] && memories[src_mem as usize], BYTES_SHIFT)
            }
            Operator::MemoryInit { .. } => (false, BYTES_SHIFT),
            Operator::TableFill { table } | Operator::TableGrow { table } => {
                (tables[table as usize], ELEMENTS_SHIFT)
            }
            Operator::TableCopy { dst_table, src_table } => {
                (tables[dst_table as usize] && tables[src_table as usize], ELEMENTS_SHIFT)
            }
            Operator::TableInit { .. } => (false, ELEMENTS_SHIFT),
            _ => return None,
        })
    }

    fn globals(&mut self, globals: &mut GlobalSection) {
        globals.global(
            GlobalType { val_type: ValType::I64, mutable: true, shared: false },
            &ConstExpr::i64_const(0),
        );
        self.global = Some(self.types.globals);
    }
}

impl Reencode for Counter {
    type Error = Infallible;

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        reencode::utils::parse_global_section(self, globals, section)?;
        self.globals(globals);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export(COUNTER, ExportKind::Global, self.types.globals);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error<Infallible>> {
        let rank = |id: SectionId| match id {
            SectionId::Tag => 6,
            SectionId::Global => 7,
            SectionId::Export => 8,
            id if (id as u8) < 6 => id as u8,
            _ => 9,
        };
        let passed = after.is_none_or(|id| rank(id) < 7) && before.is_none_or(|id| rank(id) > 7);
        if passed && self.global.is_none() {
            let mut globals = GlobalSection::new();
            self.globals(&mut globals);
            module.section(&globals);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        func: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut locals = Vec::new();
        let ty = self.types.funcs[self.types.imported as usize + self.body];
        let (params, results) = self.types.types[ty as usize];
        let mut next = params as u32;
        self.body += 1;
        for run in func.get_locals_reader()? {
            let (count, ty) = run?;
            next += count;
            locals.push((count, self.val_type(ty)?));
        }
        let (narrow, wide) = (next, next + 1);
        locals.extend([(1, ValType::I32), (1, ValType::I64)]);
        let mut function = Function::new(locals);
        self.add(&mut function, Some(((u64::from(next) - params) / VALUES_PER_UNIT) as i64));
        let mut open = vec![(results, results)];
        let mut reader = func.get_operators_reader()?;
        while !reader.eof() {
            let (op, at) = reader.read_with_offset()?;
            let bytes = func.as_bytes();
            let start = at as usize - func.range().start as usize;
            let class = class_at(&bytes[start..]);
            let moved = self.types.moved(&op, &open) / VALUES_PER_UNIT;
            let units = i64::from(self.schedule.cost(class)) + moved as i64;
            match op {
                Operator::Block { blockty } | Operator::If { blockty } => {
                    let (_, results) = self.types.of_block(blockty);
                    open.push((results, results));
                }
                Operator::Loop { blockty } => open.push(self.types.of_block(blockty)),
                Operator::End => _ = open.pop(),
                _ => {}
            }
            if let Some((is_wide, shift)) = self.length(&op) {
                let local = if is_wide { wide } else { narrow };
                // What the length costs comes last, as it is charged last.
                function.instruction(&Instruction::LocalSet(local));
                self.add(&mut function, Some(units));
                function.instruction(&Instruction::LocalGet(local));
                if !is_wide {
                    function.instruction(&Instruction::I64ExtendI32U);
                }
                function.instruction(&Instruction::I64Const(shift.into()));
                function.instruction(&Instruction::I64ShrU);
                self.add(&mut function, None);
                function.instruction(&Instruction::LocalGet(local));
            } else {
                self.add(&mut function, Some(units));
            }
            function.instruction(&self.instruction(op)?);
        }
        code.function(&function);
        Ok(())
    }
}

fn class_at(bytes: &[u8]) -> OperatorClass {
    let mut reader = BinaryReader::new(&bytes[1..], 0);
    let sub = if bytes[0] == 0xfc { reader.read_var_u32().unwrap_or(0) } else { 0 };
    class_of(bytes[0], sub)
}
