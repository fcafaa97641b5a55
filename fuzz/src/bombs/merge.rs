//! Two modules in one: the functions of both, each with what it refers to.

use std::collections::BTreeSet;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, ExportSection, FunctionSection,
    GlobalSection, ImportSection, MemorySection, Module, StartSection, TableSection, TypeSection,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// How an index space of one module lies in that of both: imports first, then definitions.
#[derive(Copy, Clone, Default)]
struct Space {
    imports: u32,
    imports_before: u32,
    all_imports: u32,
    defined_before: u32,
}

impl Space {
    fn map(self, index: u32) -> u32 {
        match index.checked_sub(self.imports) {
            None => self.imports_before + index,
            Some(own) => self.all_imports + self.defined_before + own,
        }
    }
}

#[derive(Copy, Clone, Default)]
struct Counts {
    imports: [u32; 4],
    defined: [u32; 4],
    types: u32,
    elements: u32,
    data: u32,
}

/// Numbers of the index spaces.
const FUNC: usize = 0;
const TABLE: usize = 1;
const MEMORY: usize = 2;
const GLOBAL: usize = 3;

fn counts(module: &[u8]) -> Option<Counts> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => counts.types = section.count(),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let space = match import.ok()?.ty {
                        TypeRef::Func(_) => FUNC,
                        TypeRef::Table(_) => TABLE,
                        TypeRef::Memory(_) => MEMORY,
                        TypeRef::Global(_) => GLOBAL,
                        _ => return None,
                    };
                    counts.imports[space] += 1;
                }
            }
            Payload::FunctionSection(section) => counts.defined[FUNC] = section.count(),
            Payload::TableSection(section) => counts.defined[TABLE] = section.count(),
            Payload::MemorySection(section) => counts.defined[MEMORY] = section.count(),
            Payload::GlobalSection(section) => counts.defined[GLOBAL] = section.count(),
            Payload::ElementSection(section) => counts.elements = section.count(),
            Payload::DataSection(section) => counts.data = section.count(),
            _ => {}
        }
    }
    Some(counts)
}

/// Moves the indices of one module.
#[derive(Copy, Clone, Default)]
struct Shift {
    spaces: [Space; 4],
    types: u32,
    elements: u32,
    data: u32,
}

impl Reencode for Shift {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.spaces[FUNC].map(index))
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.spaces[TABLE].map(index))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.spaces[MEMORY].map(index))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.spaces[GLOBAL].map(index))
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index + self.types)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index + self.elements)
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index + self.data)
    }
}

#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    funcs: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    names: BTreeSet<String>,
    start: Option<u32>,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Sections {
    fn add(&mut self, module: &[u8], mut shift: Shift) -> Result<(), Error<Infallible>> {
        let shift = &mut shift;
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    utils::parse_type_section(shift, &mut self.types, section)?;
                }
                Payload::ImportSection(section) => {
                    utils::parse_import_section(shift, &mut self.imports, section)?;
                }
                Payload::FunctionSection(section) => {
                    utils::parse_function_section(shift, &mut self.funcs, section)?;
                }
                Payload::TableSection(section) => {
                    utils::parse_table_section(shift, &mut self.tables, section)?;
                }
                Payload::MemorySection(section) => {
                    utils::parse_memory_section(shift, &mut self.memories, section)?;
                }
                Payload::GlobalSection(section) => {
                    utils::parse_global_section(shift, &mut self.globals, section)?;
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let mut name = export.name.to_string();
                        while !self.names.insert(name.clone()) {
                            name.push('\'');
                        }
                        let index = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => {
                                shift.function_index(export.index)?
                            }
                            ExternalKind::Table => shift.table_index(export.index)?,
                            ExternalKind::Memory => shift.memory_index(export.index)?,
                            ExternalKind::Global => shift.global_index(export.index)?,
                            ExternalKind::Tag => continue,
                        };
                        self.exports.export(&name, shift.export_kind(export.kind)?, index);
                    }
                }
                Payload::StartSection { func, .. } => {
                    self.start.get_or_insert(shift.function_index(func)?);
                }
                Payload::ElementSection(section) => {
                    utils::parse_element_section(shift, &mut self.elements, section)?;
                }
                Payload::CodeSectionEntry(body) => {
                    utils::parse_function_body(shift, &mut self.code, body)?;
                }
                Payload::DataSection(section) => {
                    utils::parse_data_section(shift, &mut self.data, section)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports).section(&self.funcs);
        module.section(&self.tables).section(&self.memories).section(&self.globals);
        module.section(&self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        module.section(&self.elements);
        if !self.data.is_empty() {
            module.section(&DataCountSection { count: self.data.len() });
        }
        module.section(&self.code);
        if !self.data.is_empty() {
            module.section(&self.data);
        }
        module.finish()
    }
}

/// Both modules in one. None where one of them has what cannot be moved.
pub(super) fn merge(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let (of_a, of_b) = (counts(a)?, counts(b)?);
    let space = |i: usize| {
        let all_imports = of_a.imports[i] + of_b.imports[i];
        let first = Space { imports: of_a.imports[i], all_imports, ..Space::default() };
        let second = Space {
            imports: of_b.imports[i],
            imports_before: of_a.imports[i],
            all_imports,
            defined_before: of_a.defined[i],
        };
        (first, second)
    };
    let spaces = [space(0), space(1), space(2), space(3)];
    let mut sections = Sections::default();
    sections.add(a, Shift { spaces: spaces.map(|space| space.0), ..Shift::default() }).ok()?;
    let shift = Shift {
        spaces: spaces.map(|space| space.1),
        types: of_a.types,
        elements: of_a.elements,
        data: of_a.data,
    };
    sections.add(b, shift).ok()?;
    Some(sections.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bombs::genome::valid;

    #[test]
    fn two_valid_modules_make_a_valid_one() {
        let modules: Vec<_> = runwell_bombs::families().map(|family| (family.make)(700)).collect();
        for (i, a) in modules.iter().enumerate() {
            let b = &modules[(i * 7 + 1) % modules.len()];
            let both = merge(a, b).unwrap();
            let all = |space: usize, module: &[u8]| {
                let counts = counts(module).unwrap();
                counts.imports[space] + counts.defined[space]
            };
            for space in [FUNC, TABLE, MEMORY, GLOBAL] {
                assert_eq!(all(space, &both), all(space, a) + all(space, b));
            }
            // There is a limit on memories, which some families use up.
            assert!(valid(&both) || all(MEMORY, &both) > 100, "{i}");
        }
    }
}
