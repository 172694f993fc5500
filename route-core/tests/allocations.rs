//! The way of a message through the broker machine, from the frame to the answer's bytes, takes nothing from the heap once its buffers
//! have grown.

use std::net::SocketAddr;

use allocation_counter::measure;
use proto_core::{
    Command, ExtFields, Flag, FrameDecoder, SerializeType, Text,
    code::{RequestCode, ResponseCode},
    encode::{EncodeExt, Head, encode_binary_frame, encode_frame},
    frame::Decoded,
    headers::{PullMessageRequest, SendMessageRequest, UpdateConsumerOffsetRequest},
};
use route_core::{
    Millis, Now, Output, Peer, PeerId, Timestamp,
    broker::{Broker, config::BrokerConfig},
    output::ReplyBody,
    storage::memory::MemoryStorage,
};

/// Requests that are counted, and as many before them.
const MANY: usize = 200;

const BODY: &[u8] = &[b'x'; 1024];

/// What a producer sends with a message: a unique key and five of its own.
const PROPERTIES: &str = "UNIQ_KEY\u{1}7F000001000118B4AAC2AA1000000000\u{2}TAGS\u{1}TagA\u{2}KEYS\u{1}order-4711\u{2}WAIT\u{1}true\u{2}\
                          colour\u{1}blue\u{2}size\u{1}large\u{2}";

const BOTH: [SerializeType; 2] = [SerializeType::Json, SerializeType::RocketMq];

fn frame(serialize: SerializeType, code: RequestCode, header: &impl EncodeExt, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Head { code: code.code(), opaque: 7, flag: Flag(0), remark: None };
    match serialize {
        SerializeType::Json => encode_frame(&mut out, &head, Some(header), body.len()),
        SerializeType::RocketMq => encode_binary_frame(&mut out, &head, Some(header), body.len()).unwrap(),
    }
    out.extend_from_slice(body);
    out
}

/// A broker with one client, and the answer that was written last.
struct Scene {
    broker: Broker<MemoryStorage>,
    now: Now,
    out: Vec<u8>,
    /// Messages in it.
    records: usize,
}

impl Scene {
    fn new() -> Self {
        let now = Now { mono: Millis(0), wall: Timestamp(1_700_000_000_000) };
        let mut broker = Broker::new(now, BrokerConfig::default(), MemoryStorage::default()).unwrap();
        broker.handle_start(now);
        Self { broker, now, out: Vec::new(), records: 0 }
    }

    fn ask(&mut self, frame: &[u8]) {
        let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(frame) else { panic!("the frame is whole") };
        let peer = Peer { id: PeerId(1), addr: SocketAddr::from(([192, 0, 2, 7], 50_000)), from_here: false };
        // Time goes on, so that slots of counters and of clocks change as well.
        self.now = Now { mono: self.now.mono + Millis(13), wall: self.now.wall.plus(Millis(13)) };
        self.broker.handle_request(self.now, peer, &Command::decode(frame).unwrap());
        let mut answers = 0;
        while let Some(output) = self.broker.poll_output() {
            if let Output::Persist { ticket, .. } = output {
                self.broker.handle_persisted(self.now, ticket, Ok(()));
                continue;
            }
            let Output::Reply { opaque, reply, .. } = output else { continue };
            assert_eq!(reply.code, ResponseCode::Success);
            self.out.clear();
            reply.encode_header(opaque, &mut self.out);
            self.records = if let ReplyBody::Records(ranges) = &reply.body { ranges.len() } else { 0 };
            self.broker.recycle(reply);
            answers += 1;
        }
        assert_eq!(answers, 1);
    }

    /// What the heap gives while all these requests are answered, after they have been asked once.
    #[track_caller]
    fn assert_free_of_allocations(&mut self, frames: &[Vec<u8>]) {
        frames.iter().for_each(|frame| self.ask(frame));
        self.broker.storage_mut().reserve(MANY, MANY * 4096);
        let counted = measure(|| frames.iter().for_each(|frame| self.ask(frame)));
        assert_eq!(counted.count_total, 0, "{counted:?} for {} requests", frames.len());
    }
}

