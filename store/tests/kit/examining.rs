//! Folders that are looked at without opening them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use route_core::storage::Appended;
use store::examine::{Examination, ExamineConfig, Finding, Severity, Verified};

use super::{config, open};

pub(crate) fn examine(root: &Path) -> Examination {
    Examination::open(ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() }).unwrap()
}

pub(crate) fn verify(root: &Path) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = examine(root).verify(&mut findings).unwrap();
    (verified, findings)
}

/// What was found, without what is only good to know.
pub(crate) fn wrong(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity > Severity::Note).collect()
}

/// A store with 200 messages in two queues of a topic that its table has, closed in order or killed.
pub(crate) fn filled(root: &Path, close: bool) -> Vec<Appended> {
    let mut opened = open(config(root));
    let placed = (0..200).map(|at| opened.send("TopicA", at % 2, &format!("message {at} {}", "x".repeat(300)))).collect();
    if close {
        opened.store.close().unwrap();
    }
    write_topics(root, &["TopicA"]);
    placed
}

/// A table of topics, as a broker keeps it beside its store.
pub(crate) fn write_topics(root: &Path, topics: &[&str]) {
    let entries: BTreeMap<_, _> = topics.iter().map(|topic| (topic, serde_json::json!({ "topicName": topic }))).collect();
    fs::write(root.join("config/topics.json"), serde_json::json!({ "topicConfigTable": entries }).to_string()).unwrap();
}

/// Files of the index, the oldest first.
pub(crate) fn index_files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(root.join("index")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
