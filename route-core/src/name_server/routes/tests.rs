//! The rules of registration, departure and look-up, one by one.

use std::sync::Arc;

use proto_core::bodies::{BrokerData, DataVersion, QueueData, TopicQueueMappingInfo, TopicRouteData};

use super::{
    BrokerAddrInfo, MinBrokerIdChange, RouteLimits, RouteTable, TopicQueues,
    lists::UnitTopics,
    pick_up::keep_zone,
    register::{Master, Refused, Registered, Registration},
};

const LIMITS: RouteLimits = RouteLimits { brokers: 100, topic_entries: 100 };
const RW: TopicQueues = TopicQueues { read_queue_nums: 4, write_queue_nums: 4, perm: 6, topic_sys_flag: 0 };

fn info(addr: &str) -> BrokerAddrInfo {
    BrokerAddrInfo { cluster_name: "C".into(), broker_addr: addr.into() }
}

fn version(counter: i64) -> DataVersion {
    DataVersion { counter, ..DataVersion::default() }
}

/// A master `b` at `addr` with topics `T` and `U`, from before acting masters.
fn master(addr: &str) -> Registration<'static> {
    Registration {
        info: info(addr),
        broker_name: "b",
        broker_id: 0,
        ha_server_addr: "ha:1",
        zone_name: None,
        enable_acting_master: None,
        data_version: version(0),
        topics: vec![("T", RW), ("U", RW)],
        mappings: Vec::new(),
        filter_servers: None,
    }
}

/// A slave of `b` that may act for it.
fn slave(addr: &str, broker_id: i64) -> Registration<'static> {
    Registration { broker_id, enable_acting_master: Some(true), ..master(addr) }
}

fn acting_master(addr: &str) -> Registration<'static> {
    Registration { enable_acting_master: Some(true), ..master(addr) }
}

fn table(registrations: impl IntoIterator<Item = Registration<'static>>) -> RouteTable {
    let mut table = RouteTable::new(LIMITS);
    for registration in registrations {
        table.register(registration, false).expect("it is taken");
    }
    table
}

fn route(table: &RouteTable, topic: &str) -> TopicRouteData {
    table.pick_up(topic, false).expect("it has a route")
}

fn addrs(broker: &BrokerData) -> Vec<(i64, &str)> {
    broker.broker_addrs.iter().map(|(id, addr)| (*id, addr.as_str())).collect()
}

fn perms(table: &RouteTable, topic: &str) -> Vec<i32> {
    route(table, topic).queue_datas.iter().map(|queues| queues.perm).collect()
}

#[test]
fn a_registered_master_is_found_by_its_topics() {
    let table = table([master("h:1")]);
    let route = route(&table, "T");
    assert_eq!(addrs(&route.broker_datas[0]), [(0, "h:1")]);
    let queues = QueueData { broker_name: "b".into(), read_queue_nums: 4, write_queue_nums: 4, perm: 6, topic_sys_flag: 0 };
    assert_eq!(route.queue_datas, [queues]);
    assert_eq!(table.pick_up("other", false), None);
}

#[test]
fn a_first_registration_with_exactly_one_topic_is_refused_and_leaves_no_trace() {
    let mut table = table([]);
    let one = Registration { topics: vec![("T", RW)], ..master("h:1") };
    assert_eq!(table.register(one, false), Err(Refused::Incremental));
    assert!(table.cluster_info().cluster_addr_table.is_empty());
    assert!(table.cluster_info().broker_addr_table.is_empty());
}

#[test]
fn a_first_registration_without_topics_opens_the_way_for_one_with_one() {
    let mut table = table([Registration { topics: Vec::new(), ..master("h:1") }]);
    table.register(Registration { topics: vec![("T", RW)], ..master("h:1") }, false).expect("it is known by now");
    assert_eq!(perms(&table, "T"), [6]);
}

