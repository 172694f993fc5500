use std::net::SocketAddr;

use super::*;
use crate::filter::tags::TagFilter;

fn at(secs: u64) -> Now {
    Now { mono: Millis::from_secs(secs), ..Now::default() }
}

fn peer(id: u64) -> Peer {
    Peer { id: PeerId(id), addr: SocketAddr::from(([127, 0, 0, 1], 40_000)), from_here: false }
}

fn client(id: &str) -> Client<'_> {
    Client { id, language: None, version: 513 }
}

fn wants(topic: &str, expression: &str, version: i64) -> SubscriptionData {
    let mut data = proto_core::subscription::tag_subscription(topic, Some(expression)).unwrap();
    data.sub_version = version;
    data
}

fn registration<'a>(group: &'a str, subscriptions: Vec<SubscriptionData>) -> Registration<'a> {
    Registration {
        group,
        consume_type: ConsumeType::ConsumePassively,
        message_model: MessageModel::Clustering,
        consume_from_where: ConsumeFromWhere::ConsumeFromLastOffset,
        subscriptions: Some(subscriptions),
        fingerprint: 0,
        notify: true,
    }
}

fn table() -> ConsumerTable {
    ConsumerTable::new(
        MemberLimits { members: 100, bytes: 100_000 },
        Millis::from_secs(120),
        SubscriptionLimits { bytes: 20_000, bytes_of_peer: 10_000 },
    )
}

/// A table in which connections 1 and 2 consume `T` as group `G`, all notifications sent.
fn two_members() -> ConsumerTable {
    let mut consumers = table();
    for id in [1, 2] {
        consumers.register(at(0), peer(id), client(&format!("c{id}")), registration("G", vec![wants("T", "*", 1)])).unwrap();
    }
    notified(&mut consumers);
    consumers
}

fn notified(consumers: &mut ConsumerTable) -> Vec<u64> {
    let mut told: Vec<_> = std::iter::from_fn(|| consumers.poll_notification()).map(|(peer, _)| peer.0).collect();
    told.sort_unstable();
    told
}

#[test]
fn a_new_member_is_told_to_all_members_itself_included() {
    let mut consumers = table();
    consumers.register(at(0), peer(1), client("c1"), registration("G", vec![])).unwrap();
    assert_eq!(notified(&mut consumers), [1]);
    consumers.register(at(0), peer(2), client("c2"), registration("G", vec![])).unwrap();
    assert_eq!(notified(&mut consumers), [1, 2]);
}

#[test]
fn a_heartbeat_with_nothing_new_tells_nobody() {
    let mut consumers = two_members();
    consumers.register(at(30), peer(1), client("c1"), registration("G", vec![wants("T", "*", 1)])).unwrap();
    assert!(notified(&mut consumers).is_empty());
}

#[test]
fn topics_that_come_or_go_are_told() {
    let mut consumers = two_members();
    let both = vec![wants("T", "*", 1), wants("U", "*", 1)];
    consumers.register(at(1), peer(1), client("c1"), registration("G", both)).unwrap();
    assert_eq!(notified(&mut consumers), [1, 2]);
    consumers.register(at(2), peer(1), client("c1"), registration("G", vec![wants("U", "*", 1)])).unwrap();
    assert_eq!(notified(&mut consumers), [1, 2]);
    assert!(consumers.group("G").unwrap().subscription("T").is_none());
}

#[test]
fn a_newer_subscription_replaces_an_older_one_without_a_word() {
    let mut consumers = two_members();
    consumers.register(at(1), peer(1), client("c1"), registration("G", vec![wants("T", "A", 5)])).unwrap();
    consumers.register(at(2), peer(2), client("c2"), registration("G", vec![wants("T", "B", 4)])).unwrap();
    assert!(notified(&mut consumers).is_empty());
    let subscription = consumers.group("G").unwrap().subscription("T").unwrap();
    assert_eq!(subscription.data().sub_string.as_deref(), Some("A"));
}

#[test]
fn who_remains_is_told_of_a_departure() {
    let mut consumers = two_members();
    consumers.unregister("G", PeerId(1));
    assert_eq!(notified(&mut consumers), [2]);
    consumers.handle_disconnected(PeerId(2));
    assert!(notified(&mut consumers).is_empty());
    assert!(consumers.group("G").is_none());
}

#[test]
fn a_departure_from_a_group_that_one_is_not_in_tells_nobody() {
    let mut consumers = two_members();
    consumers.unregister("G", PeerId(3));
    consumers.handle_disconnected(PeerId(3));
    assert!(notified(&mut consumers).is_empty());
}

#[test]
fn several_changes_between_two_polls_are_told_once() {
    let mut consumers = table();
    for id in 1..=3 {
        consumers.register(at(0), peer(id), client("c"), registration("G", vec![])).unwrap();
    }
    assert_eq!(notified(&mut consumers), [1, 2, 3]);
}

#[test]
fn nobody_is_told_who_is_gone_before_its_turn() {
    let mut consumers = two_members();
    consumers.register(at(1), peer(3), client("c3"), registration("G", vec![wants("T", "*", 1)])).unwrap();
    let (first, _) = consumers.poll_notification().unwrap();
    assert_eq!(first, PeerId(1));
    consumers.handle_disconnected(PeerId(2));
    assert_eq!(notified(&mut consumers), [1, 3, 3], "the rest of the round, then the round of the departure");
}

