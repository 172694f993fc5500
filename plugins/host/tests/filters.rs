//! Filters that do what they should.

mod support;

use route_core::filter::{Candidate, Verdicts};
use support::{FilterText, delivered, filter_of, info, load, messages, set_of};

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
