//! Reading a module section by section.
//!
//! Each section goes through the validator first and is then read once more for its facts, so that
//! reading may rely on everything validation guarantees. An error is looked at twice: when the
//! whole module is valid with every proposal enabled, the first one was about a proposal.
//!
//! # Complexity
//! Linear, on the meter as `Pass::Parse`: a step per byte for the validator and one for the facts, and one
//! sweep over functions, exports, elements and constant expressions at the end. An entry takes a byte at
//! least, and what is owned of one are its strings and lists. Contents of data segments and of custom
//! sections, and bodies, are stepped over. The library's validator interns types and compares names by
//! keyed hashes and trees; what it does per byte is constant. There is no cheaper way: beyond the ceiling
//! of the module's sections is an error.

use crate::const_expr::{ConstExpr, ConstOp};
use crate::error::{Error, Result};
use crate::features;
use crate::limits::Limits;
use crate::module::{
    DataSegment, ElementItems, ElementSegment, EntityType, Export, ExternKind, GlobalType, Import,
    MemoryType, ModuleInfo, Parsed, SegmentMode, TableType, Validation,
};
use crate::names::Names;
use crate::second;
use runwell_abi::{Type, VmctxCounts, VmctxLayout};
use runwell_ir::work::Pass;
use runwell_ir::{Signature, Work};
use std::ops::Range;
use std::sync::Arc;
use wasmparser as wp;
use wasmparser::{Operator, Parser, Payload, Validator};

/// Parses a module; see [`Parsed::parse`].
pub(crate) fn parse(bytes: &[u8], limits: &Limits, work: &mut Work) -> Result<Parsed> {
    let outcome = Reader::new(*limits, work).run(bytes);
    outcome.map_err(|error| second::look_at_module(error, bytes, work))
}

/// The machine-level type of a value type, if the language has it.
pub(crate) fn value_type(ty: wp::ValType) -> Option<Type> {
    match ty {
        wp::ValType::I32 => Some(Type::I32),
        wp::ValType::I64 => Some(Type::I64),
        wp::ValType::F32 => Some(Type::F32),
        wp::ValType::F64 => Some(Type::F64),
        wp::ValType::V128 => None,
        wp::ValType::Ref(ty) => ref_type(ty),
    }
}

fn ref_type(ty: wp::RefType) -> Option<Type> {
    if ty == wp::RefType::FUNCREF {
        Some(Type::FuncRef)
    } else if ty == wp::RefType::EXTERNREF {
        Some(Type::AnyRef)
    } else {
        None
    }
}

/// The machine-level type of the references to a heap type, if the language has it.
pub(crate) fn heap_type(ty: wp::HeapType) -> Option<Type> {
    if ty == wp::HeapType::FUNC {
        Some(Type::FuncRef)
    } else if ty == wp::HeapType::EXTERN {
        Some(Type::AnyRef)
    } else {
        None
    }
}

struct Reader<'a> {
    limits: Limits,
    work: &'a mut Work,
    validator: Validator,
    resources: Option<wp::ValidatorResources>,
    types: Vec<Signature>,
    info: ModuleInfo,
    counts: VmctxCounts,
}

/// Where a section or body is, and what it costs to read it: one step per byte for the validator,
/// which does so before anything is allocated, and one for the facts. Of bodies, data segments and
/// custom sections, names included, no more than the header is looked at.
fn cost(payload: &Payload<'_>) -> (u32, usize) {
    let twice = |range: Range<u64>| (range.start as u32, 2 * (range.end - range.start) as usize);
    match payload {
        Payload::TypeSection(section) => twice(section.range()),
        Payload::ImportSection(section) => twice(section.range()),
        Payload::FunctionSection(section) => twice(section.range()),
        Payload::TableSection(section) => twice(section.range()),
        Payload::MemorySection(section) => twice(section.range()),
        Payload::GlobalSection(section) => twice(section.range()),
        Payload::ExportSection(section) => twice(section.range()),
        Payload::ElementSection(section) => twice(section.range()),
        // Per segment, see there.
        Payload::DataSection(section) => (section.range().start as u32, 1),
        Payload::CodeSectionEntry(body) => (body.range().start as u32, 1),
        Payload::CustomSection(section) => {
            (section.data_range().start as u32, section.name().len() + 1)
        }
        _ => (0, 1),
    }
}

