//! Timed messages over the store on disk: killed processes, lost power and stops in order, one after the other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use petrel_tests::{packet, requests::Message};
use proto_core::{
    Command, Flag, FrameDecoder,
    code::{RequestCode, ResponseCode},
    frame::Decoded,
    record::RecordView,
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Storage, Timestamp,
    broker::{
        Broker,
        config::{BrokerConfig, FlushMode},
        timer::TimerConfig,
    },
    output::Table,
    random::Random,
    storage::OffsetTableKind,
};
use store::{
    FlushDiskType, NotedOffset, Store, StoreConfig, StoreEvent,
    simulation::{Crash, SimulatedDisk, Work},
};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Crashed(Crash),
}

/// A message that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Acked {
    /// When it is to come, as the wall clock shows it.
    at: i64,
    /// Where the log ended when it was acknowledged.
    log_end: i64,
}

struct Rig {
    disk: SimulatedDisk,
    flush: FlushDiskType,
    broker: Broker<Store>,
    now: Now,
    random: Random,
    acked: BTreeMap<String, Acked>,
    /// When processes were ended that did not end in order.
    crashes: Vec<i64>,
    sent: u32,
}

impl Rig {
    fn new(seed: u64, flush: FlushDiskType) -> Self {
        let disk = SimulatedDisk::new(seed);
        let now = Now { mono: Millis(1_000), wall: Timestamp(1_700_000_000_000) };
        let broker = start(&disk, flush, now);
        Self { disk, flush, broker, now, random: Random::new(seed), acked: BTreeMap::new(), crashes: Vec::new(), sent: 0 }
    }

    /// Sends a message that is to come in so many ms, and notes it if it is acknowledged.
    fn send(&mut self, wait: i64) {
        let body = format!("m{}", self.sent);
        self.sent += 1;
        let at = self.now.wall.0 + wait;
        let deliver = at.to_string();
        let properties = [("UNIQ_KEY", body.as_str()), ("TIMER_DELIVER_MS", &deliver)];
        let message = Message::new("Orders", &body).with(&properties);
        let frame = packet::request(RequestCode::SendMessageV2.code(), 1, Flag(0), &message, body.as_bytes());
        let Decoded::Frame { frame, .. } = FrameDecoder::default().decode(&frame).unwrap() else { panic!("the frame is whole") };
        let peer = Peer { id: PeerId(1), addr: "10.0.0.1:40000".parse().unwrap(), from_here: false };
        self.broker.handle_request(self.now, peer, &Command::decode(frame).unwrap());
        let log_end = self.broker.storage().log_bounds().1.0;
        for _ in 0..4 {
            if self.settle() {
                self.acked.insert(body.clone(), Acked { at, log_end });
            }
        }
    }

    /// Does what the loop does at the end of a turn, and some of the work beside it. Answers whether a send was acknowledged.
    fn settle(&mut self) -> bool {
        let mut acked = false;
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Reply { reply, .. } => acked |= reply.code == ResponseCode::Success,
                Output::Persist { ticket, table, content } => self.broker.storage_mut().save(ticket, table, content),
                Output::Notice { text, .. } => assert!(!text.contains("left out"), "{text}"),
                Output::Request { .. } | Output::Dial { .. } | Output::Close { .. } => {}
                Output::Configure { .. } | Output::ChangePlugin { .. } => {}
            }
        }
        let store = self.broker.storage_mut();
        store.request_flush();
        let works = [Work::Flush(Duration::from_millis(self.now.mono.0)), Work::Tables, Work::Ahead];
        for work in works {
            if self.random.below(3) > 0 {
                store.step(work);
            }
        }
        self.take_events();
        acked
    }

    fn take_events(&mut self) {
        while let Some(event) = self.broker.storage_mut().poll_event() {
            match event {
                StoreEvent::Durable(up_to) => self.broker.handle_durable(self.now, up_to),
                StoreEvent::Persisted(ticket, result) => self.broker.handle_persisted(self.now, ticket, result),
                _ => {}
            }
        }
    }

    fn wait(&mut self, millis: u64) {
        let until = self.now.mono + Millis(millis);
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= until) {
            self.advance_to(due.max(self.now.mono));
            self.broker.handle_timeout(self.now);
            self.settle();
        }
        self.advance_to(until);
    }

    fn advance_to(&mut self, mono: Millis) {
        let span = mono.saturating_sub(self.now.mono);
        self.now = Now { mono: self.now.mono + span, wall: self.now.wall.plus(span) };
    }

    /// Another process begins on what this one has left.
    fn restart(&mut self, end: End) {
        match end {
            End::Closed => {
                self.broker.handle_shutdown(self.now);
                while !self.broker.has_ended() {
                    self.settle();
                }
            }
            End::Crashed(crash) => {
                if crash == Crash::PowerLoss {
                    let durable = self.broker.storage().durable().0;
                    self.acked.retain(|_, acked| acked.log_end <= durable);
                }
                self.crashes.push(self.now.wall.0);
            }
        }
        let next = match end {
            End::Closed => None,
            End::Crashed(crash) => Some(self.disk.after(crash, self.random.next_u64())),
        };
        let empty = SimulatedDisk::new(0);
        let old = std::mem::replace(&mut self.broker, start(&empty, self.flush, self.now));
        match next {
            None => old.into_storage().close().unwrap(),
            Some(disk) => {
                drop(old);
                self.disk = disk;
            }
        }
        self.broker = start(&self.disk, self.flush, self.now);
    }

    /// When each message came: the store times of its copies in its topic.
    fn came(&self) -> BTreeMap<String, Vec<i64>> {
        let storage = self.broker.storage();
        let mut came = BTreeMap::<String, Vec<i64>>::new();
        let Some(queue) = storage.find_queue("Orders", 0) else { return came };
        let bounds = storage.bounds(queue);
        let mut offset = bounds.min;
        while offset < bounds.max {
            for unit in storage.units(queue, offset).take((bounds.max - offset).unsigned_abs() as usize) {
                let record = RecordView::parse(storage.record(unit.offset).unwrap()).unwrap();
                came.entry(String::from_utf8(record.body().to_vec()).unwrap()).or_default().push(record.store_timestamp());
                offset += 1;
            }
        }
        came
    }

    /// What was acknowledged came, not early, not late while a process ran, and again only after a crash.
    fn judge(&mut self, seed: u64) {
        self.wait(30_000);
        let came = self.came();
        for (body, acked) in &self.acked {
            let times = came.get(body).unwrap_or_else(|| panic!("seed {seed}: {body} was lost: {acked:?}"));
            assert!(times.iter().all(|time| *time >= acked.at), "seed {seed}: {body} came early: {times:?} {acked:?}");
            assert!(times[0] <= acked.at + 1_100 || !self.crashes.is_empty(), "seed {seed}: {body} came late: {times:?} {acked:?}");
        }
        for (body, times) in &came {
            for pair in times.windows(2) {
                let crashed = self.crashes.iter().any(|crash| (pair[0]..=pair[1]).contains(crash));
                assert!(crashed, "seed {seed}: {body} came twice without a cause: {times:?}, crashes {:?}", self.crashes);
            }
        }
    }
}

