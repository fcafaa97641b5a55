//! One module, run by several: the same results, traps, memories, globals and tables.

use crate::subject::{Interface, Outcome, Subject};
use crate::{Nans, Rng};
use runwell_abi::{TrapCode, Type};

/// Calls of each export.
const CALLS: usize = 3;

/// What comparing a module gave.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreed {
    /// Calls that returned, and alike.
    pub returned: usize,
    /// Calls that trapped, and alike.
    pub trapped: usize,
    /// True if some subject could not follow; what came before agreed.
    pub gave: bool,
}

impl std::ops::AddAssign for Agreed {
    fn add_assign(&mut self, other: Agreed) {
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.gave |= other.gave;
    }
}

/// An argument: often small, a power of two or close to overflowing, else anything.
fn argument(rng: &mut Rng, ty: Type, nans: Nans) -> u64 {
    if ty.is_ref() {
        return 0;
    }
    let bits = match rng.below(6) {
        0 => rng.next_u64() % 16,
        1 => (rng.next_u64() % 16).wrapping_neg(),
        2 => 1 << rng.below(64),
        3 if ty == Type::F32 => u64::from((rng.next_u64() as i16 as f32).to_bits()),
        3 if ty == Type::F64 => f64::from(rng.next_u64() as i16).to_bits(),
        4 => (i32::MIN as u64) ^ (rng.next_u64() % 2),
        _ => rng.next_u64(),
    };
    let masked = nans == Nans::Masked;
    match ty {
        Type::F32 if masked && f32::from_bits(bits as u32).is_nan() => 0x7fc0_0000,
        Type::F64 if masked && f64::from_bits(bits).is_nan() => 0x7ff8 << 48,
        _ if ty.bytes() == 4 => bits & 0xffff_ffff,
        _ => bits,
    }
}

/// The same bits, or, where NaNs are masked, both some NaN.
fn same_bits(ty: Type, a: u64, b: u64, nans: Nans) -> bool {
    let nan = |bits: u64| match ty {
        Type::F32 => f32::from_bits(bits as u32).is_nan(),
        Type::F64 => f64::from_bits(bits).is_nan(),
        _ => false,
    };
    a == b || (nans == Nans::Masked && nan(a) && nan(b))
}

fn same_outcome(a: &Outcome, b: &Outcome, types: &[Type], nans: Nans) -> bool {
    match (a, b) {
        (Outcome::Returned(a), Outcome::Returned(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).zip(types).all(|((&a, &b), &ty)| same_bits(ty, a, b, nans))
        }
        (Outcome::Failed(_), _) | (_, Outcome::Failed(_)) => false,
        _ => a == b,
    }
}

/// Runs each export of a module several times by all `subjects`, with arguments made from `seed`,
/// and compares each with the first.
///
/// # Errors
/// The first difference.
pub fn compare(
    interface: &Interface,
    subjects: &mut [&mut dyn Subject],
    seed: u64,
    nans: Nans,
) -> Result<Agreed, String> {
    let mut agreed = Agreed::default();
    if !instantiate(subjects, &mut agreed, nans)? {
        return Ok(agreed);
    }
    let mut rng = Rng(seed);
    for number in 0..CALLS * interface.funcs.len() {
        let (export, sig) = &interface.funcs[number % interface.funcs.len()];
        let args: Vec<u64> = sig.params.iter().map(|&ty| argument(&mut rng, ty, nans)).collect();
        let wanted = subjects[0].call(export, &args, sig);
        if wanted == Outcome::Gave {
            agreed.gave = true;
            return Ok(agreed);
        }
        for at in 1..subjects.len() {
            let found = subjects[at].call(export, &args, sig);
            if found == Outcome::Gave {
                agreed.gave = true;
                return Ok(agreed);
            }
            let what = |subjects: &[&mut dyn Subject]| {
                let (a, b) = (subjects[0].name(), subjects[at].name());
                format!("call {number} of `{export}` with {args:x?}, {a} and {b}")
            };
            if !same_outcome(&wanted, &found, &sig.results, nans) {
                let what = what(subjects);
                return Err(format!("{what}: wanted {wanted:x?}, found {found:x?}"));
            }
            let (first, others) = subjects.split_at_mut(at);
            state(interface, &mut *first[0], &mut *others[0], nans)
                .map_err(|error| format!("{}: {error}", what(subjects)))?;
        }
        match wanted {
            Outcome::Trapped(code) => {
                agreed.trapped += 1;
                // The fuel that a module counts itself is used up for good.
                if code == TrapCode::Unreachable && !instantiate(subjects, &mut agreed, nans)? {
                    return Ok(agreed);
                }
            }
            _ => agreed.returned += 1,
        }
    }
    Ok(agreed)
}

/// Makes new instances; false if there is none.
fn instantiate(
    subjects: &mut [&mut dyn Subject],
    agreed: &mut Agreed,
    nans: Nans,
) -> Result<bool, String> {
    let wanted = subjects[0].instantiate();
    if wanted == Outcome::Gave {
        agreed.gave = true;
        return Ok(false);
    }
    for at in 1..subjects.len() {
        let found = subjects[at].instantiate();
        if found == Outcome::Gave {
            agreed.gave = true;
            return Ok(false);
        }
        if !same_outcome(&wanted, &found, &[], nans) {
            let (a, b) = (subjects[0].name(), subjects[at].name());
            return Err(format!("instantiation, {a} and {b}: wanted {wanted:?}, found {found:?}"));
        }
    }
    let lives = matches!(wanted, Outcome::Returned(_));
    agreed.trapped += usize::from(!lives);
    Ok(lives)
}

/// Compares memories, globals and tables as far as they are exported.
fn state(
    interface: &Interface,
    a: &mut dyn Subject,
    b: &mut dyn Subject,
    nans: Nans,
) -> Result<(), String> {
    for name in &interface.memories {
        let (wanted, found) = (a.memory(name), b.memory(name));
        if wanted.len() != found.len() {
            let (wanted, found) = (wanted.len(), found.len());
            return Err(format!("memory {name}: wanted {wanted} bytes, found {found}"));
        }
        if wanted != found {
            let at = wanted.iter().zip(found).position(|(a, b)| a != b).unwrap_or(0);
            let (wanted, found) = (wanted[at], found[at]);
            return Err(format!("memory {name} at {at:#x}: wanted {wanted:#x}, found {found:#x}"));
        }
    }
    for (name, ty) in &interface.globals {
        let (wanted, found) = (a.global(name), b.global(name));
        if !same_bits(*ty, wanted, found, nans) {
            return Err(format!("global {name}: wanted {wanted:#x}, found {found:#x}"));
        }
    }
    for name in &interface.tables {
        let (wanted, found) = (a.table_nulls(name), b.table_nulls(name));
        if wanted != found {
            return Err(format!("table {name}: nulls wanted {wanted:?}, found {found:?}"));
        }
    }
    Ok(())
}