fn range(range: Range<u64>) -> Range<u32> {
    // `Limits::module_bytes` is a `u32`.
    range.start as u32..range.end as u32
}

fn unsupported_type(at: u64) -> Error {
    Error::unsupported("unknown", "a type of an unsupported proposal", at as u32)
}

fn refs(ty: wp::RefType, at: u64) -> Result<Type> {
    ref_type(ty).ok_or_else(|| unsupported_type(at))
}

fn value(ty: wp::ValType, at: u64) -> Result<Type> {
    value_type(ty).ok_or_else(|| unsupported_type(at))
}

impl<'a> Reader<'a> {
    fn new(limits: Limits, work: &'a mut Work) -> Reader<'a> {
        let info = ModuleInfo {
            types: Arc::new([]),
            imports: Vec::new(),
            funcs: Vec::new(),
            tables: Vec::new(),
            table_inits: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            global_inits: Vec::new(),
            exports: Vec::new(),
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
            bodies: Vec::new(),
            names: Names::default(),
            escaped: Vec::new(),
            layout: VmctxLayout::default(),
            const_pool: Vec::new(),
        };
        Reader {
            limits,
            work,
            validator: Validator::new_with_features(features::SUPPORTED),
            resources: None,
            types: Vec::new(),
            info,
            counts: VmctxCounts::default(),
        }
    }

    fn run(mut self, bytes: &[u8]) -> Result<Parsed> {
        let mut parser = Parser::new(0);
        parser.set_features(features::SUPPORTED);
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            let (at, steps) = cost(&payload);
            self.work.charge(Pass::Parse, steps);
            self.work.check(Pass::Parse).map_err(|why| Error::stopped(why, at))?;
            self.payload(bytes, payload)?;
        }
        self.finish()
    }

