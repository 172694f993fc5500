//! The way of a message: sent, stored, pulled, held until it comes.

use petrel_tests::{
    pair::Pair,
    requests::{Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, broker::config::FlushMode, storage::LogOffset};

#[test]
fn a_message_that_was_sent_is_pulled() {
    let mut pair = Pair::new();
    let client = pair.client();
    let sent =
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one").with(&[("TAGS", "A"), ("KEYS", "k1"), ("mine", "yes")]));
    let sent = sent.expect(ResponseCode::Success);
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).expect(ResponseCode::Success);
    let records = pulled.records();
    assert_eq!((records.len(), records[0].body.as_str(), records[0].offset), (1, "one", 0));
    assert_eq!(records[0].properties["mine"], "yes");
    assert_eq!(records[0].properties["KEYS"], "k1");
    assert_eq!(sent.number("queueOffset"), 0);
    assert_eq!(pulled.number("nextBeginOffset"), 1);
    assert_eq!((pulled.number("minOffset"), pulled.number("maxOffset")), (0, 1));
    assert_eq!(pulled.remark.as_deref(), Some("FOUND"));
}

#[test]
fn offsets_of_a_queue_count_from_zero_and_those_of_another_queue_do_too() {
    let mut pair = Pair::new();
    let client = pair.client();
    for (queue, expected) in [(0, 0), (0, 1), (3, 0), (0, 2), (3, 1)] {
        let sent = client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x").in_queue(queue));
        assert_eq!(sent.expect(ResponseCode::Success).number("queueOffset"), expected);
    }
}

#[test]
fn a_message_without_a_unique_key_gets_one_and_its_producer_is_told() {
    let mut pair = Pair::new();
    let client = pair.client();
    let sent = client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let stored = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).records();
    assert_eq!(stored[0].properties["UNIQ_KEY"], sent.field("transactionId"));
}

#[test]
fn a_oneway_message_is_stored_and_never_answered() {
    let mut pair = Pair::new();
    let client = pair.client();
    let message = Message::new("Orders", "one");
    client.tell(&mut pair.cluster, pair.broker, RequestCode::SendMessageV2.code(), &message, b"one");
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    assert_eq!(pulled.bodies(), ["one"]);
}

#[test]
fn a_tag_expression_lets_only_its_tags_through_though_hash_codes_collide() {
    let mut pair = Pair::new();
    let client = pair.client();
    // "Aa" and "BB" have the same hash code: what the queue's units cannot tell apart is left to the client, as with Java.
    for (body, tag) in [("1", "Aa"), ("2", "TagB"), ("3", "TagC"), ("4", "BB")] {
        let message = Message::new("Orders", body);
        client.send(&mut pair.cluster, pair.broker, &message.with(&[("TAGS", tag)])).expect(ResponseCode::Success);
    }
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).tagged("Aa || TagC"));
    let bodies = pulled.bodies();
    assert!(bodies.contains(&"1".to_owned()) && bodies.contains(&"3".to_owned()) && !bodies.contains(&"2".to_owned()), "{bodies:?}");
    assert_eq!(pulled.number("nextBeginOffset"), 4);
}

#[test]
fn a_pull_that_finds_only_other_tags_is_told_where_to_go_on() {
    let mut pair = Pair::new();
    let client = pair.client();
    for body in ["1", "2", "3"] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body).with(&[("TAGS", "A")])).expect(ResponseCode::Success);
    }
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).tagged("B"));
    let pulled = pulled.expect(ResponseCode::PullRetryImmediately);
    assert_eq!((pulled.number("nextBeginOffset"), pulled.remark.as_deref()), (3, Some("NO_MATCHED_MESSAGE")));
}

#[test]
fn a_pull_at_the_end_finds_nothing_and_one_beyond_the_end_is_sent_back() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let at_end = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1)).expect(ResponseCode::PullNotFound);
    assert_eq!((at_end.number("nextBeginOffset"), at_end.remark.as_deref()), (1, Some("OFFSET_OVERFLOW_ONE")));
    let beyond = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 500)).expect(ResponseCode::PullOffsetMoved);
    assert_eq!((beyond.number("nextBeginOffset"), beyond.remark.as_deref()), (1, Some("OFFSET_OVERFLOW_BADLY")));
}

#[test]
fn a_waiting_pull_is_answered_as_soon_as_a_message_arrives() {
    let mut pair = Pair::new();
    let (producer, consumer) = (pair.client(), pair.client());
    producer.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let waiting = consumer.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1).held_for(15_000));
    pair.cluster.advance(Millis(7000));
    assert!(consumer.answer(&mut pair.cluster, waiting).is_none());
    let before = pair.cluster.now().mono;
    producer.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "two")).expect(ResponseCode::Success);
    let answer = consumer.answer(&mut pair.cluster, waiting).expect("the message woke the pull").expect(ResponseCode::Success);
    assert_eq!(answer.bodies(), ["two"]);
    assert!(pair.cluster.now().mono.saturating_sub(before) < Millis(10));
}

