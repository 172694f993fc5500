//! The name server: brokers say what they hold, clients ask where to find it.
//!
//! It remembers nothing across restarts but its [KV configuration](kv); brokers tell everything again. Name servers do not know
//! each other: a broker registers with all of them.
//!
//! Java's text and codes are answered wherever tools look at them. Differences, each because Java's way does harm: an address that
//! registers under a new broker name leaves its old one; a refused registration leaves no trace; time in which this process did not
//! run does not count as silence of a broker; routes filtered by zone come in the JSON dialect that the client asked for.

use std::{borrow::Cow, collections::VecDeque};

use bytes::Bytes;
use proto_core::{Command, code::RequestCode};

use crate::{
    broker::refusal::Refusal,
    output::{NoticeLevel, Output, ParkedReply, Peer, PeerId, Reply, Table, Ticket},
    saves::{Saves, Tickets, Waiting},
    time::{Millis, Now},
};
use kv::KvConfig;
use liveness::Liveness;
use notify::Notifier;
use routes::{BrokerAddrInfo, MinBrokerIdChange, RouteLimits, RouteTable};

mod answers;
pub mod config;
pub mod kv;
pub mod liveness;
pub mod notify;
pub mod register_body;
pub mod routes;
#[cfg(test)]
mod tests;

pub use config::NameServerConfig;

/// A name server. It composes small machines: [`RouteTable`], [`Liveness`], [`KvConfig`], [`Saves`], [`Notifier`].
#[derive(Debug)]
pub struct NameServer {
    config: NameServerConfig,
    started: Millis,
    routes: RouteTable,
    liveness: Liveness<BrokerAddrInfo>,
    kv: KvConfig,
    saves: Saves,
    settings_saves: Saves,
    tickets: Tickets,
    notifier: Notifier,
    outputs: VecDeque<Output>,
}

/// What becomes of a request.
enum Answer {
    /// It is answered now.
    Now(Reply),
    /// It is answered when the KV configuration is on disk.
    WhenSaved(Reply),
    /// It is answered with what comes of this change of settings.
    WhenConfigured(Bytes),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

impl NameServer {
    /// A name server that knows no broker yet. `kv_config` is the content of `kvConfig.json`, if there is one.
    ///
    /// # Errors
    /// The reason why `kv_config` cannot be read.
    pub fn new(now: Now, config: NameServerConfig, kv_config: Option<&[u8]>) -> Result<Self, kv::KvConfigError> {
        let limits = RouteLimits { brokers: config.max_brokers, topic_entries: config.max_topic_entries };
        Ok(Self {
            started: now.mono,
            routes: RouteTable::new(limits),
            liveness: Liveness::new(config.scan_not_active_broker_interval),
            kv: KvConfig::from_file(kv_config, config.max_kv_bytes)?,
            saves: Saves::default(),
            settings_saves: Saves::default(),
            tickets: Tickets::default(),
            notifier: Notifier::default(),
            outputs: VecDeque::new(),
            config,
        })
    }

    /// A request has come. It is answered unless it is oneway; what is not served is answered as not supported.
    pub fn handle_request(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        let answer = match RequestCode::from_code(command.code) {
            Some(code) => self.answer(now, peer, code, command),
            None => Reply::not_supported(command.code).into(),
        };
        let (to, opaque, oneway) = (peer.id, command.opaque, command.flag.is_oneway());
        match answer {
            Answer::Now(_) if oneway => {}
            Answer::Now(reply) => self.outputs.push_back(Output::Reply { to, opaque, reply }),
            Answer::WhenConfigured(properties) => {
                self.outputs.push_back(Output::Configure { asked: (!oneway).then_some((to, opaque)), properties });
            }
            Answer::WhenSaved(reply) => {
                self.saves.handle_changed((!oneway).then_some(Waiting { parked: ParkedReply { to, opaque, reply }, then: &[] }));
                self.start_saves();
            }
        }
    }

