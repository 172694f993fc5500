use super::*;
use crate::expiry::DeleteWhen;

const HOUR: u64 = 3600 * 1000;
const LEN: u64 = 1 << 30;
/// When the machine of these tests is started, on the wall clock.
const START: i64 = 1_700_000_000_000;

/// So many milliseconds after the start.
fn at(mono: u64) -> Now {
    Now { mono: Millis(mono), wall: Timestamp(START).plus(Millis(mono)) }
}

/// A policy whose hour never comes.
fn policy() -> ExpiryPolicy {
    ExpiryPolicy { delete_when: DeleteWhen::parse("").unwrap(), ..ExpiryPolicy::default() }
}

fn at_all_hours() -> ExpiryPolicy {
    let hours: Vec<_> = (0..24).map(|hour| hour.to_string()).collect();
    ExpiryPolicy { delete_when: DeleteWhen::parse(&hours.join(";")).unwrap(), ..ExpiryPolicy::default() }
}

fn disk(percent: u64) -> Space {
    Space { used: percent * LEN, available: (100 - percent) * LEN }
}

/// Files that were last written to so many hours before the start, the oldest first.
fn files(ages: &[u64]) -> Vec<OldFile> {
    let modified = |age: u64| Timestamp(START - i64::try_from(age * HOUR).unwrap());
    (0..).zip(ages).map(|(index, &age)| OldFile { base: index * LEN as i64, modified: modified(age), len: LEN }).collect()
}

fn seen(percent: u64, ages: &[u64]) -> Seen {
    Seen { log: Some(disk(percent)), queues: Some(disk(percent)), oldest: files(ages) }
}

/// What comes out, but for looks.
fn outputs(expiry: &mut LogExpiry) -> Vec<LogOutput> {
    std::iter::from_fn(|| expiry.poll_output()).filter(|output| *output != LogOutput::Look).collect()
}

/// A machine that has been there for long enough.
fn started(policy: ExpiryPolicy) -> LogExpiry {
    let mut expiry = LogExpiry::new(policy);
    expiry.handle_timeout(at(0));
    expiry.handle_seen(at(0), &seen(10, &[]));
    assert_eq!(outputs(&mut expiry), []);
    expiry
}

/// The files that go after a look at `mono`, each deleted at once.
fn gone(expiry: &mut LogExpiry, mono: u64, seen: &Seen) -> Vec<(i64, Why)> {
    expiry.handle_timeout(at(mono));
    expiry.handle_seen(at(mono), seen);
    let mut gone = Vec::new();
    let mut now = mono;
    loop {
        expiry.handle_timeout(at(now));
        let deleted: Vec<_> = outputs(expiry)
            .into_iter()
            .filter_map(|output| match output {
                LogOutput::Delete { base, why } => Some((base / LEN as i64, why)),
                _ => None,
            })
            .collect();
        let [(index, why)] = deleted[..] else { return gone };
        gone.push((index, why));
        expiry.handle_deleted(at(now), index * LEN as i64, true);
        now += 100;
    }
}

#[test]
fn files_go_in_the_hour_for_it_when_their_time_is_over() {
    let mut expiry = started(at_all_hours());
    let seen = seen(10, &[100, 73, 71, 70]);
    assert_eq!(gone(&mut expiry, 60_000, &seen), [(0, Why::Expired), (1, Why::Expired)]);
}

#[test]
fn outside_that_hour_they_stay() {
    let mut expiry = started(policy());
    assert_eq!(gone(&mut expiry, 60_000, &seen(75, &[100, 73])), []);
}

#[test]
fn whoever_wishes_for_it_sees_expired_files_go_at_any_hour_for_twenty_looks() {
    let mut expiry = started(policy());
    expiry.handle_wish();
    assert_eq!(gone(&mut expiry, 1_000, &seen(10, &[100, 71])), [(0, Why::Expired)]);
    for look in 2..=20 {
        assert_eq!(gone(&mut expiry, look * 10_000, &seen(10, &[71])), []);
    }
    assert_eq!(gone(&mut expiry, 210_000, &seen(10, &[100])), []);
}

