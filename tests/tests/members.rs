//! Groups: who is in them, who is told, what each holds and how far each has come.

use petrel_tests::{
    TestClient,
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

const ALL: &[(&str, &str)] = &[("Orders", "*"), ("%RETRY%readers", "*")];

fn join(pair: &mut Pair, client: TestClient, id: &str) {
    let heartbeat = Heartbeat::consumer(id, "readers", ALL);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
}

fn members(pair: &mut Pair, client: TestClient) -> Vec<String> {
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetConsumerListByGroup, &[("consumerGroup", "readers")]);
    if answer.code != 0 {
        return Vec::new();
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("strict JSON");
    let mut ids: Vec<String> =
        body["consumerIdList"].as_array().expect("a list").iter().map(|id| id.as_str().expect("text").to_owned()).collect();
    ids.sort();
    ids
}

/// How many times the client was told that the group has changed.
fn told(pair: &mut Pair, client: TestClient) -> usize {
    let mut times = 0;
    while let Some(request) = client.next_request(&mut pair.cluster) {
        assert_eq!((request.code, request.field("consumerGroup")), (RequestCode::NotifyConsumerIdsChanged.code(), "readers"));
        assert!(request.flag.is_oneway());
        times += 1;
    }
    times
}

#[test]
fn members_are_told_when_one_joins_and_when_one_leaves() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client(), pair.client());
    join(&mut pair, first, "one");
    assert!(told(&mut pair, first) > 0);
    join(&mut pair, second, "two");
    assert!(told(&mut pair, first) > 0 && told(&mut pair, second) > 0);
    assert_eq!(members(&mut pair, first), ["one", "two"]);
    let fields = [("clientID", "two"), ("consumerGroup", "readers")];
    second.ask(&mut pair.cluster, pair.broker, RequestCode::UnregisterClient, &fields).expect(ResponseCode::Success);
    assert!(told(&mut pair, first) > 0);
    assert_eq!(members(&mut pair, first), ["one"]);
}

#[test]
fn a_heartbeat_that_changes_nothing_tells_nobody() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client, "one");
    told(&mut pair, client);
    join(&mut pair, client, "one");
    assert_eq!(told(&mut pair, client), 0);
}

#[test]
fn a_lost_connection_takes_its_member_along_and_the_others_are_told() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client(), pair.client());
    join(&mut pair, first, "one");
    join(&mut pair, second, "two");
    told(&mut pair, first);
    second.disconnect(&mut pair.cluster, pair.broker);
    assert!(told(&mut pair, first) > 0);
    assert_eq!(members(&mut pair, first), ["one"]);
}

#[test]
fn a_member_that_falls_silent_is_forgotten_after_two_minutes() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client(), pair.client());
    join(&mut pair, first, "one");
    join(&mut pair, second, "two");
    pair.cluster.cut(second, pair.broker);
    for _ in 0..5 {
        pair.cluster.advance(Millis::from_secs(22));
        join(&mut pair, first, "one");
    }
    assert_eq!(members(&mut pair, first), ["one", "two"], "it was heard less than two minutes ago");
    pair.cluster.advance(Millis::from_secs(30));
    assert_eq!(members(&mut pair, first), ["one"]);
}

#[test]
fn the_retry_topic_of_a_group_is_made_by_its_first_heartbeat() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client, "one");
    let route = pair.route(client, "%RETRY%readers").expect(ResponseCode::Success);
    assert!(route.text().contains(r#""perm":6,"readQueueNums":1,"topicSysFlag":0,"writeQueueNums":1"#), "{}", route.text());
}

#[test]
fn the_tags_of_a_pull_without_an_expression_are_those_of_the_heartbeat() {
    let mut pair = Pair::new();
    let client = pair.client();
    for (body, tag) in [("1", "A"), ("2", "B"), ("3", "A")] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body).with(&[("TAGS", tag)])).expect(ResponseCode::Success);
    }
    let heartbeat = Heartbeat::consumer("one", "readers", &[("Orders", "A")]);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    let pull = Pull { tags: None, sub_version: 1, ..Pull::new("readers", "Orders", 0) };
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &pull).bodies(), ["1", "3"]);
    let newer = Pull { sub_version: 2, ..pull };
    let answer = client.pull(&mut pair.cluster, pair.broker, &newer).expect(ResponseCode::SubscriptionNotLatest);
    assert_eq!(answer.remark.as_deref(), Some("the consumer's subscription not latest"));
}

