//! JSON as fastjson writes and takes it.

use std::collections::BTreeMap;

use proto_core::{
    bodies::{ConsumeType, ConsumerData, MessageQueue, QueueData, ResetOffsetBody, Table, TopicConfig, TopicStatsTable},
    json::{self, Dialect, JsonErrorKind, MAX_DEPTH},
};
use serde::{Deserialize, Serialize};

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn fault<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> (JsonErrorKind, usize) {
    let error = json::from_slice::<T>(text.as_bytes()).unwrap_err();
    (error.kind, error.at.unwrap())
}

fn write<T: Serialize + ?Sized>(value: &T, dialect: Dialect) -> String {
    String::from_utf8(json::to_vec(value, dialect)).unwrap()
}

fn queue(topic: &str, queue_id: i32) -> MessageQueue {
    MessageQueue { topic: topic.to_owned(), broker_name: "b".to_owned(), queue_id }
}

#[test]
fn numbers_may_be_keys_with_or_without_quotes() {
    let expected = BTreeMap::from([(0, "a".to_owned()), (-7, "b".to_owned())]);
    for text in [r#"{0:"a",-7:"b"}"#, r#"{"0":"a","-7":"b"}"#, " { 0 : 'a' ,\n'-7' : \"b\" } \n"] {
        assert_eq!(read::<BTreeMap<i64, String>>(text), expected, "{text}");
    }
}

#[test]
fn objects_may_be_keys_as_they_stand_or_as_text() {
    let expected: Table<MessageQueue, i64> = [(queue("T", 3), 5), (queue("T", 4), 6)].into_iter().collect();
    for text in [
        r#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:5,{"brokerName":"b","queueId":4,"topic":"T"}:6}}"#,
        r#"{"offsetTable":{ { "topic" : "T", "brokerName" : "b", "queueId" : 3 } : 5, {topic:'T',brokerName:'b',queueId:'4'}: 6 } }"#,
        r#"{"offsetTable":{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"T\"}":5,"{\"brokerName\":\"b\",\"queueId\":4,\"topic\":\"T\"}":6}}"#,
    ] {
        assert_eq!(read::<ResetOffsetBody>(text).offset_table, expected, "{text}");
    }
}

