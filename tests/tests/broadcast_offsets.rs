//! Clients of broadcasting groups that come directly and through a proxy.

use std::borrow::Cow;

use petrel_tests::{
    Packet, TestClient,
    packet::Fields,
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

/// Four messages, and a client of a broadcasting group that has read three of them.
fn scene(enabled: bool) -> (Pair, TestClient) {
    let mut pair = Pair::with(|config| config.broadcast.enabled = enabled);
    let client = pair.client();
    for body in ["one", "two", "three", "four"] {
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
    }
    let heartbeat = Heartbeat { model: "BROADCASTING", ..Heartbeat::consumer("one", "watchers", &[("Orders", "*")]) };
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    for from in [0, 3] {
        client.pull(&mut pair.cluster, pair.broker, &Pull::new("watchers", "Orders", from)).expect(ResponseCode::Success);
    }
    (pair, client)
}

/// What a proxy is answered that pulls for a client.
fn through_proxy(pair: &mut Pair, id: &str, from: i64) -> Packet {
    let proxy = pair.client();
    let mut fields = Pull::new("watchers", "Orders", from).fields();
    fields.extend([("requestSource", Cow::from("1")), ("proxyFrowardClientId", id.to_owned().into())]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
    proxy.call(&mut pair.cluster, pair.broker, RequestCode::PullMessage.code(), &Fields(&fields), b"")
}

fn is_sent_to(answer: Packet, offset: i64) {
    let answer = answer.expect(ResponseCode::PullOffsetMoved);
    assert_eq!((answer.remark.as_deref(), answer.number("nextBeginOffset")), (Some("OFFSET_RESET"), offset));
}

#[test]
fn a_client_that_comes_through_a_proxy_goes_on_where_it_was_and_so_it_does_when_it_comes_back() {
    let (mut pair, client) = scene(true);
    is_sent_to(through_proxy(&mut pair, "one", -1), 3);
    assert_eq!(through_proxy(&mut pair, "one", 3).expect(ResponseCode::Success).bodies(), ["four"]);
    through_proxy(&mut pair, "one", 4).expect(ResponseCode::PullNotFound);
    let pull = Pull::new("watchers", "Orders", 3);
    is_sent_to(client.pull(&mut pair.cluster, pair.broker, &pull), 4);
    client.pull(&mut pair.cluster, pair.broker, &Pull { from: 4, ..pull }).expect(ResponseCode::PullNotFound);
}

#[test]
fn a_new_client_of_a_proxy_begins_with_the_first_message_and_later_where_the_last_of_all_others_is() {
    let (mut pair, _) = scene(true);
    is_sent_to(through_proxy(&mut pair, "two", -1), 0);
    // The one that came through the proxy is forgotten by now, the one that is connected is not.
    pair.cluster.advance(Millis::from_secs(125));
    is_sent_to(through_proxy(&mut pair, "three", -1), 3);
}

#[test]
fn the_least_of_all_clients_is_kept_over_a_restart_and_is_no_group_of_its_own() {
    let (mut pair, client) = scene(true);
    pair.cluster.advance(Millis::from_secs(20));
    let listed = client.ask(&mut pair.cluster, pair.broker, RequestCode::QueryTopicConsumeByWho, &[("topic", "Orders")]);
    assert_eq!(listed.expect(ResponseCode::Success).text(), r#"{"groupList":["watchers"]}"#);
    pair.restart_broker();
    is_sent_to(through_proxy(&mut pair, "two", -1), 3);
}

#[test]
fn who_is_not_remembered_is_sent_nowhere() {
    let (mut pair, _) = scene(false);
    let answer = through_proxy(&mut pair, "one", -1);
    assert_eq!((answer.remark.as_deref(), answer.number("nextBeginOffset")), (Some("OFFSET_TOO_SMALL"), 0));
}
