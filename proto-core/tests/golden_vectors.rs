//! Pairs of input and output that were computed with Java's own classes.

use std::{collections::BTreeMap, net::SocketAddr};

use proto_core::{
    batch,
    bloom::BloomFilter,
    bodies::TopicConfig,
    delay, hash,
    ids::{OffsetMessageId, UniqueIdGenerator},
    names, perm,
    properties::{self, PropertiesWriter},
    recall::RecallHandle,
    record::{RecordFields, RecordView, body_crc},
    subscription, sys_flag,
};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let of_kind: Vec<Value> = include_str!("golden/vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|vector| vector["kind"] == kind)
        .collect();
    assert!(!of_kind.is_empty(), "no vector of kind {kind}");
    of_kind
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} of {vector}"))
}

fn int(vector: &Value, name: &str) -> i32 {
    i32::try_from(vector[name].as_i64().unwrap_or_else(|| panic!("{name} of {vector}"))).unwrap()
}

fn flag(vector: &Value, name: &str) -> bool {
    vector[name].as_bool().unwrap_or_else(|| panic!("{name} of {vector}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn hashes_are_those_of_java() {
    for vector in vectors("string_hash") {
        let input = vector["in"].as_str();
        assert_eq!(hash::tags_code(input), vector["tagsCode"].as_i64().unwrap(), "{vector}");
        if let Some(input) = input {
            assert_eq!(hash::java_string_hash(input), int(&vector, "javaHash"), "{vector}");
        }
    }
}

#[test]
fn bits_of_filters_are_those_of_java() {
    for vector in vectors("bloom_params") {
        let bloom = BloomFilter::new(int(&vector, "f"), int(&vector, "n"));
        assert_eq!(bloom.bits(), int(&vector, "m"), "{vector}");
        let positions = bloom.positions("group_a#TopicTest");
        assert_eq!(positions.len(), vector["k"].as_u64().unwrap() as usize, "{vector}");
        if let Some(bits) = vector.get("bits_of_group_a#TopicTest") {
            assert_eq!(Value::from(positions), *bits, "{vector}");
        }
    }
    for vector in [vectors("bloom"), vectors("bloom_hit")].concat() {
        assert_eq!(Value::from(BloomFilter::new(20, 32).positions(text(&vector, "in"))), vector["bitPos"], "{vector}");
    }
}

#[test]
fn checksums_of_bodies_are_those_of_java() {
    for vector in vectors("crc32") {
        let body = match (vector["in_utf8"].as_str(), vector["in_hex"].as_str()) {
            (Some("x*5000"), _) => "x".repeat(5000).into_bytes(),
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, hex) => bytes(hex.unwrap()),
        };
        assert_eq!(i64::from(body_crc(&body)), vector["crc"].as_i64().unwrap(), "{vector}");
    }
}

#[test]
fn properties_are_written_as_java_writes_them() {
    for vector in vectors("properties2string") {
        let mut writer = PropertiesWriter::new();
        for (name, value) in vector["map"].as_object().unwrap() {
            if let Some(value) = value.as_str() {
                writer.put(name, value.as_bytes());
            }
        }
        let (mut ours, mut java) = (pieces(writer.as_bytes()), pieces(&bytes(text(&vector, "utf8_hex"))));
        ours.sort();
        java.sort();
        assert_eq!(ours, java, "{vector}");
        assert_eq!(writer.len(), text(&vector, "utf8_hex").len() / 2);
    }
}

fn pieces(properties: &[u8]) -> Vec<Vec<u8>> {
    properties.split(|&byte| byte == properties::PROPERTY_SEPARATOR).map(<[u8]>::to_vec).collect()
}

#[test]
fn properties_are_read_as_java_reads_them() {
    for vector in vectors("string2properties") {
        let stored = bytes(text(&vector, "utf8_hex"));
        let expected = vector["map"].as_object().unwrap();
        let read: BTreeMap<_, _> =
            properties::iter(&stored).map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value)).collect();
        assert_eq!(read.len(), expected.len(), "{vector}");
        for (name, value) in &read {
            assert_eq!(expected[name].as_str().unwrap().as_bytes(), *value, "{vector}");
            assert_eq!(properties::find(&stored, name), Some(*value), "{vector}");
        }
    }
}

