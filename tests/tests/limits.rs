//! What is refused, and where answers end: names, sizes, counts; and clocks that jump.

use petrel_tests::{
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    command::Flag,
    encode::{Head, encode_binary_frame},
};
use route_core::{Millis, Timestamp};

#[track_caller]
fn refused(message: &Message<'_>, code: ResponseCode, start: &str) {
    let mut pair = Pair::new();
    let client = pair.client();
    let answer = client.send(&mut pair.cluster, pair.broker, message).expect(code);
    assert!(answer.remark.as_deref().is_some_and(|remark| remark.starts_with(start)), "{answer:?}");
    // Java's client reads these two without looking whether they are there.
    assert_eq!((answer.field("MSG_REGION"), answer.field("TRACE_ON")), ("DefaultRegion", "true"));
}

#[test]
fn names_that_no_topic_may_have_are_refused_with_javas_words() {
    let long = "t".repeat(128);
    refused(
        &Message::new(&long, "x"),
        ResponseCode::InvalidParameter,
        &format!("The specified topic: {long}, is longer than topic max length: 127"),
    );
    refused(
        &Message::new("with.dot", "x"),
        ResponseCode::InvalidParameter,
        "The specified topic: with.dot, contains illegal characters, allowing only",
    );
    refused(&Message::new("", "x"), ResponseCode::InvalidParameter, "The specified topic is blank.");
}

#[test]
fn topics_of_the_system_take_no_messages_from_clients() {
    for topic in ["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "OFFSET_MOVED_EVENT"] {
        refused(&Message::new(topic, "x"), ResponseCode::NoPermission, &format!("Sending message to topic[{topic}] is forbidden."));
    }
}

#[test]
fn pulls_beyond_those_that_may_wait_are_answered_at_once_and_a_line_says_so_now_and_then() {
    let mut pair = Pair::with(|config| config.limits.holds.pulls = 1);
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    let pull = Pull::new("readers", "Orders", 1).held_for(60_000);
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &pull);
    for _ in 0..3 {
        client.pull(&mut pair.cluster, pair.broker, &pull).expect(ResponseCode::PullNotFound);
    }
    assert!(client.answer(&mut pair.cluster, waiting).is_none());
    let lines = |pair: &mut Pair| pair.cluster.notices(pair.broker).iter().filter(|line| line.starts_with("1 pulls wait")).count();
    assert_eq!(lines(&mut pair), 1);
    pair.cluster.advance(Millis(10_000));
    client.pull(&mut pair.cluster, pair.broker, &pull).expect(ResponseCode::PullNotFound);
    assert_eq!(lines(&mut pair), 2);
}

#[test]
fn a_connection_with_more_pulls_than_may_wait_is_answered_at_once_and_the_pulls_of_others_wait() {
    let mut pair = Pair::with(|config| config.limits.holds.pulls_of_peer = 1);
    let (greedy, modest) = (pair.client(), pair.client());
    greedy.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    let pull = Pull::new("readers", "Orders", 1).held_for(60_000);
    greedy.post_pull(&mut pair.cluster, pair.broker, &pull);
    greedy.pull(&mut pair.cluster, pair.broker, &pull).expect(ResponseCode::PullNotFound);
    let waiting = modest.post_pull(&mut pair.cluster, pair.broker, &pull);
    assert!(modest.answer(&mut pair.cluster, waiting).is_none());
    let lines = pair.cluster.notices(pair.broker);
    assert!(lines.iter().any(|line| line.starts_with("1 pulls of one connection wait for messages")), "{lines:?}");
}

