//! Nothing that a peer or a disk hands us makes a decoder panic, and what we write we read back.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use proptest::{collection::vec, prelude::*};
use proto_core::{
    batch::{self, BatchMessage},
    bodies::{
        BrokerData, ConsumeStats, ConsumerData, HeartbeatData, MessageQueue, OffsetWrapper, QueueData, RegisterBrokerBody,
        SubscriptionData, SubscriptionGroupWrapper, TopicConfig, TopicConfigSerializeWrapper, TopicFilterType, TopicRouteData,
        decode_compressed_register_body,
    },
    delay::DelayLevels,
    ids::{OffsetMessageId, UniqueIdGenerator},
    json::{self, Dialect},
    names,
    properties::{self, PropertiesWriter, Special},
    record::{self, RecordFields, RecordView},
    subscription::TagExpression,
};
use serde::{Serialize, de::DeserializeOwned};

fn any_address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

/// Text as properties are made of: separators come often.
fn property_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(1u8), Just(2u8), Just(b'A'), Just(b'B'), any::<u8>()];
    vec(byte, 0..60)
}

/// JSON-like text, and recorded text with a few bytes changed.
fn json_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(":".to_owned()),
        Just(",".to_owned()),
        Just("\"topic\"".to_owned()),
        Just("\"queueId\":".to_owned()),
        Just("\"offsetTable\":{".to_owned()),
        Just("{\"$ref\":\"..\"}".to_owned()),
        Just("\\u12".to_owned()),
        Just("null".to_owned()),
        Just("-1.5e9".to_owned()),
        ".{0,3}",
    ];
    let pieces = vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes());
    let recorded: Vec<_> = include_str!("golden/bodies.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
        .collect();
    let changed = (prop::sample::select(recorded), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<prop::sample::Index>());
    let changed = changed.prop_map(|(text, changes, end)| {
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Half of them are cut short.
        let end = end.index(bytes.len() * 2);
        bytes.truncate(end);
        bytes
    });
    prop_oneof![pieces, changed, vec(any::<u8>(), 0..60)]
}

fn read_all(bytes: &[u8]) {
    let _ = json::from_slice::<HeartbeatData>(bytes);
    let _ = json::from_slice::<TopicRouteData>(bytes);
    let _ = json::from_slice::<ConsumeStats>(bytes);
    let _ = json::from_slice::<RegisterBrokerBody>(bytes);
    let _ = json::from_slice::<SubscriptionGroupWrapper>(bytes);
    let _ = json::from_slice::<BTreeMap<i32, String>>(bytes);
    let _ = json::from_slice::<Vec<String>>(bytes);
    let _ = json::from_slice::<f64>(bytes);
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    for dialect in [Dialect::Default, Dialect::Standard, Dialect::Pretty] {
        let text = json::to_vec(value, dialect);
        assert_eq!(json::from_slice::<T>(&text).unwrap(), *value, "{}", String::from_utf8_lossy(&text));
    }
}

prop_compose! {
    fn any_topic()(name in ".{0,12}", attributes in vec((".{1,5}", ".{0,5}"), 0..3), order: bool, perm: i32, read: i32, write: i32, multi: bool)
        -> TopicConfig
    {
        TopicConfig {
            attributes: attributes.into_iter().collect(),
            order,
            perm,
            read_queue_nums: read,
            topic_filter_type: if multi { TopicFilterType::MultiTag } else { TopicFilterType::SingleTag },
            topic_name: name,
            topic_sys_flag: 0,
            write_queue_nums: write,
        }
    }
}

prop_compose! {
    fn any_subscription()(topic in ".{0,9}", tags in vec(".{0,9}", 0..4), sub_string in proptest::option::of(".{0,9}"), sub_version: i64)
        -> SubscriptionData
    {
        SubscriptionData {
            code_set: tags.iter().map(|tag| proto_core::hash::java_string_hash(tag)).collect(),
            tags_set: tags.into_iter().collect(),
            sub_string,
            sub_version,
            topic,
            ..SubscriptionData::default()
        }
    }
}

