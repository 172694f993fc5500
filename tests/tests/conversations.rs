//! Conversations recorded between the Java client and Java: the same words get the same answers here.

use petrel_tests::{
    conversation::{Conversation, recorded_broker},
    pair::Pair,
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::Millis;

/// The settings under which the Java client was recorded.
fn recorded_pair() -> Pair {
    Pair::with(|config| {
        config.address = recorded_broker();
        config.delay_levels = "1s 2s 2s 3s 4s 5s 6s 7s 8s 9s 10s 20s 30s 40s 50s 1m 1h 2h".into();
    })
}

#[track_caller]
fn replay(name: &str, pair: Pair) {
    compare(name, &Conversation::read(name), pair);
}

#[track_caller]
fn compare(name: &str, conversation: &Conversation, mut pair: Pair) {
    let differences = conversation.replay(&mut pair.cluster, pair.names, pair.broker);
    assert!(differences.is_empty(), "{name} differs from Java:\n{differences}");
}

#[test]
fn a_producer_hears_what_java_says() {
    let mut pair = recorded_pair();
    // The one was recorded after the other, with its messages in the topic.
    for name in ["producer-ipv6-uniqkey", "producer"] {
        let differences = Conversation::read(name).replay(&mut pair.cluster, pair.names, pair.broker);
        assert!(differences.is_empty(), "{name} differs from Java:\n{differences}");
    }
}

#[test]
fn a_broker_hears_from_a_name_server_what_java_says() {
    let mut pair = Pair::new();
    pair.cluster.kill(pair.broker);
    let order = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "CapAdmFifo"), ("value", "broker-a:2")];
    pair.client().ask(&mut pair.cluster, pair.names, RequestCode::PutKvConfig, &order).expect(ResponseCode::Success);
    let differences = Conversation::read("broker-namesrv").replay(&mut pair.cluster, pair.names, pair.names);
    assert!(differences.is_empty(), "the name server differs from Java:\n{differences}");
}

#[test]
fn the_admin_tool_hears_what_java_says() {
    replay("admin", recorded_pair());
}

#[test]
fn an_operator_who_looks_at_a_consumer_hears_what_java_says() {
    replay("admin-looks", recorded_pair());
}

#[test]
fn clients_with_binary_headers_hear_what_java_says() {
    replay("producer-binary", recorded_pair());
    replay("push-consumer-binary", recorded_pair());
}

#[test]
fn members_that_come_and_go_hear_what_java_says() {
    let name = "push-consumer-rebalance";
    compare(name, &Conversation::read(name).with_late_wakings(), recorded_pair());
}

#[test]
fn a_push_consumer_hears_what_java_says() {
    replay("push-consumer", recorded_pair());
}

#[test]
fn a_consumer_that_filters_by_sql_hears_what_java_says() {
    let pair = Pair::with(|config| {
        config.address = recorded_broker();
        config.property_filter = true;
    });
    replay("push-consumer-sql92", pair);
}

#[test]
fn a_producer_with_transactions_hears_what_java_says() {
    let pair = Pair::with(|config| {
        config.address = recorded_broker();
        config.transaction_timeout = Millis(3000);
        config.transaction_check_interval = Millis(3000);
    });
    replay("transaction", pair);
}

#[test]
fn a_pull_consumer_hears_what_java_says() {
    replay("pull-consumer", recorded_pair());
}

#[test]
fn a_lite_pull_consumer_hears_what_java_says() {
    replay("lite-pull-consumer", recorded_pair());
}

#[test]
fn an_orderly_consumer_hears_what_java_says() {
    replay("orderly", recorded_pair());
}

#[test]
fn broadcasting_consumers_hear_what_java_says() {
    replay("broadcasting", recorded_pair());
}

#[test]
fn a_consumer_that_fails_hears_what_java_says() {
    replay("retry-dlq", recorded_pair());
}

#[test]
fn a_producer_of_delayed_and_timed_messages_hears_what_java_says() {
    let pair = Pair::with(|config| {
        config.address = recorded_broker();
        config.delay_levels = "1s 2s 2s 3s 4s 5s 6s 7s 8s 9s 10s 20s 30s 40s 50s 1m 1h 2h".into();
        config.recall = true;
    });
    replay("delay", pair);
}

#[test]
fn clients_that_ask_and_reply_hear_what_java_says() {
    replay("request-reply", recorded_pair());
}

/// The settings under which the other clients were recorded.
fn plain_pair() -> Pair {
    Pair::with(|config| config.address = recorded_broker())
}

#[test]
fn an_orderly_consumer_in_cpp_hears_what_java_says() {
    replay("cpp-client-orderly", plain_pair());
}

#[test]
fn a_cpp_client_with_delayed_messages_hears_what_java_says() {
    replay("cpp-client-delay", plain_pair());
}

#[test]
fn a_node_client_that_fails_hears_what_java_says() {
    compare("node-client-redelivery", &Conversation::read("node-client-redelivery").with_keys_by_broker(), plain_pair());
}
