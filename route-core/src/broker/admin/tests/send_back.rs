use proto_core::record::RecordView;

use super::*;

/// A stored message as a test looks at it.
#[derive(Debug, PartialEq)]
struct Stored {
    topic: String,
    queue_id: i32,
    reconsume_times: i32,
    properties: Vec<(String, String)>,
}

impl Stored {
    fn property(&self, name: &str) -> &str {
        self.properties.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl Scene {
    /// The last message of a queue.
    fn last(&mut self, topic: &str, queue_id: i32) -> Stored {
        let storage = self.broker.storage_mut();
        let queue = storage.open_queue(topic, queue_id);
        let last = storage.bounds(queue).max - 1;
        let unit = storage.units(queue, last).next().expect("the queue has a message");
        let record = RecordView::parse(storage.record(unit.offset).unwrap()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Stored {
            topic: record.topic().to_owned(),
            queue_id: record.queue_id(),
            reconsume_times: record.reconsume_times(),
            properties: proto_core::properties::iter(record.properties()).map(|(key, value)| (text(key), text(value))).collect(),
        }
    }

    /// Where the last message of a queue lies.
    fn place_of_last(&mut self, topic: &str, queue_id: i32) -> String {
        let storage = self.broker.storage_mut();
        let queue = storage.open_queue(topic, queue_id);
        let last = storage.bounds(queue).max - 1;
        storage.units(queue, last).next().expect("the queue has a message").offset.0.to_string()
    }

    fn send_back(&mut self, offset: &str, level: &str, limit: &str) -> Answered {
        let fields = [("offset", offset), ("group", "G"), ("delayLevel", level), ("maxReconsumeTimes", limit)];
        self.ask(RequestCode::ConsumerSendMsgBack, &fields, "")
    }

    /// Time passes, and what is due then is delivered.
    pub(super) fn wait(&mut self, millis: u64) {
        self.now = Now { mono: self.now.mono + Millis(millis), wall: self.now.wall.plus(Millis(millis)) };
        self.broker.handle_timeout(self.now);
        while self.broker.poll_output().is_some() {}
    }
}

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.make_topic("T", "4");
    scene.make_group("G");
    scene.store("T", 2, 1_000);
    scene
}

#[test]
fn a_message_that_is_handed_back_waits_at_the_level_of_its_attempt() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    assert_eq!(scene.send_back(&offset, "0", "16").outcome(), (ResponseCode::Success, ""));
    let waiting = scene.last("SCHEDULE_TOPIC_XXXX", 2);
    assert_eq!(waiting.reconsume_times, 1);
    let properties = ["DELAY", "RETRY_TOPIC", "ORIGIN_MESSAGE_ID", "REAL_TOPIC", "REAL_QID", "WAIT"].map(|name| waiting.property(name));
    assert_eq!(properties, ["3", "T", "7F00000100002A9F0000000000000000", "%RETRY%G", "0", "false"]);
}

#[test]
fn it_comes_again_in_the_retry_topic_when_its_time_has_come() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    scene.send_back(&offset, "0", "16");
    scene.wait(9_999);
    let bounds = |scene: &mut Scene| {
        let queue = scene.broker.storage_mut().open_queue("%RETRY%G", 0);
        scene.broker.storage().bounds(queue).max
    };
    assert_eq!(bounds(&mut scene), 0);
    scene.wait(1);
    assert_eq!(bounds(&mut scene), 1);
    let again = scene.last("%RETRY%G", 0);
    assert_eq!((again.topic.as_str(), again.queue_id, again.reconsume_times), ("%RETRY%G", 0, 1));
}

#[test]
fn origin_and_first_topic_stay_through_all_attempts() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    scene.send_back(&offset, "1", "16");
    scene.wait(1_000);
    let offset = scene.place_of_last("%RETRY%G", 0);
    scene.send_back(&offset, "0", "16");
    let waiting = scene.last("SCHEDULE_TOPIC_XXXX", 3);
    assert_eq!(waiting.reconsume_times, 2);
    let properties = ["DELAY", "RETRY_TOPIC", "ORIGIN_MESSAGE_ID"].map(|name| waiting.property(name));
    assert_eq!(properties, ["4", "T", "7F00000100002A9F0000000000000000"]);
    let names: std::collections::BTreeSet<_> = waiting.properties.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), waiting.properties.len(), "no property comes twice");
}

#[test]
fn after_its_last_attempt_it_is_dead() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    assert_eq!(scene.send_back(&offset, "0", "0").code, ResponseCode::Success);
    let dead = scene.last("%DLQ%G", 0);
    assert_eq!((dead.property("DELAY"), dead.property("RETRY_TOPIC"), dead.reconsume_times), ("0", "T", 1));
    let config = scene.broker.topics.get("%DLQ%G").unwrap().config();
    assert_eq!((config.write_queue_nums, config.perm), (1, 6));
}

#[test]
fn a_consumer_may_give_a_message_up_at_once() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    scene.send_back(&offset, "-1", "16");
    assert_eq!(scene.last("%DLQ%G", 0).topic, "%DLQ%G");
}