fn start(disk: &SimulatedDisk, flush: FlushDiskType, now: Now) -> Broker<Store> {
    let store_config = StoreConfig {
        mapped_file_size_commit_log: 64 << 10,
        mapped_file_size_consume_queue: 200 * 20,
        message_index_enable: false,
        flush_disk_type: flush,
        ..StoreConfig::new("/data")
    };
    let (mut store, _) = Store::open_simulated(disk, store_config, Arc::new(|| {})).expect("the store opens");
    let read = |content: &[u8]| Ok(content.to_vec());
    let topics = store.load_table(Table::Topics, read).unwrap();
    let timer = store.load_table(Table::TimerCheckpoint, read).unwrap();
    let (delays, noted) = store.load_offsets(OffsetTableKind::Delay, read).unwrap();
    let flush_mode = if flush == FlushDiskType::SyncFlush { FlushMode::Sync } else { FlushMode::Async };
    let timer_config = TimerConfig { in_memory: 16, ..TimerConfig::default() };
    let config = BrokerConfig { flush_mode, timer: timer_config, ..BrokerConfig::default() };
    let mut broker = Broker::new(now, config, store).unwrap();
    for (table, content) in [(Table::Topics, topics), (Table::TimerCheckpoint, timer), (Table::DelayOffsets, delays)] {
        if let Some(content) = content {
            broker.load(table, &content).unwrap();
        }
    }
    for NotedOffset { key, queue_id, offset } in noted {
        broker.restore_offset(OffsetTableKind::Delay, &key, queue_id, offset);
    }
    broker.handle_start(now);
    broker
}

fn run(seed: u64, flush: FlushDiskType, ends: &[End]) {
    let mut rig = Rig::new(seed, flush);
    for _ in 0..60 {
        match rig.random.below(10) {
            0..=5 => {
                for _ in 0..1 + rig.random.below(8) {
                    let wait = i64::from(1 + rig.random.below(9_000));
                    rig.send(wait);
                }
            }
            6..=8 => {
                let millis = u64::from(rig.random.below(4_000));
                rig.wait(millis);
            }
            _ => {
                let end = ends[rig.random.below(ends.len() as u32) as usize];
                rig.restart(end);
            }
        }
    }
    rig.judge(seed);
}

#[test]
fn processes_that_end_in_order_deliver_each_message_once() {
    for seed in 0..30 {
        run(seed, FlushDiskType::AsyncFlush, &[End::Closed]);
        run(seed, FlushDiskType::SyncFlush, &[End::Closed]);
    }
}

#[test]
fn a_killed_process_loses_no_message_that_waits() {
    for seed in 0..30 {
        run(seed, FlushDiskType::AsyncFlush, &[End::Closed, End::Crashed(Crash::Kill)]);
        run(seed, FlushDiskType::SyncFlush, &[End::Crashed(Crash::Kill)]);
    }
}

#[test]
fn lost_power_takes_no_message_that_was_on_disk() {
    let all = [End::Closed, End::Crashed(Crash::Kill), End::Crashed(Crash::PowerLoss)];
    for seed in 0..40 {
        run(seed, FlushDiskType::AsyncFlush, &all);
        run(seed, FlushDiskType::SyncFlush, &all);
    }
}
