//! What the wire costs: cutting frames, reading headers, writing answers. One send is what a Java producer sends for a message with a
//! unique key; its body is 1 KiB.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto_core::{
    Command, Flag, Frame, FrameDecoder,
    encode::{Head, encode_frame},
    frame::Decoded,
    headers::{DecodeExt, PullMessageRequest, PullMessageResponse, SendMessageRequest, SendMessageResponse},
    text::Text,
};

const SEND: &str = r#"{"code":310,"extFields":{"a":"PG_main","b":"Capproducer","c":"TBW102","d":"4","e":"1","f":"0","g":"1795374849533","h":"0","i":"KEYS\u0001order-4711\u0002UNIQ_KEY\u0001C0000202690B4E0E2F2A704635FC0000\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002","j":"0","k":"false","m":"false","n":"broker-a"},"flag":0,"language":"JAVA","opaque":3,"serializeTypeCurrentRPC":"JSON","version":513}"#;
const PULL: &str = r#"{"code":11,"extFields":{"queueId":"3","maxMsgNums":"32","sysFlag":"3","suspendTimeoutMillis":"15000","commitOffset":"1024","topic":"Capproducer","queueOffset":"1056","expressionType":"TAG","subVersion":"1795374849533","consumerGroup":"CG_main","bname":"broker-a","maxMsgBytes":"2147483647"},"flag":0,"language":"JAVA","opaque":3,"serializeTypeCurrentRPC":"JSON","version":513}"#;

fn frame_of(header: &str, body: usize) -> Vec<u8> {
    let len = |len: usize| (len as u32).to_be_bytes();
    [&len(4 + header.len() + body)[..], &len(header.len()), header.as_bytes(), &vec![b'x'; body]].concat()
}

fn cut(bytes: &[u8]) -> Frame<'_> {
    match FrameDecoder::default().decode(bytes) {
        Ok(Decoded::Frame { frame, .. }) => frame,
        other => panic!("{other:?}"),
    }
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    let (send, pull) = (frame_of(SEND, 1024), frame_of(PULL, 0));
    group.bench_function("cut a frame", |b| b.iter(|| cut(black_box(&send)).body.len()));
    for (name, bytes) in [("send", &send), ("pull", &pull)] {
        let frame = cut(bytes);
        group.bench_function(format!("{name}: JSON header"), |b| b.iter(|| black_box(Command::decode(black_box(frame)).unwrap()).opaque));
        let mut binary = Vec::new();
        let command = Command::decode(frame).unwrap();
        Command { serialize: proto_core::SerializeType::RocketMq, ..command.clone() }.encode(&mut binary).unwrap();
        let frame = cut(&binary);
        group.bench_function(format!("{name}: binary header"), |b| b.iter(|| black_box(Command::decode(black_box(frame)).unwrap()).opaque));
    }
    let command = Command::decode(cut(&send)).unwrap();
    group.bench_function("send: typed", |b| b.iter(|| SendMessageRequest::decode(310, black_box(&command.ext)).unwrap()));
    let mut properties = Vec::with_capacity(1024);
    let text = command.ext.get("i").unwrap();
    group.bench_function("send: properties", |b| {
        b.iter(|| {
            properties.clear();
            black_box(text).unescape_bytes_into(&mut properties);
            properties.len()
        });
    });
    let command = Command::decode(cut(&pull)).unwrap();
    group.bench_function("pull: typed", |b| b.iter(|| PullMessageRequest::decode_ext(black_box(&command.ext)).unwrap()));
    group.bench_function("send: frame to typed", |b| {
        b.iter(|| {
            let command = Command::decode(cut(black_box(&send))).unwrap();
            SendMessageRequest::decode(command.code, &command.ext).unwrap().born_timestamp
        });
    });
    group.bench_function("pull: frame to typed", |b| {
        b.iter(|| {
            let command = Command::decode(cut(black_box(&pull))).unwrap();
            PullMessageRequest::decode_ext(&command.ext).unwrap().queue_offset
        });
    });
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(4096);
    let sent = SendMessageResponse {
        msg_id: Text::plain("7F000002000051AF00000000000027D3"),
        queue_id: 1,
        queue_offset: 123_456,
        transaction_id: Some(Text::plain("C0000202690B4E0E2F2A704635FC0000")),
        region: Some(Text::plain("DefaultRegion")),
        trace_on: Some(true),
        ..SendMessageResponse::default()
    };
    let head = Head { code: 0, opaque: 4711, flag: Flag(Flag::RESPONSE), remark: None };
    group.bench_function("send: answer", |b| {
        b.iter(|| {
            out.clear();
            encode_frame(&mut out, black_box(&head), Some(black_box(&sent)), 0);
            out.len()
        });
    });
    let pulled =
        PullMessageResponse { next_begin_offset: 1088, max_offset: 2000, group_sys_flag: Some(0), ..PullMessageResponse::default() };
    let head = Head { remark: Some("FOUND"), ..head };
    group.bench_function("pull: answer", |b| {
        b.iter(|| {
            out.clear();
            encode_frame(&mut out, black_box(&head), Some(black_box(&pulled)), 4096);
            out.len()
        });
    });
    group.finish();
}

criterion_group!(codec, read, write);
criterion_main!(codec);
