//! Messages that wait and can never be delivered: they do not hold up the others.

use petrel_tests::{
    TestClient,
    pair::{Pair, TestBroker},
    requests::{Heartbeat, Message, Pull, Stored},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{
    Millis, Storage,
    storage::{NewMessage, TagsCode},
};

const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
const TIMER: &str = "rmq_sys_wheel_timer";

fn read(pair: &mut Pair, client: TestClient, topic: &str) -> Vec<Stored> {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", topic, 0)).records()
}

/// Lays a message into one of the broker's own queues that is due at once, as whoever writes into the folder of the log may do.
fn plant(pair: &mut Pair, own_topic: &str, queue_id: i32, real_topic: &str, real_queue: &str) {
    let at = (pair.cluster.now().wall.0 / 1_000 * 1_000).to_string();
    let properties = format!("REAL_TOPIC\x01{real_topic}\x02REAL_QID\x01{real_queue}\x02TIMER_OUT_MS\x01{at}\x02");
    let host = "10.1.0.1:10911".parse().unwrap();
    pair.cluster.poke::<TestBroker>(pair.broker, |broker, now| {
        let queue = broker.storage_mut().open_queue(own_topic, queue_id);
        let message = NewMessage {
            topic: own_topic,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 1,
            prepared_transaction_offset: 0,
            body: b"planted",
            properties: properties.as_bytes(),
            tags_code: TagsCode::Hash(0),
        };
        broker.storage_mut().append(now.wall, queue, &message).unwrap();
        broker.handle_timeout(now);
    });
    pair.cluster.drive();
}

#[test]
fn what_waits_for_a_topic_that_cannot_be_is_put_aside_with_one_line_and_those_behind_it_come() {
    let long = "x".repeat(128);
    let bad = [
        ("a/b", "0"),
        ("", "0"),
        ("..", "0"),
        ("evil\0nul", "0"),
        (long.as_str(), "0"),
        (SCHEDULE, "3"),
        (TIMER, "0"),
        ("RMQ_SYS_TRANS_OP_HALF_TOPIC", "0"),
        ("Orders", "2147483647"),
    ];
    for (own_topic, queue_id, later) in [(SCHEDULE, 1, ("DELAY", "2")), (TIMER, 0, ("TIMER_DELAY_SEC", "3"))] {
        for (topic, queue) in bad {
            let mut pair = Pair::new();
            let client = pair.client();
            plant(&mut pair, own_topic, queue_id, topic, queue);
            let honest = Message::new("Orders", "honest").with(std::slice::from_ref(&later));
            client.send(&mut pair.cluster, pair.broker, &honest).expect(ResponseCode::Success);
            pair.cluster.advance(Millis::from_secs(8));
            let came: Vec<_> = read(&mut pair, client, "Orders").into_iter().map(|message| message.body).collect();
            assert_eq!(came, ["honest"], "behind {topic:?} in {own_topic}");
            let notices = pair.cluster.notices(pair.broker);
            let lines: Vec<_> = notices.iter().filter(|text| text.contains("at 0 of the log is not delivered")).collect();
            assert_eq!(lines.len(), 1, "{topic:?} in {own_topic}: {notices:?}");
        }
    }
}

#[test]
fn what_waits_for_a_retry_topic_that_cannot_be_becomes_a_dead_letter_of_its_group() {
    let mut pair = Pair::new();
    let client = pair.client();
    let group = "g".repeat(250);
    plant(&mut pair, SCHEDULE, 1, &format!("%RETRY%{group}"), "0");
    pair.cluster.advance(Millis::from_secs(1));
    let dead = read(&mut pair, client, &format!("%DLQ%{group}"));
    assert_eq!(dead.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["planted"]);
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("at 0 of the log is put into %DLQ%ggg")));
}

#[test]
fn a_group_whose_name_leaves_no_room_for_a_retry_topic_cannot_send_back_and_holds_up_nobody() {
    let mut pair = Pair::new();
    let client = pair.client();
    let group = "g".repeat(250);
    let heartbeat = Heartbeat::consumer("one", &group, &[("Orders", "*")]);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "poor")).expect(ResponseCode::Success);
    let fields = [("offset", "0"), ("group", group.as_str()), ("delayLevel", "2")];
    let refused = client.ask(&mut pair.cluster, pair.broker, RequestCode::ConsumerSendMsgBack, &fields).expect(ResponseCode::SystemError);
    let remark = refused.remark.unwrap_or_default();
    assert!(remark.starts_with("topic[%RETRY%ggg") && remark.ends_with("longer than topic max length: 255"), "{remark}");
}

#[test]
fn clients_cannot_send_to_the_topics_that_the_broker_reads_back() {
    let mut pair = Pair::new();
    let client = pair.client();
    for topic in [SCHEDULE, TIMER, "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC"] {
        let refused = client.send(&mut pair.cluster, pair.broker, &Message::new(topic, "forged")).expect(ResponseCode::NoPermission);
        assert_eq!(refused.remark.unwrap_or_default(), format!("Sending message to topic[{topic}] is forbidden."));
    }
}

#[test]
fn a_message_of_a_client_is_no_half_message_that_an_operator_can_bring_back() {
    let mut pair = Pair::new();
    let client = pair.client();
    let properties = [("REAL_TOPIC", "Orders"), ("REAL_QID", "0"), ("PGROUP", "p"), ("UNIQ_KEY", "K")];
    let sent =
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "forged").with(&properties)).expect(ResponseCode::Success);
    let fields = [("topic", "Orders"), ("msgId", sent.field("msgId"))];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::ResumeCheckHalfMessage, &fields).expect(ResponseCode::SystemError);
}