#[derive(Debug)]
struct Message {
    topic: String,
    numbers: (i32, i32, i64, i64, i32),
    times: (i64, i64),
    hosts: (SocketAddr, SocketAddr),
    body: Vec<u8>,
    properties: Vec<u8>,
}

prop_compose! {
    fn any_message()(
        topic in "[a-zA-Z%中]{0,200}",
        numbers: (i32, i32, i64, i64, i32),
        times: (i64, i64),
        hosts in (any_address(), any_address()),
        body in vec(any::<u8>(), 0..300),
        properties in property_bytes(),
    ) -> Message {
        Message { topic, numbers, times, hosts, body, properties }
    }
}

impl Message {
    fn fields(&self) -> RecordFields<'_> {
        RecordFields {
            topic: &self.topic,
            queue_id: self.numbers.0,
            flag: self.numbers.1,
            queue_offset: self.numbers.2,
            physical_offset: self.numbers.3,
            sys_flag: self.numbers.4,
            born_timestamp: self.times.0,
            born_host: self.hosts.0,
            store_timestamp: self.times.1,
            store_host: self.hosts.1,
            reconsume_times: self.numbers.0 ^ 5,
            prepared_transaction_offset: self.numbers.2 ^ 7,
            body: &self.body,
            properties: &self.properties,
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_json_reader_panic(bytes in json_bytes()) {
        read_all(&bytes);
    }

    #[test]
    fn topics_come_back_in_every_dialect(topics in vec(any_topic(), 0..4)) {
        same_again(&TopicConfigSerializeWrapper {
            topic_config_table: topics.into_iter().map(|topic| (topic.topic_name.clone(), topic)).collect(),
            ..TopicConfigSerializeWrapper::default()
        });
    }

    #[test]
    fn heartbeats_come_back_in_every_dialect(client_id in ".{0,9}", fingerprint: i32, subscriptions in vec(any_subscription(), 0..3)) {
        same_again(&HeartbeatData {
            client_id,
            heartbeat_fingerprint: fingerprint,
            consumer_data_set: vec![ConsumerData { subscription_data_set: subscriptions, ..ConsumerData::default() }],
            ..HeartbeatData::default()
        });
    }

    #[test]
    fn routes_come_back_in_every_dialect(ids in vec((any::<i64>(), ".{0,9}"), 0..4), perm: i32, order in proptest::option::of(".{0,9}")) {
        same_again(&TopicRouteData {
            broker_datas: vec![BrokerData { broker_addrs: ids.into_iter().collect(), ..BrokerData::default() }],
            queue_datas: vec![QueueData { perm, ..QueueData::default() }],
            order_topic_conf: order,
            ..TopicRouteData::default()
        });
    }

    #[test]
    fn objects_as_keys_come_back_in_every_dialect(queues in vec((".{0,9}", ".{0,9}", any::<i32>(), any::<i64>()), 0..4), tps: f64) {
        same_again(&ConsumeStats {
            consume_tps: if tps.is_finite() { tps } else { 0.0 },
            offset_table: queues
                .into_iter()
                .map(|(topic, broker_name, queue_id, broker_offset)| {
                    (MessageQueue { topic, broker_name, queue_id }, OffsetWrapper { broker_offset, ..OffsetWrapper::default() })
                })
                .collect(),
        });
    }

    #[test]
    fn a_record_holds_what_was_put_in(message in any_message()) {
        let fields = message.fields();
        let len = fields.encoded_len();
        let mut out = vec![0xEE; len + 3];
        prop_assert_eq!(fields.encode_into(&mut out), Ok(len));
        prop_assert_eq!(&out[len..], &[0xEE; 3]);

        let view = RecordView::parse(&out).unwrap();
        prop_assert_eq!(view.total_size(), len);
        prop_assert_eq!(view.verify_crc(), Ok(()));
        prop_assert_eq!(view.topic(), fields.topic);
        prop_assert_eq!(view.queue_id(), fields.queue_id);
        prop_assert_eq!(view.flag(), fields.flag);
        prop_assert_eq!(view.queue_offset(), fields.queue_offset);
        prop_assert_eq!(view.physical_offset(), fields.physical_offset);
        prop_assert_eq!(view.sys_flag() & !0x30, fields.sys_flag & !0x30);
        prop_assert_eq!(view.born_timestamp(), fields.born_timestamp);
        prop_assert_eq!(view.born_host(), fields.born_host);
        prop_assert_eq!(view.store_timestamp(), fields.store_timestamp);
        prop_assert_eq!(view.store_host(), fields.store_host);
        prop_assert_eq!(view.reconsume_times(), fields.reconsume_times);
        prop_assert_eq!(view.prepared_transaction_offset(), fields.prepared_transaction_offset);
        prop_assert_eq!(view.body(), fields.body);
        prop_assert_eq!(view.properties(), fields.properties);
        prop_assert_eq!(view.magic() == record::MAGIC_V2, fields.topic.len() > 127);
        prop_assert_eq!(record::peek::store_timestamp(view.bytes()), fields.store_timestamp);
        prop_assert_eq!(record::peek::properties(view.bytes()), Some(fields.properties));
    }

    #[test]
    fn a_change_of_any_byte_of_a_record_with_a_trailer_is_noticed(message in any_message(), at: prop::sample::Index, flip in 1_u8..) {
        let fields = message.fields();
        let mut out = vec![0xEE; fields.encoded_len_with_trailer() + 3];
        let len = fields.encode_with_trailer_into(&mut out).unwrap();
        prop_assert_eq!(&out[len..], &[0xEE; 3]);
        out.truncate(len);
        let view = RecordView::parse(&out).unwrap();
        prop_assert_eq!((view.verify_crc(), view.verify_trailer()), (Ok(()), Ok(true)));
        prop_assert!(view.properties().starts_with(fields.properties));
        let trailer = record::encode_trailer(record::body_crc(&out[..len - record::TRAILER_LEN]));
        prop_assert!(view.properties().ends_with(&trailer));
        prop_assert_eq!(view.property("__CRC32#").map(str::as_bytes), Some(&trailer[9..19]));

        for at in [at.index(len), len - 1 - at.index(record::TRAILER_LEN + 1)] {
            out[at] ^= flip;
            let unnoticed = RecordView::parse(&out).is_ok_and(|view| view.verify_crc().is_ok() && view.verify_trailer().is_ok());
            prop_assert!(!unnoticed, "byte {at} of {len}");
            out[at] ^= flip;
        }
    }

    #[test]
    fn a_record_cut_short_or_changed_is_refused_or_still_adds_up(message in any_message(), at: prop::sample::Index, byte: u8) {
        let fields = message.fields();
        let mut out = vec![0; fields.encoded_len()];
        fields.encode_into(&mut out).unwrap();
        let cut = at.index(out.len());
        prop_assert!(RecordView::parse(&out[..cut]).is_err());
        prop_assert_eq!(fields.encode_into(&mut vec![0; out.len() - 1]).is_err(), true);
        out[cut] = byte;
        if let Ok(view) = RecordView::parse(&out) {
            prop_assert!(view.body().len() + view.topic().len() + view.properties().len() < view.total_size());
            let _ = (view.born_host(), view.store_host(), view.offset_message_id(), view.verify_crc());
        }
        let _ = record::peek::properties(&out);
    }

    #[test]
    fn no_bytes_make_the_record_reader_panic(mut bytes in vec(any::<u8>(), 0..200), plausible: bool) {
        if plausible && bytes.len() > 8 {
            let size = i32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&size.to_be_bytes());
            bytes[4..8].copy_from_slice(&record::MAGIC_V1.to_be_bytes());
        }
        let _ = record::read(&bytes);
        let _ = (record::peek::properties(&bytes), record::peek::store_timestamp(&bytes), record::peek::total_size(&bytes));
    }

