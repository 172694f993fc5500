//! Frames that Java and C++ clients and brokers really sent, read and written back.

use proto_core::{
    Command, ExtFields, Flag, Frame, FrameDecoder, SerializeType, Text,
    command::CommandError,
    encode::{EncodeExt, Head, encode_binary_frame, encode_frame},
    frame::Decoded,
    headers::*,
};
use serde_json::{Map, Value};

const JSON_FRAMES: &str = include_str!("golden/frames-json.jsonl");
const BINARY_FRAMES: &str = include_str!("golden/frames-binary.jsonl");
const MADE_FRAMES: &str = include_str!("golden/frames-made.jsonl");
const CPP_HEADERS: &str = include_str!("golden/headers-cpp.jsonl");

/// A recorded frame: what was recorded of its header, the request code that it answers, its bytes.
struct Recorded {
    header: Value,
    answers: Option<i64>,
    bytes: Vec<u8>,
}

fn recorded(lines: &str) -> impl Iterator<Item = Recorded> {
    lines.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let bytes = unhex(value["frame_hex"].as_str().unwrap());
        Recorded { answers: value["answers"].as_i64(), header: value["header"].take(), bytes }
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    match FrameDecoder::default().decode(bytes).unwrap() {
        Decoded::Frame { frame, len } => {
            assert_eq!(len, bytes.len());
            frame
        }
        Decoded::Incomplete { needed } => panic!("{needed} bytes are needed of {}", bytes.len()),
    }
}

/// A command in the shape in which headers were recorded.
fn shape(command: &Command<'_>) -> Value {
    let text = |text: Option<Text<'_>>| text.map_or(Value::Null, |text| Value::from(text.to_cow()));
    let ext: Map<_, _> = command.ext.iter().map(|(name, value)| (name.to_cow().into_owned(), text(value))).collect();
    serde_json::json!({
        "code": command.code,
        "flag": command.flag.0,
        "language": command.language.map(|language| language.name()),
        "opaque": command.opaque,
        "version": command.version,
        "remark": text(command.remark),
        "extFields": ext,
    })
}

/// A recorded header with what may be left out put in.
fn filled(mut header: Value) -> Value {
    let members = header.as_object_mut().unwrap();
    members.remove("serializeTypeCurrentRPC");
    members.entry("remark").or_insert(Value::Null);
    let ext = members.entry("extFields").or_insert_with(|| Map::new().into()).as_object_mut().unwrap();
    for value in ext.values_mut() {
        if let Value::Number(number) = value {
            *value = number.to_string().into();
        }
    }
    header
}

#[test]
fn every_recorded_frame_is_read_as_it_was_meant() {
    for (lines, serialize) in [(JSON_FRAMES, SerializeType::Json), (BINARY_FRAMES, SerializeType::RocketMq)] {
        for Recorded { header, bytes, .. } in recorded(lines) {
            let command = Command::decode(frame(&bytes)).unwrap();
            assert_eq!(command.serialize, serialize);
            assert_eq!(shape(&command), filled(header));
        }
    }
}

