//! The broker's tables on disk: read at the start, saved whole when they have changed.

use bytes::Bytes;
use proto_core::json::JsonError;

use super::{Asked, Broker, park::ParkedReply};
use crate::{
    output::{Output, Reply, Table},
    storage::{OffsetTableKind, Storage},
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// Takes in a saved table; before [`Self::handle_start`].
    ///
    /// # Errors
    /// The content cannot be read; the broker is as it was, and an older copy may be tried.
    pub fn load(&mut self, table: Table, content: &[u8]) -> Result<(), JsonError> {
        match table {
            Table::Topics => self.topics.load(content),
            Table::SubscriptionGroups => self.groups.load(content),
            Table::ConsumerOffsets => self.offsets.load(content),
            Table::DelayOffsets => self.delay.load(content),
            Table::KvConfig => Ok(()),
        }
    }

    /// Takes in an offset that was noted after its table was saved; after [`Self::load`].
    pub fn restore_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        match table {
            OffsetTableKind::Consumer => self.offsets.restore(key, queue_id, offset),
            OffsetTableKind::Delay => self.delay.restore(queue_id, offset),
        }
    }

    /// Saves what operators and clients have changed since the last time.
    pub(super) fn save_changed_tables(&mut self) {
        if self.topics.take_dirty() {
            let content = self.topics.to_file();
            self.save(Table::Topics, content);
        }
        if self.groups.take_dirty() {
            let content = self.groups.to_file();
            self.save(Table::SubscriptionGroups, content);
        }
    }

    /// Saves the tables of offsets when their time has come, if anything has moved.
    pub(super) fn save_due_offsets(&mut self, now: Now) {
        if self.save_offsets.is_due(now) {
            self.save_consumer_offsets();
        }
        if self.save_delays.is_due(now) {
            self.save_delay_offsets();
        }
    }

    fn save_consumer_offsets(&mut self) {
        if self.offsets.take_dirty() {
            let content = self.offsets.to_file();
            self.save(Table::ConsumerOffsets, content);
        }
    }

    fn save_delay_offsets(&mut self) {
        if self.delay.take_dirty() {
            let content = self.delay.to_file(self.now.wall);
            self.save(Table::DelayOffsets, content);
        }
    }

    /// Saves all that has changed, due or not: before a stop.
    pub(super) fn save_everything(&mut self) {
        self.save_changed_tables();
        self.save_consumer_offsets();
        self.save_delay_offsets();
    }

    fn save(&mut self, table: Table, content: Vec<u8>) {
        let ticket = self.saves.begin(table);
        self.outputs.push_back(Output::Persist { ticket, table, content: Bytes::from(content) });
    }

    /// Answers when the table, with what this request changed in it, is on disk.
    pub(super) fn reply_after_save(&mut self, asked: Asked, table: Table, reply: Reply) {
        self.save_changed_tables();
        if asked.oneway {
            return;
        }
        let parked = ParkedReply { to: asked.peer.id, opaque: asked.opaque, reply };
        if let Some(ParkedReply { to, opaque, reply }) = self.saves.park(table, parked) {
            self.outputs.push_back(Output::Reply { to, opaque, reply });
        }
    }
}