    #[test]
    fn one_look_at_properties_sees_what_single_looks_see(bytes in property_bytes(), name in "[AB]{1,2}") {
        let table: BTreeMap<&[u8], &[u8]> = properties::iter(&bytes).collect();
        prop_assert_eq!(properties::find(&bytes, &name), table.get(name.as_bytes()).copied());
        let special = Special::scan(&bytes);
        prop_assert_eq!(special.tags, properties::find(&bytes, properties::names::TAGS));
    }

    #[test]
    fn a_property_can_be_put_and_taken_and_the_others_stay(bytes in property_bytes(), name in "[AB]{1,2}", value in "[a-z]{1,5}") {
        let others = |bytes: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
            properties::iter(bytes).filter(|(other, _)| *other != name.as_bytes()).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
        };
        let mut writer = PropertiesWriter::new();
        writer.start(&bytes);
        writer.put(&name, value.as_bytes());
        prop_assert_eq!(writer.find(&name), Some(value.as_bytes()));
        prop_assert_eq!(others(writer.as_bytes()), others(&bytes));
        prop_assert!(writer.remove(&name));
        prop_assert_eq!(writer.find(&name), None);
        prop_assert_eq!(others(writer.as_bytes()), others(&bytes));
    }

    #[test]
    fn a_batch_holds_what_was_put_in(messages in vec((any::<i32>(), vec(any::<u8>(), 0..50), property_bytes()), 0..5), cut: prop::sample::Index) {
        let mut body = Vec::new();
        for (flag, bytes, properties) in &messages {
            batch::encode(&BatchMessage { flag: *flag, body: bytes, properties }, &mut body).unwrap();
        }
        let read = batch::iter(&body).collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(read.len(), messages.len());
        for (read, (flag, bytes, properties)) in read.iter().zip(&messages) {
            prop_assert_eq!((read.flag, read.body, read.properties), (*flag, &bytes[..], &properties[..]));
        }
        if !body.is_empty() {
            let cut = cut.index(body.len());
            prop_assert_eq!(batch::iter(&body[..cut]).all(|message| message.is_ok()), is_boundary(&body, cut));
        }
    }

    #[test]
    fn no_bytes_make_the_batch_reader_panic_or_loop(bytes in vec(prop_oneof![Just(0u8), any::<u8>()], 0..200)) {
        prop_assert!(batch::iter(&bytes).count() <= bytes.len() / batch::OVERHEAD + 1);
    }

    #[test]
    fn an_offset_id_comes_back(host in any_address(), offset: i64) {
        let id = OffsetMessageId { host, offset };
        prop_assert_eq!(OffsetMessageId::parse(&id.to_string()), Ok(id));
    }

    #[test]
    fn no_text_makes_a_small_parser_panic(text in ".{0,80}", now: i64, ip: IpAddr) {
        let _ = OffsetMessageId::parse(&text);
        let _ = DelayLevels::parse(&text);
        let _ = TagExpression::parse(Some(&text));
        let _ = TopicConfig::from_line(&text);
        let _ = (names::validate_topic(&text), names::validate_group(&text), names::group_of_retry_topic(&text));
        prop_assert!(matches!(UniqueIdGenerator::new(ip, 1, 2, 3).next_id(now).as_str().len(), 32 | 56));
    }

    #[test]
    fn no_bytes_make_the_decompressor_panic(bytes in vec(any::<u8>(), 0..200), text in vec(any::<u8>(), 0..200)) {
        let _ = decode_compressed_register_body(&bytes, 1000);
        let _ = decode_compressed_register_body(&compressed(&text), 1000);
    }
}

