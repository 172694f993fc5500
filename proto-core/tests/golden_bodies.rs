//! Bodies that Java sent come out of our structs as the same text.

use proto_core::{
    bodies::{
        CheckClientRequestBody, ClusterInfo, ConsumeStats, ConsumerConnection, ConsumerFilterWrapper, ConsumerOffsetSerializeWrapper,
        DelayOffsetSerializeWrapper, GetConsumerListByGroupResponseBody, GroupList, HeartbeatData, KvTable, LockBatchRequestBody,
        LockBatchResponseBody, ProducerConnection, RegisterBrokerBody, ResetOffsetBody, SubscriptionGroupConfig, SubscriptionGroupWrapper,
        TopicConfigAndMappingSerializeWrapper, TopicConfigAndQueueMapping, TopicConfigSerializeWrapper, TopicList, TopicRouteData,
        TopicStatsTable, TransactionMetricsSerializeWrapper, UnlockBatchRequestBody,
    },
    json::{self, Dialect},
};
use serde::{Serialize, de::DeserializeOwned};

fn rewritten<T: Serialize + DeserializeOwned>(text: &str, dialect: Dialect) -> String {
    let value: T = json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    String::from_utf8(json::to_vec(&value, dialect)).unwrap()
}

#[test]
fn every_recorded_body_comes_out_as_it_came_in() {
    let mut bodies = 0;
    for line in include_str!("golden/bodies.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["text"].as_str().unwrap();
        let dialect = if line["dialect"] == "Standard" { Dialect::Standard } else { Dialect::Default };
        let rewrite = match line["type"].as_str().unwrap() {
            "CheckClientRequestBody" => rewritten::<CheckClientRequestBody>,
            "ClusterInfo" => rewritten::<ClusterInfo>,
            "ConsumeStats" => rewritten::<ConsumeStats>,
            "ConsumerConnection" => rewritten::<ConsumerConnection>,
            "ConsumerOffsetSerializeWrapper" => rewritten::<ConsumerOffsetSerializeWrapper>,
            "DelayOffsetSerializeWrapper" => rewritten::<DelayOffsetSerializeWrapper>,
            "GetConsumerListByGroupResponseBody" => rewritten::<GetConsumerListByGroupResponseBody>,
            "GroupList" => rewritten::<GroupList>,
            "HeartbeatData" => rewritten::<HeartbeatData>,
            "KvTable" => rewritten::<KvTable>,
            "LockBatchRequestBody" => rewritten::<LockBatchRequestBody>,
            "LockBatchResponseBody" => rewritten::<LockBatchResponseBody>,
            "ProducerConnection" => rewritten::<ProducerConnection>,
            "RegisterBrokerBody" => rewritten::<RegisterBrokerBody>,
            "ResetOffsetBody" => rewritten::<ResetOffsetBody>,
            "SubscriptionGroupConfig" => rewritten::<SubscriptionGroupConfig>,
            "SubscriptionGroupWrapper" => rewritten::<SubscriptionGroupWrapper>,
            "TopicConfigAndMappingSerializeWrapper" => rewritten::<TopicConfigAndMappingSerializeWrapper>,
            "TopicConfigAndQueueMapping" => rewritten::<TopicConfigAndQueueMapping>,
            "TopicList" => rewritten::<TopicList>,
            "TopicRouteData" => rewritten::<TopicRouteData>,
            "TopicStatsTable" => rewritten::<TopicStatsTable>,
            "UnlockBatchRequestBody" => rewritten::<UnlockBatchRequestBody>,
            other => panic!("no struct for {other}"),
        };
        assert_eq!(rewrite(text, dialect), text, "{} of {}", line["type"], line["from"]);
        bodies += 1;
    }
    assert!(bodies > 70, "only {bodies} bodies were looked at");
}

#[test]
fn the_tables_on_disk_come_out_to_the_byte() {
    let pairs = [
        (include_str!("golden/config/topics.json"), rewritten::<TopicConfigSerializeWrapper> as fn(&str, Dialect) -> String),
        (include_str!("golden/config/subscriptionGroup.json"), rewritten::<SubscriptionGroupWrapper>),
        (include_str!("golden/config/consumerOffset.json"), rewritten::<ConsumerOffsetSerializeWrapper>),
        (include_str!("golden/config/delayOffset.json"), rewritten::<DelayOffsetSerializeWrapper>),
        (include_str!("golden/config/consumerFilter.json"), rewritten::<ConsumerFilterWrapper>),
    ];
    for (text, rewrite) in pairs {
        assert_eq!(rewrite(text, Dialect::Pretty), text);
    }
    let metrics = include_str!("golden/config/transactionMetrics");
    assert_eq!(rewritten::<TransactionMetricsSerializeWrapper>(metrics, Dialect::Default), metrics);
}

#[test]
fn a_route_for_old_clients_has_bare_ids() {
    let text = r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}"#;
    assert_eq!(rewritten::<TopicRouteData>(text, Dialect::Default), text);
    let quoted = text.replace("0:\"10", "\"0\":\"10").replace("1:\"10", "\"1\":\"10");
    assert_eq!(rewritten::<TopicRouteData>(text, Dialect::Standard), quoted);
    assert_eq!(rewritten::<TopicRouteData>(&quoted, Dialect::Default), text);
}

#[test]
fn a_heartbeat_of_another_client_is_understood() {
    // Ordinals and text for numbers as C++ sends them, text in the code set as Go does, a name that nobody knows, a line feed.
    let text = r#"{"clientID":"c@1","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"G","messageModel":1,
        "subscriptionDataSet":[{"classFilterMode":false,"codeSet":["2598919"],"expressionType":"","subString":"TagA","subVersion":"17",
        "tagsSet":["TagA"],"topic":"T","surprise":{"deep":[1,{"x":null}]}}],"unitMode":0},{"groupName":"H","consumeType":"NO_SUCH"}],
        "producerDataSet":null}
"#;
    let heartbeat: HeartbeatData = json::from_slice(text.as_bytes()).unwrap();
    insta::assert_debug_snapshot!(heartbeat);
}

#[test]
fn the_defaults_of_a_group_are_those_of_java() {
    let text = r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"CG","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#;
    assert_eq!(String::from_utf8(json::to_vec(&SubscriptionGroupConfig::new("CG"), Dialect::Default)).unwrap(), text);
    assert_eq!(json::from_slice::<SubscriptionGroupConfig>(br#"{"groupName":"CG"}"#).unwrap(), SubscriptionGroupConfig::new("CG"));
}
