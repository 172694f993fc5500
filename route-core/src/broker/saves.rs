//! Saves of tables that are under way, and the answers that wait for them.

use std::collections::BTreeMap;

use super::park::ParkedReply;
use crate::output::{Table, Ticket};

/// Numbers the saves and keeps the answers that promise them.
#[derive(Debug, Default)]
pub struct Saves {
    last: u64,
    under_way: BTreeMap<Ticket, (Table, Vec<ParkedReply>)>,
}

impl Saves {
    /// The number of a new save of a table.
    pub fn begin(&mut self, table: Table) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.under_way.insert(ticket, (table, Vec::new()));
        ticket
    }

    /// Holds an answer back until the newest save of a table is on disk. Gives it back if there is none under way.
    pub fn park(&mut self, table: Table, reply: ParkedReply) -> Option<ParkedReply> {
        match self.under_way.values_mut().rev().find(|(of, _)| *of == table) {
            Some((_, waiting)) => {
                waiting.push(reply);
                None
            }
            None => Some(reply),
        }
    }

    /// A save is on disk, or has failed: the answers that waited for it, and for older saves of the same table, which it covers.
    pub fn finish(&mut self, ticket: Ticket) -> Vec<ParkedReply> {
        let Some(&(table, _)) = self.under_way.get(&ticket) else { return Vec::new() };
        let covered: Vec<_> = self.under_way.range(..=ticket).filter(|(_, (of, _))| *of == table).map(|(ticket, _)| *ticket).collect();
        covered.into_iter().filter_map(|ticket| self.under_way.remove(&ticket)).flat_map(|(_, waiting)| waiting).collect()
    }

    /// Whether no save is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{PeerId, Reply};

    fn reply(opaque: i32) -> ParkedReply {
        ParkedReply { to: PeerId(1), opaque, reply: Reply::ok() }
    }

    fn opaques(replies: &[ParkedReply]) -> Vec<i32> {
        replies.iter().map(|parked| parked.opaque).collect()
    }

    #[test]
    fn an_answer_waits_for_the_save_of_its_own_table() {
        let mut saves = Saves::default();
        let topics = saves.begin(Table::Topics);
        let groups = saves.begin(Table::SubscriptionGroups);
        assert!(saves.park(Table::Topics, reply(1)).is_none());
        assert!(saves.finish(groups).is_empty());
        assert_eq!(opaques(&saves.finish(topics)), [1]);
        assert!(saves.is_empty());
    }

    #[test]
    fn a_newer_save_covers_the_older_ones_of_its_table() {
        let mut saves = Saves::default();
        saves.begin(Table::Topics);
        assert!(saves.park(Table::Topics, reply(1)).is_none());
        let newer = saves.begin(Table::Topics);
        assert!(saves.park(Table::Topics, reply(2)).is_none());
        assert_eq!(opaques(&saves.finish(newer)), [1, 2]);
    }

    #[test]
    fn an_answer_without_a_save_under_way_leaves_at_once() {
        assert!(Saves::default().park(Table::Topics, reply(1)).is_some());
    }
}
