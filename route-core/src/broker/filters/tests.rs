use super::*;
use crate::plugins::NoPlugins;

const AT: fn(i64) -> Timestamp = Timestamp;
const DAY: Millis = Millis::from_secs(24 * 3600);
const LIMITS: FilterLimits = FilterLimits { filters: 3, bytes: 100 };

fn table() -> FilterTable {
    FilterTable::new(LIMITS, BloomFilter::new(20, 32), DAY, Arc::new(NoPlugins))
}

fn wants(topic: &str, expression: &str, sub_version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: topic.into(),
        sub_string: Some(expression.into()),
        sub_version,
        expression_type: Some("SQL92".into()),
        ..SubscriptionData::default()
    }
}

/// The topic's expression and version, if anything is known of it.
fn known<'a>(table: &'a FilterTable, group: &str, topic: &str) -> Option<(&'a str, i64)> {
    table.get(group, topic).map(|filter| (&*filter.expression, filter.version))
}

#[test]
fn a_newer_expression_replaces_an_older_one_and_an_older_one_is_left_alone() {
    let mut table = table();
    assert!(table.register(AT(1), "G", &[wants("T", "a = 1", 10)]).is_empty());
    table.register(AT(2), "G", &[wants("T", "a = 2", 9)]);
    assert_eq!(known(&table, "G", "T"), Some(("a = 1", 10)));
    table.register(AT(3), "G", &[wants("T", "a = 2", 10)]);
    assert_eq!(known(&table, "G", "T"), Some(("a = 1", 10)));
    table.register(AT(4), "G", &[wants("T", "a = 2", 11)]);
    assert_eq!(known(&table, "G", "T"), Some(("a = 2", 11)));
}

#[test]
fn the_same_expression_in_a_newer_version_keeps_what_was_compiled() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10)]);
    let before = Arc::clone(table.get("G", "T").unwrap().filter());
    table.register(AT(2), "G", &[wants("T", "a = 1", 20)]);
    let after = table.get("G", "T").unwrap();
    assert!(Arc::ptr_eq(&before, after.filter()));
    assert_eq!((after.version(), after.born), (20, AT(1)));
}

#[test]
fn an_expression_that_cannot_be_read_takes_the_older_one_away_and_is_told_once() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10)]);
    let refused = table.register(AT(2), "G", &[wants("T", "a >", 11)]);
    assert!(matches!(&refused[..], [(topic, FilterError::Sql(_))] if topic == "T"));
    assert_eq!(known(&table, "G", "T"), None);
    assert!(table.register(AT(3), "G", &[wants("T", "a >", 11)]).is_empty());
}

#[test]
fn a_language_that_nobody_speaks_is_refused_and_tags_are_not_kept_here() {
    let mut table = table();
    let odd = SubscriptionData { expression_type: Some("XPATH".into()), ..wants("T", "//a", 1) };
    let refused = table.register(AT(1), "G", &[odd, SubscriptionData { expression_type: None, ..wants("U", "TagA", 1) }]);
    assert_eq!(refused, [("T".to_owned(), FilterError::UnknownType("XPATH".into()))]);
    assert_eq!((known(&table, "G", "T"), known(&table, "G", "U")), (None, None));
}

#[test]
fn what_a_group_wants_no_more_is_dead_and_comes_back_to_life() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10), wants("U", "a = 2", 10)]);
    table.register(AT(5), "G", &[wants("U", "a = 2", 10)]);
    assert_eq!(table.get("G", "T").unwrap().dead(), Some(AT(5)));
    assert_eq!(table.get("G", "U").unwrap().dead(), None);
    table.register(AT(6), "G", &[wants("T", "a = 1", 10), wants("U", "a = 2", 10)]);
    assert_eq!(table.get("G", "T").unwrap().dead(), None);
}

#[test]
fn a_topic_that_is_filtered_by_tags_from_now_on_wants_its_expression_no_more() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10)]);
    table.register(AT(2), "G", &[SubscriptionData { expression_type: Some("TAG".into()), ..wants("T", "TagA", 11) }]);
    assert_eq!(table.get("G", "T").unwrap().dead(), Some(AT(2)));
}

