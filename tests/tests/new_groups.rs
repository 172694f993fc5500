//! Where a group begins in a topic that it has never read: what clients ask for each of their three wishes, and what becomes of it. And what
//! remains of a group that an operator deletes or sets to another moment.

use petrel_tests::{
    TestClient,
    packet::{Fields, Packet},
    pair::Pair,
    requests::{Heartbeat, Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, output::Table};

/// A topic with three messages of different seconds in its first queue, and the time of the second one.
fn scene() -> (Pair, TestClient, i64) {
    let mut pair = Pair::new();
    let client = pair.client();
    let mut second = 0;
    for body in ["1", "2", "3"] {
        pair.cluster.advance(Millis::from_secs(1));
        if body == "2" {
            second = pair.cluster.now().wall.0;
        }
        client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", body)).expect(ResponseCode::Success);
    }
    (pair, client, second)
}

fn offset(pair: &mut Pair, client: TestClient, code: RequestCode, more: &[(&str, &str)]) -> i64 {
    let fields = [&[("topic", "Orders"), ("queueId", "0")], more].concat();
    client.ask(&mut pair.cluster, pair.broker, code, &fields).expect(ResponseCode::Success).number("offset")
}

fn read_from(pair: &mut Pair, client: TestClient, from: i64) -> Vec<String> {
    client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", from)).bodies()
}

/// Where the broker says that a group is; `None` leaves it to the client.
fn known(pair: &mut Pair, client: TestClient) -> Option<i64> {
    let fields = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", "0"), ("setZeroIfNotFound", "false")];
    let answer = client.ask(&mut pair.cluster, pair.broker, RequestCode::QueryConsumerOffset, &fields);
    (answer.code == 0).then(|| answer.number("offset"))
}

#[test]
fn a_group_that_wants_the_first_offset_begins_with_the_oldest_message() {
    let (mut pair, client, _) = scene();
    assert_eq!(known(&mut pair, client), None, "a new group is none of the broker's business");
    let first = offset(&mut pair, client, RequestCode::GetMinOffset, &[]);
    assert_eq!(read_from(&mut pair, client, first), ["1", "2", "3"]);
}

#[test]
fn a_group_that_wants_the_last_offset_begins_with_what_comes_next() {
    let (mut pair, client, _) = scene();
    let last = offset(&mut pair, client, RequestCode::GetMaxOffset, &[]);
    assert_eq!(read_from(&mut pair, client, last), [""; 0]);
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "4")).expect(ResponseCode::Success);
    assert_eq!(read_from(&mut pair, client, last), ["4"]);
}

#[test]
fn a_group_that_wants_a_moment_begins_with_the_first_message_since_then() {
    let (mut pair, client, second) = scene();
    for (at, bodies) in [(second, &["2", "3"][..]), (second + 500, &["3"]), (0, &["1", "2", "3"])] {
        let from = offset(&mut pair, client, RequestCode::SearchOffsetByTimestamp, &[("timestamp", &at.to_string())]);
        assert_eq!(read_from(&mut pair, client, from), bodies, "since {at}");
    }
}

fn commit(pair: &mut Pair, client: TestClient, offset: &str) {
    read_from(pair, client, 0);
    let fields = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", "0"), ("commitOffset", offset)];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &fields).expect(ResponseCode::Success);
}

fn delete(pair: &mut Pair, client: TestClient, clean_offset: &str) {
    let fields = [("groupName", "readers"), ("cleanOffset", clean_offset)];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::DeleteSubscriptiongroup, &fields).expect(ResponseCode::Success);
}

#[test]
fn a_group_that_is_deleted_with_its_offsets_is_new_again_and_nothing_of_it_is_left_on_disk() {
    let (mut pair, client, _) = scene();
    commit(&mut pair, client, "2");
    delete(&mut pair, client, "true");
    assert_eq!(known(&mut pair, client), None);
    let saved = pair.cluster.saved(pair.broker, Table::ConsumerOffsets).expect("what was removed is saved at once");
    assert!(!String::from_utf8_lossy(saved).contains("readers"));
}

#[test]
fn a_group_that_is_deleted_without_its_offsets_goes_on_where_it_was() {
    let (mut pair, client, _) = scene();
    commit(&mut pair, client, "2");
    delete(&mut pair, client, "false");
    assert_eq!(known(&mut pair, client), Some(2));
    let read = read_from(&mut pair, client, 2);
    assert_eq!(read, ["3"], "who still consumes makes the group again");
}

