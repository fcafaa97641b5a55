//! The fuel schedule: what an operator costs.
//!
//! Fuel counts WebAssembly operators as they are executed, never machine instructions, so that it is
//! the same for every target, optimisation level and version of the compiler. A schedule gives each
//! class of operators a cost in units; bulk operators cost by what they move on top.
//!
//! | class | operators | units |
//! |---|---|---|
//! | structure | `nop`, `unreachable`, `block`, `loop`, `else`, `end`, `drop` | 0 |
//! | branch | `if`, `br`, `br_if`, `br_table`, `return` | 1 |
//! | call | `call`, `return_call` | 1 |
//! | call_indirect | `call_indirect`, `return_call_indirect`, through references too | 1 |
//! | simple | constants, locals, `select`, `ref.*`, `memory.size`, `table.size`, `data.drop`, `elem.drop` | 1 |
//! | global | `global.get`, `global.set` | 1 |
//! | integer | integer arithmetic and comparisons, sign extension | 1 |
//! | multiply | integer multiplication | 1 |
//! | divide | integer division and remainder | 1 |
//! | float | float arithmetic and comparisons | 1 |
//! | float_divide | float division and square root | 1 |
//! | convert | conversions and reinterpretations | 1 |
//! | load | loads | 1 |
//! | store | stores | 1 |
//! | table | `table.get`, `table.set` | 1 |
//! | bulk | `memory.fill`, `.copy`, `.init`, `table.fill`, `.copy`, `.init`, before what they move | 1 |
//! | grow | `memory.grow`, `table.grow`, before what `table.grow` fills | 1 |
//!
//! On top, a bulk operator on memory costs one unit per [`BYTES_PER_UNIT`] bytes of its length, one on
//! a table and `table.grow` one unit per [`ELEMENTS_PER_UNIT`] elements, rounded down, whether it then
//! succeeds or traps: it is charged before it acts.
//!
//! Operators that hand many values on cost by those: a call by its arguments and results, a tail call by
//! its arguments, a branch (taken or not) by what its label takes, `return` and the end of a function by
//! its results, `else`, and the `end` of other constructs, by what falls through them, `loop` by what it is
//! entered with. That is one unit per [`VALUES_PER_UNIT`] values of the operator, rounded down. Entering a
//! function costs the same for the locals that it declares, parameters apart: they are set to zero.
//!
//! The defaults are version [`SCHEDULE_VERSION`]. A change of any default, or of what a class
//! contains, is a new version.

use core::fmt;

/// The version of the default schedule, of the classes and of what is charged on top.
pub const SCHEDULE_VERSION: u32 = 2;

/// Bytes that a bulk operator moves per unit.
pub const BYTES_PER_UNIT: u64 = 1 << BYTES_SHIFT;
/// [`BYTES_PER_UNIT`] as a power of two.
pub const BYTES_SHIFT: u32 = 6;
/// Table elements that a bulk operator moves per unit.
pub const ELEMENTS_PER_UNIT: u64 = 1 << ELEMENTS_SHIFT;
/// [`ELEMENTS_PER_UNIT`] as a power of two.
pub const ELEMENTS_SHIFT: u32 = 3;
/// Values that an operator hands on, or locals that a function declares, per unit.
pub const VALUES_PER_UNIT: u64 = 1 << VALUES_SHIFT;
/// [`VALUES_PER_UNIT`] as a power of two.
pub const VALUES_SHIFT: u32 = 3;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident $text:literal $cost:literal;)*) => {
        /// A class of operators that cost the same.
        #[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum OperatorClass { $($(#[$doc])* $name),* }

        impl OperatorClass {
            /// All classes, indexed by their discriminants.
            pub const ALL: &'static [OperatorClass] = &[$(OperatorClass::$name),*];

            /// The name in settings and reports.
            pub const fn name(self) -> &'static str {
                match self { $(OperatorClass::$name => $text),* }
            }

            const fn default_cost(self) -> u16 {
                match self { $(OperatorClass::$name => $cost),* }
            }
        }
    };
}