#[test]
fn every_recorded_json_frame_is_written_byte_for_byte() {
    for Recorded { bytes, .. } in recorded(JSON_FRAMES) {
        let mut written = Vec::new();
        Command::decode(frame(&bytes)).unwrap().encode(&mut written).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn every_recorded_binary_frame_is_written_byte_for_byte() {
    for Recorded { bytes, .. } in recorded(BINARY_FRAMES) {
        let mut written = Vec::new();
        Command::decode(frame(&bytes)).unwrap().encode(&mut written).unwrap();
        assert_eq!(written, bytes);
    }
}

#[test]
fn a_frame_says_the_same_in_both_forms() {
    for Recorded { bytes, .. } in recorded(JSON_FRAMES) {
        let command = Command::decode(frame(&bytes)).unwrap();
        let mut binary = Vec::new();
        let other = Command { serialize: SerializeType::RocketMq, ..command.clone() };
        if command.code > i32::from(i16::MAX) {
            other.encode(&mut binary).unwrap_err();
            assert!(binary.is_empty());
            continue;
        }
        other.encode(&mut binary).unwrap();
        let reread = Command::decode(frame(&binary)).unwrap();
        let without_empty = |command: &Command<'_>| {
            let mut shape = shape(command);
            if shape["remark"] == "" {
                shape["remark"] = Value::Null;
            }
            shape["extFields"].as_object_mut().unwrap().retain(|_, value| !matches!(value.as_str(), None | Some("")));
            shape
        };
        assert_eq!(without_empty(&reread), without_empty(&command));
        assert_eq!(reread.body, command.body);
    }
}

#[test]
fn frames_made_by_javas_encoder_come_out_of_ours() {
    for line in MADE_FRAMES.lines() {
        let made: Value = serde_json::from_str(line).unwrap();
        let number = |member: &str| made[member].as_i64().unwrap() as i32;
        let ext = made["extFields"].as_object().map(|fields| {
            let mut ext = ExtFields::present();
            assert!(fields.iter().all(|(name, value)| ext.push(Text::plain(name), value.as_str().map(Text::plain))));
            ext
        });
        let head = Head { code: number("code"), opaque: number("opaque"), flag: Flag(number("flag")), remark: made["remark"].as_str() };
        let body = made["body_hex"].as_str().map(unhex).unwrap_or_default();
        let mut written = Vec::new();
        if made["serialize"] == "JSON" {
            encode_frame(&mut written, &head, ext.as_ref(), body.len());
        } else {
            encode_binary_frame(&mut written, &head, ext.as_ref(), body.len()).unwrap();
        }
        written.extend_from_slice(&body);
        let java = unhex(made["frame_hex"].as_str().unwrap());
        assert_eq!(written, java, "{}", String::from_utf8_lossy(&written));
    }
}

#[test]
fn headers_of_cpp_clients_are_read_with_their_numbers_and_line_ends() {
    for line in CPP_HEADERS.lines() {
        let header = format!("{line}\n");
        let command = Command::decode(Frame { serialize: SerializeType::Json, header: header.as_bytes(), body: b"" }).unwrap();
        assert_eq!(shape(&command), filled(serde_json::from_str(line).unwrap()));
    }
}

/// The bytes of a header in both forms.
fn written(header: &impl EncodeExt) -> [Vec<u8>; 2] {
    let head = Head { code: 1, opaque: 2, flag: Flag(0), remark: None };
    let (mut json, mut binary) = (Vec::new(), Vec::new());
    encode_frame(&mut json, &head, Some(header), 0);
    encode_binary_frame(&mut binary, &head, Some(header), 0).unwrap();
    [json, binary]
}

/// The typed header that goes with a request code, as text, once it is sure that it knows each field but that of a client's hook, and
/// that it survives being written and read again.
fn typed(code: i32, answer: bool, ext: &ExtFields<'_>) -> Option<String> {
    macro_rules! by_code {
        (@shown $header:ty) => {{
            let header = <$header>::decode_ext(ext).unwrap();
            let [json, binary] = written(&header);
            let known = Command::decode(frame(&json)).unwrap().ext;
            let unknown = ext.iter().find(|(name, _)| *name != "ReqT" && known.get(&name.to_cow()).is_none());
            assert!(unknown.is_none(), "{code}: {unknown:?} is in no field of {header:?}");
            assert_eq!(<$header>::decode_ext(&Command::decode(frame(&json)).unwrap().ext).unwrap(), header);
            let reread = <$header>::decode_ext(&Command::decode(frame(&binary)).unwrap().ext).unwrap();
            let without_empty = format!("{header:?}").replace("Some(\"\")", "None");
            assert_eq!(format!("{reread:?}"), without_empty);
            Some(format!("{header:#?}"))
        }};
        ($($code:literal => $request:ty $(, $response:ty)?;)*) => {
            match (code, answer) {
                $(($code, false) => by_code!(@shown $request), $(($code, true) => by_code!(@shown $response),)?)*
                _ => None,
            }
        };
    }
    by_code! {
        11 => PullMessageRequest<'_>, PullMessageResponse;
        12 => QueryMessageRequest<'_>, QueryMessageResponse;
        14 => QueryConsumerOffsetRequest<'_>, QueryConsumerOffsetResponse;
        15 => UpdateConsumerOffsetRequest<'_>;
        17 => CreateTopicRequest<'_>;
        26 => GetAllTopicConfigRequest<'_>, GetBrokerConfigResponse<'_>;
        29 => SearchOffsetRequest<'_>, SearchOffsetResponse;
        30 => GetMaxOffsetRequest<'_>, GetMaxOffsetResponse;
        31 => GetMinOffsetRequest<'_>, GetMinOffsetResponse;
        32 => GetEarliestMsgStoretimeRequest<'_>, GetEarliestMsgStoretimeResponse;
        33 => ViewMessageRequest<'_>;
        34 => GetAllTopicConfigRequest<'_>, HeartbeatResponse;
        35 => UnregisterClientRequest<'_>;
        36 => ConsumerSendMsgBackRequest<'_>;
        37 => EndTransactionRequest<'_>;
        38 => GetConsumerListByGroupRequest<'_>;
        39 => CheckTransactionStateRequest<'_>;
        40 => NotifyConsumerIdsChangedRequest<'_>;
        100 => PutKvConfigRequest<'_>;
        101 => GetKvConfigRequest<'_>, GetKvConfigResponse<'_>;
        102 => DeleteKvConfigRequest<'_>;
        103 => RegisterBrokerRequest<'_>;
        104 => UnregisterBrokerRequest<'_>;
        105 => GetRouteInfoRequest<'_>;
        201 => GetAllSubscriptionGroupRequest<'_>, GetAllSubscriptionGroupResponse;
        202 => GetTopicStatsInfoRequest<'_>;
        203 => GetConsumerConnectionListRequest<'_>;
        204 => GetProducerConnectionListRequest<'_>;
        205 => WipeWritePermOfBrokerRequest<'_>, WipeWritePermOfBrokerResponse;
        207 => DeleteSubscriptionGroupRequest<'_>;
        208 => GetConsumeStatsRequest<'_>;
        215 => DeleteTopicRequest<'_>;
        216 => DeleteTopicFromNamesrvRequest<'_>;
        222 => ResetOffsetRequest<'_>;
        300 => QueryTopicConsumeByWhoRequest<'_>;
        310 => SendMessageRequest<'_>, SendMessageResponse<'_>;
        320 => SendMessageRequest<'_>, SendMessageResponse<'_>;
        327 => AddWritePermOfBrokerRequest<'_>, AddWritePermOfBrokerResponse;
        351 => GetTopicConfigRequest<'_>;
        361 => PullMessageRequest<'_>, PullMessageResponse;
    }
}

#[test]
fn every_typed_header_reads_what_java_put_into_it() {
    let mut shown = String::new();
    for Recorded { bytes, answers, header } in recorded(JSON_FRAMES) {
        let command = Command::decode(frame(&bytes)).unwrap();
        if command.ext.is_empty() {
            continue;
        }
        let code = answers.unwrap_or_else(|| header["code"].as_i64().unwrap()) as i32;
        if let Some(typed) = typed(code, answers.is_some(), &command.ext) {
            shown += &format!("{code}: {typed}\n");
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_cpp_client_sends_with_long_names_and_numbers_for_booleans() {
    let header = CPP_HEADERS.lines().find(|line| line.contains("\"code\":10,")).unwrap();
    let command = Command::decode(Frame { serialize: SerializeType::Json, header: header.as_bytes(), body: b"" }).unwrap();
    let send = SendMessageRequest::decode(command.code, &command.ext).unwrap();
    assert_eq!(send.topic, "PyTopic");
    assert_eq!(send.producer_group, "PID-1");
    assert_eq!((send.default_topic_queue_nums, send.born_timestamp, send.reconsume_times), (4, 1_795_362_820_049, Some(0)));
    assert!(!send.batch && !send.unit_mode);
    let mut written = Vec::new();
    let head = Head { code: 10, opaque: 2, flag: command.flag, remark: None };
    encode_frame(&mut written, &head, Some(&SendMessageRequestV1(&send)), 0);
    let reread = Command::decode(frame(&written)).unwrap();
    assert_eq!(SendMessageRequest::decode_v1(&reread.ext).unwrap(), send);
}

#[test]
fn a_header_that_cannot_be_framed_is_replaced_by_one_that_says_so() {
    let mut out = b"before".to_vec();
    let topic = "t".repeat(1 << 24);
    let header = GetRouteInfoRequest { topic: Text::plain(&topic), ..GetRouteInfoRequest::default() };
    encode_frame(&mut out, &Head { code: 1, opaque: 7, flag: Flag(1), remark: None }, Some(&header), 0);
    let command = Command::decode(frame(&out[6..])).unwrap();
    assert_eq!((command.opaque, command.ext.is_present()), (7, false));
    assert_eq!(command.remark.unwrap(), "the header that belongs here is longer than a frame allows");
}

#[test]
fn a_name_too_long_for_the_binary_form_is_refused_by_the_other_as_well() {
    let header = format!("{{\"extFields\":{{\"{}\":\"\"}}}}", "n".repeat(40_000));
    let frame = Frame { serialize: SerializeType::Json, header: header.as_bytes(), body: b"" };
    assert!(matches!(Command::decode(frame).unwrap_err(), CommandError::BadLength { .. }));
}