#[test]
fn a_heartbeat_of_more_groups_than_one_may_name_is_refused_with_a_line_that_names_its_sender() {
    let mut pair = Pair::with(|config| config.limits.heartbeat_groups = 1);
    let client = pair.client();
    let consumer = |group: &str| {
        format!(r#"{{"groupName":"{group}","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[]}}"#)
    };
    let body = format!(r#"{{"clientID":"c","consumerDataSet":[{}],"producerDataSet":[{{"groupName":"p"}}]}}"#, consumer("g"));
    let answer = client.call(&mut pair.cluster, pair.broker, RequestCode::HeartBeat.code(), &Fields(&[]), body.as_bytes());
    let remark = answer.expect(ResponseCode::SystemError).remark;
    assert_eq!(remark.as_deref(), Some("a heartbeat of 2 groups is beyond the limit of 1: share them among several clients"));
    let lines = pair.cluster.notices(pair.broker);
    assert!(lines.iter().any(|line| line.contains("HEART_BEAT") && line.contains("a heartbeat of 2 groups")), "{lines:?}");
}

#[test]
fn a_queue_beyond_the_topics_last_is_refused() {
    refused(
        &Message::new("Orders", "x").in_queue(99),
        ResponseCode::InvalidParameter,
        "request queueId[99] is illegal, TopicConfig [topicName=Orders",
    );
}

#[test]
fn a_topic_without_queues_takes_no_message_from_whoever_leaves_the_queue_to_the_broker() {
    let mut pair = Pair::new();
    let client = pair.client();
    let topic = [
        ("topic", "Closed"),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", "0"),
        ("writeQueueNums", "0"),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
    ];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndCreateTopic, &topic).expect(ResponseCode::Success);
    let answer =
        client.send(&mut pair.cluster, pair.broker, &Message::new("Closed", "x").in_queue(-1)).expect(ResponseCode::InvalidParameter);
    assert!(answer.remark.is_some_and(|remark| remark.starts_with("request queueId[-1] is illegal")));
}

#[test]
fn properties_above_the_formats_limit_are_refused_and_nothing_is_stored() {
    let long = "v".repeat(33_000);
    refused(
        &Message::new("Orders", "x").with(&[("k", &long)]),
        ResponseCode::MessageIllegal,
        "the message is illegal, maybe msg body or properties",
    );
}

#[test]
fn a_retry_makes_its_group_where_groups_are_made_by_using_them() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("%RETRY%newcomers", "x")).expect(ResponseCode::Success);
    let groups = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetAllSubscriptiongroupConfig, &[]);
    assert!(groups.expect(ResponseCode::Success).text().contains("newcomers"));
}

#[test]
fn a_retry_for_a_group_that_is_not_there_is_refused_without_automatic_groups() {
    let mut pair = Pair::with(|config| config.auto_create_group = false);
    let client = pair.client();
    let answer = client.send(&mut pair.cluster, pair.broker, &Message::new("%RETRY%nobody", "x"));
    assert!(
        answer
            .expect(ResponseCode::SubscriptionGroupNotExist)
            .remark
            .is_some_and(|remark| remark.starts_with("subscription group not exist, nobody"))
    );
}

#[test]
fn a_pull_returns_no_more_messages_than_it_asks_for_and_says_where_to_go_on() {
    let mut pair = Pair::new();
    let client = pair.client();
    for number in 0..10 {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", &number.to_string())).expect(ResponseCode::Success);
    }
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull { max: 4, ..Pull::new("readers", "Orders", 3) });
    assert_eq!(pulled.bodies(), ["3", "4", "5", "6"]);
    assert_eq!((pulled.number("nextBeginOffset"), pulled.number("maxOffset")), (7, 10));
}

#[test]
fn a_message_above_the_size_of_an_answer_comes_alone() {
    let mut pair = Pair::new();
    let client = pair.client();
    let large = "x".repeat(300_000);
    for body in [large.as_str(), "small", large.as_str()] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
    }
    let mut sizes = Vec::new();
    let mut next = 0;
    while next < 3 {
        let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", next)).expect(ResponseCode::Success);
        sizes.extend(pulled.bodies().iter().map(String::len));
        assert!(pulled.number("nextBeginOffset") > next && pulled.body.len() < 310_000);
        next = pulled.number("nextBeginOffset");
    }
    assert_eq!(sizes, [300_000, 5, 300_000]);
}

/// One message of a batch: its length, four empty words, body and properties.
fn in_batch(body: &str, properties: &str) -> Vec<u8> {
    let (body, properties) = (body.as_bytes(), properties.as_bytes());
    let word = |number: usize| u32::try_from(number).expect("small").to_be_bytes();
    let mut bytes = Vec::new();
    bytes.extend(word(22 + body.len() + properties.len()));
    bytes.extend([0; 12]);
    bytes.extend(word(body.len()));
    bytes.extend(body);
    bytes.extend(u16::try_from(properties.len()).expect("small").to_be_bytes());
    bytes.extend(properties);
    bytes
}

