//! How a client that knows nothing of plugins reaches a filter: the expression type `WASM`, and `wasm()` inside SQL92. The plugins are written in
//! Rust: what runs them is nobody's business here.

use petrel_tests::{
    client::TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    plugins::TestPlugin,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, output::Table};

/// A broker with the plugin `begins`, and a client.
fn scene() -> (Pair, TestClient) {
    let mut pair = Pair::with(|config| config.property_filter = true);
    pair.plugins().install("begins", TestPlugin::BodyBegins);
    let client = pair.client();
    (pair, client)
}

fn send(pair: &mut Pair, client: TestClient, bodies: &[&str]) {
    for body in bodies {
        let message = Message::new("Orders", body);
        client.send(&mut pair.cluster, pair.broker, &message.with(&[("first", &body[..1])])).expect(ResponseCode::Success);
    }
}

/// A heartbeat of a client of `readers`.
fn beat(pair: &mut Pair, client: TestClient, language: &'static str, expression: &str, version: i64) {
    let subscriptions = [("Orders", expression)];
    let heartbeat = Heartbeat { language, version, ..Heartbeat::consumer("c1", "readers", &subscriptions) };
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
}

/// A pull by what the heartbeats of `readers` want.
fn pull(pair: &mut Pair, client: TestClient, from: i64) -> Packet {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from).as_subscribed(1))
}

/// A pull with an expression of its own.
fn pull_matching(pair: &mut Pair, client: TestClient, language: &str, expression: &str) -> Packet {
    let pull = Pull { tags: Some(expression), language, ..Pull::new("readers", "Orders", 0) };
    client.pull(&mut pair.cluster, pair.broker, &pull)
}

fn check(pair: &mut Pair, client: TestClient, language: &str, expression: &str) -> Packet {
    let body = serde_json::json!({"clientId": "c1", "group": "readers", "subscriptionData": {
        "expressionType": language, "subString": expression, "subVersion": 1, "topic": "Orders",
    }});
    client.call(&mut pair.cluster, pair.broker, RequestCode::CheckClientConfig.code(), &Fields(&[]), body.to_string().as_bytes())
}

#[test]
fn a_subscription_of_type_wasm_is_judged_by_the_plugin_that_it_names() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1", "b1", "a2"]);
    beat(&mut pair, client, "WASM", "begins:a", 1);
    assert_eq!(pull(&mut pair, client, 0).expect(ResponseCode::Success).bodies(), ["a1", "a2"]);
    assert_eq!(pair.plugins().take_judged(), [3], "the plugin sees a batch");
    assert_eq!(pull_matching(&mut pair, client, "WASM", "begins").bodies(), ["a1", "b1", "a2"]);
    assert_eq!(pull_matching(&mut pair, client, "WASM", " begins :b").bodies(), ["b1"]);
}

#[test]
fn a_plugin_needs_no_leave_to_filter_by_properties() {
    let mut pair = Pair::new();
    pair.plugins().install("begins", TestPlugin::BodyBegins);
    let client = pair.client();
    send(&mut pair, client, &["a1", "b1"]);
    beat(&mut pair, client, "WASM", "begins:b", 1);
    check(&mut pair, client, "WASM", "begins:b").expect(ResponseCode::Success);
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["b1"]);
    pull_matching(&mut pair, client, "SQL92", "wasm('begins', 'a')").expect(ResponseCode::SystemError);
}

#[test]
fn an_expression_of_sql92_may_call_plugins_beside_its_other_conditions() {
    let (mut pair, client) = scene();
    pair.plugins().install("ends", TestPlugin::BodyEnds);
    send(&mut pair, client, &["a1", "b1", "a2", "b2"]);
    beat(&mut pair, client, "SQL92", "first = 'a' AND wasm('ends', '2')", 1);
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["a2"]);
    assert_eq!(pair.plugins().take_judged(), [2], "of what the rest of the expression rules out the plugin sees nothing");
    assert_eq!(pull_matching(&mut pair, client, "SQL92", "wasm('begins', 'b') OR NOT wasm('ends', '1')").bodies(), ["b1", "a2", "b2"]);
}

#[test]
fn a_client_is_told_which_plugin_is_missing_or_what_is_wrong_with_the_argument() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1"]);
    for (language, expression, why) in [
        ("WASM", "gone:x", "no plugin is called 'gone' here"),
        ("SQL92", "first = 'a' AND wasm('gone')", "no plugin is called 'gone' here"),
        ("WASM", "begins:?", "the plugin 'begins' refuses the argument '?': a question mark is no text"),
        ("SQL92", "wasm('begins'", "Encountered \"<EOF>\""),
    ] {
        let refused = check(&mut pair, client, language, expression).expect(ResponseCode::SubscriptionParseFailed);
        assert!(refused.remark.as_deref().is_some_and(|remark| remark.contains(why)), "{refused:?}");
        let refused = pull_matching(&mut pair, client, language, expression);
        refused.expect(ResponseCode::SubscriptionParseFailed);
    }
    beat(&mut pair, client, "WASM", "gone:x", 1);
    pull(&mut pair, client, 0).expect(ResponseCode::FilterDataNotExist);
    let notices = pair.cluster.notices(pair.broker);
    assert!(notices.iter().any(|text| text.contains("readers") && text.contains("'gone'")), "{notices:?}");
}

