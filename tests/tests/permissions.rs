//! Operators forbid and allow while clients are at work: topics, groups, single topics of a group, the whole broker.

use petrel_tests::{
    TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

fn set_topic(pair: &mut Pair, client: TestClient, perm: &str, queues: &str) {
    let fields = [
        ("topic", "Orders"),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", queues),
        ("writeQueueNums", queues),
        ("perm", perm),
        ("topicFilterType", "SINGLE_TAG"),
        ("order", "false"),
    ];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndCreateTopic, &fields).expect(ResponseCode::Success);
}

fn set_group(pair: &mut Pair, client: TestClient, config: &str) {
    let code = RequestCode::UpdateAndCreateSubscriptiongroup.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), config.as_bytes()).expect(ResponseCode::Success);
}

/// A topic with queues that may be read and written, and a consumer that waits at the first of them.
fn waiting() -> (Pair, TestClient, i32) {
    let mut pair = Pair::new();
    let client = pair.client();
    set_topic(&mut pair, client, "6", "4");
    client
        .heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer("c1", "readers", &[("Orders", "*")]))
        .expect(ResponseCode::Success);
    let pull = client.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).held_for(20_000));
    pair.cluster.advance(Millis(100));
    assert!(client.peek(&mut pair.cluster, pull).is_none(), "it waits");
    (pair, client, pull)
}

fn send(pair: &mut Pair, client: TestClient) -> Packet {
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x"))
}

/// What the waiting pull is answered when a message comes.
fn woken(mut pair: Pair, client: TestClient, pull: i32) -> Packet {
    send(&mut pair, client).expect(ResponseCode::Success);
    pair.cluster.drive();
    client.answer(&mut pair.cluster, pull).expect("the message ends its wait")
}

#[track_caller]
fn is_forbidden(answer: &Packet, by: &str, remark: &str) {
    assert_eq!((answer.code, answer.field("forbiddenType")), (ResponseCode::NoPermission.code(), by), "{answer:?}");
    assert_eq!((answer.remark.as_deref(), answer.body.len()), (Some(remark), 0));
}

#[test]
fn a_topic_that_may_not_be_read_any_more_gives_nothing_to_who_waited_before() {
    let (mut pair, client, pull) = waiting();
    set_topic(&mut pair, client, "2", "4");
    is_forbidden(&woken(pair, client, pull), "3", "the topic[Orders] pulling message is forbidden");
}

#[test]
fn a_topic_that_may_not_be_read_for_a_while_goes_on_where_its_readers_were() {
    let (mut pair, client, _) = waiting();
    set_topic(&mut pair, client, "2", "4");
    send(&mut pair, client).expect(ResponseCode::Success);
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).expect(ResponseCode::NoPermission);
    set_topic(&mut pair, client, "6", "4");
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).bodies(), ["x"]);
}

#[test]
fn a_topic_without_the_right_to_write_is_told_so_to_producers_by_the_name_server() {
    let (mut pair, client, _) = waiting();
    let perm = |pair: &mut Pair| pair.route(client, "Orders").expect(ResponseCode::Success).text().contains(r#""perm":4"#);
    assert!(!perm(&mut pair));
    set_topic(&mut pair, client, "4", "4");
    pair.cluster.drive();
    assert!(perm(&mut pair));
    // As with Java the broker itself leaves it at that: who has an old route still gets its message through, and it is read.
    send(&mut pair, client).expect(ResponseCode::Success);
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).bodies(), ["x"]);
}

#[test]
fn a_queue_that_a_topic_has_lost_is_refused_also_to_who_waited_at_it() {
    let mut pair = Pair::new();
    let client = pair.client();
    set_topic(&mut pair, client, "6", "4");
    client
        .heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer("c1", "readers", &[("Orders", "*")]))
        .expect(ResponseCode::Success);
    let pull = client.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).in_queue(3).held_for(5_000));
    set_topic(&mut pair, client, "6", "2");
    pair.cluster.advance(Millis(6_000));
    let answer = client.answer(&mut pair.cluster, pull).expect("its time is over");
    assert_eq!(answer.code, ResponseCode::InvalidParameter.code(), "{answer:?}");
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).in_queue(3)).expect(ResponseCode::InvalidParameter);
}

#[test]
fn a_group_that_may_not_consume_any_more_gets_nothing() {
    let (mut pair, client, pull) = waiting();
    set_group(&mut pair, client, r#"{"groupName":"readers","consumeEnable":false}"#);
    is_forbidden(&woken(pair, client, pull), "2", "subscription group no permission, readers");
}

#[test]
fn a_group_that_is_forbidden_one_topic_gets_nothing_of_it() {
    let (mut pair, client, pull) = waiting();
    let fields = [("group", "readers"), ("topic", "Orders"), ("readable", "false")];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndGetGroupForbidden, &fields).expect(ResponseCode::Success);
    is_forbidden(&woken(pair, client, pull), "5", "the consumer group[readers] is forbidden for topic[Orders]");
}

#[test]
fn a_broker_that_may_not_be_read_any_more_gives_nothing_to_anybody() {
    let (mut pair, client, pull) = waiting();
    let code = RequestCode::UpdateBrokerConfig.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), b"brokerPermission=2\n").expect(ResponseCode::Success);
    is_forbidden(&woken(pair, client, pull), "1", "the broker[10.1.0.1] pulling message is forbidden");
}

#[test]
fn without_automatic_groups_who_is_unknown_reads_nothing_and_commits_nothing() {
    let mut pair = Pair::with(|config| config.auto_create_group = false);
    let client = pair.client();
    set_topic(&mut pair, client, "6", "4");
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    let pulled = pulled.expect(ResponseCode::SubscriptionGroupNotExist);
    assert!(pulled.remark.as_deref().is_some_and(|remark| remark.starts_with("subscription group [readers] does not exist")), "{pulled:?}");
    let commit = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", "0"), ("commitOffset", "0")];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &commit).expect(ResponseCode::SubscriptionGroupNotExist);
    set_group(&mut pair, client, r#"{"groupName":"readers"}"#);
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).expect(ResponseCode::PullNotFound);
}
