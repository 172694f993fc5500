//! The counts of undecided half messages by topic: `config/transactionMetrics`.

use petrel_tests::{
    client::TestClient,
    pair::{Pair, TestBroker},
    requests::Message,
};
use proto_core::{
    bodies::{TransactionMetric, TransactionMetricsSerializeWrapper},
    code::{RequestCode, ResponseCode},
    ids::OffsetMessageId,
    json,
};
use route_core::{Millis, output::Table};

/// Longer than `transactionMetricFlushInterval`.
const FLUSHED: Millis = Millis(10_100);

/// Sends a half message, and answers its offset and place.
fn begin(pair: &mut Pair, client: TestClient, topic: &str, key: &str) -> (i64, i64) {
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", key)];
    let message = Message::new(topic, key).with(&properties);
    let answer = client.send(&mut pair.cluster, pair.broker, &message).expect(ResponseCode::Success);
    let id = OffsetMessageId::parse(answer.field("msgId")).expect("a message id");
    (answer.number("queueOffset"), id.offset)
}

fn end(pair: &mut Pair, client: TestClient, (offset, place): (i64, i64), word: &str) {
    let fields = [
        ("producerGroup", "payers"),
        ("tranStateTableOffset", &offset.to_string()),
        ("commitLogOffset", &place.to_string()),
        ("commitOrRollback", word),
        ("fromTransactionCheck", "false"),
        ("msgId", "K"),
    ];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::EndTransaction, &fields).expect(ResponseCode::Success);
}

/// What the file says.
fn file(pair: &Pair) -> TransactionMetricsSerializeWrapper {
    json::from_slice(pair.cluster.saved(pair.broker, Table::TransactionMetrics).expect("a saved table")).expect("JSON")
}

fn count(pair: &Pair, topic: &str) -> Option<i64> {
    file(pair).transaction_count.get(topic).map(|metric| metric.count)
}

fn metric(pair: &mut Pair, topic: &str) -> Option<TransactionMetric> {
    pair.cluster.machine::<TestBroker>(pair.broker).transaction_metrics().get(topic)
}

#[test]
fn what_is_undecided_of_each_topic_is_saved_after_the_interval_with_a_version_for_each_change() {
    let mut pair = Pair::new();
    let client = pair.client();
    let [first, second, _] = ["one", "two", "three"].map(|key| begin(&mut pair, client, "Orders", key));
    begin(&mut pair, client, "Payments", "four");
    assert!(pair.cluster.saved(pair.broker, Table::TransactionMetrics).is_none());
    pair.cluster.advance(FLUSHED);
    assert_eq!((count(&pair, "Orders"), count(&pair, "Payments"), file(&pair).data_version.counter), (Some(3), Some(1), 4));
    end(&mut pair, client, first, "8");
    end(&mut pair, client, second, "12");
    pair.cluster.advance(FLUSHED);
    assert_eq!((count(&pair, "Orders"), file(&pair).data_version.counter), (Some(1), 6));
    assert!(file(&pair).transaction_count["Orders"].time_stamp > file(&pair).transaction_count["Payments"].time_stamp);
}

#[test]
fn copies_of_a_half_message_and_second_words_are_counted_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    begin(&mut pair, client, "Orders", "one");
    let again = begin(&mut pair, client, "Orders", "one");
    assert_eq!(metric(&mut pair, "Orders").map(|metric| metric.count), Some(1));
    end(&mut pair, client, again, "8");
    let (offset, place) = again;
    let fields = [
        ("producerGroup", "payers"),
        ("tranStateTableOffset", &*offset.to_string()),
        ("commitLogOffset", &*place.to_string()),
        ("commitOrRollback", "12"),
        ("msgId", "K"),
    ];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::EndTransaction, &fields).expect(ResponseCode::SystemError);
    assert_eq!(metric(&mut pair, "Orders").map(|metric| metric.count), Some(0));
}

#[test]
fn after_a_restart_the_log_tells_what_is_undecided_and_the_file_since_when() {
    let mut pair = Pair::new();
    let client = pair.client();
    let [first, ..] = ["one", "two", "three"].map(|key| begin(&mut pair, client, "Orders", key));
    begin(&mut pair, client, "Payments", "four");
    pair.cluster.advance(FLUSHED);
    let saved = file(&pair);
    // What is decided now is not saved before the process dies.
    end(&mut pair, client, first, "8");
    pair.restart_broker();
    assert_eq!(metric(&mut pair, "Payments"), saved.transaction_count.get("Payments").copied());
    let orders = metric(&mut pair, "Orders").expect("a count");
    assert!(orders.count == 2 && orders.time_stamp > saved.transaction_count["Orders"].time_stamp, "{orders:?}");
    pair.cluster.advance(FLUSHED);
    assert_eq!((count(&pair, "Orders"), file(&pair).data_version.counter), (Some(2), 5));
}

#[test]
fn a_restart_without_the_file_counts_from_the_log_alone() {
    let mut pair = Pair::new();
    let client = pair.client();
    begin(&mut pair, client, "Orders", "one");
    pair.restart_broker_without_tables();
    assert_eq!(metric(&mut pair, "Orders").map(|metric| metric.count), Some(1));
}
