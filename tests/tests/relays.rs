//! What is asked of clients through the broker, by operators and by other clients.

use petrel_tests::{
    Packet, TestClient,
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message, Pull, Stored},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

const INFO: [(&str, &str); 3] = [("consumerGroup", "readers"), ("clientId", "one"), ("jstackEnable", "false")];

/// A cluster with a member of a group, and somebody who asks.
fn prepared() -> (Pair, TestClient, TestClient) {
    let mut pair = Pair::new();
    let (member, operator) = (pair.client(), pair.client());
    join(&mut pair, member, "one");
    (pair, member, operator)
}

/// A consumer joins the group.
fn join(pair: &mut Pair, client: TestClient, id: &str) {
    let heartbeat = Heartbeat::consumer(id, "readers", &[("Orders", "*"), ("%RETRY%readers", "*")]);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
}

fn post(pair: &mut Pair, client: TestClient, code: RequestCode, fields: &[(&str, &str)]) -> i32 {
    let opaque = client.post(&mut pair.cluster, pair.broker, code.code(), &Fields(fields), b"");
    pair.cluster.drive();
    opaque
}

/// The next request of this code that a client has got.
fn asked(pair: &mut Pair, client: TestClient, code: RequestCode) -> Option<Packet> {
    std::iter::from_fn(|| client.next_request(&mut pair.cluster)).find(|packet| packet.code == code.code())
}

fn read(pair: &mut Pair, client: TestClient, topic: &str) -> Vec<Stored> {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", topic, 0)).records()
}

