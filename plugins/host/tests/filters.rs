//! Filters that do what they should.

mod support;

use std::io::Write as _;

use flate2::{Compression, write::ZlibEncoder};
use route_core::filter::{Candidate, Verdicts};
use support::{FilterText, delivered, filter_of, info, load, message_with, messages, set_of};

#[test]
fn a_filter_answers_a_batch_with_a_bit_for_each_message() {
    let set = set_of(&FilterText::default().wasm(), "withhold");
    assert_eq!(delivered(&*filter_of(&set), &messages(35)), (0..35).step_by(2).collect::<Vec<_>>());
    let info = info(&set);
    assert_eq!(
        (info.messages, info.failures, info.kind.as_str(), info.state.as_str(), info.version.as_str()),
        (35, 0, "filter", "active", "0.1.0")
    );
}

#[test]
fn a_batch_longer_than_a_call_takes_is_asked_for_in_parts() {
    let set = set_of(&FilterText::default().wasm(), "withhold");
    let filter = filter_of(&set);
    let before = info(&set).calls;
    assert_eq!(delivered(&*filter, &messages(600)), (0..600).step_by(2).collect::<Vec<_>>());
    assert_eq!(info(&set).calls - before, 10, "64 in each");
}

#[test]
fn a_new_version_answers_from_the_next_batch_on() {
    let set = set_of(&FilterText::default().wasm(), "withhold");
    let filter = filter_of(&set);
    assert_eq!(delivered(&*filter, &messages(4)), [0, 2]);
    let none = FilterText::that_matches("(i64.const 0)");
    set.install("it", load(&none.wasm()).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    assert!(delivered(&*filter, &messages(4)).is_empty());
}

#[test]
fn messages_without_a_record_are_passed_over_and_move_no_others() {
    let set = set_of(&FilterText::default().wasm(), "deliver");
    let records = messages(100);
    let batch: Vec<_> = (0..100).map(|n| Candidate { tags_code: 0, record: (n % 3 > 0).then_some(&*records[n]) }).collect();
    let mut verdicts = Verdicts::default();
    verdicts.reset(batch.len());
    filter_of(&set).matches(&batch, &mut verdicts);
    let delivered: Vec<_> = (0..100).filter(|&index| verdicts.delivers(index)).collect();
    // Of those that are asked for every second one, beginning anew with the second call.
    let of_call = |from: usize, to: usize| (from..to).filter(|n| n % 3 > 0).step_by(2);
    assert_eq!(delivered, of_call(0, 64).chain(of_call(64, 100)).collect::<Vec<_>>());
}

/// Delivers a message whose body begins with an `x` and is not compressed.
const FIRST_BYTE_IS_X: &str = "(i64.extend_i32_u (i32.and
    (i32.eq (i32.load8_u (i32.add (local.get 0) (i32.load offset=88 (local.get 0)))) (i32.const 120))
    (i32.eqz (i32.and (i32.load offset=76 (local.get 0)) (i32.const 1)))))";

#[test]
fn bodies_that_were_compressed_come_as_they_were_before() {
    let text = FilterText { wants: "(i32.const 1)", matches: FIRST_BYTE_IS_X, ..FilterText::default() };
    let set = set_of(&text.wasm(), "withhold");
    let filter = filter_of(&set);
    let zlib = |body: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let judged = |body: &[u8], sys_flag| !delivered(&*filter, &[message_with(100, body, "", sys_flag)]).is_empty();
    assert!(judged(b"xyz", 0) && !judged(b"yz", 0));
    assert!(judged(&zlib(&[b'x'; 10_000]), 1) && !judged(&zlib(&[b'y'; 10_000]), 1));
    let lz4 = |body: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |body: &[u8]| zstd::stream::encode_all(body, 5).unwrap();
    assert!(judged(&lz4(&[b'x'; 10_000]), 0x101) && !judged(&lz4(&[b'y'; 10_000]), 0x101));
    assert!(judged(&zstd(&[b'x'; 10_000]), 0x201) && !judged(&zstd(&[b'y'; 10_000]), 0x201));
    assert!(judged(&zlib(&[b'x'; 1 << 20]), 1), "so long it may be");
    assert!(!judged(&zlib(&[b'x'; (1 << 20) + 1]), 1) && !judged(b"x is not zlib", 1), "these are told to be compressed");
    assert_eq!(info(&set).failures, 0);
}