#[test]
fn what_cannot_be_handed_back_is_refused() {
    let mut scene = scene();
    let answer = scene.send_back("999999", "0", "16");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "look message by offset failed, 999999"));
    let answer = scene.ask(RequestCode::ConsumerSendMsgBack, &[("group", "G"), ("delayLevel", "0")], "");
    assert_eq!(answer.outcome(), (ResponseCode::SystemError, "the offset of the message is missing"));
    let mut scene = Scene::with(BrokerConfig { auto_create_group: false, ..BrokerConfig::default() });
    let answer = scene.ask(RequestCode::ConsumerSendMsgBack, &[("group", "H"), ("offset", "0"), ("delayLevel", "0")], "");
    assert_eq!(answer.code, ResponseCode::SubscriptionGroupNotExist);
    assert!(answer.remark.starts_with("subscription group not exist, H \nSee "));
}

#[test]
fn a_group_is_made_by_handing_a_message_back() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    let fields = [("group", "H"), ("offset", offset.as_str()), ("delayLevel", "0")];
    assert_eq!(scene.ask(RequestCode::ConsumerSendMsgBack, &fields, "").outcome(), (ResponseCode::Success, ""));
    assert_eq!(scene.last("SCHEDULE_TOPIC_XXXX", 2).property("REAL_TOPIC"), "%RETRY%H");
}

#[test]
fn a_retry_topic_that_may_not_be_written_refuses_the_message() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    let mut fields = topics::wanted("%RETRY%G", "1");
    fields.push(("perm", "4"));
    scene.ask(RequestCode::UpdateAndCreateTopic, &fields, "");
    let answer = scene.send_back(&offset, "0", "16");
    assert_eq!(answer.outcome(), (ResponseCode::NoPermission, "the topic[%RETRY%G] sending message is forbidden"));
}

#[test]
fn a_group_without_retry_queues_loses_the_message() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], r#"{"groupName":"G","retryQueueNums":0}"#);
    assert_eq!(scene.send_back(&offset, "0", "16").outcome(), (ResponseCode::Success, ""));
    let queue = scene.broker.storage_mut().open_queue("SCHEDULE_TOPIC_XXXX", 2);
    assert_eq!(scene.broker.storage().bounds(queue).max, 0);
}

#[test]
fn a_record_inside_of_a_body_is_not_taken_for_a_message() {
    let mut scene = scene();
    let inner = {
        let storage = scene.broker.storage_mut();
        storage.record(crate::storage::LogOffset(0)).unwrap().to_vec()
    };
    let storage = scene.broker.storage_mut();
    let queue = storage.open_queue("T", 0);
    let host = SocketAddr::from(([127, 0, 0, 1], 10911));
    let outer = NewMessage {
        topic: "T",
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &inner,
        properties: b"",
        tags_code: TagsCode::Hash(0),
    };
    let at = storage.append(Timestamp(2_000), queue, &outer).unwrap().offset.0 + 88;
    let answer = scene.send_back(&at.to_string(), "0", "16");
    assert_eq!(answer.remark, format!("look message by offset failed, {at}"));
}

#[test]
fn with_durable_answers_it_is_acknowledged_when_it_is_on_disk() {
    let mut scene = scene();
    scene.broker.config.flush_mode = FlushMode::Sync;
    let offset = scene.place_of_last("T", 2);
    let mut ext = ExtFields::present();
    for (name, value) in [("offset", offset.as_str()), ("group", "G"), ("delayLevel", "0")] {
        assert!(ext.push(Text::plain(name), Some(Text::plain(value))));
    }
    let command = Command {
        code: RequestCode::ConsumerSendMsgBack.code(),
        language: None,
        version: 513,
        opaque: 5,
        flag: Flag(0),
        remark: None,
        ext,
        serialize: SerializeType::Json,
        body: b"",
    };
    let peer = Peer { id: PeerId(1), addr: SocketAddr::from(([10, 0, 0, 1], 40_000)), from_here: false };
    scene.broker.handle_request(scene.now, peer, &command);
    let is_reply = |output: &Output| matches!(output, Output::Reply { opaque: 5, .. });
    assert!(!std::iter::from_fn(|| scene.broker.poll_output()).any(|output| is_reply(&output)));
    let (_, end) = scene.broker.storage().log_bounds();
    scene.broker.handle_durable(scene.now, end);
    assert!(std::iter::from_fn(|| scene.broker.poll_output()).any(|output| is_reply(&output)));
}

#[test]
fn a_retry_topic_follows_the_queues_that_its_group_is_given_later() {
    let mut scene = scene();
    let offset = scene.place_of_last("T", 2);
    scene.send_back(&offset, "1", "16");
    let queues = |scene: &Scene| {
        let config = scene.broker.topics.get("%RETRY%G").unwrap().config();
        (config.read_queue_nums, config.write_queue_nums)
    };
    assert_eq!(queues(&scene), (1, 1));
    scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], r#"{"groupName":"G","retryQueueNums":8}"#);
    scene.send_back(&offset, "1", "16");
    assert_eq!(queues(&scene), (8, 8));
    scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], r#"{"groupName":"G","retryQueueNums":2}"#);
    scene.send_back(&offset, "1", "16");
    assert_eq!(queues(&scene), (8, 8), "there may be messages in all of them");
}
