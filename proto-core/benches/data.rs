//! What the data half costs per message and per body.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto_core::{
    bodies::{BrokerData, HeartbeatData, QueueData, TopicRouteData},
    hash,
    ids::{OffsetMessageId, UniqueIdGenerator},
    json::{self, Dialect},
    properties::{self, PropertiesWriter, Special, names},
    record::{self, RecordFields, RecordView},
};

const PROPERTIES: &[u8] =
    b"KEYS\x01order-4711\x02UNIQ_KEY\x01C00002023F184E0E2F2A704FD7500000\x02WAIT\x01true\x02TAGS\x01TagA\x02CLUSTER\x01DefaultCluster\x02";

fn message(body: &[u8]) -> RecordFields<'_> {
    RecordFields {
        topic: "TopicTest",
        queue_id: 3,
        flag: 0,
        queue_offset: 7,
        physical_offset: 4096,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        born_host: ([127, 0, 0, 1], 50_000).into(),
        store_timestamp: 1_700_000_000_005,
        store_host: ([127, 0, 0, 1], 10_911).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties: PROPERTIES,
    }
}

fn records(c: &mut Criterion) {
    let body = vec![0x5A; 1024];
    let fields = message(&body);
    let mut space = vec![0; fields.encoded_len()];
    fields.encode_into(&mut space).expect("it fits");
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Bytes(1024));
    let mut out = space.clone();
    group.bench_function("encode 1 KiB", |b| b.iter(|| black_box(&fields).encode_into(black_box(&mut out))));
    group.bench_function("parse 1 KiB", |b| b.iter(|| RecordView::parse(black_box(&space))));
    let view = RecordView::parse(&space).expect("a record");
    group.bench_function("verify CRC of 1 KiB", |b| b.iter(|| black_box(&view).verify_crc()));
    group.bench_function("peek at store time", |b| b.iter(|| record::peek::store_timestamp(black_box(&space))));
    group.bench_function("peek at properties", |b| b.iter(|| record::peek::properties(black_box(&space))));
    group.finish();
}

fn texts(c: &mut Criterion) {
    let mut group = c.benchmark_group("properties");
    group.bench_function("scan for all special ones", |b| b.iter(|| Special::scan(black_box(PROPERTIES))));
    group.bench_function("find one", |b| b.iter(|| properties::find(black_box(PROPERTIES), names::TAGS)));
    let mut writer = PropertiesWriter::new();
    group.bench_function("copy and append two", |b| {
        b.iter(|| {
            writer.start(black_box(PROPERTIES));
            writer.append(names::MSG_REGION, b"DefaultRegion");
            writer.append(names::TRACE_ON, b"true");
            writer.len()
        });
    });
    group.finish();

    let mut group = c.benchmark_group("ids");
    group.bench_function("hash of a tag", |b| b.iter(|| hash::java_string_hash(black_box("TagA"))));
    group.bench_function("hash of a key", |b| b.iter(|| hash::java_string_hash(black_box("TopicTest#C00002023F184E0E2F2A704FD7500000"))));
    let id = OffsetMessageId { host: ([127, 0, 0, 1], 10_911).into(), offset: 4096 };
    let mut out = Vec::with_capacity(64);
    group.bench_function("write an offset id", |b| {
        b.iter(|| {
            out.clear();
            black_box(&id).write(&mut out);
        });
    });
    let mut ids = UniqueIdGenerator::new([127, 0, 0, 1].into(), 1, 2, 0);
    group.bench_function("make a unique id", |b| b.iter(|| ids.next_id(black_box(1_700_000_000_000))));
    group.finish();
}

fn bodies(c: &mut Criterion) {
    let heartbeat = br#"{"clientID":"10.0.0.1@123","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1,"tagsSet":["TagA","TagB"],"topic":"T1"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"PG"}],"withoutSub":false}"#;
    let route = TopicRouteData {
        broker_datas: vec![BrokerData {
            broker_addrs: [(0, "10.0.0.1:10911".to_owned()), (1, "10.0.0.2:10911".to_owned())].into(),
            broker_name: "broker-a".to_owned(),
            cluster: "DefaultCluster".to_owned(),
            ..BrokerData::default()
        }],
        queue_datas: vec![QueueData { broker_name: "broker-a".to_owned(), perm: 6, read_queue_nums: 8, ..QueueData::default() }],
        ..TopicRouteData::default()
    };
    let mut group = c.benchmark_group("json");
    group.bench_function("read a heartbeat", |b| b.iter(|| json::from_slice::<HeartbeatData>(black_box(heartbeat))));
    group.bench_function("write a route, default", |b| b.iter(|| json::to_vec(black_box(&route), Dialect::Default)));
    group.bench_function("write a route, standard", |b| b.iter(|| json::to_vec(black_box(&route), Dialect::Standard)));
    group.finish();
}

criterion_group!(benches, records, texts, bodies);
criterion_main!(benches);