#[test]
fn what_a_consumer_says_of_itself_goes_to_who_asked_as_it_is() {
    let (mut pair, member, operator) = prepared();
    let waiting = post(&mut pair, operator, RequestCode::GetConsumerRunningInfo, &INFO);
    let question = asked(&mut pair, member, RequestCode::GetConsumerRunningInfo).expect("the member is asked");
    assert_eq!((question.field("clientId"), question.field("jstackEnable")), ("one", "false"));
    assert!(operator.peek(&mut pair.cluster, waiting).is_none(), "nobody has answered yet");
    // Java's bodies have objects for keys; the broker does not look at them.
    member.respond(&mut pair.cluster, pair.broker, &question, 0, br#"{"mqTable":{{"queueId":0}:{}}}"#);
    let answer = operator.answer(&mut pair.cluster, waiting).expect("the answer");
    assert_eq!((answer.code, answer.text()), (0, r#"{"mqTable":{{"queueId":0}:{}}}"#));
}

#[test]
fn a_consumer_that_is_not_there_is_not_asked() {
    let (mut pair, _, operator) = prepared();
    let fields = [("consumerGroup", "readers"), ("clientId", "two")];
    let answer = operator.ask(&mut pair.cluster, pair.broker, RequestCode::GetConsumerRunningInfo, &fields);
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("The Consumer <readers> <two> not online")));
}

#[test]
fn a_consumer_that_keeps_silent_costs_who_asks_ten_seconds() {
    let (mut pair, member, operator) = prepared();
    let waiting = post(&mut pair, operator, RequestCode::GetConsumerRunningInfo, &INFO);
    pair.cluster.advance(Millis(9_900));
    assert!(operator.peek(&mut pair.cluster, waiting).is_none());
    pair.cluster.advance(Millis(200));
    let answer = operator.answer(&mut pair.cluster, waiting).expect("an answer");
    assert_eq!(answer.code, ResponseCode::ConsumeMsgTimeout.code());
    // What it says after that is for nobody.
    let question = asked(&mut pair, member, RequestCode::GetConsumerRunningInfo).expect("the member was asked");
    member.respond(&mut pair.cluster, pair.broker, &question, 0, b"{}");
    assert!(operator.answer(&mut pair.cluster, waiting).is_none());
}

#[test]
fn who_asks_a_consumer_that_leaves_hears_of_it_at_once() {
    let (mut pair, member, operator) = prepared();
    let waiting = post(&mut pair, operator, RequestCode::GetConsumerRunningInfo, &INFO);
    member.disconnect(&mut pair.cluster, pair.broker);
    let answer = operator.answer(&mut pair.cluster, waiting).expect("an answer");
    assert_eq!(answer.remark.as_deref(), Some("invoke consumer <readers> <one> Exception: its connection was closed"));
}

#[test]
fn a_dead_letter_is_sent_again_to_a_consumer_which_says_what_came_of_it() {
    let (mut pair, member, operator) = prepared();
    member.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "bad").with(&[("KEYS", "k")])).expect(ResponseCode::Success);
    let failed = read(&mut pair, member, "Orders").remove(0);
    let place = failed.place.to_string();
    let back = [("offset", place.as_str()), ("group", "readers"), ("delayLevel", "-1"), ("originTopic", "Orders")];
    member.ask(&mut pair.cluster, pair.broker, RequestCode::ConsumerSendMsgBack, &back).expect(ResponseCode::Success);
    let dead = read(&mut pair, operator, "%DLQ%readers").remove(0);
    let id = format!("{:08X}{:08X}{:016X}", 0x0A01_0001, 10911, dead.place);
    let fields = [("consumerGroup", "readers"), ("clientId", "one"), ("msgId", id.as_str()), ("topic", "%DLQ%readers")];
    let waiting = post(&mut pair, operator, RequestCode::ConsumeMessageDirectly, &fields);
    let question = asked(&mut pair, member, RequestCode::ConsumeMessageDirectly).expect("the member is asked");
    assert_eq!((question.field("brokerName"), question.field("topicSysFlag"), question.field("groupSysFlag")), ("broker-a", "0", "0"));
    let letter = question.records().remove(0);
    assert_eq!(
        (letter.body.as_str(), letter.properties["RETRY_TOPIC"].as_str(), letter.properties["KEYS"].as_str()),
        ("bad", "Orders", "k")
    );
    member.respond(&mut pair.cluster, pair.broker, &question, 0, br#"{"consumeResult":"CR_SUCCESS"}"#);
    let answer = operator.answer(&mut pair.cluster, waiting).expect("the answer");
    assert_eq!(answer.text(), r#"{"consumeResult":"CR_SUCCESS"}"#);
}

#[test]
fn a_message_that_is_not_there_cannot_be_handed_to_anybody() {
    let (mut pair, member, operator) = prepared();
    for (id, text) in [
        ("0A01000100002A9F0000000000000FFF", "can not find message by the offset, 4095"),
        ("nonsense", r#""nonsense" names no message: a message id has 32 or 56 characters, not 8"#),
    ] {
        let fields = [("consumerGroup", "readers"), ("clientId", "one"), ("msgId", id)];
        let answer = operator.ask(&mut pair.cluster, pair.broker, RequestCode::ConsumeMessageDirectly, &fields);
        assert_eq!((answer.code, answer.remark.as_deref()), (1, Some(text)));
    }
    assert!(asked(&mut pair, member, RequestCode::ConsumeMessageDirectly).is_none());
}

#[test]
fn how_far_members_are_is_told_together_and_without_those_that_keep_silent() {
    let (mut pair, one, operator) = prepared();
    let (two, silent) = (pair.client(), pair.client());
    join(&mut pair, two, "two");
    join(&mut pair, silent, "silent");
    let fields = [("topic", "Orders"), ("group", "readers")];
    let waiting = post(&mut pair, operator, RequestCode::InvokeBrokerToGetConsumerStatus, &fields);
    for (member, offset) in [(one, 5), (two, 7)] {
        let question = asked(&mut pair, member, RequestCode::GetConsumerStatusFromClient).expect("all are asked");
        let body = format!(r#"{{"messageQueueTable":{{{{"brokerName":"broker-a","queueId":0,"topic":"Orders"}}:{offset}}}}}"#);
        member.respond(&mut pair.cluster, pair.broker, &question, 0, body.as_bytes());
    }
    assert!(operator.peek(&mut pair.cluster, waiting).is_none(), "one may still answer");
    pair.cluster.advance(Millis::from_secs(11));
    let answer = operator.answer(&mut pair.cluster, waiting).expect("an answer").expect(ResponseCode::Success);
    let queue = r#"{"brokerName":"broker-a","queueId":0,"topic":"Orders"}"#;
    assert_eq!(answer.text(), format!(r#"{{"consumerTable":{{"one":{{{queue}:5}},"two":{{{queue}:7}}}},"messageQueueTable":{{}}}}"#));
}

#[test]
fn one_member_alone_can_be_asked_how_far_it_is() {
    let (mut pair, one, operator) = prepared();
    let two = pair.client();
    join(&mut pair, two, "two");
    let fields = [("topic", "Orders"), ("group", "readers"), ("clientAddr", "two")];
    post(&mut pair, operator, RequestCode::InvokeBrokerToGetConsumerStatus, &fields);
    assert!(asked(&mut pair, one, RequestCode::GetConsumerStatusFromClient).is_none());
    assert!(asked(&mut pair, two, RequestCode::GetConsumerStatusFromClient).is_some());
    let offline = [("topic", "Orders"), ("group", "nobody")];
    let answer = operator.ask(&mut pair.cluster, pair.broker, RequestCode::InvokeBrokerToGetConsumerStatus, &offline);
    assert_eq!(answer.remark.as_deref(), Some("No Any Consumer online in the consumer group: [nobody]"));
}

const REPLIES: &str = "DefaultCluster_REPLY_TOPIC";

/// A reply to the client `asker`, as a consumer sends it.
fn reply<'a>(properties: &'a [(&'a str, &'a str)]) -> Message<'a> {
    Message::new(REPLIES, "the answer").with(properties)
}

/// Makes a client the producer `asker`.
fn produce(pair: &mut Pair, client: TestClient) {
    let body = br#"{"clientID":"asker","consumerDataSet":[],"producerDataSet":[{"groupName":"askers"}]}"#;
    let code = RequestCode::HeartBeat.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), body).expect(ResponseCode::Success);
}

fn send_reply(pair: &mut Pair, from: TestClient, message: &Message<'_>) -> i32 {
    let opaque = from.post(&mut pair.cluster, pair.broker, RequestCode::SendReplyMessageV2.code(), message, b"the answer");
    pair.cluster.drive();
    opaque
}

#[test]
fn a_reply_goes_to_the_client_that_waits_and_who_replies_hears_when_it_is_there() {
    let (mut pair, replier, asker) = prepared();
    produce(&mut pair, asker);
    let properties = [("CORRELATION_ID", "c-1"), ("REPLY_TO_CLIENT", "asker"), ("MSG_TYPE", "reply")];
    let waiting = send_reply(&mut pair, replier, &reply(&properties));
    let pushed = asked(&mut pair, asker, RequestCode::PushReplyMessageToClient).expect("the asker gets it");
    assert_eq!((pushed.text(), pushed.field("topic")), ("the answer", REPLIES));
    let told = pushed.field("properties");
    assert!(told.contains("CORRELATION_ID\u{1}c-1\u{2}") && told.contains("PUSH_REPLY_TIME\u{1}"), "{told}");
    assert!(replier.peek(&mut pair.cluster, waiting).is_none(), "it has not arrived yet");
    asker.respond(&mut pair.cluster, pair.broker, &pushed, 0, b"");
    let answer = replier.answer(&mut pair.cluster, waiting).expect("an answer").expect(ResponseCode::Success);
    assert_eq!((answer.number("queueOffset"), answer.field("MSG_REGION")), (0, "DefaultRegion"));
    let kept = read(&mut pair, replier, REPLIES);
    assert_eq!((kept.len(), kept[0].body.as_str()), (1, "the answer"));
}

#[test]
fn a_reply_that_nobody_waits_for_is_kept_and_reported() {
    let (mut pair, replier, _) = prepared();
    for (properties, text) in [
        (&[("REPLY_TO_CLIENT", "gone")][..], "push reply message fail, channel of <gone> not found."),
        (&[("KEYS", "k")][..], "reply message properties[REPLY_TO_CLIENT] is null"),
    ] {
        let waiting = send_reply(&mut pair, replier, &reply(properties));
        let answer = replier.answer(&mut pair.cluster, waiting).expect("an answer");
        assert_eq!((answer.code, answer.remark.as_deref()), (1, Some(text)));
        assert_eq!(answer.field("TRACE_ON"), "true", "clients read it without looking");
    }
    assert_eq!(read(&mut pair, replier, REPLIES).len(), 2);
}

#[test]
fn replies_are_not_kept_where_that_is_not_wanted() {
    let mut pair = Pair::with(|config| config.store_replies = false);
    let (replier, asker) = (pair.client(), pair.client());
    produce(&mut pair, asker);
    let waiting = send_reply(&mut pair, replier, &reply(&[("REPLY_TO_CLIENT", "asker")]));
    let pushed = asked(&mut pair, asker, RequestCode::PushReplyMessageToClient).expect("the asker gets it");
    asker.respond(&mut pair.cluster, pair.broker, &pushed, 1, b"");
    let answer = replier.answer(&mut pair.cluster, waiting).expect("an answer");
    assert_eq!(answer.remark.as_deref(), Some("push reply message to askerfail."));
    assert_eq!((answer.field("msgId"), answer.number("queueOffset")), ("0", 0));
    assert_eq!(pair.log_end().0, 0);
}

#[test]
fn a_group_begins_where_another_one_is() {
    let (mut pair, member, operator) = prepared();
    for body in ["1", "2", "3"] {
        member.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
        member.send(&mut pair.cluster, pair.broker, &Message::new("Other", body)).expect(ResponseCode::Success);
    }
    let later = Heartbeat::consumer("late", "later", &[("Orders", "*")]);
    operator.heartbeat(&mut pair.cluster, pair.broker, &later).expect(ResponseCode::Success);
    for topic in ["Orders", "Other"] {
        let commit = [("consumerGroup", "readers"), ("topic", topic), ("queueId", "0"), ("commitOffset", "2")];
        member.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &commit).expect(ResponseCode::Success);
    }
    let clone = [("srcGroup", "readers"), ("destGroup", "later"), ("topic", ""), ("offline", "false")];
    operator.ask(&mut pair.cluster, pair.broker, RequestCode::CloneGroupOffset, &clone).expect(ResponseCode::Success);
    assert_eq!(pair.stored_offset(operator, "later", "Orders", 0), Some(2));
    assert_eq!(pair.stored_offset(operator, "later", "Other", 0), Some(0), "readers does not subscribe to it any more");
    let clone = [("srcGroup", "readers"), ("destGroup", "later"), ("topic", "Other"), ("offline", "true")];
    operator.ask(&mut pair.cluster, pair.broker, RequestCode::CloneGroupOffset, &clone).expect(ResponseCode::Success);
    assert_eq!(pair.stored_offset(operator, "later", "Other", 0), Some(2));
}
