//! A queue is locked for one client at a time, for as long as a lock is valid.

use std::collections::BTreeMap;

use route_core::{Millis, Now};

use super::{Book, Oracle};
use crate::{
    fact::Fact,
    names::{Name, Queue, Spot},
};

/// How long a lock holds without being renewed.
const VALIDITY: Millis = Millis::from_secs(60);

/// For so long a client may work under a lock that its broker has forgotten: its own idea of the lock, and the message it works on.
const AFTER_RESTART: Millis = Millis::from_secs(60);

/// The locks that brokers have given, and who works.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: BTreeMap<(Name, Queue), (Name, Millis)>,
    /// Who works on what, and since when.
    working: BTreeMap<(Name, Queue), (Name, Spot, Millis)>,
    ended: BTreeMap<Name, Millis>,
    /// When a client gave a lock back by force, while it worked.
    given_back: BTreeMap<(Name, Queue), Millis>,
}

impl Oracle for Locks {
    fn name(&self) -> &'static str {
        "a locked queue has one owner"
    }

    fn see(&mut self, now: Now, fact: &Fact, _book: &Book) -> Result<(), String> {
        match fact {
            Fact::Locked { group, client, queues, .. } => {
                for queue in queues {
                    let lock = self.held.insert((group.clone(), queue.clone()), (client.clone(), now.mono));
                    if let Some((owner, since)) = lock
                        && owner != *client
                        && now.mono <= since + VALIDITY
                    {
                        return Err(format!("{queue} is locked for {client} of {group}, but it belongs to {owner} since {since:?}"));
                    }
                }
            }
            Fact::Unlocked { group, client, queues, .. } => {
                for queue in queues {
                    let key = (group.clone(), queue.clone());
                    if self.held.get(&key).is_some_and(|(owner, _)| owner == client) {
                        self.held.remove(&key);
                        self.given_back.insert(key, now.mono);
                    }
                }
            }
            Fact::Ended { broker, .. } => {
                self.held.retain(|(_, queue), _| queue.broker != *broker);
                self.ended.insert(broker.clone(), now.mono);
            }
            Fact::Taken { group, client, spot, .. } => {
                let key = (group.clone(), spot.queue.clone());
                let recently = |at: Option<&Millis>| at.is_some_and(|at| now.mono <= *at + AFTER_RESTART);
                let excused = recently(self.ended.get(&spot.queue.broker)) || recently(self.given_back.get(&key));
                let other = self.working.insert(key, (client.clone(), spot.clone(), now.mono));
                // No application works for so long: that client stands still, and its lock has run out.
                let stands_still = |since: Millis| now.mono > since + VALIDITY;
                if let Some((other, at, since)) = other
                    && other != *client
                    && !excused
                    && !stands_still(since)
                {
                    return Err(format!("{client} works on {spot} while {other} works on {at}"));
                }
            }
            Fact::Handled { group, client, spot, .. } => {
                let key = (group.clone(), spot.queue.clone());
                if self.working.get(&key).is_some_and(|(worker, ..)| worker == client) {
                    self.working.remove(&key);
                }
            }
            Fact::Left { client, .. } => self.working.retain(|_, (worker, ..)| worker != client),
            _ => {}
        }
        Ok(())
    }
}
