use super::*;

fn at(mono: u64) -> Now {
    Now { mono: Millis(mono), ..Now::default() }
}

const PLACE: LogOffset = LogOffset(1000);

/// A table with one transaction at offset 5, due at 100.
fn table() -> TransactionTable {
    let mut table = TransactionTable::new(10);
    table.begin(5, PLACE, Millis(100), None, None);
    table
}

#[test]
fn a_transaction_is_due_when_its_time_has_come_and_not_before() {
    let table = table();
    assert_eq!(table.poll_timeout(), Some(Millis(100)));
    assert_eq!(table.next_due(at(99)), None);
    assert_eq!(table.next_due(at(100)), Some(Due { half: 5, place: PLACE }));
}

#[test]
fn a_word_on_an_older_copy_decides_the_transaction_and_a_second_word_nothing() {
    let mut table = table();
    table.renewed(5, 6, LogOffset(2000), Millis(200));
    table.renewed(6, 9, LogOffset(3000), Millis(300));
    for copy in [5, 6, 9] {
        assert_eq!(table.newest(copy), Some(Due { half: 9, place: LogOffset(3000) }));
    }
    table.end(9, End::Committed);
    for copy in [5, 6, 9] {
        assert_eq!(table.newest(copy), None);
    }
    table.end(9, End::Committed);
    assert_eq!((table.counts().committed, table.owed()), (1, &[5, 6, 9][..]));
    assert!(table.newest.is_empty() && table.poll_timeout().is_none());
}

#[test]
fn a_half_message_that_was_sent_twice_is_one_transaction() {
    let mut table = TransactionTable::new(10);
    table.begin(5, PLACE, Millis(100), Some("G K".into()), None);
    table.begin(6, PLACE, Millis(100), Some("G L".into()), None);
    table.begin(7, LogOffset(2000), Millis(150), Some("G K".into()), None);
    assert_eq!((table.len(), table.owed()), (2, &[5][..]));
    assert_eq!(table.newest(5), Some(Due { half: 7, place: LogOffset(2000) }));
    table.end(7, End::Committed);
    assert_eq!((table.newest(5), table.counts().begun), (None, 2));
    table.begin(8, PLACE, Millis(300), Some("G K".into()), None);
    assert_eq!(table.newest(8).map(|due| due.half), Some(8));
}

#[test]
fn a_copy_has_a_deadline_of_its_own() {
    let mut table = table();
    table.renewed(5, 6, LogOffset(2000), Millis(200));
    assert_eq!(table.poll_timeout(), Some(Millis(200)));
    table.postpone(6, Millis(250));
    assert_eq!(table.poll_timeout(), Some(Millis(250)));
}

#[test]
fn the_queues_are_read_again_from_the_first_half_message_that_is_undecided_and_the_first_note_after_it() {
    let mut table = TransactionTable::new(10);
    assert_eq!(table.progress(), Progress { half: 0, op: 0 });
    for half in 0..4 {
        table.begin(half, PLACE, Millis(100), None, None);
    }
    for (op, half) in [(0, 2), (1, 0)] {
        table.end(half, End::RolledBack);
        table.noted(op);
    }
    assert_eq!(table.progress(), Progress { half: 1, op: 0 }, "the first note is about half message 2");
    table.end(1, End::Committed);
    table.noted(2);
    assert_eq!(table.progress(), Progress { half: 3, op: 3 });
    table.end(3, End::Committed);
    table.noted(3);
    assert_eq!(table.progress(), Progress { half: 4, op: 4 });
}

#[test]
fn a_note_that_was_refused_is_tried_again_with_all_that_came_after_it() {
    let mut table = table();
    table.begin(6, PLACE, Millis(500), None, None);
    table.end(5, End::Committed);
    table.note_refused(at(10));
    assert!(!table.owes_now(at(109)) && table.owes_now(at(110)));
    assert_eq!(table.poll_timeout(), Some(Millis(110)));
    table.end(6, End::Committed);
    assert_eq!(table.owed(), [5, 6]);
    table.noted(0);
    assert!(table.owed().is_empty() && table.poll_timeout().is_none());
}

#[test]
fn a_full_table_says_so() {
    let mut table = TransactionTable::new(1);
    assert!(table.has_room());
    table.begin(0, PLACE, Millis(1), None, None);
    assert!(!table.has_room());
}

#[test]
fn older_copies_are_read_again_at_a_start_unless_they_are_far_behind() {
    let mut table = table();
    table.renewed(5, 9, LogOffset(2000), Millis(200));
    table.noted(0);
    assert_eq!(table.progress(), Progress { half: 5, op: 0 });
    table.set_end(Progress { half: 5 + FAR + 1, op: 1 });
    assert!(table.is_far_behind(5) && !table.is_far_behind(9));
    assert_eq!(table.progress(), Progress { half: 9, op: 1 });
}

#[test]
fn copies_of_many_undecided_transactions_do_not_make_each_other_far_behind() {
    let count = FAR;
    let mut table = TransactionTable::new(usize::try_from(count).unwrap());
    for half in 0..count {
        table.begin(half, PLACE, Millis(100), None, None);
    }
    table.set_end(Progress { half: 2 * count, op: 0 });
    assert!(!table.is_far_behind(0));
    table.set_end(Progress { half: 2 * count + 1, op: 0 });
    assert!(table.is_far_behind(0));
}