#[test]
fn a_group_that_is_gone_is_forgotten_after_a_day() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10)]);
    table.register(AT(1), "H", &[wants("T", "a = 1", 10)]);
    table.unregister(AT(100), "G");
    table.unregister(AT(200), "G");
    let day = i64::try_from(DAY.0).unwrap();
    table.clean(AT(99 + day));
    assert_eq!(table.get("G", "T").unwrap().dead(), Some(AT(100)));
    table.clean(AT(100 + day));
    assert!(table.get("G", "T").is_none() && table.get("H", "T").is_some());
}

#[test]
fn only_changes_make_a_save_necessary() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10)]);
    assert!(table.take_dirty());
    table.register(AT(2), "G", &[wants("T", "a = 1", 10)]);
    assert!(!table.take_dirty());
    table.unregister(AT(3), "G");
    assert!(table.take_dirty());
    table.unregister(AT(4), "G");
    table.clean(AT(5));
    assert!(!table.take_dirty());
}

#[test]
fn filters_and_their_bytes_have_limits_and_what_is_forgotten_makes_room() {
    let mut table = table();
    let long = format!("a = '{}'", "x".repeat(90));
    let refused = table.register(AT(1), "G", &[wants("T", "a = 1", 1), wants("U", &long, 1), wants("V", "a = 3", 1)]);
    assert_eq!(refused, [("U".to_owned(), FilterError::Full(1))]);
    table.register(AT(1), "H", &[wants("T", "a = 4", 1)]);
    let refused = table.register(AT(2), "I", &[wants("T", "a = 5", 1)]);
    assert_eq!(refused, [("T".to_owned(), FilterError::Full(3))]);
    table.unregister(AT(2), "G");
    table.clean(AT(2).plus(DAY));
    assert!(table.register(AT(3), "I", &[wants("T", "a = 5", 1)]).is_empty());
    assert_eq!((table.len, table.bytes), (2, 10));
}

#[test]
fn filters_survive_a_save_and_their_groups_count_as_gone_until_they_are_heard_of() {
    let mut table = table();
    table.register(AT(1_000_000), "G", &[wants("T", "a = 1", 10)]);
    table.register(AT(1_000_000), "H", &[wants("T", "a = 2", 20)]);
    table.unregister(AT(1_000_500), "H");
    let mut again = self::table();
    again.load(AT(1_040_000), &table.to_file()).unwrap();
    assert_eq!((known(&again, "G", "T"), known(&again, "H", "T")), (Some(("a = 1", 10)), Some(("a = 2", 20))));
    assert_eq!(again.get("G", "T").unwrap().dead(), Some(AT(1_010_000)));
    assert_eq!(again.get("H", "T").unwrap().dead(), Some(AT(1_000_500)));
    assert!(!again.take_dirty());
    again.register(AT(1_050_000), "G", &[wants("T", "a = 1", 10)]);
    assert_eq!(again.get("G", "T").unwrap().dead(), None);
}

#[test]
fn a_group_was_not_gone_before_it_came() {
    let mut table = table();
    table.register(AT(1_000), "G", &[wants("T", "a = 1", 10)]);
    let mut again = self::table();
    again.load(AT(2_000), &table.to_file()).unwrap();
    assert_eq!(again.get("G", "T").unwrap().dead(), Some(AT(1_000)));
}

#[test]
fn a_saved_expression_that_cannot_be_read_is_left_out() {
    let mut table = table();
    table.register(AT(1), "G", &[wants("T", "a = 1", 10), wants("U", "a = 2", 10)]);
    let file = String::from_utf8(table.to_file()).unwrap().replace("a = 2", "a >");
    let mut again = self::table();
    again.load(AT(2), file.as_bytes()).unwrap();
    assert!(known(&again, "G", "T").is_some() && known(&again, "G", "U").is_none());
}
