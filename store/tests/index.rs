//! The index of keys: what is found in it whatever happened to its files, to the process and to the machine.

mod kit;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use kit::{Opened, config, message, places, query};
use proto_core::record::RecordView;
use route_core::{
    Storage, Timestamp,
    random::Random,
    storage::{
        LogOffset, NewMessage,
        keys::{Found, KeyKind, KeyQuery, Search},
    },
};
use store::{
    FlushDiskType, Store, StoreConfig, StoreEvent,
    simulation::{Crash, SimulatedDisk, Work},
};

/// Sends a message with keys.
fn send_keyed(opened: &mut Opened, at: i64, properties: &str) -> i64 {
    let queue = opened.store.open_queue("Orders", 0);
    let message = NewMessage { properties: properties.as_bytes(), ..message("Orders", 0, "a body of some length") };
    let placed = opened.store.append(Timestamp(at), queue, &message).unwrap();
    opened.store.commit().unwrap();
    placed.offset.0
}

/// 300 messages with a key of their own each, a shared one and a tag; more than two index files.
fn fill(opened: &mut Opened) -> Vec<i64> {
    (0..300)
        .map(|number| send_keyed(opened, 1_700_000_000_000 + number, &format!("KEYS\x01key{number} shared\x02TAGS\x01TagA\x02")))
        .collect()
}

fn check_filled(opened: &mut Opened, sent: &[i64], what: &str) {
    for (number, offset) in sent.iter().enumerate() {
        assert_eq!(places(&opened.find("Orders", &format!("key{number}"))), [*offset], "{what}: key{number}");
    }
    assert_eq!(places(&opened.find("Orders", "shared")), sent[sent.len() - 64..], "{what}");
    assert_eq!(places(&opened.search(query("Orders", KeyKind::Tag, "TagA"))), sent[sent.len() - 64..], "{what}");
}

fn index_files(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir.path().join("index")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn keys_are_found_at_once_and_after_either_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent = fill(&mut opened);
    check_filled(&mut opened, &sent, "at once");
    drop(opened);
    let mut opened = kit::open(config(dir.path()));
    check_filled(&mut opened, &sent, "killed");
    opened.store.close().unwrap();
    let mut opened = kit::open(config(dir.path()));
    check_filled(&mut opened, &sent, "closed");
}

#[test]
fn a_look_up_that_makes_too_much_work_ends_with_what_it_has_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Each message that is read counts for a hundred entries.
    let mut opened = kit::open(StoreConfig { max_search_work: 1_000, ..config(dir.path()) });
    let sent = fill(&mut opened);
    let found = opened.find("Orders", "shared");
    assert!(found.given_up);
    assert_eq!(places(&found), sent[sent.len() - 10..]);
    let found = opened.find("Orders", "key0");
    assert!(!found.given_up);
    assert_eq!(places(&found), [sent[0]]);
}