#[test]
fn a_batch_is_stored_in_order_in_one_queue_each_message_with_its_own_properties() {
    let mut pair = Pair::new();
    let client = pair.client();
    let body: Vec<u8> =
        (0..3).flat_map(|number| in_batch(&format!("b{number}"), &format!("KEYS\u{1}k{number}\u{2}TAGS\u{1}T\u{2}"))).collect();
    let header = Message { batch: true, ..Message::new("Orders", "").in_queue(2) };
    let answer =
        client.call(&mut pair.cluster, pair.broker, RequestCode::SendBatchMessage.code(), &header, &body).expect(ResponseCode::Success);
    assert_eq!((answer.number("queueOffset"), answer.number("queueId"), answer.field("msgId").split(',').count()), (0, 2, 3));
    let records = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).in_queue(2)).records();
    let found: Vec<(&str, i64, &str)> =
        records.iter().map(|record| (record.body.as_str(), record.offset, record.properties["KEYS"].as_str())).collect();
    assert_eq!(found, [("b0", 0, "k0"), ("b1", 1, "k1"), ("b2", 2, "k2")]);
    let ids: Vec<String> = records.iter().map(|record| format!("0A010001{:08X}{:016X}", 10911, record.place)).collect();
    assert_eq!(answer.field("msgId"), ids.join(","));
}

#[test]
fn a_batch_that_is_cut_short_is_refused_as_a_whole() {
    let mut pair = Pair::new();
    let client = pair.client();
    let mut body: Vec<u8> = [in_batch("b0", ""), in_batch("b1", "")].concat();
    body.pop();
    let header = Message { batch: true, ..Message::new("Orders", "") };
    let answer = client.call(&mut pair.cluster, pair.broker, RequestCode::SendBatchMessage.code(), &header, &body);
    assert_ne!(answer.code, 0, "{answer:?}");
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    assert!(pulled.body.is_empty(), "a part of it was stored");
}

#[test]
fn a_request_with_a_binary_header_is_answered_in_json() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let mut frame = Vec::new();
    let head = Head { code: RequestCode::GetMaxOffset.code(), opaque: 77, flag: Flag(0), remark: None };
    encode_binary_frame(&mut frame, &head, Some(&Fields(&[("topic", "Orders"), ("queueId", "0")])), 0).expect("it fits");
    client.expect_answer(&mut pair.cluster, 77, Flag(0));
    client.write_raw(&mut pair.cluster, pair.broker, frame);
    pair.cluster.drive();
    let answer = client.answer(&mut pair.cluster, 77).expect("it is answered");
    assert_eq!((answer.number("offset"), answer.is_json), (1, true));
}

#[test]
fn a_frame_in_single_bytes_is_a_frame() {
    let mut pair = Pair::new();
    let client = pair.client();
    let frame = petrel_tests::packet::request(RequestCode::SendMessageV2.code(), 5, Flag(0), &Message::new("Orders", "one"), b"one");
    client.expect_answer(&mut pair.cluster, 5, Flag(0));
    for byte in frame {
        client.write_raw(&mut pair.cluster, pair.broker, vec![byte]);
    }
    pair.cluster.drive();
    assert_eq!(client.answer(&mut pair.cluster, 5).expect("it is answered").code, 0);
}

#[test]
fn a_wall_clock_that_jumps_disturbs_no_lock_member_or_waiting_pull() {
    for jump in [-86_400_000, 86_400_000] {
        let mut pair = Pair::new();
        let client = pair.client();
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
        let heartbeat = Heartbeat::consumer("one", "readers", &[("Orders", "*")]);
        client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
        let waiting = client.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1).held_for(15_000));
        pair.cluster.set_wall_clock(Timestamp(pair.cluster.now().wall.0 + jump));
        pair.cluster.advance(Millis::from_secs(14));
        assert!(client.answer(&mut pair.cluster, waiting).is_none(), "a pull ended early after a jump of {jump} ms");
        let members = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetConsumerListByGroup, &[("consumerGroup", "readers")]);
        assert_eq!(members.expect(ResponseCode::Success).text(), r#"{"consumerIdList":["one"]}"#);
        assert_eq!(pair.route(client, "Orders").code, 0);
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "two")).expect(ResponseCode::Success);
        assert_eq!(client.answer(&mut pair.cluster, waiting).expect("a message came").bodies(), ["two"]);
    }
}