/// Whether a batch may be cut here without anyone noticing.
fn is_boundary(body: &[u8], cut: usize) -> bool {
    let mut at = 0;
    while at < cut {
        at += usize::try_from(i32::from_be_bytes(*body[at..].first_chunk().unwrap())).unwrap();
    }
    at == cut
}

fn compressed(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn push_part(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
    text.extend_from_slice(part);
}

fn push_list(text: &mut Vec<u8>, parts: &[&str]) {
    text.extend_from_slice(&u32::try_from(parts.len()).unwrap().to_be_bytes());
    for part in parts {
        push_part(text, part.as_bytes());
    }
}

fn registration(mappings: Option<&[&str]>) -> Vec<u8> {
    let mut text = Vec::new();
    push_part(&mut text, br#"{"counter":3,"stateVersion":0,"timestamp":1700000000000}"#);
    push_list(&mut text, &[r#"T1 8 8 6 SINGLE_TAG {"message.type":"FIFO"}"#, "T2 4 5 2 MULTI_TAG"]);
    push_part(&mut text, br#"["10.0.0.1:9"]"#);
    if let Some(mappings) = mappings {
        push_list(&mut text, mappings);
    }
    text
}

#[test]
fn a_compressed_registration_is_understood_with_and_without_mappings() {
    let body = decode_compressed_register_body(&compressed(&registration(None)), 4096).unwrap();
    let wrapper = &body.topic_config_serialize_wrapper;
    assert_eq!(wrapper.data_version.counter, 3);
    assert_eq!(wrapper.topic_config_table["T1"].attributes["message.type"], "FIFO");
    assert_eq!(wrapper.topic_config_table["T2"].write_queue_nums, 5);
    assert_eq!(body.filter_server_list, Some(vec!["10.0.0.1:9".to_owned()]));

    let with = registration(Some(&[r#"{"bname":"b","currIdMap":{0:1},"topic":"T1","totalQueues":8}"#]));
    let body = decode_compressed_register_body(&compressed(&with), 4096).unwrap();
    assert_eq!(body.topic_config_serialize_wrapper.topic_queue_mapping_info_map["T1"].curr_id_map, BTreeMap::from([(0, 1)]));
}

#[test]
fn a_compressed_registration_that_swells_beyond_the_limit_is_refused() {
    use proto_core::bodies::CompressedBodyError;
    let bomb = compressed(&vec![0; 10_000_000]);
    assert!(bomb.len() < 20_000);
    assert_eq!(decode_compressed_register_body(&bomb, 1_000_000), Err(CompressedBodyError::TooLong(1_000_000)));
}

#[test]
fn topics_and_properties_that_are_too_long_make_no_record() {
    let message = Message {
        topic: "t".repeat(40_000),
        numbers: (0, 0, 0, 0, 0),
        times: (0, 0),
        hosts: ("127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()),
        body: Vec::new(),
        properties: vec![b'p'; 40_000],
    };
    let mut out = vec![0; 100_000];
    let fields = message.fields();
    assert_eq!(fields.encode_into(&mut out), Err(record::EncodeError::TopicTooLong(40_000)));
    assert_eq!(RecordFields { topic: "t", ..fields }.encode_into(&mut out), Err(record::EncodeError::PropertiesTooLong(40_000)));
    assert!(out.iter().all(|byte| *byte == 0));
}

#[test]
fn a_blank_says_how_much_of_the_file_is_left() {
    let blank = record::encode_blank(100);
    assert_eq!(blank, [0, 0, 0, 100, 0xcb, 0xd4, 0x31, 0x94]);
    assert_eq!(record::read(&blank), Ok(record::Stored::Blank { size: 100 }));
    assert_eq!(record::read(&record::encode_blank(7)), Err(record::RecordError::BadSize(7)));
    assert_eq!(record::read(&blank[..7]), Err(record::RecordError::Truncated { needed: 8, available: 7 }));
    assert_eq!(record::read(&[0; 100]), Err(record::RecordError::BadMagic(0)));
}
