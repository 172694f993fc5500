//! Where everybody writes down what happened: facts for the oracles, lines for the reader of a trace.

use std::{cell::RefCell, rc::Rc};

use crate::fact::Fact;

#[derive(Debug, Default)]
struct Pages {
    facts: Vec<Fact>,
    lines: Option<Vec<String>>,
}

/// A handle to the one journal of a run.
#[derive(Clone, Debug, Default)]
pub struct Journal(Rc<RefCell<Pages>>);

impl Journal {
    /// An empty journal; it takes lines of a trace only if it is asked to, as they cost more than the rest of a run.
    #[must_use]
    pub fn new(traced: bool) -> Self {
        Self(Rc::new(RefCell::new(Pages { facts: Vec::new(), lines: traced.then(Vec::new) })))
    }

    /// Notes a fact.
    pub fn note(&self, fact: Fact) {
        self.0.borrow_mut().facts.push(fact);
    }

    /// Notes a line, if anybody is going to read it.
    pub fn line(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0.borrow_mut().lines {
            lines.push(line());
        }
    }

    /// Takes the facts of the last step out.
    #[must_use]
    pub fn take_facts(&self) -> Vec<Fact> {
        std::mem::take(&mut self.0.borrow_mut().facts)
    }

    /// Takes the lines of the last step out.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        self.0.borrow_mut().lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