#[test]
fn recall_handles_are_those_of_java() {
    for vector in vectors("recall_handle") {
        let field = |name: &str| text(&vector, name).to_owned();
        let handle =
            RecallHandle { topic: field("topic"), broker: field("broker"), timestamp: field("timestamp"), unique_key: field("msgId") };
        assert_eq!(handle.encode(), text(&vector, "handle"), "{vector}");
        assert_eq!(RecallHandle::decode(text(&vector, "handle")), Ok(handle), "{vector}");
    }
}

#[test]
fn offset_ids_are_those_of_java() {
    for vector in vectors("offset_msg_id") {
        let host = SocketAddr::new(text(&vector, "ip").parse().unwrap(), u16::try_from(int(&vector, "port")).unwrap());
        let id = OffsetMessageId { host, offset: vector["offset"].as_i64().unwrap() };
        assert_eq!(id.to_string(), text(&vector, "id"));
        let mut appended = b"a,".to_vec();
        id.write(&mut appended);
        assert_eq!(appended[2..], *text(&vector, "id").as_bytes());
        assert_eq!(OffsetMessageId::parse(text(&vector, "id")), Ok(id), "{vector}");
    }
    for vector in vectors("offset_msg_id_decode") {
        let parsed = OffsetMessageId::parse(text(&vector, "id"));
        assert_eq!(parsed.is_ok(), flag(&vector, "ok"), "{vector}");
        if let Ok(id) = parsed {
            assert_eq!(id.offset, vector["offset"].as_i64().unwrap());
            assert_eq!(format!("/{}", id.host), text(&vector, "address"));
        }
    }
}

#[test]
fn unique_ids_are_those_of_java() {
    let process = |vector: &Value| u32::try_from(int(vector, "pid")).unwrap();
    let recorded = vectors("uniq_id");
    let hash = i32::from_str_radix(&text(&recorded[0], "id")[12..20], 16).unwrap();
    let mut ids = UniqueIdGenerator::new(text(&recorded[0], "ip").parse().unwrap(), process(&recorded[0]), hash, 0);
    for vector in recorded {
        assert_eq!(ids.next_id(vector["time_ms"].as_i64().unwrap()).as_str(), text(&vector, "id"), "{vector}");
    }
}

#[test]
fn names_are_judged_as_java_judges_them() {
    let remark = |result: Result<(), names::NameError>| result.map_or_else(|error| error.to_string(), |()| String::new());
    for vector in vectors("validate_name") {
        // Java's null cannot come up here; it answers as to a blank name.
        let name = vector["name"].as_str().unwrap_or_default();
        assert_eq!(remark(names::validate_topic(name)), text(&vector, "topic_remark"), "{vector}");
        assert_eq!(remark(names::validate_group(name)), text(&vector, "group_remark"), "{vector}");
        if vector["name"].is_string() {
            assert_eq!(names::is_system_topic(name), flag(&vector, "isSystemTopic"), "{vector}");
            assert_eq!(names::is_forbidden_to_send(name), flag(&vector, "isNotAllowedSendTopic"), "{vector}");
            assert_eq!(names::is_system_group(name), flag(&vector, "isSysConsumerGroup"), "{vector}");
            assert_eq!(names::is_lmq(name), flag(&vector, "isLmq"), "{vector}");
        }
    }
    for vector in vectors("lmq") {
        assert_eq!(names::is_lmq(text(&vector, "name")), flag(&vector, "isLmq"), "{vector}");
    }
}

#[test]
fn reserved_and_derived_names_are_those_of_java() {
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().map(|name| Value::from(*name)).collect();
        names.sort_by_key(|name| name.as_str().map(str::to_owned));
        Value::from(names)
    };
    let vector = &vectors("system_topics")[0];
    assert_eq!(sorted(&names::SYSTEM_TOPICS), vector["set"]);
    assert_eq!(sorted(&names::FORBIDDEN_TO_SEND), vector["notAllowedSend"]);

    let vector = &vectors("names")[0];
    assert_eq!(names::retry_topic("G"), text(vector, "retry"));
    assert_eq!(names::dlq_topic("G"), text(vector, "dlq"));
    assert_eq!(names::reply_topic("C"), text(vector, "reply"));
    assert_eq!(names::group_of_retry_topic(text(vector, "popRetryV2")), vector["parseGroupV2"].as_str());
    assert_eq!(names::group_of_retry_topic(text(vector, "popRetryV1")), vector["parseGroupV1"].as_str());
}

