//! What a client is to do, and when.

use std::collections::BTreeMap;

use route_core::{Millis, Now};

/// Things to do in the order of their times; of the same time, in the order in which they were put in.
#[derive(Debug)]
pub struct Agenda<T> {
    todos: BTreeMap<(Millis, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { todos: BTreeMap::new(), next: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts something in.
    pub fn at(&mut self, when: Millis, todo: T) {
        self.todos.insert((when, self.next), todo);
        self.next += 1;
    }

    /// Puts something in that is to be done after a while.
    pub fn after(&mut self, now: Now, wait: Millis, todo: T) {
        self.at(now.mono + wait, todo);
    }

    /// The next thing whose time has come.
    pub fn pop_due(&mut self, now: Now) -> Option<T> {
        if self.next()? > now.mono {
            return None;
        }
        self.todos.pop_first().map(|(_, todo)| todo)
    }

    /// When the next thing is due.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.todos.first_key_value().map(|((when, _), _)| *when)
    }
}
