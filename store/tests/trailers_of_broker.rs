//! A broker whose records end with a checksum over all of them: whatever it stores has it, and consumers see it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use proto_core::{
    Command, Flag, FrameDecoder,
    batch::{self, BatchMessage},
    code::{RequestCode, ResponseCode},
    encode::{EncodeExt, ExtWriter, Head, encode_frame},
    frame::Decoded,
    properties,
    record::{MAGIC_BLANK, RecordView, peek},
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Storage, Timestamp,
    broker::{Broker, config::BrokerConfig},
    output::{Reply, ReplyBody},
    storage::LogOffset,
};
use store::{
    Store, StoreConfig, StoreEvent,
    simulation::{SimulatedDisk, Work},
};

struct Fields<'a>(&'a [(&'a str, &'a str)]);

impl EncodeExt for Fields<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        self.0.iter().for_each(|(name, value)| out.text(name, value));
    }
}

struct Rig {
    broker: Broker<Store>,
    now: Now,
}

impl Rig {
    fn new() -> Self {
        let now = Now { mono: Millis(1_000), wall: Timestamp(1_700_000_000_000) };
        let config = StoreConfig {
            enabled_append_prop_crc: true,
            mapped_file_size_commit_log: 4 << 10,
            message_index_enable: false,
            ..StoreConfig::new("/data")
        };
        let (store, _) = Store::open_simulated(&SimulatedDisk::new(1), config, Arc::new(|| {})).unwrap();
        let mut broker = Broker::new(now, BrokerConfig::default(), store).unwrap();
        broker.handle_start(now);
        Self { broker, now }
    }

    /// Asks and answers what came back at once, if anything did.
    fn ask(&mut self, code: RequestCode, fields: &[(&str, &str)], body: &[u8]) -> Option<Reply> {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, &Head { code: code.code(), opaque: 1, flag: Flag(0), remark: None }, Some(&Fields(fields)), body.len());
        bytes.extend_from_slice(body);
        let Decoded::Frame { frame, .. } = FrameDecoder::default().decode(&bytes).unwrap() else { panic!("the frame is whole") };
        let peer = Peer { id: PeerId(1), addr: SocketAddr::from(([10, 0, 0, 1], 40_000)), from_here: false };
        self.broker.handle_request(self.now, peer, &Command::decode(frame).unwrap());
        self.settle()
    }

    fn send(&mut self, topic: &str, batch: bool, properties: &str, body: &[u8]) {
        let code = if batch { RequestCode::SendBatchMessage } else { RequestCode::SendMessageV2 };
        let fields = [
            ("a", "producers"),
            ("b", topic),
            ("c", "TBW102"),
            ("d", "1"),
            ("e", "0"),
            ("f", "0"),
            ("g", "1700000000000"),
            ("h", "0"),
            ("i", properties),
            ("j", "0"),
            ("k", "false"),
            ("m", if batch { "true" } else { "false" }),
        ];
        let reply = self.ask(code, &fields, body).expect("an answer");
        assert_eq!((reply.code, reply.remark), (ResponseCode::Success, None));
    }

    fn settle(&mut self) -> Option<Reply> {
        let mut last = None;
        for _ in 0..3 {
            while let Some(output) = self.broker.poll_output() {
                match output {
                    Output::Reply { reply, .. } => last = Some(reply),
                    Output::Persist { ticket, table, content } => self.broker.storage_mut().save(ticket, table, content),
                    _ => {}
                }
            }
            let store = self.broker.storage_mut();
            store.request_flush();
            for work in [Work::Flush(Duration::from_millis(self.now.mono.0)), Work::Tables, Work::Ahead] {
                store.step(work);
            }
            while let Some(event) = self.broker.storage_mut().poll_event() {
                match event {
                    StoreEvent::Durable(up_to) => self.broker.handle_durable(self.now, up_to),
                    StoreEvent::Persisted(ticket, result) => self.broker.handle_persisted(self.now, ticket, result),
                    _ => {}
                }
            }
        }
        last
    }

    fn wait(&mut self, span: Millis) {
        let until = self.now.mono + span;
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= until) {
            let span = due.max(self.now.mono).saturating_sub(self.now.mono);
            self.now = Now { mono: self.now.mono + span, wall: self.now.wall.plus(span) };
            self.broker.handle_timeout(self.now);
            self.settle();
        }
    }

    /// All records of the log, in order.
    fn records(&self) -> Vec<RecordView<'_>> {
        let storage = self.broker.storage();
        let (LogOffset(mut at), LogOffset(end)) = storage.log_bounds();
        let mut records = Vec::new();
        while at < end {
            let bytes = storage.record(LogOffset(at));
            let Some(view) = bytes.filter(|bytes| peek::magic(bytes) != Some(MAGIC_BLANK)).and_then(|bytes| RecordView::parse(bytes).ok())
            else {
                at += (4 << 10) - at % (4 << 10);
                continue;
            };
            at += view.total_size() as i64;
            records.push(view);
        }
        records
    }

    /// The records that a consumer of the topic gets.
    fn pull(&mut self, topic: &str) -> Vec<Vec<u8>> {
        let fields = [
            ("consumerGroup", "readers"),
            ("topic", topic),
            ("queueId", "0"),
            ("queueOffset", "0"),
            ("maxMsgNums", "32"),
            ("sysFlag", "4"),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "0"),
            ("subscription", "*"),
            ("subVersion", "0"),
        ];
        let reply = self.ask(RequestCode::PullMessage, &fields, b"").expect("an answer");
        assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::Success, Some("FOUND")));
        let ReplyBody::Records(ranges) = reply.body else { panic!("records: {:?}", reply.body) };
        let mut records = Vec::new();
        for range in ranges {
            let slice = self.broker.storage().slice(range).expect("it can be sent");
            let mut rest: &[u8] = slice.as_ref();
            while let Ok(view) = RecordView::parse(rest) {
                records.push(view.bytes().to_vec());
                rest = &rest[view.total_size()..];
            }
        }
        records
    }
}

