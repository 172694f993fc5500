//! What is there after a stop, in order or not.

mod kit;

use kit::{config, open, sync_config};

fn texts(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|at| format!("message {at}")).collect()
}

#[test]
fn a_closed_store_opens_with_all_it_had_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for sync in [false, true] {
        let root = dir.path().join(sync.to_string());
        let config = || if sync { sync_config(&root) } else { config(&root) };
        for round in 0..4 {
            let mut opened = open(config());
            assert!(opened.recovered.clean && opened.recovered.scanned_records == 0, "{:?}", opened.recovered);
            assert_eq!(opened.bodies("TopicA", 1), texts(0, round * 100));
            for text in texts(round * 100, (round + 1) * 100) {
                opened.send("TopicA", 1, &text);
            }
            opened.store.close().unwrap();
            assert!(!root.join("abort").exists());
        }
    }
}

#[test]
fn a_killed_store_opens_with_all_it_had_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let mut opened = open(config(dir.path()));
        assert_eq!(opened.recovered.clean, round == 0);
        assert_eq!(opened.recovered.cut, None);
        assert_eq!(opened.bodies("TopicA", 1), texts(0, round * 100));
        for text in texts(round * 100, (round + 1) * 100) {
            opened.send("TopicA", 1, &text);
        }
    }
}