    fn payload(&mut self, bytes: &[u8], payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                self.validator.type_section(&section)?;
                self.type_section(section)
            }
            Payload::ImportSection(section) => {
                self.validator.import_section(&section)?;
                self.import_section(section)
            }
            Payload::FunctionSection(section) => {
                let at = section.range().start as u32;
                self.bound("functions", section.count(), self.limits.functions, at)?;
                self.validator.function_section(&section)?;
                for ty in section {
                    self.info.funcs.push(ty?);
                }
                self.bound("functions", self.info.funcs.len() as u32, self.limits.functions, at)
            }
            Payload::TableSection(section) => {
                self.validator.table_section(&section)?;
                self.table_section(section)
            }
            Payload::MemorySection(section) => {
                let at = section.range().start as u32;
                self.validator.memory_section(&section)?;
                for ty in section {
                    self.info.memories.push(memory_type(&ty?));
                }
                self.bound("memories", self.info.memories.len() as u32, self.limits.memories, at)
            }
            Payload::GlobalSection(section) => {
                self.validator.global_section(&section)?;
                self.global_section(section)
            }
            Payload::ExportSection(section) => {
                self.validator.export_section(&section)?;
                self.export_section(section)
            }
            Payload::StartSection { func, range } => {
                self.validator.start_section(func, &range)?;
                self.info.start = Some(func);
                Ok(())
            }
            Payload::ElementSection(section) => {
                self.validator.element_section(&section)?;
                self.element_section(section)
            }
            Payload::DataCountSection { count, range } => {
                Ok(self.validator.data_count_section(count, &range)?)
            }
            Payload::CodeSectionStart { count, ref unchecked_range, .. } => {
                self.validator.code_section_start(unchecked_range)?;
                // A body takes two bytes at least, so a false count reserves little.
                self.info.bodies.reserve((count as usize).min(bytes.len() / 2));
                Ok(())
            }
            Payload::CodeSectionEntry(body) => {
                let at = range(body.range());
                self.bound(
                    "size of the body",
                    at.end - at.start,
                    self.limits.body_bytes,
                    at.start,
                )?;
                let func = self.validator.code_section_entry(&body)?;
                self.resources.get_or_insert(func.resources);
                self.info.bodies.push(at);
                Ok(())
            }
            Payload::DataSection(section) => {
                self.validator.data_section(&section)?;
                self.data_section(bytes, section)
            }
            Payload::CustomSection(section) => {
                if section.name() == "name" && self.info.names.section.is_none() {
                    self.info.names.section = Some(range(section.data_range()));
                }
                Ok(())
            }
            other => {
                self.validator.payload(&other)?;
                Ok(())
            }
        }
    }

    fn bound(&self, what: &'static str, count: u32, limit: u32, at: u32) -> Result<()> {
        if count > limit { Err(Error::limit(what, limit.into(), at)) } else { Ok(()) }
    }

    fn type_section(&mut self, section: wp::TypeSectionReader<'_>) -> Result<()> {
        let at = section.range().start;
        for ty in section.into_iter_err_on_gc_types() {
            let ty = ty?;
            let types = |types: &[wp::ValType]| {
                types.iter().map(|&ty| value(ty, at)).collect::<Result<Box<[Type]>>>()
            };
            self.types
                .push(Signature { params: types(ty.params())?, results: types(ty.results())? });
        }
        Ok(())
    }

    fn import_section(&mut self, section: wp::ImportSectionReader<'_>) -> Result<()> {
        let at = section.range().start;
        for import in section.into_imports() {
            let import = import?;
            let info = &mut self.info;
            let ty = match import.ty {
                wp::TypeRef::Func(ty) => {
                    info.funcs.push(ty);
                    self.counts.imported_funcs += 1;
                    EntityType::Func(ty)
                }
                wp::TypeRef::Table(ty) => {
                    let ty = table_type(&ty, at)?;
                    info.tables.push(ty);
                    self.counts.imported_tables += 1;
                    EntityType::Table(ty)
                }
                wp::TypeRef::Memory(ty) => {
                    let ty = memory_type(&ty);
                    info.memories.push(ty);
                    EntityType::Memory(ty)
                }
                wp::TypeRef::Global(ty) => {
                    let ty = global_type(&ty, at)?;
                    info.globals.push(ty);
                    self.counts.imported_globals += 1;
                    EntityType::Global(ty)
                }
                wp::TypeRef::Tag(_) => {
                    return Err(Error::unsupported("exception-handling", "a tag", at as u32));
                }
                wp::TypeRef::FuncExact(_) => {
                    let what = "an exact function import";
                    return Err(Error::unsupported("custom-descriptors", what, at as u32));
                }
            };
            info.imports.push(Import {
                module: import.module.into(),
                name: import.name.into(),
                ty,
            });
        }
        let (info, limits) = (&self.info, &self.limits);
        self.bound("functions", info.funcs.len() as u32, limits.functions, at as u32)?;
        self.bound("tables", info.tables.len() as u32, limits.tables, at as u32)?;
        self.bound("memories", info.memories.len() as u32, limits.memories, at as u32)
    }

    fn table_section(&mut self, section: wp::TableSectionReader<'_>) -> Result<()> {
        let at = section.range().start;
        for table in section {
            let table = table?;
            self.info.tables.push(table_type(&table.ty, at)?);
            let init = match &table.init {
                wp::TableInit::RefNull => None,
                wp::TableInit::Expr(expr) => Some(self.const_expr(expr)?),
            };
            self.info.table_inits.push(init);
        }
        self.bound("tables", self.info.tables.len() as u32, self.limits.tables, at as u32)
    }

    fn global_section(&mut self, section: wp::GlobalSectionReader<'_>) -> Result<()> {
        let at = section.range().start;
        for global in section {
            let global = global?;
            self.info.globals.push(global_type(&global.ty, at)?);
            let init = self.const_expr(&global.init_expr)?;
            self.info.global_inits.push(init);
        }
        Ok(())
    }

    fn export_section(&mut self, section: wp::ExportSectionReader<'_>) -> Result<()> {
        let at = section.range().start;
        for export in section {
            let export = export?;
            let kind = match export.kind {
                wp::ExternalKind::Func => ExternKind::Func,
                wp::ExternalKind::Table => ExternKind::Table,
                wp::ExternalKind::Memory => ExternKind::Memory,
                wp::ExternalKind::Global => ExternKind::Global,
                wp::ExternalKind::Tag | wp::ExternalKind::FuncExact => {
                    return Err(Error::unsupported("exception-handling", "a tag", at as u32));
                }
            };
            let name = export.name.into();
            self.info.exports.push(Export { name, kind, index: export.index });
        }
        Ok(())
    }

    fn element_section(&mut self, section: wp::ElementSectionReader<'_>) -> Result<()> {
        for segment in section {
            let segment = segment?;
            let mode = match &segment.kind {
                wp::ElementKind::Passive => SegmentMode::Passive,
                wp::ElementKind::Declared => SegmentMode::Declared,
                wp::ElementKind::Active { table_index, offset_expr } => SegmentMode::Active {
                    target: table_index.unwrap_or(0),
                    offset: self.const_expr(offset_expr)?,
                },
            };
            let (ty, items) = match segment.items {
                wp::ElementItems::Functions(items) => {
                    let items = items.into_iter().collect::<wp::Result<Box<[u32]>>>()?;
                    (Type::FuncRef, ElementItems::Funcs(items))
                }
                wp::ElementItems::Expressions(ty, items) => {
                    (refs(ty, segment.range.start)?, self.element_exprs(items)?)
                }
            };
            self.info.elements.push(ElementSegment { mode, ty, items });
        }
        Ok(())
    }

    /// Reads item expressions, as function indices when they all are ones or null.
    fn element_exprs(
        &mut self,
        items: wp::SectionLimited<'_, wp::ConstExpr<'_>>,
    ) -> Result<ElementItems> {
        let pool_start = self.info.const_pool.len();
        let mut exprs = Vec::new();
        for item in items {
            exprs.push(self.const_expr(&item?)?);
        }
        let func = |expr: &ConstExpr| match *self.info.const_ops(*expr) {
            [ConstOp::RefFunc(index)] => Some(index),
            [ConstOp::RefNull(Type::FuncRef)] => Some(ElementItems::NULL),
            _ => None,
        };
        match exprs.iter().map(func).collect::<Option<Box<[u32]>>>() {
            Some(funcs) => {
                self.info.const_pool.truncate(pool_start);
                Ok(ElementItems::Funcs(funcs))
            }
            None => Ok(ElementItems::Exprs(exprs.into())),
        }
    }

    fn data_section(&mut self, bytes: &[u8], section: wp::DataSectionReader<'_>) -> Result<()> {
        for segment in section {
            let segment = segment?;
            let mode = match &segment.kind {
                wp::DataKind::Passive => SegmentMode::Passive,
                wp::DataKind::Active { memory_index, offset_expr } => SegmentMode::Active {
                    target: *memory_index,
                    offset: self.const_expr(offset_expr)?,
                },
            };
            // The content is the tail of the segment.
            let end = segment.range.end as u32;
            let start = end - segment.data.len() as u32;
            debug_assert_eq!(&bytes[start as usize..end as usize], segment.data);
            self.work.charge(Pass::Parse, (u64::from(start) - segment.range.start) as usize + 1);
            self.info.data.push(DataSegment { mode, bytes: start..end });
        }
        Ok(())
    }

    fn const_expr(&mut self, expr: &wp::ConstExpr<'_>) -> Result<ConstExpr> {
        let pool = &mut self.info.const_pool;
        let start = pool.len() as u32;
        let mut reader = expr.get_operators_reader();
        while !reader.eof() {
            let (op, at) = reader.read_with_offset()?;
            pool.push(match op {
                Operator::I32Const { value } => ConstOp::I32(value as u32),
                Operator::I64Const { value } => ConstOp::I64(value as u64),
                Operator::F32Const { value } => ConstOp::F32(value.bits()),
                Operator::F64Const { value } => ConstOp::F64(value.bits()),
                Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
                Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
                Operator::RefNull { hty } => {
                    ConstOp::RefNull(heap_type(hty).ok_or_else(|| unsupported_type(at))?)
                }
                Operator::I32Add => ConstOp::I32Add,
                Operator::I32Sub => ConstOp::I32Sub,
                Operator::I32Mul => ConstOp::I32Mul,
                Operator::I64Add => ConstOp::I64Add,
                Operator::I64Sub => ConstOp::I64Sub,
                Operator::I64Mul => ConstOp::I64Mul,
                Operator::End => break,
                // Validation admits nothing else; should it ever, the module is refused.
                _ => {
                    let what = "an operator in a constant expression";
                    return Err(Error::unsupported("unknown", what, at as u32));
                }
            });
        }
        Ok(ConstExpr { start, len: pool.len() as u32 - start })
    }

    /// Numbers the escaping functions and lays out the context.
    fn finish(self) -> Result<Parsed> {
        let Reader { mut info, mut counts, types, work, .. } = self;
        info.types = types.into();
        let items: usize = info.elements.iter().map(|segment| segment.items.len()).sum();
        let lists = 3 * info.funcs.len() + info.exports.len() + info.elements.len();
        work.charge(Pass::Parse, lists + items + info.const_pool.len());
        let mut escaped = vec![ModuleInfo::NONE; info.funcs.len()];
        let mut mark = |index: u32| escaped[index as usize] = 0;
        for export in info.exports.iter().filter(|export| export.kind == ExternKind::Func) {
            mark(export.index);
        }
        for segment in &info.elements {
            if let ElementItems::Funcs(funcs) = &segment.items {
                funcs.iter().filter(|&&index| index != ElementItems::NULL).for_each(|&f| mark(f));
            }
        }
        for op in &info.const_pool {
            if let ConstOp::RefFunc(index) = *op {
                mark(index);
            }
        }
        // The runtime calls the start function through its reference.
        info.start.into_iter().for_each(mark);
        let imported = counts.imported_funcs as usize;
        escaped[..imported].fill(ModuleInfo::NONE);
        for number in escaped[imported..].iter_mut().filter(|number| **number == 0) {
            *number = counts.escaped_funcs;
            counts.escaped_funcs += 1;
        }
        info.escaped = escaped;
        counts.memories = info.memories.len() as u32;
        counts.own_tables = info.tables.len() as u32 - counts.imported_tables;
        counts.own_globals = info.globals.len() as u32 - counts.imported_globals;
        counts.types = info.types.len() as u32;
        info.layout = VmctxLayout::new(counts);
        let validation = Validation::new(self.resources, &info.types);
        Ok(Parsed { info, validation })
    }
}

fn table_type(ty: &wp::TableType, at: u64) -> Result<TableType> {
    let element = refs(ty.element_type, at)?;
    Ok(TableType { element, table64: ty.table64, min: ty.initial, max: ty.maximum })
}

fn memory_type(ty: &wp::MemoryType) -> MemoryType {
    MemoryType { memory64: ty.memory64, min: ty.initial, max: ty.maximum }
}

fn global_type(ty: &wp::GlobalType, at: u64) -> Result<GlobalType> {
    Ok(GlobalType { ty: value(ty.content_type, at)?, mutable: ty.mutable })
}
