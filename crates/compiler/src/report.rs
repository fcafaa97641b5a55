//! What a compilation did and cost.

use runwell_ir::work::{Fallback, Pass, Shares, Steps, Work};
use std::time::Duration;

/// What one pass did and cost, over all functions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct PassReport {
    /// The pass.
    pub pass: Pass,
    /// Steps it was charged for.
    pub work: u64,
    /// Time it took, summed over threads; zero unless timing was asked for.
    pub time: Duration,
    /// Bytes of the data it made for the largest function; zero where it makes none of its own.
    pub peak_bytes: u64,
}

/// What a function has a budget of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Resource {
    /// Steps of a pass and those before it.
    Work(Pass),
    /// Bytes of data that the passes make.
    Memory,
    /// Bytes of machine code.
    Code,
}

impl Resource {
    /// How many there are.
    pub const COUNT: usize = Resource::ALL.len();

    /// All of them in the order of reports.
    pub const ALL: [Resource; 9] = [
        Resource::Work(Pass::Scan),
        Resource::Work(Pass::Translate),
        Resource::Work(Pass::Optimize),
        Resource::Work(Pass::Lower),
        Resource::Work(Pass::Liveness),
        Resource::Work(Pass::Allocate),
        Resource::Work(Pass::Emit),
        Resource::Memory,
        Resource::Code,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Work(pass) => pass.name(),
            Resource::Memory => "memory",
            Resource::Code => "code",
        }
    }

    fn index(self) -> usize {
        Resource::ALL.iter().position(|&other| other == self).unwrap_or(0)
    }
}

/// What a function used of its budget.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Use {
    /// The function's index.
    pub func: u32,
    /// What it used.
    pub used: u64,
    /// What it might have used; 0 when no function has been compiled.
    pub limit: u64,
}

impl Use {
    /// The share that is used.
    pub fn share(&self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }

    /// True if this is more of its limit, or as much and the function comes first.
    fn exceeds(&self, other: &Use) -> bool {
        let (mine, theirs) = (
            u128::from(self.used) * u128::from(other.limit),
            u128::from(other.used) * u128::from(self.limit),
        );
        other.limit == 0 || (mine, other.func) > (theirs, self.func)
    }
}

/// What compiling one function cost.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionCost {
    /// Steps of work.
    pub work: u64,
    /// Bytes of machine code.
    pub code: u64,
    /// Bytes of the tables that belong to it.
    pub tables: u64,
}

/// What a compilation did and cost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Size of the module in bytes.
    pub module_bytes: u64,
    /// Functions compiled.
    pub functions: u32,
    /// Those of them that every checker of the compiler has passed: all with
    /// [`crate::Options::verify`], none without.
    pub checked: u32,
    /// Bytes of machine code, constants and jump tables included.
    pub code_bytes: u64,
    /// Steps, per pass.
    pub work: Steps,
    /// Time per pass, summed over threads, indexed by `Pass`.
    pub times: [Duration; Pass::ALL.len()],
    /// Bytes of the data each pass made for the largest function, indexed by `Pass`.
    pub peak_bytes: [u64; Pass::ALL.len()],
    /// Time from bytes to image.
    pub elapsed: Duration,
    /// The machine code was not compiled but read from an image; `elapsed` is the time that took.
    pub loaded: bool,
    /// Functions in which a fallback was taken, indexed by [`Fallback`].
    pub fallbacks: [u32; Fallback::COUNT],
    /// The function that used most of its budget, per [`Resource`] in the order of its `ALL`.
    pub worst: [Use; Resource::COUNT],
    /// What each function cost, in their order; empty unless [`crate::Options::costs`] asks for it.
    pub costs: Vec<FunctionCost>,
}

impl Report {
    /// The figures of each pass in pipeline order.
    pub fn passes(&self) -> impl Iterator<Item = PassReport> + '_ {
        Pass::ALL.iter().map(|&pass| PassReport {
            pass,
            work: self.work.spent(pass),
            time: self.times[pass as usize],
            peak_bytes: self.peak_bytes[pass as usize],
        })
    }

    /// For each resource the function that used most of its budget of it; none when no function has
    /// been compiled.
    pub fn budgets(&self) -> impl Iterator<Item = (Resource, Use)> + '_ {
        let pairs = Resource::ALL.into_iter().zip(self.worst);
        pairs.filter(|(_, worst)| worst.limit > 0)
    }

    /// In how many functions each fallback was taken.
    pub fn fallbacks(&self) -> impl Iterator<Item = (Fallback, u32)> + '_ {
        Fallback::ALL.into_iter().zip(self.fallbacks)
    }

    /// Adds a function that has been compiled on `work`.
    pub(crate) fn function(&mut self, index: u32, work: &Work, shares: &Shares, units: u64) {
        self.functions += 1;
        self.work.add(work.steps());
        for (mine, &theirs) in self.fallbacks.iter_mut().zip(work.fallbacks()) {
            *mine += u32::from(theirs > 0);
        }
        let (mut used, mut limit) = (0, 0);
        for pass in Pass::ALL {
            used += work.spent(pass);
            limit += shares.of(pass, units);
            if !matches!(pass, Pass::Parse | Pass::Link) {
                self.used(Resource::Work(pass), Use { func: index, used, limit });
            }
        }
    }

    /// Notes what a function used of a resource.
    pub(crate) fn used(&mut self, resource: Resource, new: Use) {
        let worst = &mut self.worst[resource.index()];
        if new.exceeds(worst) {
            *worst = new;
        }
    }

    /// Notes that `pass` made `bytes` of data for one function.
    pub(crate) fn peak(&mut self, pass: Pass, bytes: usize) {
        let peak = &mut self.peak_bytes[pass as usize];
        *peak = (*peak).max(bytes as u64);
    }

    /// Adds what another thread did. Times add up; peaks are the larger of both.
    pub(crate) fn add(&mut self, other: &Report) {
        self.functions += other.functions;
        self.checked += other.checked;
        self.work.add(&other.work);
        for (mine, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *mine += theirs;
        }
        for (resource, theirs) in Resource::ALL.into_iter().zip(other.worst) {
            if theirs.limit > 0 {
                self.used(resource, theirs);
            }
        }
        for (mine, theirs) in self.times.iter_mut().zip(other.times) {
            *mine += theirs;
        }
        for (mine, theirs) in self.peak_bytes.iter_mut().zip(other.peak_bytes) {
            *mine = (*mine).max(theirs);
        }
    }
}