#[test]
fn another_policy_counts_from_the_next_look_on_which_comes_at_once() {
    let mut expiry = started(at_all_hours());
    assert_eq!(gone(&mut expiry, 60_000, &seen(10, &[5, 4])), []);
    expiry.handle_configured(ExpiryPolicy { file_reserved_time: Millis(5 * HOUR), ..at_all_hours() });
    assert_eq!(expiry.poll_timeout(), Some(Millis(0)));
    assert_eq!(gone(&mut expiry, 60_001, &seen(10, &[5, 4])), [(0, Why::Expired)]);
    expiry.handle_configured(ExpiryPolicy { disk_space_warning_level_ratio: 40, ..policy() });
    assert_eq!(gone(&mut expiry, 70_000, &seen(41, &[4])), []);
    assert_eq!(expiry.refuses(), Some(41));
}

#[test]
fn above_the_first_mark_they_go_at_any_hour() {
    let mut expiry = started(policy());
    assert_eq!(gone(&mut expiry, 60_000, &seen(76, &[100, 73, 71])), [(0, Why::Expired), (1, Why::Expired)]);
}

#[test]
fn a_file_behind_one_that_stays_stays_whatever_its_age() {
    let mut expiry = started(at_all_hours());
    assert_eq!(gone(&mut expiry, 60_000, &seen(10, &[73, 71, 200])), [(0, Why::Expired)]);
}

#[test]
fn nothing_goes_by_age_in_the_first_minute() {
    let mut expiry = started(at_all_hours());
    assert_eq!(gone(&mut expiry, 59_000, &seen(80, &[100])), []);
    assert_eq!(gone(&mut expiry, 69_000, &seen(80, &[100])), [(0, Why::Expired)]);
}

#[test]
fn above_the_second_mark_as_many_of_the_oldest_go_as_it_takes_even_in_the_first_minute() {
    let mut expiry = started(policy());
    let seen = seen(87, &[5, 4, 3, 2]);
    assert_eq!(gone(&mut expiry, 1000, &seen), [(0, Why::Full(87)), (1, Why::Full(87))], "two of a hundred files are two percent");
}

#[test]
fn they_stay_if_that_is_not_allowed() {
    let mut expiry = started(ExpiryPolicy { clean_file_forcibly_enable: false, ..policy() });
    assert_eq!(gone(&mut expiry, 60_000, &seen(95, &[5, 4, 3])), []);
}

#[test]
fn no_more_than_a_batch_goes_after_one_look() {
    let mut expiry = started(ExpiryPolicy { delete_file_batch_max: 3, ..at_all_hours() });
    let ages = [100; 8];
    assert_eq!(gone(&mut expiry, 60_000, &seen(10, &ages)).len(), 3);
}

#[test]
fn a_disk_above_the_last_mark_takes_no_message_until_it_is_below_again() {
    let mut expiry = started(policy());
    let mut crossed = |mono, percent| {
        expiry.handle_timeout(at(mono));
        expiry.handle_seen(at(mono), &seen(percent, &[]));
        (outputs(&mut expiry), expiry.refuses())
    };
    assert_eq!(crossed(10_000, 91), (vec![LogOutput::Crossed { level: Level::Refused, used: 91 }], Some(91)));
    assert_eq!(crossed(11_000, 92), (vec![], Some(92)), "a mark is told of when it is crossed");
    assert_eq!(crossed(12_000, 90), (vec![LogOutput::Crossed { level: Level::OldestGo, used: 90 }], None));
    assert_eq!(crossed(13_000, 60), (vec![LogOutput::Crossed { level: Level::Room, used: 60 }], None));
}

#[test]
fn the_fuller_of_two_disks_counts() {
    let mut expiry = started(policy());
    expiry.handle_seen(at(0), &Seen { log: Some(disk(20)), queues: Some(disk(91)), oldest: Vec::new() });
    assert_eq!(expiry.refuses(), Some(91));
}

