//! What guests have used, by the machine's account.

use runwell::tape::{Setup, View};
use runwell::{OperatorClass, Schedule};

/// The schedule that a store meters by, if it does.
pub(crate) fn schedule(setup: &Setup) -> Option<Schedule> {
    let get = |name: &str| {
        let found = setup.settings.iter().find(|(found, _)| found == name)?;
        u16::try_from(found.1).ok()
    };
    get("schedule")?;
    OperatorClass::ALL.iter().try_fold(Schedule::default(), |schedule, &class| {
        schedule.with(class, get(&format!("cost.{}", class.name()))?).ok()
    })
}

/// Whether effects cost something. Where a guest has stopped among operators that cost nothing its fuel does
/// not tell.
pub(crate) fn effects_cost(schedule: &Schedule) -> bool {
    use OperatorClass::{Bulk, Global, Grow, Store, Table};
    [Store, Global, Table, Bulk, Grow].iter().all(|&class| schedule.cost(class) > 0)
}

/// What frames may count against the stack's limit.
pub(crate) fn most_depth(setup: &Setup) -> Option<u64> {
    /// What it is rounded up to.
    const STACK_PAGE: u64 = 4096;
    let stack = setup.settings.iter().find(|(found, _)| found == "stack")?;
    Some(stack.1.max(1).next_multiple_of(STACK_PAGE))
}

/// The fuel that guests have used: what was there when control went to them less what was there when it
/// came back. What the host gives, and charges, in between does not count.
#[derive(Default)]
pub(crate) struct Account {
    given: u64,
    used: u64,
}

impl Account {
    /// Control goes to guests.
    pub(crate) fn enter(&mut self, view: &View<'_>) {
        self.given = view.fuel().unwrap_or(0);
    }

    /// What has been used so far.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// It comes back with so much left; what has been used so far.
    pub(crate) fn leave(&mut self, left: u64) -> u64 {
        self.used = self.used.wrapping_add(self.given.wrapping_sub(left));
        self.used
    }
}
