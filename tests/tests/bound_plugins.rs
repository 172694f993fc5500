//! Plugins that an operator binds to groups and topics: consumers say nothing of them and get what they let pass.

use petrel_tests::{
    client::TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    plugins::TestPlugin,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use serde_json::{Value, json};

/// A broker that takes orders from other machines, with the plugins `begins`, `ends` and `last`, and a client.
fn scene() -> (Pair, TestClient) {
    let mut pair = Pair::with(|config| config.remote_plugin_admin = true);
    for (name, plugin) in [("begins", TestPlugin::BodyBegins), ("ends", TestPlugin::BodyEnds), ("last", TestPlugin::LastTakesAll)] {
        pair.plugins().install(name, plugin);
    }
    let client = pair.client();
    (pair, client)
}

fn send(pair: &mut Pair, client: TestClient, topic: &str, bodies: &[&str]) {
    for body in bodies {
        let tag = [("TAGS", &body[..1])];
        client.send(&mut pair.cluster, pair.broker, &Message::new(topic, body).with(&tag)).expect(ResponseCode::Success);
    }
}

fn bind(pair: &mut Pair, client: TestClient, request: Value) -> Packet {
    client.call(&mut pair.cluster, pair.broker, RequestCode::PetrelBindPlugin.code(), &Fields(&[]), request.to_string().as_bytes())
}

fn list(pair: &mut Pair, client: TestClient) -> Value {
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::PetrelListPlugins, &[]).expect(ResponseCode::Success);
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn pull(pair: &mut Pair, client: TestClient, group: &str, topic: &str, tags: &str) -> Packet {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new(group, topic, 0).tagged(tags))
}

#[test]
fn what_is_bound_to_a_group_filters_all_that_it_reads_on_top_of_its_own_subscription() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1", "b1", "a2", "b2"]);
    bind(&mut pair, client, json!({"group": "readers", "plugin": "ends", "argument": "2"})).expect(ResponseCode::Success);
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "*").bodies(), ["a2", "b2"]);
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "a").bodies(), ["a2"]);
    assert_eq!(pull(&mut pair, client, "others", "Orders", "*").bodies(), ["a1", "b1", "a2", "b2"]);
    let beat = Heartbeat { language: "WASM", ..Heartbeat::consumer("c1", "readers", &[("Orders", "begins:b")]) };
    client.heartbeat(&mut pair.cluster, pair.broker, &beat).expect(ResponseCode::Success);
    let subscribed = Pull::new("readers", "Orders", 0).as_subscribed(1);
    assert_eq!(client.pull(&mut pair.cluster, pair.broker, &subscribed).bodies(), ["b2"]);
}

#[test]
fn what_is_bound_to_a_topic_filters_what_anybody_reads_of_it_but_what_comes_again() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1", "b1", "a2"]);
    send(&mut pair, client, "Others", &["b1"]);
    send(&mut pair, client, "%RETRY%readers", &["b1"]);
    bind(&mut pair, client, json!({"topic": "Orders", "plugin": "begins", "argument": "a"})).expect(ResponseCode::Success);
    bind(&mut pair, client, json!({"group": "readers", "plugin": "ends", "argument": "1"})).expect(ResponseCode::Success);
    assert_eq!(pull(&mut pair, client, "others", "Orders", "*").bodies(), ["a1", "a2"]);
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "*").bodies(), ["a1"]);
    assert_eq!(pull(&mut pair, client, "others", "Others", "*").bodies(), ["b1"]);
    bind(&mut pair, client, json!({"group": "readers", "plugin": "ends", "argument": "9"})).expect(ResponseCode::Success);
    assert_eq!(pull(&mut pair, client, "readers", "%RETRY%readers", "*").bodies(), ["b1"]);
}

#[test]
fn bindings_survive_a_restart_and_end_when_they_are_taken_back() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1", "b1"]);
    bind(&mut pair, client, json!({"topic": "Orders", "plugin": "begins", "argument": "b"})).expect(ResponseCode::Success);
    pair.restart_broker();
    let client = pair.client();
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "*").bodies(), ["b1"]);
    assert_eq!(list(&mut pair, client)["bindings"]["topicFilters"], json!({"Orders": {"argument": "b", "plugin": "begins"}}));
    bind(&mut pair, client, json!({"topic": "Orders"})).expect(ResponseCode::Success);
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "*").bodies(), ["a1", "b1"]);
}

#[test]
fn a_pull_that_waits_while_a_filter_is_bound_is_sent_to_ask_again() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1"]);
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 1).held_for(15_000));
    let operator = pair.client();
    bind(&mut pair, operator, json!({"group": "readers", "plugin": "begins", "argument": "b"})).expect(ResponseCode::Success);
    send(&mut pair, operator, "Orders", &["a2"]);
    let answer = client.answer(&mut pair.cluster, waiting).expect("an answer").expect(ResponseCode::PullRetryImmediately);
    assert_eq!((answer.number("nextBeginOffset"), answer.bodies().len()), (1, 0));
}