#[test]
fn a_waiting_pull_is_not_disturbed_by_another_tag_and_ends_empty_when_its_time_is_over() {
    let mut pair = Pair::new();
    let (producer, consumer) = (pair.client(), pair.client());
    producer.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one").with(&[("TAGS", "A")])).expect(ResponseCode::Success);
    let pull = Pull::new("readers", "Orders", 1).tagged("A").held_for(15_000);
    let waiting = consumer.post_pull(&mut pair.cluster, pair.broker, &pull);
    producer.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "two").with(&[("TAGS", "B")])).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(14_000));
    assert!(consumer.answer(&mut pair.cluster, waiting).is_none());
    // Java looks after waiting pulls every five seconds, so that much later is still in time.
    pair.cluster.advance(Millis(6_100));
    let answer = consumer.answer(&mut pair.cluster, waiting).expect("its time is over");
    assert!(answer.bodies().is_empty());
    assert!((1..=2).contains(&answer.number("nextBeginOffset")), "{answer:?}");
}

#[test]
fn a_pull_that_waits_hears_at_once_that_its_topic_was_deleted() {
    let mut pair = Pair::new();
    let (consumer, operator) = (pair.client(), pair.client());
    operator.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let waiting = consumer.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1).held_for(15_000));
    assert!(consumer.answer(&mut pair.cluster, waiting).is_none());
    let deleted = operator.ask(&mut pair.cluster, pair.broker, RequestCode::DeleteTopicInBroker, &[("topic", "Orders")]);
    deleted.expect(ResponseCode::Success);
    let answer = consumer.answer(&mut pair.cluster, waiting).expect("nothing can come any more").expect(ResponseCode::TopicNotExist);
    assert!(answer.remark.is_some_and(|remark| remark.starts_with("topic[Orders] not exist, apply first please!")));
}

#[test]
fn with_synchronous_flushes_a_send_is_answered_only_when_the_disk_has_it() {
    let mut pair = Pair::with(|config| config.flush_mode = FlushMode::Sync);
    let client = pair.client();
    let message = Message::new("Orders", "one");
    let opaque = client.post(&mut pair.cluster, pair.broker, RequestCode::SendMessageV2.code(), &message, b"one");
    pair.cluster.advance(Millis(1000));
    assert!(client.answer(&mut pair.cluster, opaque).is_none());
    let early = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    assert!(early.bodies().is_empty(), "a consumer saw what may be lost");
    pair.flush();
    let answer = client.answer(&mut pair.cluster, opaque).expect("the disk has it");
    assert_eq!(answer.expect(ResponseCode::Success).number("queueOffset"), 0);
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).bodies(), ["one"]);
}

#[test]
fn with_synchronous_flushes_a_waiting_pull_wakes_when_the_disk_has_the_message() {
    let mut pair = Pair::with(|config| config.flush_mode = FlushMode::Sync);
    let (producer, consumer) = (pair.client(), pair.client());
    let post = |pair: &mut Pair, body: &str| {
        producer.post(&mut pair.cluster, pair.broker, RequestCode::SendMessageV2.code(), &Message::new("Orders", body), body.as_bytes());
        pair.cluster.drive();
    };
    post(&mut pair, "one");
    pair.flush();
    let waiting = consumer.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1).held_for(15_000));
    post(&mut pair, "two");
    assert!(consumer.answer(&mut pair.cluster, waiting).is_none());
    pair.flush();
    assert_eq!(consumer.answer(&mut pair.cluster, waiting).expect("the disk has it").bodies(), ["two"]);
}

#[test]
fn a_flush_that_does_not_come_in_time_is_told_with_the_place_of_the_message() {
    let mut pair = Pair::with(|config| config.flush_mode = FlushMode::Sync);
    let client = pair.client();
    let message = Message::new("Orders", "one");
    let opaque = client.post(&mut pair.cluster, pair.broker, RequestCode::SendMessageV2.code(), &message, b"one");
    pair.cluster.advance(Millis(6000));
    let answer = client.answer(&mut pair.cluster, opaque).expect("waiting ends after five seconds");
    assert_eq!(answer.expect(ResponseCode::FlushDiskTimeout).number("queueOffset"), 0);
}

#[test]
fn one_flush_answers_every_send_that_it_covers_and_no_other() {
    let mut pair = Pair::with(|config| config.flush_mode = FlushMode::Sync);
    let client = pair.client();
    let post = |pair: &mut Pair, body: &str| {
        let opaque =
            client.post(&mut pair.cluster, pair.broker, RequestCode::SendMessageV2.code(), &Message::new("Orders", body), body.as_bytes());
        pair.cluster.drive();
        opaque
    };
    let (first, second) = (post(&mut pair, "one"), post(&mut pair, "two"));
    let covered = pair.log_end();
    let third = post(&mut pair, "three");
    pair.flush_up_to(covered);
    assert!(client.answer(&mut pair.cluster, first).is_some() && client.answer(&mut pair.cluster, second).is_some());
    assert!(client.answer(&mut pair.cluster, third).is_none());
    assert!(covered > LogOffset(0));
}