#[test]
fn an_incremental_registration_adds_its_topic_and_keeps_the_others() {
    let mut table = table([master("h:1")]);
    let one = Registration { topics: vec![("New", RW)], data_version: version(1), ..master("h:1") };
    table.register(one, true).expect("it is known");
    assert_eq!(table.all_topics().topic_list, ["New", "T", "U"]);
}

#[test]
fn a_topic_that_is_left_out_stays_unless_the_operator_wants_it_gone() {
    let without_u = || Registration { topics: vec![("T", RW), ("V", RW)], data_version: version(1), ..master("h:1") };
    let mut kept = table([master("h:1")]);
    kept.register(without_u(), false).expect("it is known");
    assert_eq!(kept.all_topics().topic_list, ["T", "U", "V"]);
    let mut dropped = table([master("h:1")]);
    dropped.register(without_u(), true).expect("it is known");
    assert_eq!(dropped.all_topics().topic_list, ["T", "V"]);
}

#[test]
fn an_unchanged_data_version_changes_no_queues_but_fills_in_what_is_missing() {
    let mut table = table([master("h:1")]);
    table.delete_topic("U", None);
    let wider = TopicQueues { read_queue_nums: 8, ..RW };
    table.register(Registration { topics: vec![("T", wider), ("U", wider)], ..master("h:1") }, false).expect("it is known");
    assert_eq!(route(&table, "T").queue_datas[0].read_queue_nums, 4);
    assert_eq!(route(&table, "U").queue_datas[0].read_queue_nums, 8);
}

#[test]
fn a_changed_data_version_changes_queues() {
    let mut table = table([master("h:1")]);
    let wider = TopicQueues { read_queue_nums: 8, ..RW };
    let changed = Registration { topics: vec![("T", wider), ("U", RW)], data_version: version(1), ..master("h:1") };
    table.register(changed, false).expect("it is known");
    assert_eq!(route(&table, "T").queue_datas[0].read_queue_nums, 8);
}

#[test]
fn an_old_node_that_rejoins_as_master_does_not_overwrite_the_route_of_the_elected_one() {
    let of_state = |addr, state_version| Registration { data_version: DataVersion { state_version, ..version(0) }, ..master(addr) };
    let mut table = table([of_state("new:1", 2)]);
    let refused = table.register(of_state("old:1", 1), false);
    assert_eq!(refused, Err(Refused::Superseded { holder: "new:1".into(), held: 2, offered: 1 }));
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(0, "new:1")]);
    assert_eq!(table.data_version(&info("old:1")), None);
}

#[test]
fn a_node_with_a_newer_state_takes_the_id_over() {
    let of_state = |addr, state_version| Registration { data_version: DataVersion { state_version, ..version(0) }, ..master(addr) };
    let mut table = table([of_state("old:1", 1)]);
    let registered = table.register(of_state("new:1", 2), false).expect("it is newer");
    assert_eq!(registered.displaced.as_deref(), Some("old:1"));
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(0, "new:1")]);
}

#[test]
fn the_late_departure_of_a_displaced_node_leaves_the_new_one_alone() {
    let mut table = table([master("old:1"), master("new:1")]);
    assert_eq!(table.unregister(&[info("old:1")]), []);
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(0, "new:1")]);
}

#[test]
fn a_slave_that_becomes_master_at_the_same_address_is_no_slave_any_more() {
    let table = table([slave("h:1", 1), acting_master("h:1")]);
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(0, "h:1")]);
}

#[test]
fn an_address_that_comes_under_a_new_broker_name_leaves_its_old_one() {
    let mut table = table([master("h:1")]);
    let registered = table.register(Registration { broker_name: "renamed", ..master("h:1") }, false).expect("it is taken");
    assert!(registered.renamed);
    let names: Vec<_> = table.cluster_info().broker_addr_table.keys().cloned().collect();
    assert_eq!(names, ["renamed"]);
    assert_eq!(route(&table, "T").queue_datas.len(), 1);
}

#[test]
fn a_slave_is_told_of_its_master() {
    let mut table = table([master("h:1")]);
    let registered = table.register(Registration { broker_id: 1, ..master("h:2") }, false).expect("it is taken");
    assert_eq!(registered.master, Some(Master { master_addr: "h:1".into(), ha_server_addr: "ha:1".into() }));
}