#[test]
fn flags_of_pulls_are_those_of_java() {
    use sys_flag::pull;
    for vector in vectors("pull_sys_flag") {
        let bits = int(&vector, "flag");
        assert_eq!(pull::has_commit_offset(bits), flag(&vector, "commitOffset"), "{vector}");
        assert_eq!(pull::has_suspend(bits), flag(&vector, "suspend"), "{vector}");
        assert_eq!(pull::has_subscription(bits), flag(&vector, "subscription"), "{vector}");
        assert_eq!(pull::has_class_filter(bits), flag(&vector, "classFilter"), "{vector}");
        assert_eq!(pull::has_lite_pull(bits), flag(&vector, "litePull"), "{vector}");
    }
}

#[test]
fn flags_of_messages_and_topics_are_those_of_java() {
    use sys_flag::{message, topic};
    for vector in vectors("message_sys_flag") {
        let bits = int(&vector, "flag");
        assert_eq!(message::transaction(bits), int(&vector, "transaction"), "{vector}");
        assert_eq!(message::without_compressed(bits), int(&vector, "cleared_compressed"), "{vector}");
        assert_eq!(message::with_transaction(bits, message::TRANSACTION_COMMIT), int(&vector, "reset_to_commit"), "{vector}");
        let compression = match message::compression(bits) {
            Some(message::Compression::Lz4) => "LZ4",
            Some(message::Compression::Zstd) => "ZSTD",
            Some(message::Compression::Zlib) => "ZLIB",
            None => "",
        };
        assert_eq!(compression, text(&vector, "compression"), "{vector}");
    }
    for vector in vectors("topic_sys_flag") {
        let bits = topic::build(flag(&vector, "unit"), flag(&vector, "unitSub"));
        assert_eq!(bits, int(&vector, "flag"), "{vector}");
        assert_eq!((topic::has_unit(bits), topic::has_unit_sub(bits)), (flag(&vector, "unit"), flag(&vector, "unitSub")), "{vector}");
    }
}

#[test]
fn permissions_are_those_of_java() {
    for vector in vectors("perm") {
        let bits = int(&vector, "perm");
        assert_eq!(perm::text(bits), text(&vector, "string"), "{vector}");
        assert_eq!(perm::is_readable(bits), flag(&vector, "readable"), "{vector}");
        assert_eq!(perm::is_writeable(bits), flag(&vector, "writeable"), "{vector}");
        assert_eq!(perm::is_inherited(bits), flag(&vector, "inherited"), "{vector}");
        assert_eq!(perm::is_priority(bits), flag(&vector, "priority"), "{vector}");
        assert_eq!(perm::is_valid(bits), flag(&vector, "valid"), "{vector}");
    }
}

#[test]
fn delay_levels_are_those_of_java() {
    let levels = delay::DelayLevels::default();
    for vector in vectors("delay_level") {
        let level = int(&vector, "level");
        assert_eq!(levels.millis(level), vector["ms"].as_i64(), "{vector}");
        assert_eq!(delay::DelayLevels::parse(text(&vector, "text")).unwrap().millis(1), vector["ms"].as_i64(), "{vector}");
        assert_eq!(delay::queue_id(level), int(&vector, "queueId"), "{vector}");
        assert_eq!(delay::level_of_queue(int(&vector, "queueId")), level, "{vector}");
    }
}

#[test]
fn lines_of_topics_are_those_of_java() {
    for vector in vectors("topic_config_string") {
        let read = TopicConfig::from_line(text(&vector, "in"));
        assert_eq!(read.is_ok(), vector["ok"] == true, "{vector}");
        let Ok(topic) = read else { continue };
        assert_eq!(topic.topic_name, text(&vector, "name"));
        assert_eq!((topic.read_queue_nums, topic.write_queue_nums), (int(&vector, "read"), int(&vector, "write")), "{vector}");
        assert_eq!(topic.perm, int(&vector, "perm"), "{vector}");
        assert_eq!(serde_json::to_value(&topic.attributes).unwrap(), vector["attributes"], "{vector}");
        assert_eq!(topic.to_line(), text(&vector, "encoded"), "{vector}");
    }
}

