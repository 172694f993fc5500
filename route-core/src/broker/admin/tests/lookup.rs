use super::*;

fn query<'a>(key: &'a str, max: &'a str, begin: &'a str, end: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("topic", "T"), ("key", key), ("maxNum", max), ("beginTimestamp", begin), ("endTimestamp", end)]
}

/// Three messages with the key `shared` and keys of their own, stored at 1000, 2000 and 3000.
fn scene() -> Scene {
    let mut scene = Scene::new();
    for (number, at) in [(1, 1_000), (2, 2_000), (3, 3_000)] {
        scene.store_with("T", 0, at, &format!("UNIQ_KEY\x01U{number}\x02KEYS\x01shared k{number}\x02TAGS\x01TagA\x02"));
    }
    scene.store_with("Other", 0, 4_000, "KEYS\x01shared\x02");
    scene
}

fn found(scene: &mut Scene, fields: &[(&str, &str)]) -> usize {
    scene.ask(RequestCode::QueryMessage, fields, "").places.len()
}

const ALWAYS: &str = "9223372036854775807";

#[test]
fn messages_are_found_by_each_of_their_keys_and_by_their_unique_key() {
    let mut scene = scene();
    assert_eq!(found(&mut scene, &query("shared", "10", "0", ALWAYS)), 3);
    assert_eq!(found(&mut scene, &query("k2", "10", "0", ALWAYS)), 1);
    assert_eq!(found(&mut scene, &query("U3", "10", "0", ALWAYS)), 1);
    assert_eq!(found(&mut scene, &query("TagA", "10", "0", ALWAYS)), 0, "a tag is no key");
}

#[test]
fn messages_are_found_by_their_tag_when_that_index_is_named() {
    let mut scene = scene();
    let mut fields = query("TagA", "10", "0", ALWAYS);
    fields.push(("indexType", "T"));
    assert_eq!(found(&mut scene, &fields), 3);
}

#[test]
fn only_what_was_stored_in_the_span_of_time_is_found() {
    let mut scene = scene();
    assert_eq!(found(&mut scene, &query("shared", "10", "1000", "2000")), 2);
    assert_eq!(found(&mut scene, &query("shared", "10", "1001", "1999")), 0);
}

#[test]
fn the_newest_count_and_come_in_the_order_of_the_log() {
    let mut scene = scene();
    let all = scene.ask(RequestCode::QueryMessage, &query("shared", "10", "0", ALWAYS), "").places;
    let two = scene.ask(RequestCode::QueryMessage, &query("shared", "2", "0", ALWAYS), "").places;
    assert!(all.is_sorted() && two == all[1..]);
}

#[test]
fn a_query_by_unique_key_has_the_brokers_own_limit_and_no_query_goes_beyond_the_general_one() {
    let mut scene = scene();
    for at in 0..100 {
        scene.store_with("T", 0, 5_000 + at, "KEYS\x01many\x02");
    }
    assert_eq!(found(&mut scene, &query("many", "1000", "0", ALWAYS)), 64);
    let mut unique = query("many", "1", "0", ALWAYS);
    unique.push(("_UNIQUE_KEY_QUERY", "true"));
    assert_eq!(found(&mut scene, &unique), 32);
}

#[test]
fn an_answer_says_how_far_the_index_is_also_when_nothing_was_found() {
    let mut scene = scene();
    let answer = scene.ask(RequestCode::QueryMessage, &query("none", "10", "0", ALWAYS), "");
    assert_eq!(answer.outcome(), (ResponseCode::QueryNotFound, "can not find message, maybe time range not correct"));
    assert_eq!(answer.field("indexLastUpdateTimestamp"), "4000");
    assert!(answer.field("indexLastUpdatePhyoffset").parse::<i64>().unwrap() > 0);
}
