//! The broker over the store on disk, as the loop drives it.

use std::sync::Arc;

use bytes::Bytes;
use proto_core::{
    Command,
    bodies::{
        ConsumerFilterWrapper, ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper, MessageRequestModeSerializeWrapper,
        SubscriptionGroupWrapper, TopicConfigSerializeWrapper, TransactionMetricsSerializeWrapper,
    },
    json,
};
use route_core::{
    Storage,
    broker::{Broker, bindings::BindingsFile, config::BrokerConfig, refusal::Refusal, timer::TimerSchedule},
    output::{Output, Peer, PeerId, PluginChange, Reply, Table, Ticket},
    plugins::{NoPlugins, PluginRefusal, Plugins},
    storage::{LogRange, OffsetTableKind},
    table_content::TableContent,
    time::{Millis, Now},
};
use serde::de::DeserializeOwned;
use store::{LogSlice, NotedOffset, Recovered, Store, StoreEvent, TableError};

use super::Machine;
use crate::{
    config::{LiveConfig, settings},
    net::notice,
    plugins::{PluginEvent, PluginRoom},
};

/// A broker with its store.
#[derive(Debug)]
pub struct BrokerMachine {
    broker: Broker<Store>,
    /// `None` if this broker runs no plugins.
    plugins: Option<PluginRoom>,
    live: LiveConfig,
}

/// Why a broker cannot be started over a store that was opened.
#[derive(Debug, thiserror::Error)]
pub enum BrokerStartError {
    /// A table is damaged.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A table was read and not understood.
    #[error("{0}")]
    Content(String),
}

impl BrokerMachine {
    /// Starts a broker over a store that has been recovered: its tables are loaded, and it begins to register itself.
    ///
    /// # Errors
    /// [`BrokerStartError`]
    pub fn start(
        now: Now,
        config: BrokerConfig,
        live: LiveConfig,
        mut store: Store,
        recovered: &Recovered,
        plugins: Option<PluginRoom>,
    ) -> Result<Self, BrokerStartError> {
        tracing::info!(
            clean = recovered.clean,
            records_read_again = recovered.scanned_records,
            queues = recovered.queues,
            log = %format_args!("{}..{}", recovered.log_start, recovered.log_end),
            "store opened"
        );
        let topics = store.load_table(Table::Topics, readable::<TopicConfigSerializeWrapper>)?;
        let groups = store.load_table(Table::SubscriptionGroups, readable::<SubscriptionGroupWrapper>)?;
        let consumers = store.load_offsets(OffsetTableKind::Consumer, readable::<ConsumerOffsetSerializeWrapper>)?;
        let delays = store.load_offsets(OffsetTableKind::Delay, readable::<DelayOffsetSerializeWrapper>)?;
        let timer = store.load_table(Table::TimerCheckpoint, |content| {
            TimerSchedule::check_file(content).map(|()| Bytes::copy_from_slice(content)).map_err(|error| error.to_string())
        })?;
        let filters = store.load_table(Table::ConsumerFilters, readable::<ConsumerFilterWrapper>)?;
        let bindings = store.load_table(Table::Bindings, readable::<BindingsFile>)?;
        let modes = store.load_table(Table::RequestModes, readable::<MessageRequestModeSerializeWrapper>)?;
        let metrics = store.load_table(Table::TransactionMetrics, readable::<TransactionMetricsSerializeWrapper>)?;
        if topics.is_none() && recovered.log_end > recovered.log_start {
            tracing::warn!(
                "there is no table of topics although the log has messages: topics are made again, with what the log tells of them"
            );
        }
        let installed = plugins.as_ref().map_or_else(|| Arc::new(NoPlugins) as Arc<dyn Plugins>, PluginRoom::plugins);
        let mut broker =
            Broker::with_plugins(now, config, store, installed).map_err(|error| BrokerStartError::Content(error.to_string()))?;
        for (table, content) in [
            (Table::Topics, topics),
            (Table::SubscriptionGroups, groups),
            (Table::ConsumerOffsets, consumers.0),
            (Table::DelayOffsets, delays.0),
            (Table::TimerCheckpoint, timer),
            (Table::ConsumerFilters, filters),
            (Table::RequestModes, modes),
            (Table::TransactionMetrics, metrics),
            (Table::Bindings, bindings),
        ] {
            if let Some(content) = content {
                broker.load(table, &content).map_err(|error| BrokerStartError::Content(error.to_string()))?;
            }
        }
        for (table, noted) in [(OffsetTableKind::Consumer, consumers.1), (OffsetTableKind::Delay, delays.1)] {
            for NotedOffset { key, queue_id, offset } in noted {
                broker.restore_offset(table, &key, queue_id, offset);
            }
        }
        broker.handle_start(now);
        let mut started = Self { broker, plugins, live };
        started.take_plugin_events(now);
        Ok(started)
    }
}

