use super::*;

const OLD: Identity = Identity { len: 1, crc: 1 };
const NEW: Identity = Identity { len: 2, crc: 2 };

/// The log has all that is spoken of.
const END: i64 = 1_000;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("consumerOffset.journal")
    }

    fn open(&self) -> OffsetJournal {
        OffsetJournal::open(Disk::system(), self.path())
    }
}

fn noted(key: &str, queue_id: i32, offset: i64) -> NotedOffset {
    NotedOffset { key: key.into(), queue_id, offset }
}

#[test]
fn what_was_noted_after_the_table_was_saved_counts() {
    let folder = Folder::new();
    let mut journal = folder.open();
    assert_eq!(journal.replay(OLD, END), []);
    journal.note("T@g", 0, 5);
    journal.note("T@g", 1, 6);
    drop(journal);
    let mut journal = folder.open();
    assert_eq!(journal.replay(OLD, END), [noted("T@g", 0, 5), noted("T@g", 1, 6)]);
    journal.saving(NEW);
    journal.note("T@g", 0, 9);
    drop(journal);
    assert_eq!(folder.open().replay(NEW, END), [noted("T@g", 0, 9)]);
    assert_eq!(folder.open().replay(NEW, END), [noted("T@g", 0, 9)], "reading changes nothing");
}

#[test]
fn a_save_that_did_not_reach_the_disk_changes_nothing() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 5);
    journal.saving(NEW);
    journal.note("T@g", 0, 6);
    drop(journal);
    assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 5), noted("T@g", 0, 6)]);
}

#[test]
fn a_table_that_somebody_else_has_saved_makes_it_void() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 5);
    drop(journal);
    let foreign = Identity { len: 3, crc: 3 };
    let mut journal = folder.open();
    assert_eq!(journal.replay(foreign, END), []);
    journal.note("T@g", 0, 7);
    drop(journal);
    assert_eq!(folder.open().replay(foreign, END), [noted("T@g", 0, 7)]);
}

#[test]
fn a_torn_end_is_left_out_and_does_not_come_back() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    for offset in 0..3 {
        journal.note("T@g", 0, offset);
    }
    drop(journal);
    let mut bytes = std::fs::read(folder.path()).unwrap();
    let (start, ..) = entries(&bytes).nth(2).unwrap();
    bytes[start + HEAD + 3] ^= 1;
    std::fs::write(folder.path(), &bytes).unwrap();
    let mut journal = folder.open();
    assert_eq!(journal.replay(OLD, END), [noted("T@g", 0, 0)]);
    journal.note("T@g", 0, 9);
    drop(journal);
    assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 0), noted("T@g", 0, 9)]);
}

#[test]
fn it_stays_small_however_often_the_same_queues_are_noted() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    for offset in 0..50_000 {
        journal.note("a-topic@a-group", (offset % 4) as i32, offset);
    }
    drop(journal);
    assert_eq!(std::fs::metadata(folder.path()).unwrap().len(), FIRST_LEN as u64);
    let replayed = folder.open().replay(OLD, END);
    let last = |queue_id| replayed.iter().rev().find(|it| it.queue_id == queue_id).map(|it| it.offset);
    assert_eq!([0, 1, 2, 3].map(last), [Some(49_996), Some(49_997), Some(49_998), Some(49_999)]);
}

#[test]
fn it_grows_for_many_queues_and_drops_what_a_save_has_taken_over() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    for queue_id in 0..20_000 {
        journal.note("a-topic@a-group", queue_id, 1);
    }
    assert!(std::fs::metadata(folder.path()).unwrap().len() > FIRST_LEN as u64);
    journal.saving(NEW);
    journal.saved(NEW);
    for offset in 0..100_000 {
        journal.note("a-topic@a-group", 1, offset);
    }
    drop(journal);
    assert_eq!(std::fs::metadata(folder.path()).unwrap().len(), FIRST_LEN as u64);
    let replayed = folder.open().replay(NEW, END);
    assert_eq!(replayed.last(), Some(&noted("a-topic@a-group", 1, 99_999)));
    assert!(replayed.iter().all(|it| it.queue_id == 1));
}