fn names(record: &RecordView<'_>) -> Vec<String> {
    properties::iter(record.properties()).map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect()
}

#[test]
fn every_kind_of_record_that_a_broker_stores_ends_with_its_own_checksum() {
    let mut rig = Rig::new();
    rig.send("Orders", false, "UNIQ_KEY\u{1}single\u{2}__CRC32#\u{1}8758651980\u{2}", b"single");
    let mut body = Vec::new();
    for properties in [&b"TAGS\x01a"[..], b"TAGS\x01b\x02__CRC32#\x018758651980\x02"] {
        batch::encode(&BatchMessage { flag: 0, body: b"of a batch", properties }, &mut body).unwrap();
    }
    rig.send("Orders", true, "", &body);
    rig.send("Orders", false, "UNIQ_KEY\u{1}late\u{2}DELAY\u{1}1\u{2}", b"late");
    rig.send("Orders", false, "UNIQ_KEY\u{1}timed\u{2}TIMER_DELAY_SEC\u{1}3\u{2}", b"timed");
    rig.send("Orders", false, "UNIQ_KEY\u{1}half\u{2}TRAN_MSG\u{1}true\u{2}PGROUP\u{1}producers\u{2}", b"half");
    let half = rig.records().last().map(|half| (half.queue_offset().to_string(), half.physical_offset().to_string())).unwrap();
    let fields = [
        ("topic", "Orders"),
        ("producerGroup", "producers"),
        ("tranStateTableOffset", half.0.as_str()),
        ("commitLogOffset", half.1.as_str()),
        ("commitOrRollback", "8"),
        ("fromTransactionCheck", "false"),
        ("msgId", "half"),
        ("transactionId", "half"),
    ];
    rig.ask(RequestCode::EndTransaction, &fields, b"");
    let returned = [("offset", "0"), ("group", "readers"), ("delayLevel", "1"), ("unitMode", "false"), ("maxReconsumeTimes", "16")];
    let reply = rig.ask(RequestCode::ConsumerSendMsgBack, &returned, b"").expect("an answer");
    assert_eq!(reply.code, ResponseCode::Success);
    rig.wait(Millis(30_000));

    let mut by_topic = BTreeMap::new();
    for record in rig.records() {
        *by_topic.entry(record.topic().to_owned()).or_insert(0) += 1;
        assert_eq!(record.verify_trailer(), Ok(true), "{} {:?}", record.topic(), String::from_utf8_lossy(record.properties()));
        let names = names(&record);
        assert_eq!(names.iter().filter(|name| *name == "__CRC32#").count(), 1, "{} {names:?}", record.topic());
    }
    let expected = [
        ("%RETRY%readers", 1),
        ("Orders", 6),
        ("RMQ_SYS_TRANS_HALF_TOPIC", 1),
        ("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1),
        ("SCHEDULE_TOPIC_XXXX", 2),
        ("rmq_sys_wheel_timer", 1),
    ];
    assert_eq!(by_topic, expected.map(|(topic, count)| (topic.to_owned(), count)).into());
}

#[test]
fn consumers_see_the_checksum_as_the_last_property() {
    let mut rig = Rig::new();
    rig.send("Orders", false, "TAGS\u{1}TagA\u{2}__CRC32#\u{1}8758651980\u{2}UNIQ_KEY\u{1}k\u{2}", b"hello");
    let pulled = rig.pull("Orders");
    let [record] = &pulled[..] else { panic!("{pulled:?}") };
    let view = RecordView::parse(record).unwrap();
    assert_eq!(view.verify_trailer(), Ok(true));
    assert_eq!((view.property("TAGS"), view.property("UNIQ_KEY"), view.body()), (Some("TagA"), Some("k"), &b"hello"[..]));
    // What a client says under that name elsewhere counts for nothing: of equal names the last one does.
    assert_eq!(view.property("__CRC32#").map(str::as_bytes), Some(&record[record.len() - 11..record.len() - 1]));
}
