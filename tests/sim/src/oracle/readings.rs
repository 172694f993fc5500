//! A consumer that reads a queue gets every message from the place on where its group was, in order, each once; but for what its filter withholds.

use std::collections::BTreeMap;

use route_core::{Millis, Now};

use super::{Book, Oracle};
use crate::{
    fact::Fact,
    names::{Name, Queue},
};

/// An answer of a broker is not older than this when a consumer acts on it.
const TOLD_RECENTLY: Millis = Millis::from_secs(600);

/// Who reads what, and how far.
#[derive(Debug, Default)]
pub(super) struct Readings {
    next: BTreeMap<(Name, Queue), i64>,
    told: BTreeMap<(Name, Queue), Vec<(Millis, i64)>>,
}

impl Oracle for Readings {
    fn name(&self) -> &'static str {
        "a reading skips nothing"
    }

    fn see(&mut self, now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::OffsetTold { group, queue, offset } => {
                let told = self.told.entry((group.clone(), queue.clone())).or_default();
                told.retain(|(at, _)| now.mono.saturating_sub(*at) <= TOLD_RECENTLY);
                told.push((now.mono, offset.unwrap_or(0)));
            }
            Fact::Began { group, client, queue, from, local } => {
                let told = self.told.get(&(group.clone(), queue.clone())).map_or(&[][..], Vec::as_slice);
                if !local && !told.iter().any(|(_, offset)| offset == from) {
                    return Err(format!("{client} reads {queue} from {from}, which nobody has told it: {told:?}"));
                }
                self.next.insert((client.clone(), queue.clone()), *from);
            }
            Fact::Pulled { group, client, queue, from, offsets, next } => {
                let expected = self.next.entry((client.clone(), queue.clone())).or_default();
                let mut got = offsets.iter().copied().peekable();
                let all = (*from..*next).all(|offset| got.next_if_eq(&offset).is_some() || book.is_withheld(group, queue, offset));
                if from != expected || !all || got.next().is_some() {
                    return Err(format!(
                        "{client} was at {expected} of {queue}; asked from {from} it got {offsets:?} and is sent to {next}"
                    ));
                }
                *expected = *next;
            }
            _ => {}
        }
        Ok(())
    }
}
