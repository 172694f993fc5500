//! The broker machine alone: nanoseconds for the decision on one send and on one pull, storage and sockets left out.

use std::{hint::black_box, net::SocketAddr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto_core::{Command, ExtFields, Flag, SerializeType, Text, code::RequestCode};
use route_core::{
    Now, Output, Peer, PeerId, Storage, Timestamp,
    broker::{Broker, config::BrokerConfig, offsets::OffsetTable},
    storage::{
        AppendError, Appended, Arrival, Boundary, CommitError, LogOffset, LogRange, NewMessage, OffsetTableKind, QueueBounds, QueueId,
        QueueUnit, Units,
        keys::{Found, KeyQuery, Search},
    },
};

/// Messages that the log behind the pulls pretends to hold.
const BACKLOG: i64 = 32;

/// A log that keeps nothing: appends only count, and every queue holds the same few units.
struct Nowhere {
    next: i64,
    units: Vec<u8>,
}

impl Nowhere {
    fn new() -> Self {
        let unit = |index| QueueUnit { offset: LogOffset(index * 4096), size: 1200, tags_code: 2_598_919 }.encode();
        Self { next: 0, units: (0..BACKLOG).flat_map(unit).collect() }
    }
}

impl Storage for Nowhere {
    type Slice = &'static [u8];

    fn open_queue(&mut self, _: &str, queue_id: i32) -> QueueId {
        QueueId(queue_id.unsigned_abs())
    }
    fn find_queue(&self, _: &str, queue_id: i32) -> Option<QueueId> {
        Some(QueueId(queue_id.unsigned_abs()))
    }
    fn topics(&self) -> Vec<(String, Vec<i32>)> {
        Vec::new()
    }
    fn append(&mut self, now: Timestamp, _: QueueId, message: &NewMessage<'_>) -> Result<Appended, AppendError> {
        let size = (91 + message.topic.len() + message.body.len() + message.properties.len()) as i64;
        let offset = self.next;
        self.next += size;
        Ok(Appended { offset: LogOffset(offset), end: LogOffset(self.next), queue_offset: offset / size, store_timestamp: now })
    }
    fn append_batch(&mut self, _: Timestamp, _: QueueId, _: &[NewMessage<'_>], _: &mut Vec<Appended>) -> Result<(), AppendError> {
        Ok(())
    }
    fn commit(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn bounds(&self, _: QueueId) -> QueueBounds {
        QueueBounds { min: 0, max: BACKLOG }
    }
    fn next_offset(&self, _: QueueId) -> i64 {
        BACKLOG
    }
    fn units(&self, _: QueueId, from: i64) -> Units<'_> {
        Units::new(&self.units[from as usize * QueueUnit::LEN..])
    }
    fn next_file_offset(&self, from: i64) -> i64 {
        from
    }
    fn record(&self, _: LogOffset) -> Option<&[u8]> {
        None
    }
    fn slice(&self, _: LogRange) -> Option<Self::Slice> {
        None
    }
    fn search_by_time(&self, _: QueueId, _: Timestamp, _: Boundary) -> i64 {
        0
    }
    fn search_by_key(&mut self, _query: KeyQuery) -> Search {
        Search::Done(Found::default())
    }
    fn log_bounds(&self) -> (LogOffset, LogOffset) {
        (LogOffset(0), LogOffset(BACKLOG * 4096))
    }
    fn durable(&self) -> LogOffset {
        LogOffset(i64::MAX)
    }
    fn set_durable(&mut self, _: LogOffset) {}
    fn poll_arrival(&mut self) -> Option<Arrival> {
        None
    }
    fn remove_topic(&mut self, _: &str) {}
    fn note_offset(&mut self, _: OffsetTableKind, _: &str, _: i32, _: i64) {}
}

fn command<'a>(
    code: RequestCode,
    fields: &[(&'static str, &'static str)],
    escaped: Option<(&'static str, &'static str)>,
    body: &'a [u8],
) -> Command<'a> {
    let mut ext = ExtFields::default();
    for (name, value) in fields {
        assert!(ext.push(Text::plain(name), Some(Text::plain(value))));
    }
    if let Some((name, value)) = escaped {
        assert!(ext.push(Text::plain(name), Some(Text::escaped(value))));
    }
    Command {
        code: code.code(),
        language: None,
        version: 453,
        opaque: 7,
        flag: Flag(0),
        remark: None,
        ext,
        serialize: SerializeType::Json,
        body,
    }
}

