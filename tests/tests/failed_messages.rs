//! Messages that are to come later: delayed ones, and those whose consumer failed.

use petrel_tests::{
    TestClient,
    pair::Pair,
    requests::{Heartbeat, Message, Pull, Stored},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

const RETRY: &str = "%RETRY%readers";
const DEAD: &str = "%DLQ%readers";

fn prepared() -> (Pair, TestClient) {
    let mut pair = Pair::new();
    let client = pair.client();
    let heartbeat = Heartbeat::consumer("one", "readers", &[("Orders", "*"), (RETRY, "*")]);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    (pair, client)
}

fn read(pair: &mut Pair, client: TestClient, topic: &str, from: i64) -> Vec<Stored> {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", topic, from)).records()
}

/// Tells the broker that consuming a message has failed.
fn send_back(pair: &mut Pair, client: TestClient, message: &Stored, level: i32, max: i32) {
    let (place, level, max) = (message.place.to_string(), level.to_string(), max.to_string());
    let fields = [
        ("offset", place.as_str()),
        ("group", "readers"),
        ("delayLevel", &level),
        ("originMsgId", &message.properties["UNIQ_KEY"]),
        ("originTopic", "Orders"),
        ("unitMode", "false"),
        ("maxReconsumeTimes", &max),
    ];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::ConsumerSendMsgBack, &fields).expect(ResponseCode::Success);
}

#[test]
fn a_failed_message_comes_back_later_each_time_and_ends_as_a_dead_letter() {
    let (mut pair, client) = prepared();
    client
        .send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad").with(&[("KEYS", "k1"), ("mine", "yes")]))
        .expect(ResponseCode::Success);
    let first = read(&mut pair, client, "Orders", 0).remove(0);
    let mut message = first.clone();
    // Level 3 is 10 s, 4 is 30 s, 5 is a minute: three plus the number of failures.
    for (times, delay) in [(1, 10), (2, 30), (3, 60)] {
        send_back(&mut pair, client, &message, 0, 3);
        pair.cluster.advance(Millis(delay * 1000 - 100));
        assert!(read(&mut pair, client, RETRY, times - 1).is_empty(), "attempt {times} came early");
        pair.cluster.advance(Millis(1200));
        let again = read(&mut pair, client, RETRY, times - 1);
        assert_eq!(again.len(), 1, "attempt {times} did not come");
        message = again[0].clone();
        assert_eq!((message.body.as_str(), i64::from(message.times), message.offset), ("bad", times, times - 1));
        assert_eq!(message.properties["UNIQ_KEY"], first.properties["UNIQ_KEY"]);
        assert_eq!(message.properties["RETRY_TOPIC"], "Orders");
        assert_eq!((message.properties["KEYS"].as_str(), message.properties["mine"].as_str()), ("k1", "yes"));
    }
    send_back(&mut pair, client, &message, 0, 3);
    let dead = read(&mut pair, client, DEAD, 0);
    assert_eq!((dead.len(), dead[0].body.as_str()), (1, "bad"));
    assert_eq!(dead[0].properties["RETRY_TOPIC"], "Orders");
    assert_eq!(dead[0].properties["UNIQ_KEY"], first.properties["UNIQ_KEY"]);
    assert_eq!(dead[0].properties["ORIGIN_MESSAGE_ID"], message.properties["ORIGIN_MESSAGE_ID"], "the origin is the first message");
    pair.cluster.advance(Millis::from_secs(300));
    assert!(read(&mut pair, client, RETRY, 3).is_empty(), "a dead letter came back");
}

#[test]
fn a_consumer_that_asks_for_no_further_attempt_gets_a_dead_letter_at_once() {
    let (mut pair, client) = prepared();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad")).expect(ResponseCode::Success);
    let message = read(&mut pair, client, "Orders", 0).remove(0);
    send_back(&mut pair, client, &message, -1, 16);
    assert_eq!(read(&mut pair, client, DEAD, 0).len(), 1);
}

#[test]
fn a_consumer_that_names_a_level_waits_exactly_that_long() {
    let (mut pair, client) = prepared();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad")).expect(ResponseCode::Success);
    let message = read(&mut pair, client, "Orders", 0).remove(0);
    send_back(&mut pair, client, &message, 1, 16);
    pair.cluster.advance(Millis(900));
    assert!(read(&mut pair, client, RETRY, 0).is_empty());
    pair.cluster.advance(Millis(1200));
    assert_eq!(read(&mut pair, client, RETRY, 0).len(), 1);
}

#[test]
fn an_orderly_consumers_last_attempt_sent_as_a_message_becomes_a_dead_letter() {
    let (mut pair, client) = prepared();
    let properties = [("RETRY_TOPIC", "Orders"), ("RECONSUME_TIME", "3"), ("MAX_RECONSUME_TIMES", "2"), ("DELAY", "5")];
    let message = Message { reconsume_times: 3, max_reconsume_times: Some(2), ..Message::new(RETRY, "bad").with(&properties) };
    client.send(&mut pair.cluster, pair.broker, &message).expect(ResponseCode::Success);
    let dead = read(&mut pair, client, DEAD, 0);
    assert_eq!((dead.len(), dead[0].body.as_str()), (1, "bad"));
    pair.cluster.advance(Millis::from_secs(120));
    assert!(read(&mut pair, client, RETRY, 0).is_empty());
}

