//! The types of locals.
//!
//! Four bytes declare fifty thousand locals, so only the first ones are kept one by one; the others
//! are runs that are searched.

use super::types::{Code, List, Types};
use runwell_ir::scratch;

/// Locals of a function, parameters included: what the JavaScript API prescribes.
const MAX_LOCALS: u32 = 50_000;
/// Locals that are found without a search. Few functions have more.
const FIRST: usize = 128;

/// The locals of the current function.
#[derive(Debug, Default)]
pub(super) struct Locals {
    /// The first ones, one by one.
    first: Vec<Code>,
    /// The declared ones as runs: number after the last one, type.
    runs: Vec<(u32, Code)>,
    params: List,
    count: u32,
}

impl Locals {
    /// Starts with the parameters of a function.
    pub(super) fn begin(&mut self, params: List, types: &Types) {
        self.first.clear();
        self.first.extend(types.list(params).iter().take(FIRST));
        self.runs.clear();
        self.params = params;
        self.count = params.len;
    }

    /// Adds `count` locals. False, and nothing is added, when there are too many then.
    pub(super) fn define(&mut self, count: u32, ty: Code) -> bool {
        if count == 0 {
            return true;
        }
        if count > MAX_LOCALS - self.count {
            return false;
        }
        self.count += count;
        self.runs.push((self.count, ty));
        let first = FIRST.min(self.count as usize);
        if self.first.len() < first {
            self.first.resize(first, ty);
        }
        true
    }

    /// Bytes of memory, whether they are in use or not.
    pub(super) fn held(&self) -> usize {
        scratch::held(&self.first) + scratch::held(&self.runs)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.count
    }

    /// The type of a local, if there is one of this number. O(log runs).
    #[inline]
    pub(super) fn get(&self, index: u32, types: &Types) -> Option<Code> {
        match self.first.get(index as usize) {
            Some(&ty) => Some(ty),
            None => self.search(index, types),
        }
    }

    fn search(&self, index: u32, types: &Types) -> Option<Code> {
        if index < self.params.len {
            return types.list(self.params).get(index as usize).copied();
        }
        let run = self.runs.partition_point(|&(end, _)| end <= index);
        self.runs.get(run).map(|&(_, ty)| ty)
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{F32, F64, I32, I64};
    use super::*;
    use runwell_abi::Type;
    use runwell_ir::Signature;

    #[test]
    fn each_local_has_its_type() {
        for params in [0, 3, 127, 128, 129, 1000] {
            let params = [Type::F64, Type::I32].into_iter().cycle().take(params);
            let sig = Signature { params: params.collect(), results: [].into() };
            let types = Types::new(&[sig]);
            let mut locals = Locals::default();
            for _ in 0..2 {
                let list = types.signature(0).unwrap().params();
                locals.begin(list, &types);
                let mut wanted = types.list(list).to_vec();
                for (count, ty) in
                    [(5, I64), (0, F32), (1, F32), (200, F64), (7, I32), (4000, I64), (1, F32)]
                {
                    assert!(locals.define(count, ty));
                    wanted.resize(wanted.len() + count as usize, ty);
                }
                let found = (0..locals.len()).map(|index| locals.get(index, &types).unwrap());
                assert!(found.eq(wanted.iter().copied()));
                assert_eq!(locals.get(locals.len(), &types), None);
                assert_eq!(locals.get(u32::MAX, &types), None);
                let rest = MAX_LOCALS - locals.len();
                assert!(!locals.define(rest + 1, I32) && !locals.define(u32::MAX, I32));
                assert!(locals.define(rest, F32) && !locals.define(1, I32));
                assert_eq!(locals.get(MAX_LOCALS - 1, &types), Some(F32));
            }
        }
    }
}
