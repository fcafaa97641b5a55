//! References by what they refer to: names that are the same in every process.

use crate::store::StoreOpaque;
use runwell_abi::vmctx::FuncRefDef;

/// What a reference refers to.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum RefId {
    /// Nothing.
    Null,
    /// A function of an instance: the instance's number in its store, the function's index.
    Func {
        /// Number of the instance, in the order in which they were made.
        instance: u32,
        /// Index in the instance's module.
        func: u32,
    },
    /// A host function, by the order in which they were put into the store.
    Host(u32),
    /// A host object, by the order in which they were put into the store.
    Object(u64),
}

/// Whose context an address is.
#[derive(Copy, Clone)]
enum Owner {
    Instance(u32),
    Host(u32),
}

/// The functions of a store by the addresses of their contexts.
///
/// # Complexity
/// O(k log k) to make, for k instances and host functions of the store; O(log k) for each question.
pub(crate) struct RefIds {
    owners: Vec<(u64, Owner)>,
}

impl RefIds {
    pub(crate) fn new(store: &StoreOpaque) -> RefIds {
        let instances = store.instances.iter().zip(0..);
        let hosts = store.host_funcs.iter().zip(0..);
        let mut owners: Vec<(u64, Owner)> = instances
            .map(|(state, number)| (state.vmctx.as_ptr() as u64, Owner::Instance(number)))
            .chain(hosts.map(|(slot, number)| (slot.context(), Owner::Host(number))))
            .collect();
        owners.sort_unstable_by_key(|&(address, _)| address);
        RefIds { owners }
    }

    /// What the function reference with these bits refers to.
    ///
    /// # Safety
    /// The bits are null or the address of a record of `store`, of which this was made.
    pub(crate) unsafe fn func(&self, store: &StoreOpaque, bits: u64) -> RefId {
        if bits == 0 {
            return RefId::Null;
        }
        // SAFETY: the contract.
        let context = unsafe { (*(bits as *const FuncRefDef)).vmctx };
        let owner = self.owners.binary_search_by_key(&context, |&(address, _)| address);
        match owner.map(|at| self.owners[at].1) {
            Ok(Owner::Host(number)) => RefId::Host(number),
            Ok(Owner::Instance(instance)) => {
                let state = &store.instances[instance as usize];
                // Only functions that have a record can be referred to, so there is a first record.
                let first = state.vmctx.escaped_func(0).as_ptr() as u64;
                let number = (bits - first) / size_of::<FuncRefDef>() as u64;
                let func = state.module.inner().escaped_func(number as u32);
                RefId::Func { instance, func }
            }
            Err(_) => {
                unreachable!("a record belongs to an instance or a host function of its store")
            }
        }
    }

    /// What a reference refers to; `is_func` says of which of the two kinds it is.
    ///
    /// # Safety
    /// The bits are those of a reference of this kind in `store`, of which this was made.
    pub(crate) unsafe fn of(&self, store: &StoreOpaque, is_func: bool, bits: u64) -> RefId {
        match bits {
            0 => RefId::Null,
            // SAFETY: the contract.
            _ if is_func => unsafe { self.func(store, bits) },
            handle => RefId::Object(handle - 1),
        }
    }
}

impl RefId {
    /// The bits of a reference to this in `store`; `None` when there is no such thing there. For
    /// functions that can be referred to only: others have no record.
    pub(crate) fn bits(self, store: &StoreOpaque) -> Option<u64> {
        match self {
            RefId::Null => Some(0),
            RefId::Func { instance, func } => {
                let state = store.instances.get(instance as usize)?;
                let info = &state.module.inner().info;
                let number = *info.escaped.get(func as usize)?;
                let own = func >= info.imported_funcs() && number != runwell_wasm::ModuleInfo::NONE;
                own.then(|| state.vmctx.escaped_func(number).as_ptr() as u64)
            }
            RefId::Host(number) => {
                Some(store.host_funcs.get(number as usize)?.func_ref().as_ptr() as u64)
            }
            RefId::Object(number) => (number < store.externs.len() as u64).then_some(number + 1),
        }
    }

    /// As bytes: a tag, then two numbers.
    pub(crate) fn to_bytes(self) -> [u8; 9] {
        let (tag, a, b) = match self {
            RefId::Null => (0, 0, 0),
            RefId::Func { instance, func } => (1, instance, func),
            RefId::Host(number) => (2, number, 0),
            RefId::Object(number) => (3, number as u32, (number >> 32) as u32),
        };
        let mut bytes = [0; 9];
        bytes[0] = tag;
        bytes[1..5].copy_from_slice(&u32::to_le_bytes(a));
        bytes[5..].copy_from_slice(&u32::to_le_bytes(b));
        bytes
    }

    /// What [`RefId::to_bytes`] made; `None` for anything else.
    pub(crate) fn from_bytes(bytes: [u8; 9]) -> Option<RefId> {
        let [tag, a0, a1, a2, a3, b0, b1, b2, b3] = bytes;
        let (a, b) = (u32::from_le_bytes([a0, a1, a2, a3]), u32::from_le_bytes([b0, b1, b2, b3]));
        Some(match (tag, a, b) {
            (0, 0, 0) => RefId::Null,
            (1, instance, func) => RefId::Func { instance, func },
            (2, number, 0) => RefId::Host(number),
            (3, low, high) => RefId::Object(u64::from(high) << 32 | u64::from(low)),
            _ => return None,
        })
    }
}