#[test]
fn a_journal_that_is_not_needed_is_removed_on_close() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 1);
    journal.saving(NEW);
    journal.close();
    assert!(folder.path().exists(), "nobody said that the save is done");
    let mut journal = folder.open();
    journal.replay(NEW, END);
    journal.saving(NEW);
    journal.saved(NEW);
    journal.close();
    assert!(!folder.path().exists());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let folder = Folder::new();
        std::fs::write(folder.path(), &bytes).unwrap();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note("T@g", 0, 1);
        drop(journal);
        proptest::prop_assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 1)]);
    }

    #[test]
    fn a_cut_anywhere_leaves_a_front_part(cut in 0usize..700, flip in 0u8..255) {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        for offset in 0..20 {
            journal.note("T@g", 3, offset);
        }
        drop(journal);
        let mut bytes = std::fs::read(folder.path()).unwrap();
        bytes[cut..].fill(0);
        bytes[cut] = flip;
        std::fs::write(folder.path(), &bytes).unwrap();
        let replayed = folder.open().replay(OLD, END);
        let expected: Vec<_> = (0..replayed.len() as i64).map(|offset| noted("T@g", 3, offset)).collect();
        proptest::prop_assert_eq!(replayed, expected);
    }
}

#[test]
fn notes_of_what_the_log_has_lost_are_void_and_stay_so_when_it_has_grown() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note_of_log("S", 2, 13, 900);
    journal.note_of_log("S", 2, 14, 1_000);
    journal.note_of_log("S", 1, 5, 950);
    drop(journal);
    let mut journal = folder.open();
    assert_eq!(journal.replay(OLD, 999), [noted("S", 2, 13)]);
    journal.note_of_log("S", 3, 7, 999);
    drop(journal);
    assert_eq!(folder.open().replay(OLD, 5_000), [noted("S", 2, 13), noted("S", 3, 7)]);
}

#[test]
fn what_was_noted_after_a_cut_counts_for_the_content_that_is_named_later() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 5);
    let cut = journal.cut();
    journal.note("T@g", 0, 6);
    journal.name(cut, NEW);
    journal.note("T@g", 1, 7);
    drop(journal);
    assert_eq!(folder.open().replay(NEW, END), [noted("T@g", 0, 6), noted("T@g", 1, 7)]);
}

#[test]
fn until_a_content_has_taken_the_files_place_all_notes_count() {
    for named in [false, true] {
        let folder = Folder::new();
        let mut journal = folder.open();
        journal.replay(OLD, END);
        journal.note("T@g", 0, 5);
        let cut = journal.cut();
        journal.note("T@g", 0, 6);
        if named {
            journal.name(cut, NEW);
        }
        drop(journal);
        assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 5), noted("T@g", 0, 6)], "named: {named}");
    }
}

#[test]
fn a_content_that_no_cut_was_kept_of_is_one_of_somebody_else() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 5);
    journal.name(Cut(99), NEW);
    drop(journal);
    assert_eq!(folder.open().replay(NEW, END), []);
}

#[test]
fn cuts_are_told_apart_after_a_restart_too() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    let first = journal.cut();
    journal.name(first, NEW);
    drop(journal);
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 5);
    let second = journal.cut();
    assert!(second > first);
    journal.name(second, Identity { len: 3, crc: 3 });
    drop(journal);
    assert_eq!(folder.open().replay(Identity { len: 3, crc: 3 }, END), []);
    assert_eq!(folder.open().replay(OLD, END), [noted("T@g", 0, 5)]);
}