#[test]
fn numbers_come_as_text_and_the_other_way_round() {
    let text = r#"{"brokerName":5,"perm":"6","readQueueNums":" 8 ","topicSysFlag":true,"writeQueueNums":4.9}"#;
    let expected = QueueData { broker_name: "5".to_owned(), perm: 6, read_queue_nums: 8, topic_sys_flag: 1, write_queue_nums: 4 };
    assert_eq!(read::<QueueData>(text), expected);
    assert_eq!(read::<Vec<i64>>(r#"["1",2L,3.0,4e2,"",true,"null"]"#), [1, 2, 3, 400, 0, 1, 0]);
    assert_eq!(read::<Vec<f64>>(r#"["1.5",2,3.0E2,""]"#), [1.5, 2.0, 300.0, 0.0]);
    assert_eq!(read::<Vec<String>>(r#"[1,true,{"a":[1]},"x"]"#), ["1", "true", r#"{"a":[1]}"#, "x"]);
}

#[test]
fn truth_has_many_spellings() {
    assert_eq!(read::<Vec<bool>>(r#"[true,1,"true","TRUE","1","Y"]"#), [true; 6]);
    assert_eq!(read::<Vec<bool>>(r#"[false,0,"false","False","0","N",""]"#), [false; 7]);
    assert!(matches!(fault::<Vec<bool>>("[true, maybe]"), (JsonErrorKind::Expected("a value"), 7)));
    assert!(matches!(fault::<Vec<bool>>(r#"["maybe"]"#), (JsonErrorKind::BadValue(_), 8)));
}

#[test]
fn an_enum_is_a_name_or_an_ordinal_and_unknown_ones_are_null() {
    let kind = |text: &str| read::<ConsumerData>(&format!(r#"{{"consumeType":{text}}}"#)).consume_type;
    assert_eq!(kind(r#""CONSUME_POP""#), Some(ConsumeType::ConsumePop));
    assert_eq!(kind("0"), Some(ConsumeType::ConsumeActively));
    assert_eq!(kind("7"), None);
    assert_eq!(kind("-1"), None);
    assert_eq!(kind(r#""CONSUME_SIDEWAYS""#), None);
    assert_eq!(kind("null"), None);
}

#[test]
fn null_and_missing_members_have_their_defaults() {
    let topic: TopicConfig = read(r#"{"perm":null,"topicName":"T","attributes":null,"readQueueNums":{"$ref":"$.x"}}"#);
    assert_eq!(topic, TopicConfig { topic_name: "T".to_owned(), ..TopicConfig::default() });
    assert_eq!(read::<Option<TopicConfig>>("null"), None);
    assert_eq!(read::<BTreeMap<String, String>>(r#"{"a":null,"b":"c"}"#).len(), 1);
    assert_eq!(read::<Vec<String>>(r#"[null,"a",{"$ref":".."}]"#), ["a"]);
}

#[test]
fn references_to_other_objects_lose_their_entries_only() {
    let text = r#"{"offsetTable":{{"$ref":"$.x"}:5,{"brokerName":"b","queueId":4,"topic":"T"}:6}}"#;
    assert_eq!(read::<ResetOffsetBody>(text).offset_table, [(queue("T", 4), 6)].into_iter().collect::<Table<_, _>>());
}

#[test]
fn names_of_members_match_smartly_and_unknown_ones_are_skipped() {
    let text = r#"{"broker_name":"b","QUEUEID":3,"Topic":"T","more":[{"a":{"b":["}",'\'']}},1e5],"queueId":4}"#;
    assert_eq!(read::<MessageQueue>(text), queue("T", 3));
}

#[test]
fn surplus_commas_are_no_trouble_but_missing_ones_are() {
    assert_eq!(read::<Vec<i32>>("[1,,2,]"), [1, 2]);
    assert_eq!(fault::<Vec<i32>>("[1 2]"), (JsonErrorKind::Expected("a comma or the end"), 3));
}

#[test]
fn escapes_resolve_in_values_and_keys() {
    let text = r#"{"k\u0065y":"a\u0001b\/\\\"\ud83d\ude00\n"}"#;
    assert_eq!(read::<BTreeMap<String, String>>(text)["key"], "a\u{1}b/\\\"😀\n");
}

#[test]
fn faults_are_named_with_their_place() {
    assert_eq!(fault::<Vec<i32>>("  "), (JsonErrorKind::Empty, 2));
    assert_eq!(fault::<Vec<i32>>("[1,2"), (JsonErrorKind::UnexpectedEnd, 4));
    assert_eq!(fault::<Vec<String>>(r#"["abc"#), (JsonErrorKind::UnexpectedEnd, 5));
    assert_eq!(fault::<Vec<i32>>("[1] x"), (JsonErrorKind::Trailing, 4));
    assert_eq!(fault::<Vec<i32>>("{}"), (JsonErrorKind::Expected("an array"), 0));
    assert_eq!(fault::<MessageQueue>("[]"), (JsonErrorKind::Expected("an object"), 0));
    assert_eq!(fault::<MessageQueue>(r#"{"topic" "T"}"#), (JsonErrorKind::Expected("a colon"), 9));
    assert_eq!(fault::<MessageQueue>(r#"{"x":[}]}"#), (JsonErrorKind::Expected("a value"), 6));
    assert!(matches!(fault::<MessageQueue>(r#"{"queueId":"many","topic":"T"}"#), (JsonErrorKind::BadValue(_), 17)));
    assert!(matches!(fault::<MessageQueue>(r#"{"queueId":4294967296,"topic":"T"}"#), (JsonErrorKind::BadValue(_), 21)));
    assert_eq!(json::from_slice::<String>(b"\"a\xff\"").unwrap_err().kind, JsonErrorKind::NotUtf8);
}

#[test]
fn a_text_nested_without_end_is_refused_whether_it_is_wanted_or_not() {
    for open in ["[", r#"{"a":"#, "{{", r#"[{"a":"#] {
        let deep = open.repeat(1_000_000);
        for text in [deep.clone(), format!(r#"{{"unknown":{deep}"#), format!(r#"{{"topic":{deep}"#)] {
            let error = json::from_slice::<MessageQueue>(text.as_bytes()).unwrap_err();
            assert!(matches!(error.kind, JsonErrorKind::TooDeep | JsonErrorKind::Expected(_)), "{error}");
        }
        assert_eq!(json::from_slice::<serde::de::IgnoredAny>(deep.as_bytes()).unwrap_err().kind, JsonErrorKind::TooDeep);
        assert!(json::from_slice::<Deep>(deep.as_bytes()).is_err());
    }
    let depth = usize::from(MAX_DEPTH);
    read::<serde::de::IgnoredAny>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    read::<Deep>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
}

/// A type without a bottom, which the reader must give one.
#[derive(Debug, Deserialize)]
struct Deep(#[expect(dead_code, reason = "only its depth counts")] Vec<Deep>);

#[test]
fn a_key_that_is_the_text_of_an_object_may_hold_more_of_them() {
    let mut text = "1".to_owned();
    for _ in 0..3 {
        text = format!("{{{}:1}}", serde_json::to_string(&format!("{{\"topic\":{text}}}")).unwrap());
    }
    let table: Table<MessageQueue, i32> = read(&text);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_body_with_too_many_objects_is_refused_but_a_table_is_read() {
    let text = format!("[{}]", "{},".repeat(json::MAX_CONTAINERS as usize));
    assert_eq!(json::from_slice::<Vec<MessageQueue>>(text.as_bytes()).unwrap_err().kind, JsonErrorKind::TooMany);
    assert_eq!(json::from_table::<Vec<MessageQueue>>(text.as_bytes()).unwrap().len(), json::MAX_CONTAINERS as usize);
}

#[test]
fn keys_that_are_no_strings_stand_bare_in_the_default_dialect_and_quoted_in_the_standard_one() {
    let numbers = BTreeMap::from([(0, 1), (10, 2), (9, 3)]);
    assert_eq!(write(&numbers, Dialect::Default), "{0:1,9:3,10:2}");
    assert_eq!(write(&numbers, Dialect::Standard), r#"{"0":1,"9":3,"10":2}"#);
    let queues = BTreeMap::from([(queue("T", 3), 5)]);
    assert_eq!(write(&queues, Dialect::Default), r#"{{"brokerName":"b","queueId":3,"topic":"T"}:5}"#);
    assert_eq!(write(&queues, Dialect::Standard), r#"{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"T\"}":5}"#);
}

#[test]
fn the_standard_dialect_is_ascii_with_sorted_maps() {
    let table: Table<&str, Option<&str>> =
        [("b", Some("/")), ("中", Some("😀\u{7f}")), ("a", Some("\"\n\u{1}")), ("none", None), ("B", Some(""))].into_iter().collect();
    let text = write(&table, Dialect::Standard);
    assert_eq!(text, r#"{"B":"","a":"\"\n\u0001","b":"\/","\u4E2D":"\uD83D\uDE00\u007F"}"#);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["中"], "😀\u{7f}");
    assert_eq!(write(&table, Dialect::Default), "{\"b\":\"/\",\"中\":\"😀\u{7f}\",\"a\":\"\\\"\\n\\u0001\",\"B\":\"\"}");
}

#[test]
fn members_without_a_value_leave_no_trace() {
    #[derive(Serialize)]
    struct Gaps {
        a: Option<i32>,
        b: Option<i32>,
        c: Vec<Option<i32>>,
        d: Option<i32>,
    }
    let gaps = Gaps { a: None, b: Some(1), c: vec![Some(1), None], d: None };
    assert_eq!(write(&gaps, Dialect::Default), r#"{"b":1,"c":[1,null]}"#);
    assert_eq!(write(&gaps, Dialect::Pretty), "{\n\t\"b\":1,\n\t\"c\":[1,null]\n}");
    assert_eq!(write(&None::<i32>, Dialect::Default), "null");
    assert_eq!(write(&Gaps { b: None, c: Vec::new(), ..gaps }, Dialect::Pretty), "{\n\t\"c\":[]\n}");
}

#[test]
fn files_have_a_line_for_each_member_and_one_for_all_numbers_of_a_list() {
    #[derive(Serialize)]
    struct Shapes {
        empty: BTreeMap<i32, i32>,
        names: Vec<&'static str>,
        numbers: Vec<i64>,
        queues: Vec<MessageQueue>,
        table: BTreeMap<i32, i64>,
    }
    let shapes = Shapes {
        empty: BTreeMap::new(),
        names: vec!["a", "b"],
        numbers: vec![-54, 70],
        queues: vec![queue("T", 0)],
        table: BTreeMap::from([(1, 10), (2, 0)]),
    };
    let text = "{
→\"empty\":{},
→\"names\":[
→→\"a\",
→→\"b\"
→],
→\"numbers\":[-54,70],
→\"queues\":[
→→{
→→→\"brokerName\":\"b\",
→→→\"queueId\":0,
→→→\"topic\":\"T\"
→→}
→],
→\"table\":{
→→1:10,
→→2:0
→}
}";
    assert_eq!(write(&shapes, Dialect::Pretty), text.replace('→', "\t"));
}

#[test]
fn doubles_are_printed_as_java_prints_them() {
    let mut stats = TopicStatsTable { topic_put_tps: 0.0, ..TopicStatsTable::default() };
    assert_eq!(write(&stats, Dialect::Default), r#"{"offsetTable":{},"topicPutTps":0.0}"#);
    stats.topic_put_tps = 12_345_678.0;
    assert_eq!(write(&stats, Dialect::Default), r#"{"offsetTable":{},"topicPutTps":1.2345678E7}"#);
}
