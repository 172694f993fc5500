//! The way of a send and of a pull through this crate takes nothing from the heap.

use allocation_counter::measure;
use proto_core::{
    Command, Flag, FrameDecoder,
    encode::{Head, encode_frame},
    frame::Decoded,
    headers::{DecodeExt, PullMessageRequest, PullMessageResponse, SendMessageRequest, SendMessageResponse},
};

/// The first recorded request with this code.
fn recorded(code: &str) -> Vec<u8> {
    let line =
        include_str!("golden/frames-json.jsonl").lines().find(|line| line.contains(&format!("\"header\":{{\"code\":{code},"))).unwrap();
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let hex = value["frame_hex"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decode(bytes: &[u8]) -> Command<'_> {
    match FrameDecoder::default().decode(bytes) {
        Ok(Decoded::Frame { frame, .. }) => Command::decode(frame).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_counter_sees_an_allocation() {
    assert_eq!(measure(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(9)))).count_total, 1);
}

#[test]
fn reading_a_send_and_writing_its_answer_allocates_nothing() {
    let (send, mut out, mut properties) = (recorded("310"), Vec::with_capacity(1024), Vec::with_capacity(1024));
    let counted = measure(|| {
        let command = decode(&send);
        let header = SendMessageRequest::decode(command.code, &command.ext).unwrap();
        header.properties.unwrap().unescape_bytes_into(&mut properties);
        let answer = SendMessageResponse { queue_id: header.queue_id, transaction_id: header.properties, ..SendMessageResponse::default() };
        let head = Head { code: 0, opaque: command.opaque, flag: Flag(Flag::RESPONSE), remark: None };
        encode_frame(&mut out, &head, Some(&answer), 0);
    });
    assert_eq!(counted.count_total, 0);
    assert!(properties.contains(&1) && decode(&out).ext.get("transactionId").is_some());
}

#[test]
fn reading_a_pull_and_writing_its_answer_allocates_nothing() {
    let (pull, mut out) = (recorded("11"), Vec::with_capacity(1024));
    let counted = measure(|| {
        let command = decode(&pull);
        let header = PullMessageRequest::decode_ext(&command.ext).unwrap();
        let answer = PullMessageResponse { next_begin_offset: header.queue_offset, ..PullMessageResponse::default() };
        let head = Head { code: 0, opaque: command.opaque, flag: Flag(Flag::RESPONSE), remark: Some("FOUND") };
        encode_frame(&mut out, &head, Some(&answer), 100);
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_hostile_header_allocates_no_more_than_its_fields_need() {
    let many = |count: usize| format!("{{\"extFields\":{{{}}}}}", vec!["\"a\":[[[[1]]]]"; count].join(","));
    let header = many(100_000);
    let counted = measure(|| {
        let frame = proto_core::Frame { serialize: proto_core::SerializeType::Json, header: header.as_bytes(), body: b"" };
        Command::decode(frame).unwrap_err();
    });
    assert!(counted.bytes_max < 16 * 1024, "{counted:?}");
}
