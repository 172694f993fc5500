//! Filters by SQL92: who gets what, who is refused and in which words, and what survives a restart.

use petrel_tests::{
    client::TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, output::Table};

const HOUR: Millis = Millis::from_secs(3600);

/// A broker that filters by SQL92, and a client.
fn scene() -> (Pair, TestClient) {
    let mut pair = Pair::with(|config| config.property_filter = true);
    let client = pair.client();
    (pair, client)
}

/// Sends messages with these values of `n`; the value is the body too.
fn send(pair: &mut Pair, client: TestClient, values: &[&str]) {
    for value in values {
        let message = Message::new("Orders", value);
        client.send(&mut pair.cluster, pair.broker, &message.with(&[("n", value)])).expect(ResponseCode::Success);
    }
}

/// A heartbeat of a client of `readers`.
fn beat(pair: &mut Pair, client: TestClient, topic: &str, expression: &str, version: i64) {
    let subscriptions = [(topic, expression)];
    let heartbeat = Heartbeat::consumer("c1", "readers", &subscriptions).in_sql(version);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
}

/// A pull by what the heartbeats of `readers` want.
fn pull(pair: &mut Pair, client: TestClient, from: i64, version: i64) -> Packet {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from).as_subscribed(version))
}

/// A pull with an expression of its own.
fn pull_matching(pair: &mut Pair, client: TestClient, expression: &str) -> Packet {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).matching(expression))
}

fn check(pair: &mut Pair, client: TestClient, language: &str, expression: &str) -> (i32, String) {
    let body = serde_json::json!({"clientId": "c1", "group": "readers", "subscriptionData": {
        "expressionType": language, "subString": expression, "subVersion": 1, "topic": "Orders",
    }});
    let code = RequestCode::CheckClientConfig.code();
    let answer = client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), body.to_string().as_bytes());
    (answer.code, answer.remark.unwrap_or_default())
}

#[test]
fn a_group_gets_the_messages_for_which_its_expression_is_true() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1", "5", "x", "7", "9"]);
    beat(&mut pair, client, "Orders", "n BETWEEN 5 AND 8", 1);
    let pulled = pull(&mut pair, client, 0, 1).expect(ResponseCode::Success);
    assert_eq!((pulled.bodies(), pulled.number("nextBeginOffset")), (vec!["5".to_owned(), "7".to_owned()], 5));
    let pulled = pull(&mut pair, client, 4, 1).expect(ResponseCode::PullRetryImmediately);
    assert_eq!((pulled.remark.as_deref(), pulled.number("nextBeginOffset")), (Some("NO_MATCHED_MESSAGE"), 5));
}

#[test]
fn a_pull_may_carry_an_expression_of_its_own() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1", "5", "9"]);
    assert_eq!(pull_matching(&mut pair, client, "n <> 5 AND UNIQ_KEY IS NOT NULL").bodies(), ["1", "9"]);
}

#[test]
fn a_waiting_pull_wakes_for_the_first_message_that_matches_and_not_before() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    beat(&mut pair, client, "Orders", "n > 5", 1);
    let wanted = Pull::new("readers", "Orders", 1).as_subscribed(1).held_for(15_000);
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &wanted);
    let other = pair.client();
    send(&mut pair, other, &["2", "x", "3"]);
    assert!(client.peek(&mut pair.cluster, waiting).is_none());
    send(&mut pair, other, &["6"]);
    let woken = client.peek(&mut pair.cluster, waiting).expect("an answer");
    assert_eq!((woken.bodies(), woken.number("nextBeginOffset")), (vec!["6".to_owned()], 5));
}

#[test]
fn a_waiting_pull_that_nothing_matches_is_told_at_its_end_where_to_go_on() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    let wanted = Pull::new("readers", "Orders", 1).matching("n > 5").held_for(2_000);
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &wanted);
    let other = pair.client();
    send(&mut pair, other, &["2", "3"]);
    pair.cluster.advance(Millis(2_000));
    let answer = client.answer(&mut pair.cluster, waiting).expect("an answer").expect(ResponseCode::PullRetryImmediately);
    assert_eq!(answer.number("nextBeginOffset"), 3);
}

