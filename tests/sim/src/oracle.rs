//! What must hold, whatever happens. Each oracle reads the facts of every step, and the whole at the end, when everything has come to rest.
//!
//! An oracle allows for a fault only where it names the fault: what cannot hold without a disk, it does not ask of a broker that lost its
//! disk, and of no other.

use std::rc::Rc;

use route_core::{Millis, Now};

use crate::{client::consumer::GroupPlan, fact::Fact, scenario::Scenario};

mod acked;
mod book;
mod delayed;
mod delivered;
mod in_order;
mod locks;
mod log_order;
mod offsets;
mod prompt;
mod readings;
mod returned;
mod shared_out;
mod stored_once;

use book::Book;

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
trait Oracle {
    /// What, in a few words.
    fn name(&self) -> &'static str;

    /// Looks at a fact; the book knows of it already.
    ///
    /// # Errors
    /// What must not be.
    fn see(&mut self, now: Now, fact: &Fact, book: &Book) -> Result<(), String>;

    /// Looks at the whole: all faults are over, all is sent, and everybody has had time enough.
    ///
    /// # Errors
    /// What must not be.
    fn see_rest(&mut self, _book: &Book) -> Result<(), String> {
        Ok(())
    }

    /// Whether nothing is outstanding that time alone would bring.
    fn is_at_rest(&self) -> bool {
        true
    }
}

/// All oracles of a run.
pub struct Oracles {
    book: Book,
    all: Vec<Box<dyn Oracle>>,
}

impl Oracles {
    /// The oracles for a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let groups: Vec<Rc<GroupPlan>> = scenario.groups.iter().map(|(plan, _)| plan.clone()).collect();
        let all: Vec<Box<dyn Oracle>> = vec![
            Box::new(acked::Acked::default()),
            Box::new(stored_once::StoredOnce::default()),
            Box::new(log_order::LogOrder::default()),
            Box::new(readings::Readings::default()),
            Box::new(offsets::Offsets::default()),
            Box::new(delayed::Delayed::new(scenario)),
            Box::new(returned::Returned::new(scenario)),
            Box::new(locks::Locks::default()),
            Box::new(in_order::InOrder::new(&groups)),
            Box::new(prompt::Prompt),
            Box::new(delivered::Delivered::new(groups)),
            Box::new(shared_out::SharedOut::default()),
        ];
        Self { book: Book::new(scenario), all }
    }

    /// Shows a fact to each.
    ///
    /// # Errors
    /// The first violation.
    pub fn see(&mut self, now: Now, fact: &Fact) -> Result<(), Violation> {
        self.book.see(now, fact);
        for oracle in &mut self.all {
            oracle.see(now, fact, &self.book).map_err(|what| Violation { oracle: oracle.name(), at: now.mono, what })?;
        }
        Ok(())
    }

    /// Shows the end to each.
    ///
    /// # Errors
    /// The first violation.
    pub fn see_rest(&mut self, now: Now) -> Result<(), Violation> {
        for oracle in &mut self.all {
            oracle.see_rest(&self.book).map_err(|what| Violation { oracle: oracle.name(), at: now.mono, what })?;
        }
        Ok(())
    }

    /// Whether no oracle waits for anything.
    #[must_use]
    pub fn are_at_rest(&self) -> bool {
        self.all.iter().all(|oracle| oracle.is_at_rest())
    }
}
