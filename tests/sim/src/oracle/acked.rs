//! A message that a producer was told is stored lies where it was told.

use std::collections::BTreeMap;

use route_core::Now;

use super::Oracle;
use crate::{
    fact::Fact,
    names::{Key, Name},
};

/// What lies in the brokers' logs.
#[derive(Debug, Default)]
pub struct Acked {
    stored: BTreeMap<(Name, i64), Key>,
}

impl Oracle for Acked {
    fn name(&self) -> &'static str {
        "acked messages are stored"
    }

    fn see(&mut self, _now: Now, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Stored { broker, record } => {
                if let Some(key) = record.key {
                    self.stored.insert((broker.clone(), record.place), key);
                }
            }
            Fact::Acked { key, spot, place } => {
                let found = self.stored.get(&(spot.queue.broker.clone(), *place));
                if found != Some(key) {
                    return Err(format!("{key} was acknowledged at {spot}, place {place} of the log, where {found:?} lies"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn see_rest(&mut self) -> Result<(), String> {
        Ok(())
    }
}