#[test]
fn without_heartbeat_subscription_or_filter_a_pull_is_refused_with_the_code_of_each() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    let refused = pull(&mut pair, client, 0, 1).expect(ResponseCode::SubscriptionNotExist);
    assert!(refused.remark.unwrap().starts_with("the consumer's group info not exist"));
    beat(&mut pair, client, "Others", "n > 5", 1);
    let refused = pull(&mut pair, client, 0, 1).expect(ResponseCode::SubscriptionNotExist);
    assert!(refused.remark.unwrap().starts_with("the consumer's subscription not exist"));
    beat(&mut pair, client, "Orders", "n >", 1);
    let refused = pull(&mut pair, client, 0, 1).expect(ResponseCode::FilterDataNotExist);
    assert_eq!(refused.remark.unwrap(), "The broker's consumer filter data is not exist!Your expression may be wrong!");
}

#[test]
fn a_pull_that_is_ahead_of_the_heartbeats_is_told_to_wait_for_them() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1", "7"]);
    beat(&mut pair, client, "Orders", "n > 5", 1);
    let refused = pull(&mut pair, client, 0, 2).expect(ResponseCode::SubscriptionNotLatest);
    assert_eq!(refused.remark.unwrap(), "the consumer's subscription not latest");
    beat(&mut pair, client, "Orders", "n < 5", 2);
    assert_eq!(pull(&mut pair, client, 0, 2).bodies(), ["1"]);
    // An older heartbeat changes nothing.
    beat(&mut pair, client, "Orders", "n > 5", 1);
    assert_eq!(pull(&mut pair, client, 0, 2).bodies(), ["1"]);
}

#[test]
fn an_expression_that_becomes_wrong_stops_the_group_until_it_is_right_again() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1", "7"]);
    beat(&mut pair, client, "Orders", "n > 5", 1);
    beat(&mut pair, client, "Orders", "n > > 5", 2);
    pull(&mut pair, client, 0, 2).expect(ResponseCode::FilterDataNotExist);
    beat(&mut pair, client, "Orders", "n >= 1", 3);
    assert_eq!(pull(&mut pair, client, 0, 3).bodies(), ["1", "7"]);
}

#[test]
fn an_expression_of_its_own_that_cannot_be_read_is_refused() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    for expression in ["n >", "", "n = 0.0", "5"] {
        let refused = pull_matching(&mut pair, client, expression).expect(ResponseCode::SubscriptionParseFailed);
        assert_eq!(refused.remark.as_deref(), Some("parse the consumer's subscription failed"), "{expression}");
    }
    let odd = Pull { language: "XPATH", ..Pull::new("readers", "Orders", 0).tagged("//n") };
    client.pull(&mut pair.cluster, pair.broker, &odd).expect(ResponseCode::SubscriptionParseFailed);
}

#[test]
fn a_consumer_hears_at_its_start_what_is_wrong_with_its_expression() {
    let (mut pair, client) = scene();
    assert_eq!(check(&mut pair, client, "SQL92", "a BETWEEN 3 AND 9").0, 0);
    assert_eq!(check(&mut pair, client, "TAG", "||").0, 0);
    let refused = ResponseCode::SubscriptionParseFailed.code();
    let remark = "java.lang.RuntimeException: Value ''x'' cannot be compared.".to_owned();
    assert_eq!(check(&mut pair, client, "SQL92", "a > 'x' AND"), (refused, remark));
    assert_eq!(check(&mut pair, client, "XPATH", "//a").0, refused);
}

#[test]
fn a_broker_that_does_not_filter_says_so_at_the_start_and_at_each_pull() {
    let mut pair = Pair::new();
    let client = pair.client();
    let remark = "The broker does not support consumer to filter message by SQL92";
    assert_eq!(check(&mut pair, client, "SQL92", "a > 3"), (1, remark.to_owned()));
    send(&mut pair, client, &["1"]);
    beat(&mut pair, client, "Orders", "n > 5", 1);
    assert_eq!(pull(&mut pair, client, 0, 1).expect(ResponseCode::SystemError).remark.as_deref(), Some(remark));
    assert_eq!(pull_matching(&mut pair, client, "n > 5").expect(ResponseCode::SystemError).remark.as_deref(), Some(remark));
}

#[test]
fn an_expression_that_is_always_true_lets_everything_pass_and_one_that_never_is_nothing() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    assert_eq!(pull_matching(&mut pair, client, "1 = 1").bodies(), ["1"]);
    pull_matching(&mut pair, client, "1 = 2").expect(ResponseCode::PullRetryImmediately);
}

