//! The broker's tables on disk: read at the start, saved whole when they have changed.

use proto_core::{code::ResponseCode, json::JsonError};
use thiserror::Error;

use super::{
    Asked, Broker,
    timer::{TimerFileError, TimerSchedule},
};
use crate::{
    output::{Output, ParkedReply, PeerId, Reply, Table, Ticket},
    saves::{Saves, Tickets, Waiting},
    storage::{OffsetTableKind, Storage},
    table_content::TableContent,
    time::Now,
};

/// A saved table that cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// One of JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// How far the timer was.
    #[error(transparent)]
    Timer(#[from] TimerFileError),
}

impl<S: Storage> Broker<S> {
    /// Takes in a saved table; before [`Self::handle_start`].
    ///
    /// # Errors
    /// The content cannot be read; the broker is as it was, and an older copy may be tried.
    pub fn load(&mut self, table: Table, content: &[u8]) -> Result<(), LoadError> {
        match table {
            Table::Topics => self.topics_saved = self.topics.load(content)?.map(|(at, log_end)| super::TopicsSaved { at, log_end }),
            Table::SubscriptionGroups => self.groups.load(content)?,
            Table::ConsumerOffsets => self.offsets.load(content)?,
            Table::DelayOffsets => self.delay.load(content)?,
            Table::TimerCheckpoint => self.timer.as_mut().map_or(Ok(()), |timer| timer.load(self.now.wall, content))?,
            Table::ConsumerFilters => self.filters.load(self.now.wall, content)?,
            Table::RequestModes => self.request_modes.load(content)?,
            Table::TransactionMetrics => self.transaction_metrics.load(content)?,
            Table::Bindings => {
                for refusal in self.bindings.load(content)? {
                    self.notice_lost_binding(&refusal);
                }
            }
            Table::KvConfig | Table::Settings => {}
        }
        Ok(())
    }

    /// Takes in an offset that was noted after its table was saved; after [`Self::load`].
    pub fn restore_offset(&mut self, table: OffsetTableKind, key: &str, queue_id: i32, offset: i64) {
        match table {
            OffsetTableKind::Consumer => self.offsets.restore(key, queue_id, offset),
            OffsetTableKind::Delay => self.delay.restore(queue_id, offset),
        }
    }

    /// Starts to save what has changed, when all else of this turn is done: storage takes what was noted before a save begins for part of the
    /// table. A table is written once at a time; what changes meanwhile goes out with the next save.
    pub(super) fn save_changed_tables(&mut self) {
        self.note_changes();
        self.start_saves();
    }

    /// The tables that change all the time are to be saved when their time has come, if they have changed.
    pub(super) fn save_due_tables(&mut self, now: Now) {
        if self.save_offsets.is_due(now) {
            self.saves.handle_retry();
            self.commit_transaction_progress(now);
            if self.offsets.take_dirty() {
                self.saves.consumer_offsets.handle_changed(None);
            }
        }
        if self.save_delays.is_due(now) && self.delay.take_dirty() {
            self.saves.delay_offsets.handle_changed(None);
        }
        if self.save_timer.is_due(now) {
            self.note_timer_progress();
        }
        if self.save_transaction_metrics.is_due(now) {
            self.note_transaction_metrics();
        }
        if self.save_filters.is_due(now) {
            self.filters.clean(now.wall);
            self.note_changed_filters();
        }
    }

    /// Saves the offsets at once: some were removed, and what was noted of them must not come back.
    pub(super) fn save_offsets_now(&mut self) {
        if self.offsets.take_dirty() {
            self.saves.consumer_offsets.handle_changed(None);
        }
    }

    /// Saves all that has changed, due or not: before a stop.
    pub(super) fn save_everything(&mut self) {
        self.saves.handle_retry();
        self.commit_transaction_progress(self.now);
        if self.offsets.take_dirty() {
            self.saves.consumer_offsets.handle_changed(None);
        }
        if self.delay.take_dirty() {
            self.saves.delay_offsets.handle_changed(None);
        }
        self.note_timer_progress();
        self.note_transaction_metrics();
        self.note_changed_filters();
    }

    /// Answers when the tables, with what this request changed in them, are on disk.
    pub(super) fn reply_after_saves(&mut self, asked: Asked, tables: &'static [Table], reply: Reply) {
        self.note_changes();
        if asked.oneway {
            return;
        }
        if !tables.iter().all(|table| self.saves.of(*table).is_none_or(|saves| saves.has_room())) {
            let why = "it is made and will be saved, but too many wait for the disk to be told when";
            return self.reply(asked, Reply::error(ResponseCode::SystemError, why));
        }
        self.wait_for_saves(tables, ParkedReply { to: asked.peer.id, opaque: asked.opaque, reply });
    }

    /// Lets an answer wait for the first of these tables that has something to save, and for the others after it.
    pub(super) fn wait_for_saves(&mut self, tables: &'static [Table], mut parked: ParkedReply) {
        let mut then = tables;
        while let Some((table, rest)) = then.split_first() {
            then = rest;
            match self.saves.of(*table).map(|saves| saves.wait(Waiting { parked, then })) {
                Some(Some(answer)) => parked = answer.parked,
                _ => return,
            }
        }
        self.outputs.push_back(parked.into());
    }