#[test]
fn a_request_that_no_broker_knows_is_answered_as_not_supported() {
    let mut pair = Pair::new();
    let client = pair.client();
    for node in [pair.broker, pair.names] {
        let answer = client.call(&mut pair.cluster, node, 31_999, &petrel_tests::packet::Fields(&[]), b"");
        let answer = answer.expect(ResponseCode::RequestCodeNotSupported);
        assert_eq!(answer.remark.as_deref(), Some(" request type 31999 not supported"));
    }
}

#[test]
fn a_stream_that_is_none_of_rocketmqs_is_closed_and_others_are_not_disturbed() {
    let mut pair = Pair::new();
    let (intruder, client) = (pair.client(), pair.client());
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    intruder.write_raw(&mut pair.cluster, pair.broker, b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec());
    pair.cluster.drive();
    assert!(!intruder.is_connected(&mut pair.cluster, pair.broker));
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "two")).expect(ResponseCode::Success);
}

#[test]
fn a_pull_that_waits_commits_the_offset_it_carries() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let pull = Pull { commit: Some(1), ..Pull::new("readers", "Orders", 1).held_for(15_000) };
    client.post_pull(&mut pair.cluster, pair.broker, &pull);
    assert_eq!(pair.stored_offset(client, "readers", "Orders", 0), Some(1));
}

#[test]
fn a_group_is_sent_to_the_broker_of_its_configuration_for_what_is_no_longer_in_memory() {
    for (slave_read, suggested) in [(false, [0, 0]), (true, [1, 0])] {
        let mut pair = Pair::with(|config| {
            config.slave_read = slave_read;
            config.read_limits.memory_window = 1000;
        });
        let client = pair.client();
        for _ in 0..5 {
            client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", &"x".repeat(300))).expect(ResponseCode::Success);
        }
        let asked = [0, 4].map(|from| {
            let pull = Pull { max: 1, ..Pull::new("readers", "Orders", from) };
            client.pull(&mut pair.cluster, pair.broker, &pull).expect(ResponseCode::Success).number("suggestWhichBrokerId")
        });
        assert_eq!(asked, suggested);
    }
}

#[test]
fn messages_are_found_by_key_and_by_place() {
    let mut pair = Pair::new();
    let client = pair.client();
    let send = |pair: &mut Pair, body: &str, keys: &str| {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body).with(&[("KEYS", keys)])).expect(ResponseCode::Success)
    };
    send(&mut pair, "one", "a shared");
    let two = send(&mut pair, "two", "b shared");
    let mut query = |key| {
        let fields =
            [("topic", "Orders"), ("key", key), ("maxNum", "32"), ("beginTimestamp", "0"), ("endTimestamp", "9223372036854775807")];
        client.ask(&mut pair.cluster, pair.broker, RequestCode::QueryMessage, &fields)
    };
    assert_eq!(query("shared").expect(ResponseCode::Success).bodies(), ["one", "two"]);
    assert_eq!(query("b").bodies(), ["two"]);
    assert_eq!(query(two.field("transactionId")).bodies(), ["two"], "by its unique key");
    assert_eq!(query("none").expect(ResponseCode::QueryNotFound).bodies(), [""; 0]);
    let place = &two.field("msgId")[16..];
    let offset = i64::from_str_radix(place, 16).unwrap().to_string();
    let viewed = client.ask(&mut pair.cluster, pair.broker, RequestCode::ViewMessageById, &[("offset", &offset)]);
    assert_eq!(viewed.expect(ResponseCode::Success).bodies(), ["two"]);
}

#[test]
fn a_consumer_that_had_read_what_a_crash_took_goes_on_where_its_group_is() {
    let mut pair = Pair::new();
    let client = pair.client();
    for body in ["0", "1", "2", "3", "4"] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
    }
    let read = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).records();
    assert_eq!(read.len(), 5);
    let commit = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", "0"), ("commitOffset", "1")];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &commit).expect(ResponseCode::Success);
    let told = |pair: &mut Pair, from| {
        let moved = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from));
        (ResponseCode::from_code(moved.code), moved.number("nextBeginOffset"))
    };
    assert_eq!(told(&mut pair, 9), (Some(ResponseCode::PullOffsetMoved), 5), "nothing is lost");
    pair.crash_broker_at(LogOffset(read[3].place));
    // The client throws away what it has not worked through, 1 and 2, and reads on where it is sent to.
    assert_eq!(told(&mut pair, 5), (Some(ResponseCode::PullOffsetMoved), 1));
    let moved = client.pull(&mut pair.cluster, pair.broker, &Pull::new("others", "Orders", 5));
    assert_eq!(moved.number("nextBeginOffset"), 3, "nothing is known of this group");
}
