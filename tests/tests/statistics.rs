//! What operators are shown of the traffic.

use petrel_tests::{
    TestClient,
    pair::Pair,
    requests::{Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

/// The number behind a name in an answer's JSON.
fn number(pair: &mut Pair, client: TestClient, code: RequestCode, fields: &[(&str, &str)], name: &str) -> f64 {
    let answer = client.ask(&mut pair.cluster, pair.broker, code, fields).expect(ResponseCode::Success);
    let (_, rest) = answer.text().split_once(&format!("\"{name}\":")).expect("the answer has the number");
    rest.split([',', '}']).next().and_then(|text| text.parse().ok()).expect("it is a number")
}

fn put_rate(pair: &mut Pair, client: TestClient) -> f64 {
    number(pair, client, RequestCode::GetTopicStatsInfo, &[("topic", "Orders")], "topicPutTps")
}

fn consume_rate(pair: &mut Pair, client: TestClient) -> f64 {
    number(pair, client, RequestCode::GetConsumeStats, &[("consumerGroup", "readers"), ("topic", "Orders")], "consumeTps")
}

#[test]
fn rates_follow_the_traffic_and_go_back_to_nothing_behind_it() {
    let mut pair = Pair::new();
    let client = pair.client();
    for second in 0..60 {
        for _ in 0..2 {
            client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
        }
        let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 2 * second));
        assert_eq!(pulled.bodies().len(), 2);
        pair.cluster.advance(Millis(1000));
    }
    let (put, consumed) = (put_rate(&mut pair, client), consume_rate(&mut pair, client));
    assert!((1.9..=2.1).contains(&put), "{put} messages a second were put, not 2");
    assert!((1.9..=2.1).contains(&consumed), "{consumed} messages a second were read, not 2");
    pair.cluster.advance(Millis::from_secs(75));
    assert_eq!((put_rate(&mut pair, client), consume_rate(&mut pair, client)), (0.0, 0.0));
}

#[test]
fn what_nobody_has_used_has_no_rate() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    assert_eq!(consume_rate(&mut pair, client), 0.0);
}

#[test]
fn a_message_that_waits_counts_for_its_topic_when_it_comes_there() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x").with(&[("DELAY", "2")])).expect(ResponseCode::Success);
    assert_eq!(put_rate(&mut pair, client), 0.0);
    pair.cluster.advance(Millis(6_000));
    assert!(put_rate(&mut pair, client) > 0.0);
}
