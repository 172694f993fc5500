//! Brokers as processes: the shipped machine over a log that is watched, with a clock and a disk of its own that can be taken away.

use std::{any::Any, collections::BTreeMap};

use bytes::Bytes;
use petrel_tests::Machine;
use proto_core::Command;
use route_core::{
    Millis, Now, Output, Peer, PeerId, Reply, Timestamp,
    broker::{Broker, config::BrokerConfig},
    output::{Table, Ticket},
};

pub mod log;

use crate::journal::Journal;
use log::WatchedLog;

/// What a process finds when it starts and leaves when it ends.
#[derive(Debug, Default)]
pub struct Disk {
    /// Every record that has survived.
    pub log: WatchedLog,
    /// The tables, as they were last saved.
    pub tables: BTreeMap<Table, Bytes>,
}

/// A broker's process.
#[derive(Debug)]
pub struct BrokerProcess {
    broker: Broker<WatchedLog>,
    tables: BTreeMap<Table, Bytes>,
    /// The cluster's time at which the process began: its own steady clock shows zero then.
    started: Millis,
    /// How far its wall clock is off.
    wall_shift: i64,
}

impl BrokerProcess {
    /// Starts a broker on what is on its disk.
    ///
    /// # Panics
    /// If it does not understand what it has written itself.
    #[must_use]
    pub fn start(now: Now, config: BrokerConfig, disk: Disk, wall_shift: i64) -> Self {
        let started = now.mono;
        let now = own_time(now, started, wall_shift);
        let noted = disk.log.noted().to_vec();
        let mut broker = Broker::new(now, config, disk.log).expect("the configuration is good");
        for (table, content) in &disk.tables {
            broker.load(*table, content).expect("a broker reads what it has saved");
        }
        for (table, key, queue, offset) in noted {
            broker.restore_offset(table, &key, queue, offset);
        }
        broker.handle_start(now);
        Self { broker, tables: disk.tables, started, wall_shift }
    }

    /// The machine.
    pub const fn broker(&self) -> &Broker<WatchedLog> {
        &self.broker
    }

    fn own(&self, now: Now) -> Now {
        own_time(now, self.started, self.wall_shift)
    }
}

fn own_time(now: Now, started: Millis, wall_shift: i64) -> Now {
    Now { mono: now.mono.saturating_sub(started), wall: Timestamp(now.wall.0 + wall_shift) }
}

impl Machine for BrokerProcess {
    fn handle_connected(&mut self, _now: Now, _peer: Peer) {}

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        let now = self.own(now);
        Machine::handle_dialed(&mut self.broker, now, address, outcome);
    }

    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        let now = self.own(now);
        Machine::handle_command(&mut self.broker, now, peer, command);
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        let now = self.own(now);
        self.broker.handle_disconnected(now, peer);
    }

    fn handle_persisted(&mut self, now: Now, ticket: Ticket) {
        let now = self.own(now);
        self.broker.handle_persisted(now, ticket, Ok(()));
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = self.own(now);
        self.broker.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.broker.poll_timeout().map(|at| at + self.started)
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.broker.poll_output()?;
        if let Output::Persist { table, content, .. } = &output {
            self.tables.insert(*table, content.clone());
        }
        Some(output)
    }

    fn take_body(&mut self, reply: Reply) -> Vec<u8> {
        Machine::take_body(&mut self.broker, reply)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A new log for a broker.
#[must_use]
pub fn empty_disk(config: &BrokerConfig, journal: &Journal) -> Disk {
    Disk { log: WatchedLog::new(config.name.as_ref().into(), config.flush_mode, journal.clone()), tables: BTreeMap::new() }
}