#[test]
fn expressions_of_tags_are_those_of_java() {
    for vector in vectors("subscription") {
        let built = subscription::tag_subscription("T", vector["in"].as_str());
        let Ok(built) = built else {
            assert_eq!(built.unwrap_err().to_string(), text(&vector, "error"), "{vector}");
            continue;
        };
        assert_eq!(built.sub_string.as_deref(), vector["subString"].as_str(), "{vector}");
        assert_eq!(built.expression_type.as_deref(), vector["expressionType"].as_str(), "{vector}");
        assert_eq!(serde_json::to_value(&built.tags_set).unwrap(), vector["tagsSet"], "{vector}");
        assert_eq!(serde_json::to_value(&built.code_set).unwrap(), vector["codeSet"], "{vector}");
    }
}

#[test]
fn batches_are_those_of_java() {
    for vector in vectors("batch_encode") {
        let messages = vector["messages"].as_array().unwrap();
        let messages: Vec<_> = messages
            .iter()
            .map(|message| batch::BatchMessage {
                flag: int(message, "flag"),
                body: text(message, "body").as_bytes(),
                properties: text(message, "propertiesString").as_bytes(),
            })
            .collect();
        let mut body = Vec::new();
        for message in &messages {
            batch::encode(message, &mut body).unwrap();
        }
        assert_eq!(body, bytes(text(&vector, "body_hex")), "{vector}");
        assert_eq!(batch::iter(&body).collect::<Result<Vec<_>, _>>().unwrap(), messages, "{vector}");
    }
}

#[test]
fn records_are_those_of_java() {
    for vector in vectors("message_encode") {
        let java = bytes(text(&vector, "hex"));
        let view = RecordView::parse(&java).unwrap();
        assert_eq!(view.total_size(), usize::try_from(int(&vector, "decoded_storeSize")).unwrap(), "{vector}");
        assert_eq!(view.sys_flag(), int(&vector, "sysFlag"), "{vector}");
        assert_eq!(view.offset_message_id().to_string(), text(&vector, "decoded_msgId"), "{vector}");
        assert_eq!(view.verify_crc(), Ok(()), "{vector}");
        let mut ours = vec![0; view.total_size()];
        assert_eq!(fields_of(&view).encode_into(&mut ours), Ok(java.len()), "{vector}");
        assert_eq!(ours, java, "{vector}");
    }
}

fn fields_of<'a>(view: &RecordView<'a>) -> RecordFields<'a> {
    RecordFields {
        topic: view.topic(),
        queue_id: view.queue_id(),
        flag: view.flag(),
        queue_offset: view.queue_offset(),
        physical_offset: view.physical_offset(),
        sys_flag: view.sys_flag(),
        born_timestamp: view.born_timestamp(),
        born_host: view.born_host(),
        store_timestamp: view.store_timestamp(),
        store_host: view.store_host(),
        reconsume_times: view.reconsume_times(),
        prepared_transaction_offset: view.prepared_transaction_offset(),
        body: view.body(),
        properties: view.properties(),
    }
}

#[test]
fn no_vector_goes_unlooked_at() {
    let known = [
        "string_hash",
        "crc32",
        "properties2string",
        "string2properties",
        "offset_msg_id",
        "offset_msg_id_decode",
        "uniq_id",
        "recall_handle",
        "validate_name",
        "system_topics",
        "names",
        "lmq",
        "pull_sys_flag",
        "message_sys_flag",
        "topic_sys_flag",
        "perm",
        "delay_level",
        "topic_config_string",
        "subscription",
        "batch_encode",
        "message_encode",
        "bloom_params",
        "bloom",
        "bloom_hit",
    ];
    for line in include_str!("golden/vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        assert!(known.contains(&text(&vector, "kind")), "{vector}");
    }
}