#[test]
fn a_disk_that_cannot_be_looked_at_stays_as_it_was() {
    let mut expiry = started(policy());
    expiry.handle_seen(at(0), &seen(91, &[]));
    let _ = outputs(&mut expiry);
    expiry.handle_seen(at(1000), &Seen::default());
    assert_eq!((outputs(&mut expiry), expiry.refuses()), (vec![LogOutput::Blind(true)], Some(91)));
    expiry.handle_seen(at(2000), &seen(50, &[]));
    let room = LogOutput::Crossed { level: Level::Room, used: 50 };
    assert_eq!((outputs(&mut expiry), expiry.refuses()), (vec![LogOutput::Blind(false), room], None));
}

#[test]
fn the_disk_is_looked_at_in_intervals_that_are_short_when_it_is_nearly_full() {
    let mut expiry = started(policy());
    assert_eq!(expiry.poll_timeout(), Some(Millis(10_000)));
    expiry.handle_timeout(at(10_000));
    assert_eq!(expiry.poll_output(), Some(LogOutput::Look));
    assert_eq!(expiry.poll_timeout(), None, "one look at a time");
    expiry.handle_seen(at(10_500), &seen(86, &[]));
    assert_eq!(expiry.poll_timeout(), Some(Millis(11_500)));
}

#[test]
fn a_deletion_that_takes_long_does_not_hold_up_the_look() {
    let mut expiry = started(policy());
    expiry.handle_seen(at(1000), &seen(91, &[5, 4]));
    expiry.handle_timeout(at(1000));
    assert!(outputs(&mut expiry).contains(&LogOutput::Delete { base: 0, why: Why::Full(91) }));
    expiry.handle_timeout(at(2000));
    assert_eq!(expiry.poll_output(), Some(LogOutput::Look));
    expiry.handle_seen(at(2000), &seen(60, &[4]));
    assert_eq!(expiry.refuses(), None, "somebody else has made room");
}

#[test]
fn after_the_last_file_of_a_run_the_disk_is_looked_at_again_at_once() {
    let mut expiry = started(at_all_hours());
    assert_eq!(gone(&mut expiry, 60_000, &seen(10, &[100])).len(), 1);
    assert_eq!(expiry.poll_timeout(), None, "it is being looked at");
}

#[test]
fn those_behind_a_file_that_cannot_be_deleted_wait_for_it() {
    let mut expiry = started(at_all_hours());
    expiry.handle_timeout(at(60_000));
    expiry.handle_seen(at(60_000), &seen(10, &[100, 90]));
    expiry.handle_timeout(at(60_000));
    assert_eq!(outputs(&mut expiry), [LogOutput::Delete { base: 0, why: Why::Expired }]);
    expiry.handle_deleted(at(60_000), 0, false);
    expiry.handle_timeout(at(70_000));
    expiry.handle_seen(at(70_000), &seen(10, &[90]));
    expiry.handle_timeout(at(179_999));
    assert_eq!(outputs(&mut expiry), []);
    expiry.handle_timeout(at(180_000));
    assert_eq!(outputs(&mut expiry), [LogOutput::Delete { base: 0, why: Why::Again }]);
}

#[test]
fn marks_are_not_lower_than_java_allows_and_as_high_as_somebody_wants() {
    let mut low = started(ExpiryPolicy { disk_space_warning_level_ratio: 1, ..policy() });
    low.handle_seen(at(1000), &seen(35, &[]));
    assert_eq!(low.refuses(), None);
    let mut high = started(ExpiryPolicy { disk_space_warning_level_ratio: 98, disk_space_clean_forcibly_ratio: 97, ..policy() });
    assert_eq!((gone(&mut high, 1000, &seen(97, &[5])), high.refuses()), (vec![], None));
    high.handle_seen(at(2000), &seen(99, &[]));
    assert_eq!(high.refuses(), Some(99));
}