#[test]
fn a_slave_without_a_master_is_told_of_none() {
    let mut table = table([]);
    assert_eq!(table.register(slave("h:2", 1), false), Ok(Registered::default()));
}

#[test]
fn topics_of_a_slave_count_only_if_it_may_act_and_is_the_lowest() {
    let mut table = table([slave("h:1", 1)]);
    assert_eq!(perms(&table, "T"), [4], "the lowest one is read only");
    let other = Registration { topics: vec![("X", RW), ("Y", RW)], ..slave("h:2", 2) };
    table.register(other, false).expect("it is taken");
    assert_eq!(table.pick_up("X", false), None);
    let old = Registration { broker_name: "old", enable_acting_master: None, ..slave("h:3", 1) };
    table.register(Registration { topics: vec![("O", RW), ("P", RW)], ..old }, false).expect("it is taken");
    assert_eq!(table.pick_up("O", false), None);
}

#[test]
fn the_last_member_takes_its_broker_and_topics_along() {
    let mut table = table([master("h:1")]);
    assert_eq!(table.unregister(&[info("h:1")]), []);
    assert_eq!(table.pick_up("T", false), None);
    assert!(table.all_topics().topic_list.is_empty());
    assert!(table.cluster_info().cluster_addr_table.is_empty());
    assert_eq!(table.topic_entries, 0);
}

#[test]
fn slaves_of_a_lost_master_stay_readable_and_are_not_written_to() {
    let mut table = table([acting_master("h:1"), slave("h:2", 1)]);
    table.unregister(&[info("h:1")]);
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(1, "h:2")]);
    assert_eq!(perms(&table, "T"), [4]);
}

#[test]
fn slaves_that_may_not_act_leave_permissions_as_they_are() {
    let mut table = table([master("h:1"), Registration { broker_id: 1, ..master("h:2") }]);
    table.unregister(&[info("h:1")]);
    assert_eq!(perms(&table, "T"), [6]);
}

#[test]
fn a_broker_whose_members_leave_together_is_gone() {
    let mut table = table([acting_master("h:1"), slave("h:2", 1)]);
    table.unregister(&[info("h:1"), info("h:2")]);
    assert!(table.cluster_info().broker_addr_table.is_empty());
    assert_eq!(table.pick_up("T", false), None);
}

#[test]
fn the_same_process_under_two_clusters_leaves_one_at_a_time() {
    let other = BrokerAddrInfo { cluster_name: "D".into(), ..info("h:1") };
    let mut table = table([master("h:1"), Registration { info: other.clone(), ..master("h:1") }]);
    table.unregister(&[info("h:1")]);
    assert_eq!(addrs(&route(&table, "T").broker_datas[0]), [(0, "h:1")]);
    table.unregister(&[other]);
    assert_eq!(table.pick_up("T", false), None);
}

#[test]
fn the_lowest_slave_is_shown_as_master_if_acting_masters_are_supported() {
    let mut table = table([acting_master("h:1"), slave("h:2", 1), slave("h:3", 2)]);
    table.unregister(&[info("h:1")]);
    assert_eq!(addrs(&table.pick_up("T", true).expect("a route").broker_datas[0]), [(0, "h:2"), (2, "h:3")]);
    assert_eq!(addrs(&table.pick_up("T", false).expect("a route").broker_datas[0]), [(1, "h:2"), (2, "h:3")]);
}

#[test]
fn members_see_each_other_as_they_are_even_with_an_acting_master() {
    let topic = "rmq_sys_SYNC_BROKER_MEMBER_b";
    let with = |registration: Registration<'static>| Registration { topics: vec![(topic, RW), ("T", RW)], ..registration };
    let mut table = table([with(acting_master("h:1")), with(slave("h:2", 1))]);
    table.unregister(&[info("h:1")]);
    assert_eq!(addrs(&table.pick_up(topic, true).expect("a route").broker_datas[0]), [(1, "h:2")]);
}