#[test]
fn a_new_group_begins_at_zero_where_messages_lie_and_is_told_so_where_none_does() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    assert_eq!(pair.stored_offset(client, "readers", "Orders", 0), Some(0));
    assert_eq!(pair.stored_offset(client, "readers", "Orders", 1), None);
}

#[test]
fn offsets_of_a_group_outlive_its_members_and_the_brokers_process() {
    let mut pair = Pair::new();
    let client = pair.client();
    for body in ["1", "2", "3"] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
    }
    join(&mut pair, client, "one");
    let fields = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", "0"), ("commitOffset", "2")];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &fields).expect(ResponseCode::Success);
    client.disconnect(&mut pair.cluster, pair.broker);
    assert_eq!(pair.stored_offset(client, "readers", "Orders", 0), Some(2));
    // The table is saved every five seconds.
    pair.cluster.advance(Millis::from_secs(6));
    pair.restart_broker();
    assert_eq!(pair.stored_offset(client, "readers", "Orders", 0), Some(2));
}

fn lock(pair: &mut Pair, client: TestClient, id: &str, queues: &[i32]) -> Vec<i64> {
    let queues: Vec<_> =
        queues.iter().map(|queue| serde_json::json!({"brokerName": "broker-a", "queueId": queue, "topic": "Orders"})).collect();
    let body = serde_json::json!({"clientId": id, "consumerGroup": "readers", "mqSet": queues}).to_string();
    let answer = client.call(&mut pair.cluster, pair.broker, RequestCode::LockBatchMq.code(), &Fields(&[]), body.as_bytes());
    let body: serde_json::Value = serde_json::from_slice(&answer.expect(ResponseCode::Success).body).expect("strict JSON");
    let mut locked: Vec<i64> =
        body["lockOKMQSet"].as_array().expect("a list").iter().map(|queue| queue["queueId"].as_i64().expect("a number")).collect();
    locked.sort_unstable();
    locked
}

#[test]
fn a_queue_is_locked_by_one_member_until_it_lets_go() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client(), pair.client());
    assert_eq!(lock(&mut pair, first, "one", &[0, 1]), [0, 1]);
    assert_eq!(lock(&mut pair, second, "two", &[1, 2]), [2]);
    let body = serde_json::json!({"clientId": "one", "consumerGroup": "readers", "mqSet": [{"brokerName": "broker-a", "queueId": 1, "topic": "Orders"}]});
    let body = body.to_string();
    first
        .call(&mut pair.cluster, pair.broker, RequestCode::UnlockBatchMq.code(), &Fields(&[]), body.as_bytes())
        .expect(ResponseCode::Success);
    assert_eq!(lock(&mut pair, second, "two", &[0, 1]), [1]);
}

#[test]
fn a_lock_that_is_not_renewed_is_free_after_a_minute() {
    let mut pair = Pair::new();
    let (first, second) = (pair.client(), pair.client());
    assert_eq!(lock(&mut pair, first, "one", &[0]), [0]);
    pair.cluster.advance(Millis::from_secs(50));
    assert_eq!(lock(&mut pair, first, "one", &[0]), [0]);
    pair.cluster.advance(Millis::from_secs(50));
    assert!(lock(&mut pair, second, "two", &[0]).is_empty());
    pair.cluster.advance(Millis::from_secs(11));
    assert_eq!(lock(&mut pair, second, "two", &[0]), [0]);
}
