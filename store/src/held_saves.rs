//! Saves of tables that say of messages that they were delivered: they wait until the log is on disk with those messages.

use std::collections::VecDeque;

use route_core::{
    output::{Table, Ticket},
    table_content::TableContent,
};

/// A save that must not reach the disk before the log has, up to `end`.
#[derive(Debug)]
pub(crate) struct HeldSave {
    pub(crate) end: i64,
    pub(crate) ticket: Ticket,
    pub(crate) table: Table,
    pub(crate) content: TableContent,
}

/// The saves that wait, in order. There are few: a machine starts no save of a table before the one under way has ended.
#[derive(Debug, Default)]
pub(crate) struct HeldSaves {
    held: VecDeque<HeldSave>,
}

impl HeldSaves {
    /// Whether a table speaks of what lies in the log: if the log were cut behind it, its messages would be lost.
    pub(crate) const fn concern(table: Table) -> bool {
        matches!(table, Table::DelayOffsets | Table::TimerCheckpoint)
    }

    /// One more waits.
    pub(crate) fn push(&mut self, save: HeldSave) {
        self.held.push_back(save);
    }

    /// The next save for which the log is on disk.
    pub(crate) fn pop_durable(&mut self, durable: i64) -> Option<HeldSave> {
        self.held.pop_front_if(|save| save.end <= durable)
    }

    /// The next save, whether it may be done or not.
    pub(crate) fn pop_any(&mut self) -> Option<HeldSave> {
        self.held.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_waits_until_the_log_is_on_disk_up_to_its_end() {
        let mut saves = HeldSaves::default();
        for (ticket, end) in [(1, 100), (2, 200)] {
            saves.push(HeldSave { end, ticket: Ticket(ticket), table: Table::TimerCheckpoint, content: "".into() });
        }
        let mut pop = |durable| saves.pop_durable(durable).map(|save| save.ticket.0);
        assert_eq!([pop(99), pop(100), pop(100), pop(300)], [None, Some(1), None, Some(2)]);
    }
}
