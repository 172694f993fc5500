//! Brokers as processes: the shipped machine over a log that is watched, with a disk that takes its time and survives the process.

use std::{any::Any, collections::VecDeque, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use petrel_tests::{Machine, packet};
use proto_core::{
    Command, Flag,
    code::RequestCode,
    frame::{Decoded, FrameDecoder},
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Reply, Storage,
    broker::{
        Broker,
        config::{BrokerConfig, FlushMode},
    },
    output::{Table, Ticket},
    plugins::Plugins,
    random::Random,
    table_content::TableContent,
};
use store::StoreEvent;

mod backing;
pub mod clock;
pub mod disk;
pub mod log;
mod tap;

use crate::{
    fact::Fact,
    journal::Journal,
    mutation::{Mutation, Passage, Tamper},
    names::Name,
};
use backing::OnDisk;
use disk::{Disk, Pace, Save, Writes};
use log::{Noted, WatchedLog};
use tap::Tap;

/// A connection that no host has: that of whoever looks after the broker.
const AUDITOR: PeerId = PeerId(u64::MAX);

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is killed: what it has written stays, be it on disk or not.
    Killed,
    /// Its machine loses power: what was not on disk may be gone.
    Dark,
}

/// A broker's process.
#[derive(Debug)]
pub struct BrokerProcess {
    name: Name,
    broker: Broker<WatchedLog>,
    flush_mode: FlushMode,
    writes: Writes,
    tap: Tap,
    journal: Journal,
    random: Random,
    tamper: Tamper,
    /// Answers that the machine has not given.
    forged: VecDeque<Output>,
    now: Now,
}

impl BrokerProcess {
    /// Starts a broker on what is on its disk.
    ///
    /// # Panics
    /// If it does not understand what it has written itself.
    #[must_use]
    pub fn start(
        now: Now,
        config: BrokerConfig,
        disk: Disk,
        plugins: Arc<dyn Plugins>,
        journal: Journal,
        mutation: Option<Mutation>,
        seed: u64,
    ) -> Self {
        let name = Name::from(config.name.as_ref());
        let flush_mode = config.flush_mode;
        let noted = disk.log.noted().to_vec();
        let mut broker = Broker::with_plugins(now, config, disk.log, plugins).expect("the configuration is good");
        for (table, content) in &disk.tables {
            broker.load(*table, content).expect("a broker reads what it has saved");
        }
        for Noted { table, key, queue, offset, .. } in noted {
            broker.restore_offset(table, &key, queue, offset);
        }
        broker.handle_start(now);
        journal.note(Fact::Started { broker: name.clone() });
        let on_disk = broker.storage().log_bounds().1;
        Self {
            tap: Tap::new(name.clone(), journal.clone()),
            name,
            broker,
            flush_mode,
            writes: Writes::new(now, disk.tables, on_disk, Pace::default()),
            journal,
            random: Random::new(seed),
            tamper: Tamper::new(mutation),
            forged: VecDeque::new(),
            now,
        }
    }

    /// The machine.
    pub const fn broker(&self) -> &Broker<WatchedLog> {
        &self.broker
    }

    /// Somebody asks how far all groups have come, to see what the broker knows.
    pub fn audit(&mut self, now: Now) {
        let peer = Peer { id: AUDITOR, addr: SocketAddr::from(([10, 0, 0, 1], 50_000)), from_here: false };
        let positions = self.broker.storage().positions().clone();
        for (opaque, (topic, group, queue)) in (1..).zip(positions) {
            let queue = queue.to_string();
            let fields = packet::Fields(&[("topic", &topic), ("consumerGroup", &group), ("queueId", &queue)]);
            let frame = packet::request(RequestCode::QueryConsumerOffset.code(), opaque, Flag(0), &fields, b"");
            if let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(&frame)
                && let Ok(command) = Command::decode(frame)
            {
                self.handle_command(now, peer, &command);
            }
        }
    }