#[test]
fn what_a_save_has_taken_over_is_dropped_up_to_its_cut_when_the_journal_is_full() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    for queue_id in 0..20_000 {
        journal.note("a-topic@a-group", queue_id, 1);
    }
    let cut = journal.cut();
    journal.note("a-topic@a-group", 0, 2);
    journal.name(cut, NEW);
    journal.saved(NEW);
    for offset in 3..100_000 {
        journal.note("a-topic@a-group", 1, offset);
    }
    drop(journal);
    assert_eq!(std::fs::metadata(folder.path()).unwrap().len(), FIRST_LEN as u64);
    let replayed = folder.open().replay(NEW, END);
    assert_eq!((replayed.first(), replayed.last()), (Some(&noted("a-topic@a-group", 0, 2)), Some(&noted("a-topic@a-group", 1, 99_999))));
}

#[test]
fn a_cut_that_is_not_named_yet_survives_that_the_journal_is_written_anew() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.replay(OLD, END);
    journal.note("T@g", 0, 1);
    let cut = journal.cut();
    for offset in 2..50_000 {
        journal.note("T@g", 0, offset);
    }
    journal.name(cut, NEW);
    drop(journal);
    let last = |replayed: Vec<NotedOffset>| (replayed[0].offset, replayed.last().map(|noted| noted.offset));
    assert_eq!(last(folder.open().replay(OLD, END)), (1, Some(49_999)));
    let (first, end) = last(folder.open().replay(NEW, END));
    assert!(first > 1 && end == Some(49_999));
}

/// One thing that happens to a journal.
#[derive(Clone, Copy, Debug)]
enum Event {
    Note,
    Cut,
    /// The text of the last cut is made and named.
    Name,
    /// The content that was named takes the place of the file.
    Replace,
    /// The loop hears of that.
    Hear,
    Reopen,
}

proptest::proptest! {
    // Each makes some files.
    #![proptest_config(proptest::test_runner::Config::with_cases(40))]

    /// Wherever a process ends, table and journal together tell the last note, and none that the table has overtaken comes back.
    #[test]
    fn wherever_a_process_ends_the_last_note_of_each_queue_is_found(
        events in proptest::collection::vec(
            proptest::prop_oneof![
                6 => proptest::strategy::Just(Event::Note),
                2 => proptest::strategy::Just(Event::Cut),
                2 => proptest::strategy::Just(Event::Name),
                2 => proptest::strategy::Just(Event::Replace),
                2 => proptest::strategy::Just(Event::Hear),
                1 => proptest::strategy::Just(Event::Reopen),
            ],
            0..200,
        )
    ) {
        let folder = Folder::new();
        let mut journal = folder.open();
        // What the file has: the number of the last note for each of two queues.
        let mut file = (Identity::default(), [0_i64; 2]);
        journal.replay(file.0, END);
        let (mut now, mut notes, mut contents) = ([0_i64; 2], 0, 0);
        let (mut cut, mut named, mut heard) = (None, None, None);
        for event in events {
            match event {
                Event::Note => {
                    notes += 1;
                    let queue_id = notes % 2;
                    now[queue_id as usize] = notes;
                    journal.note("T@g", queue_id as i32, notes);
                }
                // One save at a time.
                Event::Cut if cut.is_none() && named.is_none() && heard.is_none() => cut = Some((journal.cut(), now)),
                Event::Name => {
                    if let Some((cut, content)) = cut.take() {
                        contents += 1;
                        let identity = Identity { len: contents, crc: contents };
                        journal.name(cut, identity);
                        named = Some((identity, content));
                    }
                }
                Event::Replace => if let Some(content) = named.take() {
                    file = content;
                    heard = Some(content.0);
                },
                Event::Hear => if let Some(identity) = heard.take() {
                    journal.saved(identity);
                },
                Event::Reopen => {
                    journal = folder.open();
                    let mut found = file.1;
                    for note in journal.replay(file.0, END) {
                        found[note.queue_id as usize] = note.offset;
                    }
                    proptest::prop_assert_eq!(found, now);
                    (cut, named, heard) = (None, None, None);
                }
                Event::Cut => {}
            }
        }
        let mut found = file.1;
        for note in folder.open().replay(file.0, END) {
            found[note.queue_id as usize] = note.offset;
        }
        proptest::prop_assert_eq!(found, now);
    }
}