#[test]
fn files_that_are_missing_short_or_damaged_are_built_anew() {
    type Damage = fn(&[PathBuf]);
    let damages: [(&str, Damage); 8] = [
        ("all are missing", |files| files.iter().for_each(|file| fs::remove_file(file).unwrap())),
        ("the first is missing", |files| fs::remove_file(&files[0]).unwrap()),
        ("one in the middle is missing", |files| fs::remove_file(&files[1]).unwrap()),
        ("the last is missing", |files| fs::remove_file(files.last().unwrap()).unwrap()),
        ("one is short", |files| fs::File::options().write(true).open(&files[1]).unwrap().set_len(100).unwrap()),
        ("one is empty", |files| drop(fs::File::create(&files[1]).unwrap())),
        ("a head is damaged", |files| {
            let mut bytes = fs::read(&files[1]).unwrap();
            bytes[24] ^= 0x40;
            fs::write(&files[1], bytes).unwrap();
        }),
        ("the last one's head is of another log", |files| {
            let file = files.last().unwrap();
            let mut bytes = fs::read(file).unwrap();
            bytes[15] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = kit::open(config(dir.path()));
        let sent = fill(&mut opened);
        opened.store.close().unwrap();
        let files = index_files(&dir);
        assert!(files.len() > 3);
        damage(&files);
        let mut opened = kit::open(config(dir.path()));
        check_filled(&mut opened, &sent, what);
        opened.store.close().unwrap();
        assert!(index_files(&dir).iter().all(|file| fs::metadata(file).unwrap().len() == 40 + 50 * 4 + 100 * 20), "{what}");
    }
}

#[test]
fn what_is_no_index_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent = fill(&mut opened);
    opened.store.close().unwrap();
    let notes = dir.path().join("index/notes.txt");
    fs::write(&notes, "mine").unwrap();
    let mut opened = kit::open(config(dir.path()));
    check_filled(&mut opened, &sent, "a foreign file is there");
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
}

#[test]
fn no_bytes_in_slots_and_entries_make_a_search_fail_or_go_on_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent = fill(&mut opened);
    opened.store.close().unwrap();
    let sound: Vec<_> = index_files(&dir).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    for seed in 0..100 {
        let mut random = Random::new(seed);
        for (path, bytes) in &sound {
            let mut bytes = bytes.clone();
            for _ in 0..1 + random.below(60) {
                let at = 40 + random.below(bytes.len() as u32 - 40) as usize;
                // Small numbers make chains that lead somewhere.
                bytes[at] = if random.below(2) == 0 { random.below(100) as u8 } else { random.below(256) as u8 };
            }
            fs::write(path, bytes).unwrap();
        }
        let mut opened = kit::open(config(dir.path()));
        for key in ["key0", "key100", "key299", "shared", "none"] {
            let found = places(&opened.find("Orders", key));
            assert!(found.is_sorted() && found.iter().all(|offset| sent.contains(offset)), "seed {seed}: {key} {found:?}");
        }
    }
}

#[test]
fn a_key_with_the_hash_of_another_is_not_answered_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent: Vec<_> = ["Aa", "BB", "Aa"].iter().map(|key| send_keyed(&mut opened, 1, &format!("KEYS\x01{key}\x02"))).collect();
    assert_eq!(places(&opened.find("Orders", "Aa")), [sent[0], sent[2]]);
    assert_eq!(places(&opened.find("Orders", "BB")), [sent[1]]);
}

#[test]
fn a_message_that_has_a_key_twice_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent = send_keyed(&mut opened, 1, "KEYS\x01a b a\x02UNIQ_KEY\x01a\x02");
    assert_eq!(places(&opened.find("Orders", "a")), [sent]);
}

#[test]
fn an_index_that_is_switched_off_finds_nothing_and_catches_up_when_it_is_on_again() {
    let dir = tempfile::tempdir().unwrap();
    let off = || StoreConfig { message_index_enable: false, ..config(dir.path()) };
    let mut opened = kit::open(off());
    let sent = fill(&mut opened);
    assert_eq!(opened.find("Orders", "shared"), Found::default());
    opened.store.close().unwrap();
    let mut opened = kit::open(config(dir.path()));
    check_filled(&mut opened, &sent, "on again");
}

#[test]
fn another_shape_of_the_files_builds_them_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = kit::open(config(dir.path()));
    let sent = fill(&mut opened);
    opened.store.close().unwrap();
    let mut opened = kit::open(StoreConfig { max_hash_slot_num: 70, ..config(dir.path()) });
    check_filled(&mut opened, &sent, "70 slots");
}

/// Topic and key to the places of its messages.
type Model = BTreeMap<String, Vec<i64>>;

/// The tag of all messages, in the model.
const TAG: &str = "#t";

fn asked(key: &str) -> KeyQuery {
    if key == TAG { query("Orders", KeyKind::Tag, "t") } else { query("Orders", KeyKind::Key, key) }
}

/// Whether the log has a message there that carries the key.
fn has_key(store: &Store, offset: LogOffset, key: &str) -> bool {
    let record = store.record(offset).filter(|_| offset < store.log_bounds().1).and_then(|record| RecordView::parse(record).ok());
    record.is_some_and(|record| record.physical_offset() == offset.0 && asked(key).matches(&record))
}

/// A store on a simulated disk, and what was put into it.
struct Scene {
    disk: SimulatedDisk,
    store: Store,
    random: Random,
    sent: Model,
    clock: i64,
    worked: u64,
}

fn simulated(sync: bool) -> StoreConfig {
    StoreConfig {
        mapped_file_size_commit_log: 8 << 10,
        mapped_file_size_consume_queue: 30 * 20,
        max_hash_slot_num: 1200,
        max_index_num: 90,
        flush_disk_type: if sync { FlushDiskType::SyncFlush } else { FlushDiskType::AsyncFlush },
        ..StoreConfig::new("/data")
    }
}