    /// How fast the disk is from now on.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.writes.set_pace(pace);
    }

    /// The next flush of the log fails; after that the store takes nothing any more.
    pub fn fail_flush(&mut self, now: Now) {
        self.now = now;
        self.writes.stop_flushing();
        self.broker.storage_mut().close();
        self.broker.handle_flush_failed(now, "the disk reports an error");
    }

    /// Ends the process; what is left is on the disk.
    pub fn end(&mut self, end: End) -> Disk {
        let log = std::mem::take(self.broker.storage_mut());
        let written = log.log_bounds().1.0;
        let disk = match log.recover(end, self.random.next_u64()) {
            Ok(disk) => disk,
            Err(log) => self.writes.end(end, *log, &self.tamper, &mut self.random),
        };
        let kept = disk.log.log_bounds().1.0;
        self.journal.note(Fact::Ended { broker: self.name.clone(), kept, lost: written - kept, dark: end == End::Dark });
        disk
    }

    fn begin(&mut self, now: Now) {
        self.now = now;
    }

    fn save(&mut self, ticket: Ticket, table: Table, content: TableContent) {
        if table == Table::ConsumerOffsets {
            self.journal.note(Fact::SaveBegan { broker: self.name.clone() });
        }
        if let Some(store) = self.broker.storage_mut().store() {
            store.save(ticket, table, content);
            return self.writes.give(self.now, ticket, table, &mut self.random);
        }
        let noted = self.broker.storage().count_of_noted();
        let save = Save { due: self.now.mono, ticket, table, content: content.into_bytes(), noted };
        self.writes.save(self.now, save, self.broker.storage().log_bounds().1, &mut self.random);
    }

    /// What the shipped store has done, if the log lies in one.
    fn take_events(&mut self, now: Now) {
        while let Some(event) = self.broker.storage_mut().store().and_then(OnDisk::poll_event) {
            match event {
                StoreEvent::Durable(up_to) => self.broker.handle_durable(now, up_to),
                StoreEvent::FlushFailed(why) => self.broker.handle_flush_failed(now, &why),
                StoreEvent::Persisted(ticket, result) => {
                    let table = self.writes.take_given(ticket);
                    if table == Some(Table::ConsumerOffsets) && result.is_ok() {
                        self.journal.note(Fact::Saved { broker: self.name.clone() });
                    }
                    self.broker.handle_persisted(now, ticket, result);
                }
                StoreEvent::Found(ticket, found) => self.broker.handle_found(now, ticket, found),
            }
        }
        let durable = self.broker.storage().durable();
        if self.broker.storage_mut().store().is_some() {
            self.writes.set_on_disk(durable);
        }
    }

    /// What has been appended goes to disk when the disk is ready for it.
    fn settle(&mut self) {
        let (_, end) = self.broker.storage().log_bounds();
        if let Some(store) = self.broker.storage_mut().store() {
            store.request_flush();
        }
        self.writes.want_flush(self.now, self.flush_mode, end, &mut self.random);
        let may_be_late = self.broker.poll_timeout().is_some_and(|at| at <= self.now.mono);
        self.tap.look(self.now, &self.broker, may_be_late);
    }
}

impl Machine for BrokerProcess {
    fn handle_connected(&mut self, _now: Now, _peer: Peer) {}

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        self.begin(now);
        Machine::handle_dialed(&mut self.broker, now, address, outcome);
    }

    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        self.begin(now);
        self.tap.see_command(now, peer, command);
        let seen = self.tamper.time(now, command);
        if self.tamper.forgets(command) {
            self.forged.push_back(Output::Reply { to: peer.id, opaque: command.opaque, reply: Reply::ok() });
        } else if let Some(frame) = self.tamper.request(command) {
            if let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(&frame)
                && let Ok(command) = Command::decode(frame)
            {
                Machine::handle_command(&mut self.broker, seen, peer, &command);
            }
        } else {
            Machine::handle_command(&mut self.broker, seen, peer, command);
        }
        self.tap.see_handled(command);
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        self.begin(now);
        self.tap.see_disconnected(now, peer);
        self.broker.handle_disconnected(now, peer);
    }

    /// Saves do not go through the cluster.
    fn handle_persisted(&mut self, _now: Now, _ticket: Ticket) {}

    fn handle_timeout(&mut self, now: Now) {
        self.begin(now);
        if let Some(up_to) = self.writes.pop_flushed(now, &mut self.random) {
            match self.broker.storage_mut().store() {
                None => self.broker.handle_durable(now, up_to),
                Some(store) => store.flush(now.mono),
            }
        }
        if self.writes.is_given_due(now, &mut self.random)
            && let Some(store) = self.broker.storage_mut().store()
        {
            store.work_on_tables();
        }
        self.take_events(now);
        while let Some((ticket, table, result)) = self.writes.pop_saved(now, self.broker.storage_mut()) {
            if table == Table::ConsumerOffsets && result.is_ok() {
                self.journal.note(Fact::Saved { broker: self.name.clone() });
            }
            self.broker.handle_persisted(now, ticket, result);
        }
        if self.broker.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.broker.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        let restless = self.tamper.makes(Mutation::Restless).then_some(self.now.mono);
        [self.broker.poll_timeout(), self.writes.poll_timeout(), self.tap.poll_timeout(), restless].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        loop {
            let Some(mut output) = self.broker.poll_output().or_else(|| self.forged.pop_front()) else {
                self.settle();
                return None;
            };
            if let Output::Persist { ticket, table, content } = output {
                self.save(ticket, table, content);
                continue;
            }
            if let Passage::Drop = self.tamper.output(&mut output) {
                continue;
            }
            self.tap.see_output(&output);
            if matches!(output, Output::Reply { to: AUDITOR, .. }) {
                continue;
            }
            return Some(output);
        }
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        Machine::configure(&mut self.broker, now, asked, properties);
    }

    fn take_body(&mut self, reply: Reply) -> Vec<u8> {
        let mut body = Machine::take_body(&mut self.broker, reply);
        self.tamper.records(&mut body);
        body
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