#[test]
fn a_waiting_pull_wakes_for_the_first_message_that_its_plugin_takes() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1"]);
    beat(&mut pair, client, "WASM", "begins:b", 1);
    let waiting = Pull::new("readers", "Orders", 1).as_subscribed(1).held_for(15_000);
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &waiting);
    let other = pair.client();
    send(&mut pair, other, &["a2", "a3"]);
    assert!(client.peek(&mut pair.cluster, waiting).is_none());
    send(&mut pair, other, &["b1"]);
    assert_eq!(client.peek(&mut pair.cluster, waiting).expect("an answer").bodies(), ["b1"]);
}

#[test]
fn a_group_that_waits_for_a_plugin_gets_its_messages_once_it_is_installed_without_another_heartbeat() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1", "a2"]);
    beat(&mut pair, client, "SQL92", "wasm('ends', '2')", 1);
    pull(&mut pair, client, 0).expect(ResponseCode::FilterDataNotExist);
    pair.change_plugins(|plugins| plugins.install("ends", TestPlugin::BodyEnds));
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["a2"]);
}

#[test]
fn a_group_whose_plugin_is_removed_is_refused_and_its_operator_is_told() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1"]);
    beat(&mut pair, client, "WASM", "begins:a", 1);
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["a1"]);
    pull_matching(&mut pair, client, "WASM", "begins:a").expect(ResponseCode::Success);
    pair.change_plugins(|plugins| plugins.remove("begins"));
    pull(&mut pair, client, 0).expect(ResponseCode::FilterDataNotExist);
    let refused = pull_matching(&mut pair, client, "WASM", "begins:a").expect(ResponseCode::SubscriptionParseFailed);
    assert!(refused.remark.is_some_and(|remark| remark.contains("no plugin is called 'begins'")));
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("readers") && text.contains("'begins'")));
}

#[test]
fn subscriptions_too_many_for_one_turn_are_all_looked_up_in_the_turns_that_follow() {
    let (mut pair, client) = scene();
    let topics: Vec<String> = (0..100).map(|number| format!("Orders{number}")).collect();
    for topic in &topics {
        client.send(&mut pair.cluster, pair.broker, &Message::new(topic, "a1")).expect(ResponseCode::Success);
    }
    let subscriptions: Vec<_> = topics.iter().map(|topic| (topic.as_str(), "begins:a")).collect();
    let heartbeat = Heartbeat { language: "WASM", version: 1, ..Heartbeat::consumer("c1", "readers", &subscriptions) };
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    let all_are_answered = |pair: &mut Pair, code| {
        for topic in &topics {
            client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", topic, 0).as_subscribed(1)).expect(code);
        }
    };
    all_are_answered(&mut pair, ResponseCode::Success);
    pair.change_plugins(|plugins| plugins.remove("begins"));
    pair.cluster.advance(Millis(1));
    all_are_answered(&mut pair, ResponseCode::FilterDataNotExist);
    pair.change_plugins(|plugins| plugins.install("begins", TestPlugin::BodyBegins));
    pair.cluster.advance(Millis(1));
    all_are_answered(&mut pair, ResponseCode::Success);
}

#[test]
fn another_plugin_of_the_same_name_judges_from_then_on() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["ab", "ba"]);
    beat(&mut pair, client, "WASM", "begins:a", 1);
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["ab"]);
    pair.change_plugins(|plugins| plugins.install("begins", TestPlugin::BodyEnds));
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["ba"]);
}

#[test]
fn subscriptions_by_plugins_are_saved_with_their_type_and_are_there_after_a_restart() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["a1", "b1"]);
    beat(&mut pair, client, "WASM", "begins:a", 1);
    pair.cluster.advance(Millis::from_secs(11));
    let saved = pair.cluster.saved(pair.broker, Table::ConsumerFilters).expect("it was saved");
    let file: serde_json::Value = serde_json::from_slice(saved).expect("JSON");
    let filter = &file["filterDataByTopic"]["Orders"]["groupFilterData"]["readers"];
    assert_eq!((&filter["expressionType"], &filter["expression"]), (&"WASM".into(), &"begins:a".into()));
    pair.restart_broker();
    let client = pair.client();
    beat(&mut pair, client, "WASM", "begins:a", 1);
    assert_eq!(pull(&mut pair, client, 0).bodies(), ["a1"]);
}
