//! What must hold, whatever happens. Each oracle reads the facts of every step, and the whole at the end, when everything has come to rest.

use route_core::{Millis, Now};

use crate::fact::Fact;

mod acked;
mod delivered;

pub use acked::Acked;
pub use delivered::Delivered;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle that saw it.
    pub oracle: &'static str,
    /// When.
    pub at: Millis,
    /// What, in one sentence with the names of all that are concerned.
    pub what: String,
}

/// Something that must hold.
pub trait Oracle {
    /// A short name.
    fn name(&self) -> &'static str;

    /// Looks at a fact.
    ///
    /// # Errors
    /// What must not be.
    fn see(&mut self, now: Now, fact: &Fact) -> Result<(), String>;

    /// Looks at the whole: all faults are over, all is sent, and everybody has had time enough.
    ///
    /// # Errors
    /// What must not be.
    fn see_rest(&mut self) -> Result<(), String>;

    /// Whether nothing is outstanding that time alone would bring.
    fn is_at_rest(&self) -> bool {
        true
    }
}

/// All oracles of a run.
#[derive(Default)]
pub struct Oracles {
    all: Vec<Box<dyn Oracle>>,
}

impl Oracles {
    /// These oracles.
    #[must_use]
    pub fn new(all: Vec<Box<dyn Oracle>>) -> Self {
        Self { all }
    }

    /// Shows a fact to each.
    ///
    /// # Errors
    /// The first violation.
    pub fn see(&mut self, now: Now, fact: &Fact) -> Result<(), Violation> {
        for oracle in &mut self.all {
            oracle.see(now, fact).map_err(|what| Violation { oracle: oracle.name(), at: now.mono, what })?;
        }
        Ok(())
    }

    /// Shows the end to each.
    ///
    /// # Errors
    /// The first violation.
    pub fn see_rest(&mut self, now: Now) -> Result<(), Violation> {
        for oracle in &mut self.all {
            oracle.see_rest().map_err(|what| Violation { oracle: oracle.name(), at: now.mono, what })?;
        }
        Ok(())
    }

    /// Whether no oracle waits for anything.
    #[must_use]
    pub fn are_at_rest(&self) -> bool {
        self.all.iter().all(|oracle| oracle.is_at_rest())
    }
}