#[test]
fn while_a_bound_plugin_is_away_pulls_are_refused_with_its_name_and_nothing_passes_unseen() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1", "b1"]);
    bind(&mut pair, client, json!({"group": "readers", "plugin": "begins", "argument": "a"})).expect(ResponseCode::Success);
    pair.change_plugins(|plugins| plugins.remove("begins"));
    let refused = pull(&mut pair, client, "readers", "Orders", "*").expect(ResponseCode::SystemError);
    assert!(refused.remark.is_some_and(|remark| remark.contains("readers") && remark.contains("'begins'")));
    pull(&mut pair, client, "others", "Orders", "*").expect(ResponseCode::Success);
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("'begins'")));
    pair.change_plugins(|plugins| plugins.install("begins", TestPlugin::BodyBegins));
    assert_eq!(pull(&mut pair, client, "readers", "Orders", "*").bodies(), ["a1"]);
}

#[test]
fn an_allocation_that_is_bound_to_a_group_goes_before_what_its_members_name() {
    let (mut pair, client) = scene();
    send(&mut pair, client, "Orders", &["a1"]);
    for id in ["c1", "c2"] {
        let member = pair.client();
        member.heartbeat(&mut pair.cluster, pair.broker, &Heartbeat::consumer(id, "readers", &[("Orders", "*")]));
    }
    let queues_of = |pair: &mut Pair, id: &str| {
        let body =
            json!({"clientId": id, "consumerGroup": "readers", "messageModel": "CLUSTERING", "strategyName": "AVG", "topic": "Orders"});
        let code = RequestCode::QueryAssignment.code();
        let answer = client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), body.to_string().as_bytes());
        let body: Value = serde_json::from_slice(&answer.expect(ResponseCode::Success).body).expect("JSON");
        body["messageQueueAssignments"].as_array().expect("a list").len()
    };
    assert_eq!((queues_of(&mut pair, "c1"), queues_of(&mut pair, "c2")), (2, 2));
    bind(&mut pair, client, json!({"group": "readers", "plugin": "last", "allocator": true})).expect(ResponseCode::Success);
    assert_eq!((queues_of(&mut pair, "c1"), queues_of(&mut pair, "c2")), (0, 4));
    pair.change_plugins(|plugins| plugins.remove("last"));
    assert_eq!((queues_of(&mut pair, "c1"), queues_of(&mut pair, "c2")), (2, 2), "the average steps in for all");
    bind(&mut pair, client, json!({"group": "readers", "allocator": true})).expect(ResponseCode::Success);
    assert_eq!(list(&mut pair, client)["bindings"]["groupAllocators"], json!({}));
}

#[test]
fn what_cannot_be_bound_is_refused_with_the_reason() {
    let (mut pair, client) = scene();
    for (request, code, why) in [
        (json!({"group": "readers", "plugin": "gone"}), ResponseCode::InvalidParameter, "'gone'"),
        (json!({"group": "readers", "plugin": "last"}), ResponseCode::InvalidParameter, "no filter"),
        (json!({"group": "readers", "plugin": "begins", "argument": "?"}), ResponseCode::InvalidParameter, "a question mark"),
        (json!({"group": "readers", "plugin": "begins", "allocator": true}), ResponseCode::InvalidParameter, "no allocator"),
        (json!({"topic": "Orders", "plugin": "last", "allocator": true}), ResponseCode::InvalidParameter, "by group"),
        (json!({"topic": "Orders", "group": "readers", "plugin": "begins"}), ResponseCode::InvalidParameter, "not both"),
        (json!({"topic": "../Orders", "plugin": "begins"}), ResponseCode::InvalidParameter, "topic"),
        (json!({"plugin": "begins"}), ResponseCode::InvalidParameter, "name a group or a topic"),
    ] {
        let refused = bind(&mut pair, client, request.clone()).expect(code);
        assert!(refused.remark.as_deref().is_some_and(|remark| remark.contains(why)), "{request}: {refused:?}");
    }
}

#[test]
fn only_who_sits_at_the_brokers_machine_binds_unless_the_operator_says_otherwise() {
    let mut pair = Pair::new();
    pair.plugins().install("begins", TestPlugin::BodyBegins);
    let client = pair.client();
    let refused = bind(&mut pair, client, json!({"group": "readers", "plugin": "begins"})).expect(ResponseCode::NoPermission);
    assert!(refused.remark.is_some_and(|remark| remark.contains("pluginAdminRemoteEnable")));
}