#[test]
fn traces_of_clients_are_messages_like_others_with_a_topic_from_the_start_or_without() {
    for topic in [None, Some("RMQ_SYS_TRACE_TOPIC"), Some("MyTraces")] {
        let mut pair = Pair::with(|config| config.trace_topic = topic.map(Into::into));
        let client = pair.client();
        let name = topic.unwrap_or("RMQ_SYS_TRACE_TOPIC");
        assert_eq!(pair.route(client, name).code == 0, topic.is_some(), "{topic:?}");
        client.send(&mut pair.cluster, pair.broker, &Message::new(name, "Pub\u{1}1700000000000")).expect(ResponseCode::Success);
        let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", name, 0));
        assert_eq!(pulled.bodies(), ["Pub\u{1}1700000000000"], "{topic:?}");
    }
}

/// An operator sets the group to a moment.
fn reset(pair: &mut Pair, client: TestClient, at: i64) -> Packet {
    let at = at.to_string();
    let fields = [("group", "readers"), ("topic", "Orders"), ("timestamp", &*at), ("isForce", "true")];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::InvokeBrokerToResetOffset, &fields)
}

fn join(pair: &mut Pair, client: TestClient) {
    let heartbeat = Heartbeat::consumer("c1", "readers", &[("Orders", "*")]);
    client.heartbeat(&mut pair.cluster, pair.broker, &heartbeat).expect(ResponseCode::Success);
    while client.next_request(&mut pair.cluster).is_some() {}
}

#[test]
fn a_group_that_is_away_finds_itself_at_the_moment_that_it_was_set_to() {
    let (mut pair, client, second) = scene();
    commit(&mut pair, client, "3");
    reset(&mut pair, client, second).expect(ResponseCode::Success);
    assert_eq!(known(&mut pair, client), Some(1));
    let sent = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 3)).expect(ResponseCode::PullOffsetMoved);
    assert_eq!(sent.number("nextBeginOffset"), 1, "whoever comes with an old offset is sent there");
    assert_eq!(read_from(&mut pair, client, 1), ["2", "3"]);
}

#[test]
fn a_group_at_work_is_sent_to_the_moment_by_its_next_pull_and_commits_of_before_count_no_more() {
    let (mut pair, client, second) = scene();
    join(&mut pair, client);
    commit(&mut pair, client, "3");
    let waiting = client.post_pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 3).held_for(20_000));
    pair.cluster.advance(Millis(100));
    reset(&mut pair, client, second).expect(ResponseCode::Success);
    let sent = client.answer(&mut pair.cluster, waiting).expect("the pull that waited is sent on its way at once");
    assert_eq!((sent.code, sent.number("nextBeginOffset")), (ResponseCode::PullOffsetMoved.code(), 1));
    assert!(client.next_request(&mut pair.cluster).is_none(), "no request is needed for it");
}

#[test]
fn with_the_way_of_older_brokers_each_member_is_told_where_to_go() {
    let (mut pair, client, second) = scene();
    let code = RequestCode::UpdateBrokerConfig.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), b"useServerSideResetOffset=false\n").expect(ResponseCode::Success);
    commit(&mut pair, client, "3");
    for queue in ["1", "2", "3"] {
        let fields = [("consumerGroup", "readers"), ("topic", "Orders"), ("queueId", queue), ("commitOffset", "0")];
        client.ask(&mut pair.cluster, pair.broker, RequestCode::UpdateConsumerOffset, &fields).expect(ResponseCode::Success);
    }
    let away = reset(&mut pair, client, second).expect(ResponseCode::ConsumerNotOnline);
    assert!(away.remark.as_deref().is_some_and(|remark| remark.starts_with("Consumer not online")), "{away:?}");
    join(&mut pair, client);
    reset(&mut pair, client, second).expect(ResponseCode::Success);
    let told = client.next_request(&mut pair.cluster).expect("the member is told");
    assert_eq!((told.code, told.field("topic"), told.field("group")), (RequestCode::ResetConsumerClientOffset.code(), "Orders", "readers"));
    assert!(told.text().contains(r#""queueId":0,"topic":"Orders"}:1"#), "{}", told.text());
}
