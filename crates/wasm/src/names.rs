//! Names from the module's custom section "name".
//!
//! Only where the section lies is kept; names are decoded when somebody asks, since most modules
//! run without anybody ever seeing one. A malformed section is no error: its names are missing.

use std::ops::Range;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Where a module's names are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    pub(crate) section: Option<Range<u32>>,
}

/// The decoded names: byte ranges in the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameTable {
    module: Option<Range<u32>>,
    /// Function index and name, ascending by index.
    funcs: Vec<(u32, Range<u32>)>,
}

impl Names {
    /// The bytes of the section alone, and where names are in them, for whoever wants to keep names
    /// without the module.
    pub fn detach(&self, bytes: &[u8]) -> (Vec<u8>, Names) {
        let range = self.section.clone().unwrap_or(0..0);
        let section = bytes.get(range.start as usize..range.end as usize).unwrap_or(&[]).to_vec();
        let range = 0..section.len() as u32;
        (section, Names { section: self.section.as_ref().map(|_| range) })
    }

    /// Decodes the names of the module in `bytes`, the very bytes it was parsed from.
    /// O(bytes of the section).
    pub fn decode(&self, bytes: &[u8]) -> NameTable {
        let mut table = NameTable::default();
        let Some(section) = &self.section else { return table };
        let Some(data) = bytes.get(section.start as usize..section.end as usize) else {
            return table;
        };
        let base = bytes.as_ptr() as usize;
        let range = |name: &str| {
            let start = (name.as_ptr() as usize - base) as u32;
            start..start + name.len() as u32
        };
        let reader = BinaryReader::new(data, u64::from(section.start));
        for subsection in NameSectionReader::new(reader) {
            match subsection {
                Ok(Name::Module { name, .. }) => table.module = Some(range(name)),
                Ok(Name::Function(map)) => {
                    // The iterator refuses indices that do not ascend.
                    table.funcs.clear();
                    for naming in map.into_iter().map_while(Result::ok) {
                        table.funcs.push((naming.index, range(naming.name)));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        table
    }
}

impl NameTable {
    /// The name of the module.
    pub fn module<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        text(bytes, self.module.as_ref()?)
    }

    /// The name of function `index`. O(log functions).
    pub fn func<'a>(&self, bytes: &'a [u8], index: u32) -> Option<&'a str> {
        let at = self.funcs.binary_search_by_key(&index, |&(index, _)| index).ok()?;
        text(bytes, &self.funcs[at].1)
    }

    /// All function names as byte ranges, ascending by function index.
    pub fn funcs(&self) -> &[(u32, Range<u32>)] {
        &self.funcs
    }
}

fn text<'a>(bytes: &'a [u8], range: &Range<u32>) -> Option<&'a str> {
    std::str::from_utf8(bytes.get(range.start as usize..range.end as usize)?).ok()
}
