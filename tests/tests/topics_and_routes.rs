//! Topics, and how clients find them: registration, loss and return of brokers and name servers.

use petrel_tests::{
    packet::Fields,
    pair::Pair,
    requests::{Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

#[test]
fn a_topic_made_by_its_first_message_is_in_the_routes_at_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    assert_eq!(pair.route(client, "Orders").code, ResponseCode::TopicNotExist.code());
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    let route = pair.route(client, "Orders").expect(ResponseCode::Success);
    assert!(route.text().contains(r#""perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4"#), "{}", route.text());
    assert!(route.text().contains(r#""brokerAddrs":{"0":"10.1.0.1:10911"}"#), "{}", route.text());
}

#[test]
fn without_automatic_topics_a_send_to_an_unknown_topic_is_refused() {
    let mut pair = Pair::with(|config| config.auto_create_topic = false);
    let client = pair.client();
    let answer = client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::TopicNotExist);
    assert!(answer.remark.as_deref().is_some_and(|remark| remark.starts_with("topic[Orders] not exist")), "{answer:?}");
    assert_eq!(pair.route(client, "Orders").code, ResponseCode::TopicNotExist.code());
}

#[test]
fn a_broker_that_falls_silent_leaves_the_routes_after_two_minutes() {
    let mut pair = Pair::new();
    let client = pair.client();
    assert_eq!(pair.route(client, "TBW102").code, 0);
    pair.cluster.cut(pair.broker, pair.names);
    pair.cluster.advance(Millis::from_secs(85));
    assert_eq!(pair.route(client, "TBW102").code, 0, "it was heard less than two minutes ago");
    pair.cluster.advance(Millis::from_secs(50));
    assert_eq!(pair.route(client, "TBW102").code, ResponseCode::TopicNotExist.code());
}

#[test]
fn a_broker_that_was_cut_off_is_back_with_its_next_registration() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    pair.cluster.cut(pair.broker, pair.names);
    pair.cluster.advance(Millis::from_secs(140));
    assert_eq!(pair.route(client, "Orders").code, ResponseCode::TopicNotExist.code());
    pair.cluster.heal(pair.broker, pair.names);
    pair.cluster.advance(Millis::from_secs(70));
    assert_eq!(pair.route(client, "Orders").code, 0);
}

#[test]
fn a_broker_whose_process_dies_leaves_the_routes_at_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    assert_eq!(pair.route(client, "TBW102").code, 0);
    pair.cluster.kill(pair.broker);
    pair.cluster.drive();
    assert_eq!(pair.route(client, "TBW102").code, ResponseCode::TopicNotExist.code());
}

#[test]
fn a_name_server_that_starts_again_learns_every_topic_from_its_brokers() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    pair.restart_names();
    pair.cluster.advance(Millis::from_secs(40));
    assert_eq!(pair.route(client, "Orders").code, 0);
}

#[test]
fn a_broker_that_starts_again_knows_its_topics() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    pair.restart_broker();
    pair.cluster.advance(Millis::from_secs(1));
    assert_eq!(pair.route(client, "Orders").code, 0);
}

