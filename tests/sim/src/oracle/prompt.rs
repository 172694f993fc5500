//! No pull waits for what is there or longer than it may, members hear of each other at once, and no machine is woken for nothing for ever.

use route_core::Now;

use super::{Book, Oracle};
use crate::fact::Fact;

/// Judges what the processes themselves have noticed.
#[derive(Debug)]
pub(super) struct Prompt;

impl Oracle for Prompt {
    fn name(&self) -> &'static str {
        "nobody waits or works for nothing"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            // What follows is not on disk yet, where only that can be read.
            Fact::Overlooked { group, queue, from, end } if (*from..*end).any(|offset| !book.is_withheld(group, queue, offset)) => {
                Err(format!("a pull of {group} waits for {queue}@{from}, which is there"))
            }
            Fact::Overdue { group, queue, from } => Err(format!("a pull of {group} waits for {queue}@{from}, and its time is over")),
            Fact::NotTold { broker, group } => Err(format!("{broker} has not told all members of {group} that it has changed")),
            Fact::Spins { who } => Err(format!("{who} is woken again and again and has nothing to do")),
            _ => Ok(()),
        }
    }
}
