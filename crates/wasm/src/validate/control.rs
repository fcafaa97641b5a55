//! Constructs, branches and calls.

use super::types::{FUNC_REF, I32, List, Sig, name};
use super::{Result, Validator};
use wasmparser::{BlockType, BrTable, FrameKind};

/// An open construct.
#[derive(Copy, Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// True once its end cannot be reached from the current operator.
    pub(super) unreachable: bool,
    /// Height of the operand stack below its parameters.
    height: u32,
    params: List,
    results: List,
    /// The last branch table that names it.
    table: u32,
}

impl Frame {
    /// The frame of a whole function, whose parameters are locals.
    pub(super) fn function(results: List) -> Frame {
        let (params, kind) = (List::EMPTY, FrameKind::Block);
        Frame { kind, unreachable: false, height: 0, params, results, table: 0 }
    }

    /// What a branch to it takes.
    fn label(&self) -> List {
        if self.kind == FrameKind::Loop { self.params } else { self.results }
    }
}

impl Validator<'_> {
    /// `block`, `loop`.
    #[inline]
    pub(super) fn construct(&mut self, kind: FrameKind, ty: BlockType) -> Result<()> {
        let (params, results) = self.block_type(ty)?;
        self.open(kind, params, results)
    }

    /// `if`.
    #[inline]
    pub(super) fn if_(&mut self, ty: BlockType) -> Result<()> {
        let (params, results) = self.block_type(ty)?;
        self.pop(I32)?;
        self.open(FrameKind::If, params, results)
    }

    #[inline]
    fn block_type(&self, ty: BlockType) -> Result<(List, List)> {
        Ok(match ty {
            BlockType::Empty => (List::EMPTY, List::EMPTY),
            BlockType::Type(ty) => (List::EMPTY, List::of(self.value(ty)?)),
            BlockType::FuncType(index) => {
                let sig = self.signature(index)?;
                (sig.params(), sig.results())
            }
        })
    }

    #[inline]
    fn signature(&self, index: u32) -> Result<Sig> {
        match self.types.signature(index) {
            Some(sig) => Ok(sig),
            None => self.fail("unknown type: type index out of bounds"),
        }
    }

    fn open(&mut self, kind: FrameKind, params: List, results: List) -> Result<()> {
        self.retype(params)?;
        self.floor = self.operands.len() - params.len as usize;
        let height = self.floor as u32;
        self.frames.push(Frame { kind, unreachable: false, height, params, results, table: 0 });
        Ok(())
    }

    /// The innermost construct. The decoder asks for no operator when there is none.
    fn innermost(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("an open construct")
    }

    /// `else`. The decoder has made sure that the innermost construct is an if in its first arm.
    pub(super) fn else_(&mut self) -> Result<()> {
        let Frame { params, results, .. } = *self.innermost();
        self.end_arm(results)?;
        let frame = self.innermost();
        frame.kind = FrameKind::Else;
        frame.unreachable = false;
        self.operands.truncate(self.floor);
        self.push_list(params)
    }

    /// `end`.
    #[inline]
    pub(super) fn end(&mut self) -> Result<()> {
        let Frame { kind, params, results, .. } = *self.innermost();
        let mut there = self.end_arm(results)?;
        if kind == FrameKind::If && params.len + results.len > 0 {
            // The second arm is missing: it does nothing.
            self.innermost().unreachable = false;
            self.operands.truncate(self.floor);
            self.push_list(params)?;
            there = self.end_arm(results)?;
        }
        self.frames.pop();
        self.floor = self.frames.last().map_or(0, |frame| frame.height as usize);
        if there { Ok(()) } else { self.push_list(results) }
    }

    /// Checks that the innermost construct ends with its results and nothing else. True if they lie
    /// on the stack, false if there is nothing of them, which may be only in unreachable code.
    #[inline]
    fn end_arm(&mut self, results: List) -> Result<bool> {
        let there = self.operands.len() - self.floor;
        if there == results.len as usize && self.is_on_top(results) {
            return Ok(true);
        }
        self.pop_list(results)?;
        if self.operands.len() > self.floor {
            return self.fail("type mismatch: values remaining on stack at end of block");
        }
        Ok(false)
    }

    #[inline]
    fn frame_of(&self, depth: u32) -> Result<usize> {
        match (self.frames.len() - 1).checked_sub(depth as usize) {
            Some(at) => Ok(at),
            None => self.fail("unknown label: branch depth too large"),
        }
    }

    #[inline]
    fn label(&self, depth: u32) -> Result<List> {
        Ok(self.frames[self.frame_of(depth)?].label())
    }

    /// `br`.
    pub(super) fn br(&mut self, depth: u32) -> Result<()> {
        let label = self.label(depth)?;
        self.pop_list(label)?;
        self.unreachable();
        Ok(())
    }

    /// `br_if`.
    #[inline]
    pub(super) fn br_if(&mut self, depth: u32) -> Result<()> {
        self.pop(I32)?;
        let label = self.label(depth)?;
        self.retype(label)
    }

    /// `br_table`. Each label is looked at once, and of labels in a row with the same list of types
    /// only the first: nothing changes on the stack between them.
    pub(super) fn br_table(&mut self, table: &BrTable<'_>) -> Result<()> {
        self.pop(I32)?;
        let default = self.label(table.default())?;
        self.tables += 1;
        self.steps += table.len() as usize;
        let mut last = None;
        for depth in table.targets() {
            let at = self.frame_of(depth?)?;
            let frame = &mut self.frames[at];
            if frame.table == self.tables {
                continue;
            }
            frame.table = self.tables;
            let label = frame.label();
            if last == Some(label) {
                continue;
            }
            last = Some(label);
            if label.len != default.len {
                return self
                    .fail("type mismatch: br_table target labels have different number of types");
            }
            self.check(label)?;
        }
        self.pop_list(default)?;
        self.unreachable();
        Ok(())
    }

    /// `unreachable`.
    pub(super) fn trap(&mut self) -> Result<()> {
        self.unreachable();
        Ok(())
    }

    /// `return`.
    pub(super) fn return_(&mut self) -> Result<()> {
        self.pop_list(self.frames[0].results)?;
        self.unreachable();
        Ok(())
    }

    /// `call`.
    #[inline]
    pub(super) fn call(&mut self, callee: u32) -> Result<()> {
        let sig = self.callee(callee)?;
        self.pop_list(sig.params())?;
        self.push_list(sig.results())
    }

    /// `call_indirect`.
    pub(super) fn call_indirect(&mut self, ty: u32, table: u32) -> Result<()> {
        let sig = self.indirect_callee(ty, table)?;
        self.pop_list(sig.params())?;
        self.push_list(sig.results())
    }

    /// `return_call`.
    pub(super) fn return_call(&mut self, callee: u32) -> Result<()> {
        let sig = self.callee(callee)?;
        self.tail_call(sig)
    }

    /// `return_call_indirect`.
    pub(super) fn return_call_indirect(&mut self, ty: u32, table: u32) -> Result<()> {
        let sig = self.indirect_callee(ty, table)?;
        self.tail_call(sig)
    }

    #[inline]
    fn callee(&self, callee: u32) -> Result<Sig> {
        match self.module.funcs.get(callee as usize) {
            Some(&ty) => self.signature(ty),
            None => self.fail(format!("unknown function {callee}: function index out of bounds")),
        }
    }

    fn indirect_callee(&mut self, ty: u32, table: u32) -> Result<Sig> {
        let (element, index) = self.table(table)?;
        if element != FUNC_REF {
            return self.fail(
                "type mismatch: indirect calls must go through a table with type <= funcref",
            );
        }
        self.pop(index)?;
        self.signature(ty)
    }

    fn tail_call(&mut self, sig: Sig) -> Result<()> {
        let mine = self.frames[0].results;
        if self.types.list(mine) != self.types.list(sig.results()) {
            return self.other_results(mine, sig.results());
        }
        self.pop_list(sig.params())?;
        self.unreachable();
        Ok(())
    }

    #[cold]
    fn other_results<T>(&self, mine: List, theirs: List) -> Result<T> {
        let names = |list| {
            let names: Vec<&str> = self.types.list(list).iter().map(|&ty| name(ty)).collect();
            names.join(" ")
        };
        let (mine, theirs) = (names(mine), names(theirs));
        self.fail(format!(
            "type mismatch: current function requires result type [{mine}] but callee returns \
             [{theirs}]"
        ))
    }
}