#[test]
fn both_brokers_of_a_cluster_are_in_one_route() {
    let mut pair = Pair::new();
    let second = pair.add_broker("broker-b", "10.1.0.2:10911");
    let client = pair.client();
    for broker in [pair.broker, second] {
        client.send(&mut pair.cluster, broker, &Message::new("Orders", "one")).expect(ResponseCode::Success);
    }
    let route = pair.route(client, "Orders").expect(ResponseCode::Success);
    assert!(route.text().contains("10.1.0.1:10911") && route.text().contains("10.1.0.2:10911"), "{}", route.text());
    let cluster = client.ask(&mut pair.cluster, pair.names, RequestCode::GetBrokerClusterInfo, &[]).expect(ResponseCode::Success);
    assert!(cluster.text().contains(r#""DefaultCluster":["broker-a","broker-b"]"#), "{}", cluster.text());
}

#[test]
fn keys_of_the_name_server_outlive_its_process() {
    let mut pair = Pair::new();
    let client = pair.client();
    let fields = [("namespace", "colors"), ("key", "sky"), ("value", "blue")];
    client.ask(&mut pair.cluster, pair.names, RequestCode::PutKvConfig, &fields).expect(ResponseCode::Success);
    pair.restart_names();
    let fields = [("namespace", "colors"), ("key", "sky")];
    let answer = client.ask(&mut pair.cluster, pair.names, RequestCode::GetKvConfig, &fields).expect(ResponseCode::Success);
    assert_eq!(answer.field("value"), "blue");
}

#[test]
fn a_topic_is_made_changed_and_deleted_by_an_administrator() {
    let mut pair = Pair::new();
    let client = pair.client();
    let make = |read: &'static str, write: &'static str| {
        [
            ("topic", "Orders"),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", read),
            ("writeQueueNums", write),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("topicSysFlag", "0"),
            ("order", "false"),
        ]
    };
    for (read, write) in [("6", "6"), ("8", "3")] {
        let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndCreateTopic, &make(read, write));
        assert_eq!(answer.expect(ResponseCode::Success).code, 0);
        let route = pair.route(client, "Orders").expect(ResponseCode::Success);
        assert!(route.text().contains(&format!(r#""readQueueNums":{read},"topicSysFlag":0,"writeQueueNums":{write}"#)), "{}", route.text());
    }
    client.ask(&mut pair.cluster, pair.broker, RequestCode::DeleteTopicInBroker, &[("topic", "Orders")]).expect(ResponseCode::Success);
    let fields = [("topic", "Orders"), ("clusterName", "DefaultCluster")];
    client.ask(&mut pair.cluster, pair.names, RequestCode::DeleteTopicInNamesrv, &fields).expect(ResponseCode::Success);
    assert_eq!(pair.route(client, "Orders").code, ResponseCode::TopicNotExist.code());
    pair.cluster.advance(Millis::from_secs(70));
    assert_eq!(pair.route(client, "Orders").code, ResponseCode::TopicNotExist.code(), "a registration brought it back");
}

#[test]
fn a_topic_that_was_deleted_and_made_again_begins_empty() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "old")).expect(ResponseCode::Success);
    client.ask(&mut pair.cluster, pair.broker, RequestCode::DeleteTopicInBroker, &[("topic", "Orders")]).expect(ResponseCode::Success);
    let sent = client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "new")).expect(ResponseCode::Success);
    assert_eq!(sent.number("queueOffset"), 0);
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0)).bodies(), ["new"]);
}

#[test]
fn what_an_administrator_changes_is_acknowledged_when_it_is_on_disk() {
    let mut pair = Pair::new();
    let client = pair.client();
    let topic = [("topic", "Orders"), ("readQueueNums", "4"), ("writeQueueNums", "4"), ("perm", "6"), ("topicFilterType", "SINGLE_TAG")];
    let key = [("namespace", "colors"), ("key", "sky"), ("value", "blue")];
    let changes = [(pair.broker, RequestCode::UpdateAndCreateTopic, &topic[..]), (pair.names, RequestCode::PutKvConfig, &key[..])];
    for (node, code, fields) in changes {
        pair.cluster.set_slow_disk(node, true);
        let opaque = client.post(&mut pair.cluster, node, code.code(), &Fields(fields), b"");
        pair.cluster.advance(Millis(2000));
        assert!(client.answer(&mut pair.cluster, opaque).is_none(), "{code:?} was acknowledged too early");
        pair.cluster.set_slow_disk(node, false);
        pair.cluster.drive();
        assert_eq!(client.answer(&mut pair.cluster, opaque).expect("it is on disk").code, 0);
    }
}

#[test]
fn a_broker_that_is_given_up_is_named_for_the_operator() {
    let mut pair = Pair::new();
    pair.cluster.cut(pair.broker, pair.names);
    pair.cluster.advance(Millis::from_secs(140));
    let notices = pair.cluster.notices(pair.names);
    assert!(notices.iter().any(|notice| notice.contains("broker-a") && notice.contains("10.1.0.1:10911")), "{notices:?}");
}

#[test]
fn what_a_topic_is_said_to_hold_is_told_and_kept_and_as_with_java_left_to_proxies_to_enforce() {
    let mut pair = Pair::new();
    let client = pair.client();
    let made = |attributes| {
        [
            ("topic", "Orders"),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", "4"),
            ("writeQueueNums", "4"),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("attributes", attributes),
        ]
    };
    let make =
        |pair: &mut Pair, attributes| client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateAndCreateTopic, &made(attributes));
    make(&mut pair, "+message.type=NORMAL").expect(ResponseCode::Success);
    let delayed = Message::new("Orders", "x").with(&[("DELAY", "1")]);
    client.send(&mut pair.cluster, pair.broker, &delayed).expect(ResponseCode::Success);
    make(&mut pair, "+message.type=DELAY").expect(ResponseCode::Success);
    pair.restart_broker();
    let config = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetTopicConfig, &[("topic", "Orders")]);
    assert!(config.text().contains(r#""attributes":{"message.type":"DELAY"}"#), "{}", config.text());
    let refused = make(&mut pair, "+message.type=MIXED").expect(ResponseCode::InvalidParameter);
    assert_eq!(refused.remark.as_deref(), Some("MIXED message type is not supported."));
    let code = RequestCode::UpdateBrokerConfig.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), b"enableMixedMessageType=true\n").expect(ResponseCode::Success);
    make(&mut pair, "+message.type=MIXED").expect(ResponseCode::Success);
}
