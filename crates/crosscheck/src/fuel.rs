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

    /// It comes back with so much left; what has been used so far.
    pub(crate) fn leave(&mut self, left: u64) -> u64 {
        self.used = self.used.wrapping_add(self.given.wrapping_sub(left));
        self.used
    }
}