fn send(body: &[u8]) -> Command<'_> {
    let fields = [
        ("a", "PID"),
        ("b", "bench"),
        ("c", "TBW102"),
        ("d", "8"),
        ("e", "3"),
        ("f", "0"),
        ("g", "1700000000000"),
        ("h", "0"),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
    ];
    let properties = r"UNIQ_KEY\u00017F000001000118B4AAC2AA1000000000\u0002TAGS\u0001TagA\u0002WAIT\u0001true";
    command(RequestCode::SendMessageV2, &fields, Some(("i", properties)), body)
}

fn pull(subscription: &'static str) -> Command<'static> {
    let fields = [
        ("consumerGroup", "g"),
        ("topic", "bench"),
        ("queueId", "3"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subscription", subscription),
        ("subVersion", "0"),
        ("expressionType", "TAG"),
    ];
    command(RequestCode::PullMessage, &fields, None, b"")
}

fn answer(broker: &mut Broker<Nowhere>, out: &mut Vec<u8>) {
    while let Some(output) = broker.poll_output() {
        if let Output::Reply { opaque, reply, .. } = output {
            out.clear();
            reply.encode_header(opaque, out);
            broker.recycle(reply);
        }
    }
    black_box(&out);
}

fn broker(c: &mut Criterion) {
    let now = Now::default();
    let peer = Peer { id: PeerId(1), addr: SocketAddr::from(([127, 0, 0, 1], 40_000)), from_here: false };
    let mut machine = Broker::new(now, BrokerConfig::default(), Nowhere::new()).expect("the default levels");
    machine.handle_start(now);
    let body = vec![b'x'; 1024];
    let mut out = Vec::new();
    let mut group = c.benchmark_group("broker");

    let request = send(&body);
    group.throughput(Throughput::Elements(1));
    group.bench_function("send, decide and encode the answer", |b| {
        b.iter(|| {
            machine.handle_request(now, peer, black_box(&request));
            answer(&mut machine, &mut out);
        });
    });
    for (name, subscription) in [("pull of 32, every tag", "*"), ("pull of 32, two tags of which one matches", "TagB || TagA")] {
        let request = pull(subscription);
        group.throughput(Throughput::Elements(BACKLOG as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                machine.handle_request(now, peer, black_box(&request));
                answer(&mut machine, &mut out);
            });
        });
    }
    group.finish();
}

/// What a save of very many offsets takes from the loop, and what is done beside it.
fn offsets(c: &mut Criterion) {
    const GROUPS: i64 = 200_000;
    let now = Timestamp(0);
    let mut offsets = OffsetTable::new(now, GROUPS as usize);
    for group in 0..GROUPS {
        offsets.commit(now, "a-topic", &format!("a-group-{group}"), (group % 4) as i32, group);
    }
    let mut group = c.benchmark_group("offsets of 200,000 groups");
    group.sample_size(20);
    group.bench_function("hand over to be saved", |b| b.iter_with_large_drop(|| offsets.snapshot()));
    group.bench_function("make their text", |b| {
        let snapshot = offsets.snapshot();
        b.iter_with_large_drop(|| snapshot.to_bytes());
    });
    let (snapshot, mut at) = (offsets.snapshot(), 0);
    group.bench_function("a commit while they are being saved", |b| {
        b.iter(|| {
            at = (at + 1) % GROUPS;
            offsets.commit(now, "a-topic", "a-group-7", 3, at);
        });
    });
    drop(snapshot);
    group.finish();
}

criterion_group!(benches, broker, offsets);
criterion_main!(benches);
