//! Topics that keep their order by the word of the name server (`ORDER_TOPIC_CONFIG`) or of their own configuration.

use petrel_tests::{
    TestClient,
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

fn put_order(pair: &mut Pair, client: TestClient, value: &str) {
    let fields = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "Orders"), ("value", value)];
    client.ask(&mut pair.cluster, pair.names, RequestCode::PutKvConfig, &fields).expect(ResponseCode::Success);
}

fn is_ordered(pair: &mut Pair, client: TestClient) -> bool {
    let fields = [("topic", "Orders")];
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetTopicConfig, &fields).expect(ResponseCode::Success);
    answer.text().contains(r#""order":true"#)
}

/// A name server that tells clients of orders, and a broker with a topic.
fn scene() -> (Pair, TestClient) {
    let mut pair = Pair::new();
    let client = pair.client();
    let code = RequestCode::UpdateNamesrvConfig.code();
    client.call(&mut pair.cluster, pair.names, code, &Fields(&[]), b"orderMessageEnable=true\n").expect(ResponseCode::Success);
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    (pair, client)
}

#[test]
fn a_broker_learns_with_its_next_registration_that_a_topic_keeps_its_order_and_remembers() {
    let (mut pair, client) = scene();
    put_order(&mut pair, client, "broker-a:4");
    assert!(!is_ordered(&mut pair, client), "it has not asked yet");
    pair.cluster.advance(Millis::from_secs(31));
    assert!(is_ordered(&mut pair, client));
    pair.restart_broker();
    assert!(is_ordered(&mut pair, client));
}

#[test]
fn clients_are_told_of_the_order_in_the_route_and_no_longer_when_it_is_taken_back() {
    let (mut pair, client) = scene();
    put_order(&mut pair, client, "broker-a:4;broker-b:4");
    let route = pair.route(client, "Orders").expect(ResponseCode::Success);
    assert!(route.text().contains(r#""orderTopicConf":"broker-a:4;broker-b:4""#), "{}", route.text());
    let fields = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "Orders")];
    client.ask(&mut pair.cluster, pair.names, RequestCode::DeleteKvConfig, &fields).expect(ResponseCode::Success);
    assert!(!pair.route(client, "Orders").expect(ResponseCode::Success).text().contains("orderTopicConf"));
}

#[test]
fn an_ordered_topic_takes_no_messages_while_the_broker_may_not_be_written_and_others_do() {
    let (mut pair, client) = scene();
    put_order(&mut pair, client, "broker-a:4");
    client.send(&mut pair.cluster, pair.broker, &Message::new("Other", "x")).expect(ResponseCode::Success);
    pair.cluster.advance(Millis::from_secs(31));
    let code = RequestCode::UpdateBrokerConfig.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), b"brokerPermission=4\n").expect(ResponseCode::Success);
    // A producer that finds another broker for its message would break the order; the others are led elsewhere by their routes.
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "y")).expect(ResponseCode::NoPermission);
    client.send(&mut pair.cluster, pair.broker, &Message::new("Other", "y")).expect(ResponseCode::Success);
}

#[test]
fn the_retry_topic_of_a_group_that_reads_an_ordered_topic_keeps_its_order_too() {
    let (mut pair, client) = scene();
    put_order(&mut pair, client, "broker-a:4");
    pair.cluster.advance(Millis::from_secs(31));
    client
        .heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer("c1", "readers", &[("Orders", "*")]))
        .expect(ResponseCode::Success);
    let fields = [("topic", "%RETRY%readers")];
    let retry = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetTopicConfig, &fields).expect(ResponseCode::Success);
    assert!(retry.text().contains(r#""order":true"#), "{}", retry.text());
}