classes! {
    /// What is not executed: structure, `nop`, `drop`, `unreachable`.
    Structure "structure" 0;
    /// Branches, `if`, `return`.
    Branch "branch" 1;
    /// Direct calls.
    Call "call" 1;
    /// Calls through tables and references.
    CallIndirect "call_indirect" 1;
    /// Constants, locals, selects and sizes.
    Simple "simple" 1;
    /// Globals.
    Global "global" 1;
    /// Integer arithmetic but for multiplication and division.
    Integer "integer" 1;
    /// Integer multiplication.
    Multiply "multiply" 1;
    /// Integer division and remainder.
    Divide "divide" 1;
    /// Float arithmetic but for division.
    Float "float" 1;
    /// Float division and square root.
    FloatDivide "float_divide" 1;
    /// Conversions.
    Convert "convert" 1;
    /// Loads.
    Load "load" 1;
    /// Stores.
    Store "store" 1;
    /// Single elements of tables.
    Table "table" 1;
    /// Bulk operators, what they move apart.
    Bulk "bulk" 1;
    /// Growing memories and tables.
    Grow "grow" 1;
}

/// The class of the operator with this opcode; `sub` is what follows the prefix byte 0xfc.
/// Unimplemented opcodes count as simple.
pub const fn class_of(opcode: u8, sub: u32) -> OperatorClass {
    use OperatorClass::*;
    match opcode {
        0x00..=0x03 | 0x05 | 0x0b | 0x1a => Structure,
        0x04 | 0x0c..=0x0f => Branch,
        0x10 | 0x12 => Call,
        0x11 | 0x13..=0x15 => CallIndirect,
        0x23 | 0x24 => Global,
        0x25 | 0x26 => Table,
        0x28..=0x35 => Load,
        0x36..=0x3e => Store,
        0x40 => Grow,
        0x45..=0x5a | 0x67..=0x6b | 0x71..=0x7d | 0x83..=0x8a | 0xc0..=0xc4 => Integer,
        0x5b..=0x66 | 0x8b..=0x90 | 0x92..=0x94 | 0x96..=0x9e | 0xa0..=0xa2 | 0xa4..=0xa6 => Float,
        0x6c | 0x7e => Multiply,
        0x6d..=0x70 | 0x7f..=0x82 => Divide,
        0x91 | 0x95 | 0x9f | 0xa3 => FloatDivide,
        0xa7..=0xbf => Convert,
        0xfc => match sub {
            0..=7 => Convert,
            8 | 10..=12 | 14 | 17 => Bulk,
            15 => Grow,
            _ => Simple,
        },
        _ => Simple,
    }
}

/// What operators cost, per class.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Schedule {
    costs: [u16; OperatorClass::ALL.len()],
}

/// A schedule by which a guest could run for ever on limited fuel.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FreeLoop {
    /// The class that costs nothing and closes a loop.
    pub class: OperatorClass,
}

impl fmt::Display for FreeLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "operators of class `{}` must cost at least 1: loops would be free",
            self.class.name()
        )
    }
}

impl core::error::Error for FreeLoop {}

impl Default for Schedule {
    fn default() -> Schedule {
        let mut costs = [0; OperatorClass::ALL.len()];
        for &class in OperatorClass::ALL {
            costs[class as usize] = class.default_cost();
        }
        Schedule { costs }
    }
}

impl Schedule {
    /// What an operator of `class` costs.
    pub const fn cost(&self, class: OperatorClass) -> u16 {
        self.costs[class as usize]
    }

    /// The schedule with another cost for `class`.
    ///
    /// # Errors
    /// When every way around a loop has to pass operators of this class and they would cost nothing.
    pub fn with(mut self, class: OperatorClass, units: u16) -> Result<Schedule, FreeLoop> {
        use OperatorClass::{Branch, Call, CallIndirect};
        if units == 0 && matches!(class, Branch | Call | CallIndirect) {
            return Err(FreeLoop { class });
        }
        self.costs[class as usize] = units;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_never_free() {
        for &class in OperatorClass::ALL {
            let free = Schedule::default().with(class, 0);
            let closes = matches!(
                class,
                OperatorClass::Branch | OperatorClass::Call | OperatorClass::CallIndirect
            );
            assert_eq!(free.is_err(), closes, "{}", class.name());
        }
    }

    #[test]
    fn classes_of_opcodes() {
        assert_eq!(class_of(0x6a, 0), OperatorClass::Integer);
        assert_eq!(class_of(0x7e, 0), OperatorClass::Multiply);
        assert_eq!(class_of(0x82, 0), OperatorClass::Divide);
        assert_eq!(class_of(0x9f, 0), OperatorClass::FloatDivide);
        assert_eq!(class_of(0xa2, 0), OperatorClass::Float);
        assert_eq!(class_of(0xfc, 10), OperatorClass::Bulk);
        assert_eq!(class_of(0xfc, 16), OperatorClass::Simple);
        assert_eq!(class_of(0x0d, 0), OperatorClass::Branch);
    }
}
