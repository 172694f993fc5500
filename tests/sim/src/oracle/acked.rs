//! What was acknowledged lies where it was said to lie, and a broker that acknowledges what is on disk never loses it.

use std::collections::BTreeSet;

use route_core::Now;

use super::{Book, Oracle};
use crate::{fact::Fact, names::Name};

/// The acknowledged places.
#[derive(Debug, Default)]
pub(super) struct Acked {
    places: BTreeSet<(Name, i64)>,
}

impl Oracle for Acked {
    fn name(&self) -> &'static str {
        "what is acknowledged is stored"
    }

    fn see(&mut self, _now: Now, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Acked { key, spot, place } => {
                let broker = &spot.queue.broker;
                let stored = book.record(broker, *place);
                let right = stored.is_some_and(|record| record.key == Some(*key));
                let may_be_gone = book.has_lost(*key) && !book.is_durable(broker);
                if !right && !may_be_gone {
                    return Err(format!("{key} was acknowledged at {spot}, place {place} of the log, where {stored:?} lies"));
                }
                self.places.insert((broker.clone(), *place));
            }
            Fact::Ended { broker, dark, lost, .. } => {
                if !dark && *lost > 0 {
                    return Err(format!("{broker} has lost {lost} bytes of its log, though only its process was killed"));
                }
                for record in book.lost_now() {
                    let acked = self.places.remove(&(broker.clone(), record.place));
                    if acked && book.is_durable(broker) {
                        return Err(format!("{broker} has lost {record:?}, which it had acknowledged as being on disk"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