fn open(disk: &SimulatedDisk, sync: bool) -> Store {
    Store::open_simulated(disk, simulated(sync), Arc::new(|| {})).expect("the store opens").0
}

impl Scene {
    fn append(&mut self) {
        let number = self.random.below(40);
        self.clock += 1 + i64::from(self.random.below(900));
        let unique = format!("u{}", self.clock);
        let properties = format!("KEYS\x01k{number} k{}\x02TAGS\x01t\x02UNIQ_KEY\x01{unique}\x02", number % 3);
        let queue = self.store.open_queue("Orders", 0);
        let message = NewMessage { properties: properties.as_bytes(), ..message("Orders", 0, "body") };
        let offset = self.store.append(Timestamp(self.clock), queue, &message).expect("there is space").offset.0;
        self.store.commit().expect("the log can be written");
        let mut keys = vec![format!("k{number}"), format!("k{}", number % 3), unique, TAG.to_owned()];
        keys.dedup();
        for key in keys {
            self.sent.entry(key).or_default().push(offset);
        }
    }

    /// Some work beside the loop.
    fn work(&mut self) {
        match self.random.below(4) {
            0 => {
                self.worked += 700;
                self.store.step(Work::Flush(Duration::from_millis(self.worked)));
            }
            1 => {
                // Long enough for a round of its own.
                self.worked += 61_000;
                self.store.step(Work::Index(Duration::from_millis(self.worked)));
            }
            2 => self.store.step(Work::Index(Duration::from_millis(self.worked))),
            _ => self.store.request_flush(),
        }
        while let Some(event) = self.store.poll_event() {
            if let StoreEvent::Durable(up_to) = event {
                self.store.set_durable(up_to);
            }
        }
    }

    fn find(&mut self, query: KeyQuery) -> Vec<i64> {
        let Search::Later(ticket) = self.store.search_by_key(query) else { panic!("the disk is asked") };
        for _ in 0..10_000 {
            self.store.step(Work::Index(Duration::from_millis(self.worked)));
            match self.store.poll_event() {
                Some(StoreEvent::Found(answered, found)) if answered == ticket => return places(&found.expect("the index is whole")),
                Some(StoreEvent::Durable(up_to)) => self.store.set_durable(up_to),
                _ => {}
            }
        }
        panic!("no answer");
    }

    /// The store after a crash: what the log has lost is forgotten, and the keys of all else must be found.
    fn reopen(&mut self, disk: SimulatedDisk, sync: bool, what: &str) {
        self.disk = disk;
        self.store = open(&self.disk, sync);
        // Whether a record is whole is recovery's to say; what counts here is what it has left.
        for (key, places) in &mut self.sent {
            places.retain(|offset| has_key(&self.store, LogOffset(*offset), key));
        }
        self.check(what);
    }

    fn check(&mut self, what: &str) {
        for (key, sent) in self.sent.clone() {
            let newest = &sent[sent.len().saturating_sub(64)..];
            assert_eq!(self.find(asked(&key)), newest, "{what}: {key}");
        }
    }
}

#[test]
fn after_any_crash_the_index_finds_exactly_what_the_log_holds() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let sync = random.below(3) == 0;
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk, sync);
        let mut scene = Scene { disk, store, random, sent: Model::new(), clock: 1_700_000_000_000, worked: 0 };
        for round in 0..4 {
            let what = format!("seed {seed}, round {round}");
            scene.disk.watch(20);
            for _ in 0..scene.random.below(250) {
                if scene.random.below(3) == 0 { scene.work() } else { scene.append() }
            }
            // A crash in the middle of something, or now.
            let moments = scene.disk.take_moments();
            scene.disk.watch(0);
            let crash = if scene.random.below(3) == 0 { Crash::Kill } else { Crash::PowerLoss };
            let chance = u64::from(scene.random.below(1_000_000));
            let disk = if moments.is_empty() || scene.random.below(4) == 0 {
                scene.disk.after(crash, chance)
            } else {
                moments[scene.random.below(moments.len() as u32) as usize].after(crash, chance)
            };
            scene.reopen(disk, sync, &what);
            scene.worked = 0;
        }
    }
}