#[test]
fn retried_messages_are_judged_by_the_expression_for_their_topic_if_the_broker_is_told_to() {
    for (support, expected) in [(false, vec!["kept", "changed", "elsewhere"]), (true, vec!["kept", "elsewhere"])] {
        let mut pair = Pair::with(|config| {
            config.property_filter = true;
            config.filter_support_retry = support;
        });
        let client = pair.client();
        beat(&mut pair, client, "Orders", "n > 5", 1);
        for (body, n, topic) in [("kept", "7", "Orders"), ("changed", "3", "Orders"), ("elsewhere", "3", "Others")] {
            let properties = [("n", n), ("RETRY_TOPIC", topic)];
            let message = Message::new("%RETRY%readers", body);
            client.send(&mut pair.cluster, pair.broker, &message.with(&properties)).expect(ResponseCode::Success);
        }
        let retried = Pull::new("readers", "%RETRY%readers", 0).matching("RETRY_TOPIC IS NOT NULL");
        assert_eq!(client.pull(&mut pair.cluster, pair.broker, &retried).bodies(), expected, "filterSupportRetry={support}");
    }
}

/// When the filter of `readers` was first heard of, if the file that the broker has saved says it.
fn saved_filter(pair: &Pair) -> Option<i64> {
    let file: serde_json::Value = serde_json::from_slice(pair.cluster.saved(pair.broker, Table::ConsumerFilters)?).expect("JSON");
    let filter = &file["filterDataByTopic"]["Orders"]["groupFilterData"]["readers"];
    (filter["expression"] == "n > 5").then(|| filter["bornTime"].as_i64().expect("a moment"))
}

#[test]
fn filters_survive_a_restart_and_are_forgotten_a_day_after_their_group_has_left() {
    let (mut pair, client) = scene();
    beat(&mut pair, client, "Orders", "n > 5", 1);
    pair.cluster.advance(Millis::from_secs(11));
    let born = saved_filter(&pair).expect("it was saved");
    pair.restart_broker();
    let client = pair.client();
    beat(&mut pair, client, "Orders", "n > 5", 1);
    pair.cluster.advance(Millis::from_secs(11));
    assert_eq!(saved_filter(&pair), Some(born));
    client.disconnect(&mut pair.cluster, pair.broker);
    for _ in 0..23 {
        pair.cluster.advance(HOUR);
    }
    assert_eq!(saved_filter(&pair), Some(born));
    pair.cluster.advance(HOUR + Millis::from_secs(30));
    assert_eq!(saved_filter(&pair), None);
}

#[test]
fn the_operator_is_told_once_which_group_gets_nothing_and_why() {
    let (mut pair, client) = scene();
    for _ in 0..3 {
        beat(&mut pair, client, "Orders", "n >", 1);
    }
    let notices: Vec<String> = pair.cluster.notices(pair.broker).into_iter().filter(|text| text.contains("readers")).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("Orders") && notices[0].contains("Encountered"), "{notices:?}");
}

#[test]
fn each_group_with_the_same_wrong_expression_is_named_to_the_operator() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["7"]);
    pull_matching(&mut pair, client, "n >").expect(ResponseCode::SubscriptionParseFailed);
    beat(&mut pair, client, "Orders", "n >", 1);
    let other = pair.client();
    let heartbeat = Heartbeat::consumer("other", "writers", &[("Orders", "n >")]).in_sql(1);
    for _ in 0..3 {
        other.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    }
    let notices = pair.cluster.notices(pair.broker);
    let named =
        |group: &str| notices.iter().filter(|text| text.starts_with(&format!("group {group} gets nothing of topic Orders"))).count();
    assert_eq!((named("writers"), named("readers") > 0), (1, true), "{notices:?}");
}

#[test]
fn a_broker_that_can_keep_no_more_filters_says_so_to_its_operator() {
    let mut pair = Pair::with(|config| {
        config.property_filter = true;
        config.limits.filters.filters = 0;
    });
    let client = pair.client();
    send(&mut pair, client, &["7"]);
    beat(&mut pair, client, "Orders", "n > 5", 1);
    pull(&mut pair, client, 0, 1).expect(ResponseCode::FilterDataNotExist);
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("can take no more")));
}

#[test]
fn an_expression_that_is_too_long_is_refused_with_its_length() {
    let (mut pair, client) = scene();
    send(&mut pair, client, &["1"]);
    let expression = format!("n = '{}'", "x".repeat(16 << 10));
    let text = "an expression of 16390 bytes is beyond the limit of 16384".to_owned();
    assert_eq!(check(&mut pair, client, "SQL92", &expression), (ResponseCode::SubscriptionParseFailed.code(), text));
    pull_matching(&mut pair, client, &expression).expect(ResponseCode::SubscriptionParseFailed);
}