impl BrokerMachine {
    /// Tells the broker what has become of its plugins.
    fn take_plugin_events(&mut self, now: Now) {
        while let Some(event) = self.plugins.as_mut().and_then(PluginRoom::poll_event) {
            match event {
                PluginEvent::Changed => self.broker.handle_plugins_changed(now),
                PluginEvent::Answer(asked, outcome) => self.broker.handle_plugin_changed(now, asked, (*outcome).map_err(Refusal::system)),
                PluginEvent::Notice(level, text) => notice(level, &text),
            }
        }
    }
}

/// The content of a table if it reads as a `T`.
fn readable<T: DeserializeOwned>(content: &[u8]) -> Result<Bytes, String> {
    json::from_table::<T>(content).map_err(|error| error.to_string())?;
    Ok(Bytes::copy_from_slice(content))
}

impl Machine for BrokerMachine {
    type Slice = LogSlice;

    fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        self.broker.handle_request(now, peer, command);
    }

    fn handle_response(&mut self, now: Now, peer: PeerId, command: &Command<'_>) {
        self.broker.handle_response(now, peer, command);
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.broker.handle_disconnected(now, peer);
    }

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Result<PeerId, String>) {
        self.broker.handle_dialed(now, address, outcome.as_ref().copied().map_err(String::as_str));
    }

    fn handle_wake(&mut self, now: Now) {
        self.broker.storage_mut().handle_wake(now);
        while let Some(event) = self.broker.storage_mut().poll_event() {
            match event {
                StoreEvent::Durable(up_to) => self.broker.handle_durable(now, up_to),
                StoreEvent::FlushFailed(why) => self.broker.handle_flush_failed(now, &why),
                StoreEvent::Found(ticket, found) => self.broker.handle_found(now, ticket, found),
                StoreEvent::Persisted(ticket, result) => self.broker.handle_persisted(now, ticket, result),
            }
        }
        self.take_plugin_events(now);
    }

    fn handle_shutdown(&mut self, now: Now) {
        self.broker.handle_shutdown(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.plugins.as_ref().is_some_and(PluginRoom::has_moved) {
            self.take_plugin_events(now);
        }
        let is_due = |at: Option<Millis>| at.is_some_and(|at| at <= now.mono);
        if is_due(self.broker.storage().poll_timeout()) {
            self.broker.storage_mut().handle_timeout(now);
        }
        if is_due(self.broker.poll_timeout()) {
            self.broker.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        // A plugin that has switched itself off wakes nobody, and who uses it is to hear of it all the same.
        let moved = self.plugins.as_ref().is_some_and(PluginRoom::has_moved).then_some(Millis(0));
        self.broker.poll_timeout().into_iter().chain(self.broker.storage().poll_timeout()).chain(moved).min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.broker.poll_output()
    }

    fn recycle(&mut self, reply: Reply) {
        self.broker.recycle(reply);
    }

    fn slice(&self, range: LogRange) -> Option<LogSlice> {
        self.broker.storage().slice(range)
    }

    fn persist(&mut self, now: Now, ticket: Ticket, table: Table, content: TableContent) {
        let content = if table == Table::Settings { self.live.merged(&content.into_bytes()).map(Into::into) } else { Ok(content) };
        match content {
            Ok(content) => self.broker.storage_mut().save(ticket, table, content),
            Err(why) => self.broker.handle_persisted(now, ticket, Err(why)),
        }
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        let before = self.live.clone();
        let outcome = self.live.change(properties).and_then(|()| {
            let store = settings::changed_store(&self.live).map_err(|why| Refusal::system(why.to_string()))?;
            self.broker.storage_mut().handle_configured(&store);
            Ok(settings::changed_machine(&self.live))
        });
        if outcome.is_err() {
            self.live = before;
        }
        self.broker.handle_configured(now, asked, outcome);
    }

    fn change_plugin(&mut self, now: Now, asked: Option<(PeerId, i32)>, name: Arc<str>, change: PluginChange) {
        match &mut self.plugins {
            Some(room) => room.change(asked, name, change),
            None => {
                self.broker.handle_plugin_changed(now, asked, Err(Refusal::system(PluginRefusal::NoPlugins(name.to_string()).to_string())))
            }
        }
        self.take_plugin_events(now);
    }

    fn has_ended(&self) -> bool {
        self.broker.has_ended()
    }

    fn end_turn(&mut self) {
        let store = self.broker.storage_mut();
        store.request_flush();
        store.clean();
    }

    fn close(self: Box<Self>) -> Result<(), String> {
        if let Some(room) = self.plugins {
            room.close();
        }
        self.broker.into_storage().close()
    }
}