#[test]
fn delayed_messages_stay_out_of_sight_until_their_level_is_over_and_come_in_the_order_of_their_times() {
    let (mut pair, client) = prepared();
    for (body, level) in [("ten", "3"), ("five", "2"), ("one", "1"), ("now", "0")] {
        let properties = [("DELAY", level)];
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body).with(&properties)).expect(ResponseCode::Success);
    }
    let start = pair.cluster.now().wall;
    let mut arrivals = Vec::new();
    for _ in 0..120 {
        for message in read(&mut pair, client, "Orders", arrivals.len() as i64) {
            arrivals.push((message.body, message.stored_at - start.0));
        }
        pair.cluster.advance(Millis(100));
    }
    let bodies: Vec<&str> = arrivals.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(bodies, ["now", "one", "five", "ten"]);
    for ((body, after), delay) in arrivals.iter().zip([0, 1000, 5000, 10_000]) {
        assert!((delay - 20..delay + 1100).contains(after), "{body} came after {after} ms instead of {delay}");
    }
}

#[test]
fn a_level_above_the_last_is_the_last() {
    let (mut pair, client) = prepared();
    let properties = [("DELAY", "99")];
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "late").with(&properties)).expect(ResponseCode::Success);
    pair.cluster.advance(Millis::from_secs(7199));
    assert!(read(&mut pair, client, "Orders", 0).is_empty());
    pair.cluster.advance(Millis::from_secs(3));
    assert_eq!(read(&mut pair, client, "Orders", 0).len(), 1);
}

#[test]
fn a_message_whose_time_came_while_the_broker_was_down_comes_when_it_is_up_again_and_only_once() {
    let (mut pair, client) = prepared();
    for (body, level) in [("one", "1"), ("ten", "3")] {
        let properties = [("DELAY", level)];
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body).with(&properties)).expect(ResponseCode::Success);
    }
    pair.cluster.advance(Millis(2500));
    assert_eq!(read(&mut pair, client, "Orders", 0).len(), 1);
    pair.restart_broker();
    pair.cluster.advance(Millis::from_secs(20));
    let bodies: Vec<String> = read(&mut pair, client, "Orders", 0).into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["one", "ten"]);
}

#[test]
fn a_dead_letter_is_listed_and_found_by_key_id_and_time() {
    let (mut pair, client) = prepared();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad").with(&[("KEYS", "k1")])).expect(ResponseCode::Success);
    let message = read(&mut pair, client, "Orders", 0).remove(0);
    pair.cluster.advance(Millis::from_secs(5));
    send_back(&mut pair, client, &message, -1, 16);
    let dead = read(&mut pair, client, DEAD, 0).remove(0);
    let mut ask = |code, fields: &[(&str, &str)]| client.ask(&mut pair.cluster, pair.broker, code, fields).expect(ResponseCode::Success);
    assert!(ask(RequestCode::GetAllTopicConfig, &[]).text().contains(r#""%DLQ%readers":{"#));
    let (place, stored) = (dead.place.to_string(), dead.stored_at.to_string());
    let span = [("maxNum", "8"), ("beginTimestamp", stored.as_str()), ("endTimestamp", stored.as_str())];
    let by_key = [&[("topic", DEAD), ("key", "k1")], &span[..]].concat();
    assert_eq!(ask(RequestCode::QueryMessage, &by_key).records().len(), 1);
    let unique = dead.properties["UNIQ_KEY"].clone();
    let by_unique_key = [&[("topic", DEAD), ("key", unique.as_str()), ("_UNIQUE_KEY_QUERY", "true")], &span[..]].concat();
    assert_eq!(ask(RequestCode::QueryMessage, &by_unique_key).bodies(), ["bad"]);
    assert_eq!(ask(RequestCode::ViewMessageById, &[("offset", &place)]).bodies(), ["bad"]);
    let by_time = [("topic", DEAD), ("queueId", "0"), ("timestamp", stored.as_str())];
    assert_eq!(ask(RequestCode::SearchOffsetByTimestamp, &by_time).number("offset"), 0);
}

#[test]
fn dead_letters_are_read_as_long_as_their_topic_may_be_read() {
    let (mut pair, client) = prepared();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad")).expect(ResponseCode::Success);
    let message = read(&mut pair, client, "Orders", 0).remove(0);
    send_back(&mut pair, client, &message, -1, 16);
    for (perm, code) in [("2", ResponseCode::NoPermission), ("6", ResponseCode::Success)] {
        let queues = [("readQueueNums", "1"), ("writeQueueNums", "1"), ("perm", perm), ("topicFilterType", "SINGLE_TAG")];
        let topic = [&[("topic", DEAD), ("defaultTopic", "TBW102")], &queues[..]].concat();
        client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndCreateTopic, &topic).expect(ResponseCode::Success);
        client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", DEAD, 0)).expect(code);
    }
}

#[test]
fn a_message_that_waits_for_its_time_reaches_a_topic_that_no_saved_table_knows() {
    for wait in [("DELAY", "1"), ("TIMER_DELAY_MS", "2000")] {
        let mut pair = Pair::new();
        let client = pair.client();
        client.send(&mut pair.cluster, pair.broker, &Message::new("New", "late").in_queue(2).with(&[wait])).expect(ResponseCode::Success);
        pair.restart_broker_without_tables();
        pair.cluster.advance(Millis::from_secs(5));
        let pull = Pull { queue: 2, ..Pull::new("readers", "New", 0) };
        assert_eq!(client.pull(&mut pair.cluster, pair.broker, &pull).bodies(), ["late"], "{wait:?}");
    }
}