#[test]
fn the_others_hear_of_a_new_lowest_id() {
    let mut table = table([slave("h:2", 2), slave("h:3", 3)]);
    let registered = table.register(slave("h:1", 1), false).expect("it is taken");
    let change = registered.min_broker_id.expect("the lowest id has changed");
    assert_eq!((change.min_broker_id, &*change.min_broker_addr), (1, "h:1"));
    assert_eq!(change.ha_broker_addr.as_deref(), Some("ha:1"));
    assert_eq!(change.notify, ["h:2", "h:3"].map(Arc::from));
}

#[test]
fn who_stays_hears_of_the_departure_of_the_lowest_id() {
    let mut table = table([acting_master("h:1"), slave("h:2", 1), slave("h:3", 2)]);
    let change = MinBrokerIdChange {
        broker_name: "b".into(),
        min_broker_id: 1,
        min_broker_addr: "h:2".into(),
        offline_broker_addr: Some("h:1".into()),
        ha_broker_addr: None,
        notify: ["h:2", "h:3"].map(Arc::from).to_vec(),
    };
    assert_eq!(table.unregister(&[info("h:1")]), [change]);
    assert_eq!(table.unregister(&[info("h:3")]), []);
}

#[test]
fn wiped_write_permissions_come_back_with_a_changed_table_only() {
    let mut table = table([master("h:1")]);
    assert_eq!(table.wipe_write_perm("b"), 2);
    assert_eq!(perms(&table, "T"), [4]);
    table.register(master("h:1"), false).expect("it is known");
    assert_eq!(perms(&table, "T"), [4]);
    table.register(Registration { data_version: version(1), ..master("h:1") }, false).expect("it is known");
    assert_eq!(perms(&table, "T"), [6]);
}

#[test]
fn added_write_permissions_are_reading_and_writing_and_nothing_else() {
    let all = TopicQueues { perm: 7, ..RW };
    let mut table = table([Registration { topics: vec![("T", all), ("U", all)], ..master("h:1") }]);
    assert_eq!(table.add_write_perm("b"), 2);
    assert_eq!(perms(&table, "T"), [6]);
    assert_eq!(table.add_write_perm("other"), 0);
}

#[test]
fn a_topic_is_deleted_everywhere_or_in_one_cluster() {
    let elsewhere = BrokerAddrInfo { cluster_name: "D".into(), broker_addr: "h:9".into() };
    let mut table = table([master("h:1"), Registration { info: elsewhere, broker_name: "d", ..master("h:9") }]);
    table.delete_topic("T", Some("D"));
    assert_eq!(route(&table, "T").queue_datas.len(), 1);
    table.delete_topic("T", Some("unknown"));
    assert_eq!(route(&table, "T").queue_datas.len(), 1);
    table.delete_topic("U", None);
    assert_eq!(table.pick_up("U", false), None);
    assert_eq!(table.topic_entries, 1);
}

#[test]
fn a_single_topic_is_registered_on_known_brokers_only() {
    let mut table = table([master("h:1")]);
    let on = |name: &str| QueueData { broker_name: name.into(), read_queue_nums: 2, write_queue_nums: 2, perm: 6, topic_sys_flag: 0 };
    assert!(!table.register_topic("N", &[on("b"), on("unknown")]));
    assert_eq!(table.pick_up("N", false), None);
    assert!(table.register_topic("N", &[on("b")]));
    assert_eq!(route(&table, "N").queue_datas, [on("b")]);
}

#[test]
fn a_static_topic_carries_its_mapping_until_its_broker_goes() {
    let mapping: &'static TopicQueueMappingInfo = Box::leak(Box::default());
    let mut table =
        table([Registration { mappings: vec![("T", mapping)], ..master("h:1") }, Registration { broker_name: "c", ..master("h:2") }]);
    let mapped = |table: &RouteTable| route(table, "T").topic_queue_mapping_by_broker.map(|mappings| mappings.len());
    assert_eq!(mapped(&table), Some(1));
    table.unregister(&[info("h:1")]);
    assert_eq!(mapped(&table), None);
}

