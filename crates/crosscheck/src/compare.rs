//! Both states, and where they differ.

use crate::follower::State;
use crate::lockstep::{Why, differs};
use crate::oracle::DIRTY_PAGE;
use runwell::tape::{Value, View};

/// Bytes shown of memories that differ.
const SHOWN_BYTES: usize = 16;

/// What is known of the evaluator's state: tables are told when they change, and compared each time.
#[derive(Default)]
pub(crate) struct Known {
    tables: Vec<Vec<Value>>,
    /// Pages that the machine has written, of which the evaluator has not told yet.
    written: Vec<(u32, u64)>,
}

pub(crate) fn list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    format!("({})", values.join(", "))
}

impl Known {
    /// Guests have left pages written where the states are not compared.
    pub(crate) fn note(&mut self, view: &View<'_>) {
        self.written.extend(view.written());
    }

    /// Compares the states.
    pub(crate) fn compare(&mut self, state: State, view: &View<'_>) -> Result<(), Why> {
        if state.lengths.len() != view.memories() as usize {
            return Err(Why::Ends("one of both has more memories".into()));
        }
        for (at, &wanted) in state.lengths.iter().enumerate() {
            let found = view.memory(at as u32).len();
            if found != wanted {
                let what = format!("the length of memory {at}");
                return differs(what, format!("{found} bytes"), format!("{wanted} bytes"));
            }
        }
        self.written.extend(view.written());
        let written = std::mem::take(&mut self.written);
        pages(&state, &written, view)?;
        let found = view.globals();
        if found != state.globals {
            return globals(&found, &state.globals);
        }
        self.tables(state.tables, view)
    }

    fn tables(&mut self, changed: Vec<(usize, Vec<Value>)>, view: &View<'_>) -> Result<(), Why> {
        self.tables.resize(view.tables() as usize, Vec::new());
        for (at, elements) in changed {
            match self.tables.get_mut(at) {
                Some(table) => *table = elements,
                None => return Err(Why::Ends("one of both has more tables".into())),
            }
        }
        for (at, wanted) in self.tables.iter().enumerate() {
            let found = view.table(at as u32);
            if found.len() != wanted.len() {
                let what = format!("the length of table {at}");
                return differs(what, found.len().to_string(), wanted.len().to_string());
            }
            if let Some(index) = (0..found.len()).find(|&index| found[index] != wanted[index]) {
                let what = format!("element {index} of table {at}");
                return differs(what, found[index].to_string(), wanted[index].to_string());
            }
        }
        Ok(())
    }
}

/// Globals are not the same: all of them, if they are not many.
fn globals(found: &[Value], wanted: &[Value]) -> Result<(), Why> {
    const SHOWN: usize = 16;
    let pairs = found.iter().zip(wanted);
    match pairs.clone().position(|(found, wanted)| found != wanted) {
        Some(at) if found.len() > SHOWN => {
            let what = format!("global {at}");
            differs(what, found[at].to_string(), wanted[at].to_string())
        }
        _ => differs("globals", list(found), list(wanted)),
    }
}

fn pages(state: &State, written: &[(u32, u64)], view: &View<'_>) -> Result<(), Why> {
    for (memory, page, wanted) in &state.pages {
        let start = (page * DIRTY_PAGE) as usize;
        let found = &view.memory(*memory as u32)[start..start + wanted.len()];
        if let Some(at) = (0..wanted.len()).find(|&at| found[at] != wanted[at]) {
            let what = format!("memory {memory} from {:#x} on", start + at);
            return differs(what, hex(&found[at..]), hex(&wanted[at..]));
        }
    }
    // What only the machine wrote.
    for &(memory, page) in written {
        // They are ascending.
        let both =
            state.pages.binary_search_by_key(&(memory as usize, page), |page| (page.0, page.1));
        if both.is_err() {
            let start = page * DIRTY_PAGE;
            let what = format!("memory {memory} between {start:#x} and {:#x}", start + DIRTY_PAGE);
            let found = &view.memory(memory)[start as usize..];
            return Err(Why::Differs {
                what,
                machine: vec![hex(found), "has changed it".into()],
                evaluator: vec!["has not written there".into()],
            });
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}"));
    shown.collect::<Vec<_>>().join(" ")
}
