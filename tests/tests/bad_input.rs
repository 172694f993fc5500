//! What clients get wrong: the code and the text that they know how to show, and a line in the log that helps who operates the broker.

use petrel_tests::{
    TestClient,
    packet::Packet,
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

fn scene() -> (Pair, TestClient) {
    let mut pair = Pair::with(|config| config.property_filter = true);
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    (pair, client)
}

fn subscribe(pair: &mut Pair, client: TestClient, id: &str, subscriptions: &[(&str, &str)]) {
    client.heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer(id, "readers", subscriptions)).expect(ResponseCode::Success);
}

/// The answer's code and the first line of its remark, with what the operator reads of it.
#[track_caller]
fn told(pair: &mut Pair, answer: &Packet, code: ResponseCode, remark: &str, remedy: &str) {
    assert_eq!(answer.code, code.code(), "{answer:?}");
    let said = answer.remark.as_deref().unwrap_or_default();
    assert!(said.starts_with(remark), "{said}");
    let notices = pair.cluster.notices(pair.broker);
    let lines: Vec<_> = notices.iter().filter(|line| line.contains(remark) && line.contains(code.name())).collect();
    assert!(lines.len() == 1 && lines[0].contains("10.0.0.") && lines[0].contains(remedy), "{notices:?}");
}

#[test]
fn an_expression_that_cannot_be_read_is_named_to_consumer_and_operator() {
    let (mut pair, client) = scene();
    let answer = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).matching("a >"));
    told(&mut pair, &answer, ResponseCode::SubscriptionParseFailed, "parse the consumer's subscription failed", "has to be mended");
}

#[test]
fn a_topic_that_is_not_there_is_named_to_its_reader() {
    let (mut pair, client) = scene();
    let answer = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Unknown", 0));
    told(&mut pair, &answer, ResponseCode::TopicNotExist, "topic[Unknown] not exist, apply first please!", "make the topic");
}

#[test]
fn offsets_beyond_both_ends_lead_back_into_the_queue() {
    let (mut pair, client) = scene();
    for (from, next, remark) in [(-5, 0, "OFFSET_TOO_SMALL"), (99, 1, "OFFSET_OVERFLOW_BADLY"), (i64::MAX, 1, "OFFSET_OVERFLOW_BADLY")] {
        let answer = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from));
        let answer = answer.expect(ResponseCode::PullOffsetMoved);
        assert_eq!((answer.number("nextBeginOffset"), answer.remark.as_deref()), (next, Some(remark)), "from {from}");
    }
}

#[test]
fn a_message_that_is_gone_cannot_be_sent_back() {
    let (mut pair, client) = scene();
    let fields = [("offset", "123456"), ("group", "readers"), ("delayLevel", "3"), ("originMsgId", "x"), ("originTopic", "Orders")];
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::ConsumerSendMsgBack, &fields);
    told(&mut pair, &answer, ResponseCode::SystemError, "look message by offset failed, 123456", "CONSUMER_SEND_MSG_BACK");
}

#[test]
fn a_time_beyond_the_maximum_is_refused_and_a_level_beyond_it_is_the_last() {
    let (mut pair, client) = scene();
    let far = Message::new("Orders", "x").with(&[("TIMER_DELAY_SEC", "999999")]);
    let answer = client.send(&mut pair.cluster, pair.broker, &far);
    let remark = "timer message illegal, the delay time should not be bigger than the max delay 259200000ms";
    told(&mut pair, &answer, ResponseCode::MessageIllegal, remark, "the producer has to mend the message");
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x").with(&[("DELAY", "99")])).expect(ResponseCode::Success);
}

#[test]
fn names_with_characters_that_none_may_have_are_refused_and_do_not_break_the_log() {
    let (mut pair, client) = scene();
    let answer = client.send(&mut pair.cluster, pair.broker, &Message::new("Or\u{1b}[31mders", "x"));
    assert_eq!(answer.code, ResponseCode::InvalidParameter.code());
    assert!(answer.remark.as_deref().is_some_and(|remark| remark.contains("contains illegal characters")), "{answer:?}");
    let notices = pair.cluster.notices(pair.broker);
    assert!(notices.iter().any(|line| line.contains("Or\u{fffd}[31mders")), "{notices:?}");
    assert!(!notices.iter().any(|line| line.contains(char::is_control)));
}

#[test]
fn a_group_with_forbidden_characters_is_refused_to_who_makes_it() {
    let (mut pair, client) = scene();
    let code = RequestCode::UpdateAndCreateSubscriptiongroup.code();
    let answer = client.call(&mut pair.cluster, pair.broker, code, &petrel_tests::packet::Fields(&[]), br#"{"groupName":"a b"}"#);
    told(&mut pair, &answer, ResponseCode::InvalidParameter, "The specified group: a b, contains illegal characters", "UPDATE_AND_CREATE");
}

#[test]
fn consumers_of_one_group_that_want_different_topics_are_refused_in_turn_and_the_operator_reads_why() {
    let (mut pair, client) = scene();
    let other = pair.client();
    subscribe(&mut pair, client, "c1", &[("Orders", "*")]);
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).as_subscribed(0)).expect(ResponseCode::Success);
    subscribe(&mut pair, other, "c2", &[("Bills", "*")]);
    let answer = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).as_subscribed(0));
    let remedy = "all have to subscribe to the same";
    told(&mut pair, &answer, ResponseCode::SubscriptionNotExist, "the consumer's subscription not exist", remedy);
    subscribe(&mut pair, client, "c1", &[("Orders", "*")]);
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).as_subscribed(0)).expect(ResponseCode::Success);
}

#[test]
fn a_client_that_asks_wrongly_all_the_time_is_told_each_time_and_the_log_now_and_then() {
    let (mut pair, client) = scene();
    for _ in 0..100 {
        client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Unknown", 0)).expect(ResponseCode::TopicNotExist);
        pair.cluster.advance(Millis(250));
    }
    let lines = pair.cluster.notices(pair.broker).iter().filter(|line| line.contains("topic[Unknown]")).count();
    assert_eq!(lines, 3, "one at once, and one each ten seconds");
}
