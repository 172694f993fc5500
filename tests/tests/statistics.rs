//! What operators are shown of the traffic.

use petrel_tests::{
    TestClient,
    pair::Pair,
    requests::{Message, Pull},
};
use proto_core::{
    bodies::BrokerStatsData,
    code::{RequestCode, ResponseCode},
    json,
};
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

fn stats(pair: &mut Pair, client: TestClient, name: &str, key: &str) -> Option<BrokerStatsData> {
    let fields = [("statsName", name), ("statsKey", key)];
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::ViewBrokerStatsData, &fields);
    if answer.code == ResponseCode::SystemError.code() {
        assert_eq!(answer.remark.as_deref(), Some(&*format!("The stats <{name}> <{key}> not exist")));
        return None;
    }
    Some(json::from_slice(answer.expect(ResponseCode::Success).text().as_bytes()).expect("statistics"))
}

#[test]
fn what_came_and_went_is_told_by_topic_group_and_broker() {
    let mut pair = Pair::new();
    let client = pair.client();
    for _ in 0..3 {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    }
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    assert_eq!(pulled.bodies().len(), 3);
    pair.cluster.advance(Millis(1_000));
    let sum = |pair: &mut Pair, name, key| stats(pair, client, name, key).map(|stats| (stats.stats_minute.sum, stats.stats_day.sum));
    for (name, key) in [
        ("TOPIC_PUT_NUMS", "Orders"),
        ("GROUP_GET_NUMS", "Orders@readers"),
        ("BROKER_PUT_NUMS", "DefaultCluster"),
        ("BROKER_GET_NUMS", "DefaultCluster"),
    ] {
        assert_eq!(sum(&mut pair, name, key), Some((3, 3)), "{name}");
    }
    let put = stats(&mut pair, client, "TOPIC_PUT_SIZE", "Orders").expect("it was used").stats_minute;
    let got = stats(&mut pair, client, "GROUP_GET_SIZE", "Orders@readers").expect("it was used").stats_minute;
    assert_eq!((put.sum, put.avgpt * 3.0), (got.sum, got.avgpt));
    for (name, key) in [("TOPIC_PUT_NUMS", "Other"), ("GROUP_GET_NUMS", "Orders"), ("SNDBCK_PUT_NUMS", "Orders@readers"), ("NO_NUMS", "x")]
    {
        assert_eq!(sum(&mut pair, name, key), None, "{name}");
    }
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