    /// A save has ended: answers that waited for it leave, and what has changed since is saved next.
    pub(super) fn finish_save(&mut self, ticket: Ticket, result: &Result<(), String>) {
        for table in TableSaves::TABLES {
            let released = self.saves.of(table).map(|saves| saves.handle_persisted(ticket, result.is_ok())).unwrap_or_default();
            for answer in released {
                match result {
                    Ok(()) => self.wait_for_saves(answer.then, answer.parked),
                    Err(why) => self.outputs.push_back(answer.fail(why)),
                }
            }
        }
    }

    fn note_changes(&mut self) {
        if self.topics.take_dirty() {
            self.saves.topics.handle_changed(None);
        }
        if self.groups.take_dirty() {
            self.saves.groups.handle_changed(None);
        }
        if self.request_modes.take_dirty() {
            self.saves.request_modes.handle_changed(None);
        }
        if self.bindings.take_dirty() {
            self.saves.bindings.handle_changed(None);
        }
    }

    fn note_changed_filters(&mut self) {
        if self.filters.take_dirty() {
            self.saves.consumer_filters.handle_changed(None);
        }
    }

    fn note_transaction_metrics(&mut self) {
        if self.transaction_metrics.take_dirty() {
            self.transaction_metrics.clean(|topic| self.topics.get(topic).is_some());
            self.saves.transaction_metrics.handle_changed(None);
        }
    }

    fn note_timer_progress(&mut self) {
        if self.timer.as_mut().is_some_and(TimerSchedule::take_dirty) {
            self.saves.timer.handle_changed(None);
        }
    }

    fn start_saves(&mut self) {
        for table in TableSaves::TABLES {
            let Some(ticket) = self.saves.poll_save(table) else { continue };
            let content = match table {
                Table::Topics => TableContent::Topics(self.topics.snapshot(Some(self.storage.log_bounds().1))),
                Table::SubscriptionGroups => TableContent::Groups(self.groups.snapshot()),
                Table::ConsumerOffsets => TableContent::Offsets(self.offsets.snapshot()),
                Table::DelayOffsets => self.delay.to_file(self.now.wall).into(),
                Table::TimerCheckpoint => match &self.timer {
                    Some(timer) => timer.to_file(self.now.wall).into(),
                    None => continue,
                },
                Table::ConsumerFilters => self.filters.to_file().into(),
                Table::RequestModes => self.request_modes.to_file().into(),
                Table::TransactionMetrics => self.transaction_metrics.to_file().into(),
                Table::Bindings => self.bindings.to_file().into(),
                Table::Settings => self.config.settings.to_file().into(),
                Table::KvConfig => continue,
            };
            self.outputs.push_back(Output::Persist { ticket, table, content });
        }
    }
}

/// The saves of a broker's tables.
#[derive(Debug, Default)]
pub(super) struct TableSaves {
    tickets: Tickets,
    topics: Saves,
    groups: Saves,
    consumer_offsets: Saves,
    delay_offsets: Saves,
    timer: Saves,
    consumer_filters: Saves,
    request_modes: Saves,
    transaction_metrics: Saves,
    bindings: Saves,
    pub(super) settings: Saves,
}

impl TableSaves {
    const TABLES: [Table; 10] = [
        Table::Topics,
        Table::SubscriptionGroups,
        Table::ConsumerOffsets,
        Table::DelayOffsets,
        Table::TimerCheckpoint,
        Table::ConsumerFilters,
        Table::RequestModes,
        Table::TransactionMetrics,
        Table::Bindings,
        Table::Settings,
    ];

    fn of(&mut self, table: Table) -> Option<&mut Saves> {
        match table {
            Table::Topics => Some(&mut self.topics),
            Table::SubscriptionGroups => Some(&mut self.groups),
            Table::ConsumerOffsets => Some(&mut self.consumer_offsets),
            Table::DelayOffsets => Some(&mut self.delay_offsets),
            Table::TimerCheckpoint => Some(&mut self.timer),
            Table::ConsumerFilters => Some(&mut self.consumer_filters),
            Table::RequestModes => Some(&mut self.request_modes),
            Table::TransactionMetrics => Some(&mut self.transaction_metrics),
            Table::Bindings => Some(&mut self.bindings),
            Table::Settings => Some(&mut self.settings),
            Table::KvConfig => None,
        }
    }

    fn poll_save(&mut self, table: Table) -> Option<Ticket> {
        let mut tickets = std::mem::take(&mut self.tickets);
        let ticket = self.of(table).and_then(|saves| saves.poll_save(&mut tickets));
        self.tickets = tickets;
        ticket
    }

    /// Saves that failed are tried again.
    fn handle_retry(&mut self) {
        for table in Self::TABLES {
            if let Some(saves) = self.of(table) {
                saves.handle_retry();
            }
        }
    }

    /// A connection is gone: nobody there waits any more.
    pub(super) fn handle_disconnected(&mut self, peer: PeerId) {
        for table in Self::TABLES {
            if let Some(saves) = self.of(table) {
                saves.handle_disconnected(peer);
            }
        }
    }

    /// Whether no save is under way or to be started.
    pub(super) const fn are_idle(&self) -> bool {
        self.topics.is_idle()
            && self.groups.is_idle()
            && self.consumer_offsets.is_idle()
            && self.delay_offsets.is_idle()
            && self.timer.is_idle()
            && self.consumer_filters.is_idle()
            && self.request_modes.is_idle()
            && self.transaction_metrics.is_idle()
            && self.bindings.is_idle()
            && self.settings.is_idle()
    }
}