    /// What has come of an [`Output::Configure`]: the whole configuration as it is to be, of which counts what [may
    /// change](NameServerConfig::take_changeable), or what is answered because nothing changes.
    pub fn handle_configured(&mut self, now: Now, asked: Option<(PeerId, i32)>, outcome: Result<NameServerConfig, Refusal>) {
        let waiting = |reply| asked.map(|(to, opaque)| ParkedReply { to, opaque, reply });
        match outcome {
            Ok(_) if !self.settings_saves.has_room() => {
                self.outputs.extend(waiting(answers::too_many_saves()).map(Output::from));
            }
            Ok(config) => {
                self.config.take_changeable(config);
                self.liveness.set_interval(now.mono, self.config.scan_not_active_broker_interval);
                self.settings_saves.handle_changed(waiting(Reply::ok()).map(|parked| Waiting { parked, then: &[] }));
                let text = self.config.settings.changed.trim_end().replace('\n', ", ");
                self.notice(NoticeLevel::Info, format!("settings were changed by request, all in all since the start: {text}"));
                self.start_saves();
            }
            Err(refused) => self.outputs.extend(waiting(refused.into()).map(Output::from)),
        }
    }

    /// A connection is gone, and with it the brokers that registered over it.
    pub fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.saves.handle_disconnected(peer);
        self.settings_saves.handle_disconnected(peer);
        let gone = self.liveness.handle_disconnected(now.mono, peer);
        for info in &gone {
            self.notice(NoticeLevel::Info, format!("{} has closed its connection and leaves the routes", Shown(info)));
        }
        self.unregister(&gone);
        self.saves.handle_retry();
        self.settings_saves.handle_retry();
        self.start_saves();
    }

    /// `now` has reached what [`Self::poll_timeout`] announced: silent brokers are given up.
    pub fn handle_timeout(&mut self, now: Now) {
        let expired = self.liveness.handle_timeout(now.mono);
        let mut gone = Vec::with_capacity(expired.len());
        for (info, peer) in expired {
            self.notice(NoticeLevel::Warn, format!("{} has been silent for too long and leaves the routes", Shown(&info)));
            self.outputs.push_back(Output::Close { peer, reason: Cow::Borrowed("the broker behind it has been silent for too long") });
            gone.push(info);
        }
        self.unregister(&gone);
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.liveness.poll_timeout()
    }

    /// A save is durable, or has failed; what waited for it is answered.
    pub fn handle_persisted(&mut self, _now: Now, ticket: Ticket, result: Result<(), String>) {
        let released = [&mut self.saves, &mut self.settings_saves].map(|saves| saves.handle_persisted(ticket, result.is_ok()));
        for answer in released.into_iter().flatten() {
            self.outputs.push_back(match &result {
                Ok(()) => answer.parked.into(),
                Err(why) => answer.fail(why),
            });
        }
        self.start_saves();
    }

    /// A dial has come to its end: a broker that is to hear of a new lowest id. A connection that nobody here wants is closed.
    pub fn handle_dialed(&mut self, _now: Now, address: &str, outcome: Result<PeerId, &str>) {
        let wanted = self.notifier.handle_dialed(address, outcome.ok());
        self.outputs.extend(std::iter::from_fn(|| self.notifier.poll_output()));
        if let (false, Ok(peer)) = (wanted, outcome) {
            self.outputs.push_back(Output::unwanted(peer));
        }
    }

    /// What the world should do, until it is empty.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn unregister(&mut self, gone: &[BrokerAddrInfo]) {
        if !gone.is_empty() {
            for change in self.routes.unregister(gone) {
                self.notify(&change);
            }
        }
    }

    fn notify(&mut self, change: &MinBrokerIdChange) {
        if self.config.notify_min_broker_id_changed {
            self.notifier.handle_min_broker_id_changed(change);
            self.outputs.extend(std::iter::from_fn(|| self.notifier.poll_output()));
        }
    }

    fn start_saves(&mut self) {
        if let Some(ticket) = self.saves.poll_save(&mut self.tickets) {
            self.outputs.push_back(Output::Persist { ticket, table: Table::KvConfig, content: self.kv.to_file().into() });
        }
        if let Some(ticket) = self.settings_saves.poll_save(&mut self.tickets) {
            self.outputs.push_back(Output::Persist { ticket, table: Table::Settings, content: self.config.settings.to_file().into() });
        }
    }

    fn notice(&mut self, level: NoticeLevel, text: String) {
        self.outputs.push_back(Output::Notice { level, text });
    }
}

/// A broker process as log lines show it.
struct Shown<'a>(&'a BrokerAddrInfo);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let BrokerAddrInfo { cluster_name, broker_addr }: &BrokerAddrInfo = self.0;
        write!(out, "broker {broker_addr} of cluster {cluster_name}")
    }
}