#[test]
fn broadcasting_groups_and_those_that_want_no_word_get_none() {
    let mut consumers = table();
    let broadcasting = Registration { message_model: MessageModel::Broadcasting, ..registration("B", vec![]) };
    consumers.register(at(0), peer(1), client("c"), broadcasting).unwrap();
    let quiet = Registration { notify: false, ..registration("Q", vec![]) };
    consumers.register(at(0), peer(1), client("c"), quiet).unwrap();
    consumers.handle_disconnected(PeerId(1));
    assert!(notified(&mut consumers).is_empty());
}

#[test]
fn silence_of_two_minutes_drops_a_member_and_tells_the_others() {
    let mut consumers = two_members();
    consumers.register(at(100), peer(2), client("c2"), registration("G", vec![wants("T", "*", 1)])).unwrap();
    assert_eq!(consumers.handle_timeout(at(130)), [PeerId(1)]);
    assert_eq!(notified(&mut consumers), [2]);
    assert_eq!(consumers.handle_timeout(at(230)), [PeerId(2)]);
    assert!(consumers.group("G").is_none());
}

#[test]
fn a_client_with_two_connections_is_listed_once() {
    let mut consumers = table();
    for (id, name) in [(1, "a"), (2, "b"), (3, "a")] {
        consumers.register(at(0), peer(id), client(name), registration("G", vec![])).unwrap();
    }
    assert_eq!(consumers.client_ids("G"), ["a".into(), "b".into()]);
    assert!(consumers.client_ids("H").is_empty());
}

#[test]
fn groups_are_found_by_topic() {
    let mut consumers = two_members();
    consumers.register(at(0), peer(1), client("c1"), registration("H", vec![wants("U", "*", 1)])).unwrap();
    assert_eq!(consumers.groups_of("T").collect::<Vec<_>>(), ["G"]);
    assert_eq!(consumers.groups_of("U").collect::<Vec<_>>(), ["H"]);
}

#[test]
fn a_client_without_fingerprints_always_sends_all_it_has() {
    let mut consumers = table();
    let registered = consumers.register(at(0), peer(1), client("c"), registration("G", vec![])).unwrap();
    assert!(registered.resend_subscriptions);
}

#[test]
fn subscriptions_are_wanted_again_when_their_fingerprint_changes() {
    let mut consumers = table();
    let mut beat = |fingerprint, subscriptions| {
        let registration = Registration { fingerprint, subscriptions, ..registration("G", vec![]) };
        consumers.register(at(0), peer(1), client("c"), registration).unwrap().resend_subscriptions
    };
    assert!(!beat(7, Some(vec![wants("T", "*", 1)])));
    assert!(!beat(7, None));
    assert!(beat(8, Some(vec![wants("T", "A", 2)])));
    assert!(!beat(8, None));
    assert!(consumers.group("G").unwrap().subscription("T").is_some(), "what is left out stays");
}

#[test]
fn a_broker_that_knows_no_subscriptions_asks_for_them() {
    let mut consumers = table();
    let short = Registration { fingerprint: 7, subscriptions: None, ..registration("G", vec![]) };
    assert!(consumers.register(at(0), peer(1), client("c"), short).unwrap().resend_subscriptions);
}

#[test]
fn a_group_with_too_many_subscriptions_is_refused_whole() {
    let mut consumers = table();
    let many = vec![wants("T", "*", 1); SUBSCRIPTIONS_LIMIT + 1];
    let refused = consumers.register(at(0), peer(1), client("c"), registration("G", many));
    assert_eq!(refused, Err(RegisterError::Subscriptions(SUBSCRIPTIONS_LIMIT + 1)));
    assert!(consumers.group("G").is_none());
}

#[test]
fn a_heartbeat_with_more_tags_than_may_be_kept_is_refused_whole_and_what_was_kept_stays() {
    let mut consumers = table();
    consumers.register(at(0), peer(1), client("c"), registration("G", vec![wants("T", "A", 1)])).unwrap();
    let tags = "A".repeat(4_000);
    let refused = consumers.register(at(0), peer(1), client("c"), registration("G", vec![wants("T", &tags, 2)]));
    assert!(matches!(refused, Err(RegisterError::NoRoom(NoRoom::OfPeer { taken: 0, limit: 10_000, .. }))), "{refused:?}");
    assert_eq!(consumers.group("G").unwrap().subscription("T").unwrap().data().sub_version, 1);
}

#[test]
fn a_group_that_has_left_makes_room_for_others() {
    let mut consumers = table();
    let tags = "A".repeat(2_000);
    let mut beat = |group, id| consumers.register(at(0), peer(id), client("c"), registration(group, vec![wants("T", &tags, 1)]));
    beat("G", 1).unwrap();
    assert!(beat("H", 1).is_err());
    beat("H", 2).unwrap();
    assert!(matches!(beat("I", 3), Err(RegisterError::NoRoom(NoRoom::InAll { .. }))));
    consumers.handle_disconnected(PeerId(1));
    consumers.register(at(0), peer(3), client("c"), registration("I", vec![wants("T", &tags, 1)])).unwrap();
}

#[test]
fn an_expression_of_another_type_passes_nothing() {
    let data = SubscriptionData { expression_type: Some("SQL92".into()), ..wants("T", "*", 1) };
    assert_eq!(Subscription::new(data).filter(), Some(&TagFilter::nothing()));
}