#[test]
fn filter_servers_are_shown_until_their_broker_says_that_there_are_none() {
    let with = |servers: Option<Vec<String>>| Registration { filter_servers: servers, ..master("h:1") };
    let mut table = table([with(Some(vec!["f:1".into()])), with(None)]);
    assert_eq!(route(&table, "T").filter_server_table["h:1"], ["f:1"]);
    table.register(with(Some(Vec::new())), false).expect("it is known");
    assert!(route(&table, "T").filter_server_table.is_empty());
}

#[test]
fn a_zone_keeps_its_own_brokers_and_those_without_a_master() {
    let zone = |addr, name, id, zone| Registration { broker_name: name, zone_name: Some(zone), broker_id: id, ..acting_master(addr) };
    let table = table([zone("h:1", "here", 0, "East"), zone("h:2", "there", 0, "west"), zone("h:3", "headless", 1, "west")]);
    let mut route = route(&table, "T");
    keep_zone(&mut route, "east");
    let names = |route: &TopicRouteData| route.broker_datas.iter().map(|broker| broker.broker_name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&route), ["headless", "here"]);
    assert_eq!(route.queue_datas.iter().map(|queues| &*queues.broker_name).collect::<Vec<_>>(), ["headless", "here"]);
}

#[test]
fn unit_topics_are_told_apart_by_their_flags() {
    let flagged = |topic_sys_flag| TopicQueues { topic_sys_flag, ..RW };
    let table = table([Registration {
        topics: vec![("none", RW), ("unit", flagged(1)), ("sub", flagged(2)), ("both", flagged(3))],
        ..master("h:1")
    }]);
    assert_eq!(table.unit_topics(UnitTopics::Unit).topic_list, ["both", "unit"]);
    assert_eq!(table.unit_topics(UnitTopics::UnitSub).topic_list, ["both", "sub"]);
    assert_eq!(table.unit_topics(UnitTopics::UnitSubUnunit).topic_list, ["sub"]);
}

#[test]
fn lists_name_clusters_brokers_and_their_topics() {
    let table = table([master("h:1")]);
    assert_eq!(table.topics_of_cluster("C").topic_list, ["T", "U"]);
    assert!(table.topics_of_cluster("unknown").topic_list.is_empty());
    let system = table.system_topics();
    assert_eq!((system.topic_list, system.broker_addr.as_deref()), (vec!["C".to_owned(), "b".to_owned()], Some("h:1")));
    assert_eq!(table.member_group("C", "b").broker_addrs[&0], "h:1");
    assert!(table.member_group("C", "unknown").broker_addrs.is_empty());
}

#[test]
fn full_tables_refuse_what_is_new_and_take_what_is_known() {
    let mut table = RouteTable::new(RouteLimits { brokers: 1, topic_entries: 2 });
    table.register(master("h:1"), false).expect("there is room");
    let second = Registration { broker_name: "c", topics: Vec::new(), ..master("h:2") };
    assert_eq!(table.register(second, false), Err(Refused::BrokersFull { limit: 1 }));
    let more = Registration { topics: vec![("T", RW), ("V", RW)], data_version: version(1), ..master("h:1") };
    assert_eq!(table.register(more, false), Err(Refused::TopicsFull { entries: 3, limit: 2 }));
    table.register(Registration { data_version: version(1), ..master("h:1") }, false).expect("nothing is new");
    let queues = QueueData { broker_name: "b".into(), ..QueueData::default() };
    assert!(!table.register_topic("V", std::slice::from_ref(&queues)));
    assert!(table.register_topic("T", std::slice::from_ref(&queues)));
}

#[test]
fn names_longer_than_any_real_one_are_refused() {
    let name: &'static str = Box::leak("n".repeat(256).into_boxed_str());
    let mut table = table([]);
    assert_eq!(table.register(Registration { broker_name: name, ..master("h:1") }, false), Err(Refused::NameTooLong { len: 256 }));
}