fn send(serialize: SerializeType, topic: &str, properties: &str) -> Vec<u8> {
    let header = SendMessageRequest {
        producer_group: Text::plain("makers"),
        topic: Text::plain(topic),
        default_topic: Text::plain("TBW102"),
        default_topic_queue_nums: 4,
        queue_id: 2,
        born_timestamp: 1_700_000_000_000,
        properties: Some(Text::plain(properties)),
        reconsume_times: Some(0),
        broker_name: Some(Text::plain("broker-a")),
        ..SendMessageRequest::default()
    };
    frame(serialize, RequestCode::SendMessageV2, &header, BODY)
}

#[test]
fn a_send_allocates_nothing() {
    for serialize in BOTH {
        for properties in [PROPERTIES, "", "TAGS\u{1}TagA\u{2}"] {
            Scene::new().assert_free_of_allocations(&vec![send(serialize, "Orders", properties); MANY]);
        }
    }
}

#[test]
fn a_pull_of_many_messages_allocates_nothing() {
    for serialize in BOTH {
        for subscription in ["*", "TagA", "TagA || TagB"] {
            let mut scene = Scene::new();
            (0..32).for_each(|_| scene.ask(&send(serialize, "Orders", PROPERTIES)));
            let header = PullMessageRequest {
                consumer_group: Text::plain("readers"),
                topic: Text::plain("Orders"),
                queue_id: 2,
                queue_offset: 0,
                max_msg_nums: 32,
                sys_flag: 4,
                subscription: Some(Text::plain(subscription)),
                expression_type: Some(Text::plain("TAG")),
                ..PullMessageRequest::default()
            };
            scene.assert_free_of_allocations(&vec![frame(serialize, RequestCode::PullMessage, &header, b""); MANY]);
            assert!(scene.records > 0, "the pulls found something");
        }
    }
}

#[test]
fn a_pull_of_a_subscribed_group_that_commits_on_its_way_allocates_nothing() {
    let heartbeat =
        br#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY",
        "groupName":"readers","messageModel":"CLUSTERING","subscriptionDataSet":[{"expressionType":"TAG","subString":"TagA || TagB",
        "subVersion":1,"topic":"Orders"}]}],"producerDataSet":[]}"#;
    for serialize in BOTH {
        let mut scene = Scene::new();
        (0..32).for_each(|_| scene.ask(&send(serialize, "Orders", PROPERTIES)));
        scene.ask(&frame(serialize, RequestCode::HeartBeat, &ExtFields::default(), heartbeat));
        let pull = |offset| PullMessageRequest {
            consumer_group: Text::plain("readers"),
            topic: Text::plain("Orders"),
            queue_id: 2,
            max_msg_nums: 32,
            sys_flag: 3,
            commit_offset: offset,
            suspend_timeout_millis: 15_000,
            sub_version: 1,
            ..PullMessageRequest::default()
        };
        let frames: Vec<_> = (0..MANY).map(|offset| frame(serialize, RequestCode::PullMessage, &pull(offset as i64), b"")).collect();
        scene.assert_free_of_allocations(&frames);
        assert!(scene.records > 0, "the pulls found something");
    }
}

#[test]
fn an_offset_update_allocates_nothing() {
    for serialize in BOTH {
        let mut scene = Scene::new();
        scene.ask(&send(serialize, "Orders", PROPERTIES));
        let group = br#"{"groupName":"readers"}"#;
        scene.ask(&frame(serialize, RequestCode::UpdateAndCreateSubscriptiongroup, &ExtFields::default(), group));
        let commit = |offset| UpdateConsumerOffsetRequest {
            consumer_group: Text::plain("readers"),
            topic: Text::plain("Orders"),
            queue_id: Some(2),
            commit_offset: Some(offset),
            ..UpdateConsumerOffsetRequest::default()
        };
        let frames: Vec<_> =
            (0..MANY).map(|offset| frame(serialize, RequestCode::UpdateConsumerOffset, &commit(offset as i64), b"")).collect();
        scene.assert_free_of_allocations(&frames);
    }
}
