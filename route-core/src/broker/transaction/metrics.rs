//! How many half messages of each topic are undecided: `config/transactionMetrics`, which RocketMQ's tools and exporters read.
//!
//! Java adds and subtracts for ever and goes on from what its file says, so that what a crash took between two saves is wrong from then on.
//! Here the two queues of transactions tell at each start what is undecided; of the file only the version and the times count.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    bodies::{DataVersion, TransactionMetric, TransactionMetricsSerializeWrapper},
    json::{self, Dialect, JsonError},
};

use crate::time::Timestamp;

/// The undecided half messages by topic.
#[derive(Debug)]
pub struct TransactionMetrics {
    topics: IndexMap<Arc<str>, TransactionMetric, FixedState>,
    version: DataVersion,
    /// What the file says that was loaded.
    saved: BTreeMap<Arc<str>, i64>,
    dirty: bool,
    limit: usize,
}

impl TransactionMetrics {
    /// Nothing is undecided. At most `limit` topics are counted.
    #[must_use]
    pub fn new(now: Timestamp, limit: usize) -> Self {
        Self { topics: IndexMap::default(), version: DataVersion::new(now.0), saved: BTreeMap::new(), dirty: false, limit }
    }

    /// The name under which half messages of a topic are counted; `None` if too many topics are.
    pub fn name(&mut self, topic: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.topics.get_key_value(topic) {
            return Some(Arc::clone(name));
        }
        if self.topics.len() >= self.limit {
            // The next save may find some that are gone.
            self.dirty = true;
            return None;
        }
        let name = Arc::<str>::from(topic);
        self.topics.insert(Arc::clone(&name), TransactionMetric::default());
        Some(name)
    }

    /// A half message of this topic is undecided from now on.
    pub fn begun(&mut self, now: Timestamp, topic: &str) {
        self.change(now, topic, 1);
    }

    /// One less is.
    pub fn ended(&mut self, now: Timestamp, topic: &str) {
        self.change(now, topic, -1);
    }

    /// A half message was found undecided at the start: that is no change.
    pub fn restore(&mut self, now: Timestamp, topic: &str) {
        if let Some(metric) = self.topics.get_mut(topic) {
            metric.count += 1;
            if metric.time_stamp == 0 {
                metric.time_stamp = now.0;
            }
        }
    }

    /// All that was undecided at the start is [restored](Self::restore). What differs from the file is a change.
    pub fn handle_restored(&mut self, now: Timestamp) {
        let saved = std::mem::take(&mut self.saved);
        for (topic, metric) in &mut self.topics {
            if saved.get(topic).copied().unwrap_or(0) != metric.count {
                metric.time_stamp = now.0;
                self.version = self.version.next(0, now.0);
                self.dirty = true;
            }
        }
    }

    /// How many half messages of a topic are undecided, and since when so many.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<TransactionMetric> {
        self.topics.get(topic).copied()
    }

    /// Forgets topics that are gone and of which nothing is undecided; before a save.
    pub fn clean(&mut self, is_there: impl Fn(&str) -> bool) {
        self.topics.retain(|topic, metric| metric.count != 0 || is_there(topic));
    }

    /// Takes in a saved table, before anything is counted.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<(), JsonError> {
        let saved: TransactionMetricsSerializeWrapper = json::from_table(content)?;
        self.version = saved.data_version;
        for (topic, metric) in saved.transaction_count.into_iter().take(self.limit) {
            let topic = Arc::<str>::from(topic);
            self.saved.insert(Arc::clone(&topic), metric.count);
            self.topics.insert(topic, TransactionMetric { count: 0, ..metric });
        }
        Ok(())
    }

    /// The table as it is saved; Java's broker reads it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let transaction_count = self.topics.iter().map(|(topic, metric)| (topic.to_string(), *metric)).collect();
        json::to_vec(&TransactionMetricsSerializeWrapper { data_version: self.version, transaction_count }, Dialect::Default)
    }

    /// Whether there is something to be saved.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether something has changed since the last call: then the table is to be saved.
    #[must_use]
    pub const fn take_dirty(&mut self) -> bool {
        std::mem::replace(&mut self.dirty, false)
    }

    fn change(&mut self, now: Timestamp, topic: &str, by: i64) {
        if let Some(metric) = self.topics.get_mut(topic) {
            metric.count += by;
            metric.time_stamp = now.0;
            self.version = self.version.next(0, now.0);
            self.dirty = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        r#"{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":30},"transactionCount":{"T":{"count":1,"timeStamp":30}}}"#;

    fn metrics() -> TransactionMetrics {
        TransactionMetrics::new(Timestamp(1), 2)
    }

    fn text(metrics: &TransactionMetrics) -> String {
        String::from_utf8(metrics.to_file()).unwrap()
    }

    #[test]
    fn each_beginning_and_each_end_is_counted_and_saved_as_java_saves_it() {
        let mut metrics = metrics();
        assert_eq!(metrics.name("T").as_deref(), Some("T"));
        assert!(!metrics.take_dirty(), "a name alone is no change");
        for (at, begins) in [(10, true), (20, true), (30, false)] {
            if begins { metrics.begun(Timestamp(at), "T") } else { metrics.ended(Timestamp(at), "T") }
        }
        assert!(metrics.take_dirty() && !metrics.take_dirty());
        assert_eq!(text(&metrics), FILE);
    }

    #[test]
    fn a_start_that_finds_what_the_file_says_changes_nothing() {
        let mut metrics = metrics();
        metrics.load(FILE.as_bytes()).unwrap();
        assert_eq!(metrics.get("T").map(|metric| metric.count), Some(0), "the log has not been read yet");
        metrics.restore(Timestamp(99), "T");
        metrics.handle_restored(Timestamp(99));
        assert!(!metrics.take_dirty());
        assert_eq!(text(&metrics), FILE);
    }

    #[test]
    fn what_the_log_says_counts_against_a_file_that_says_otherwise() {
        let mut metrics = metrics();
        metrics.load(FILE.replace("\"count\":1", "\"count\":-7").as_bytes()).unwrap();
        metrics.name("U");
        metrics.restore(Timestamp(99), "U");
        metrics.handle_restored(Timestamp(99));
        assert!(metrics.take_dirty());
        let metric = |count| Some(TransactionMetric { count, time_stamp: 99 });
        assert_eq!((metrics.get("T"), metrics.get("U"), metrics.version.counter), (metric(0), metric(1), 5));
    }

    #[test]
    fn a_topic_that_is_gone_is_forgotten_when_nothing_of_it_is_undecided() {
        let mut metrics = metrics();
        metrics.name("T");
        metrics.begun(Timestamp(10), "T");
        metrics.clean(|_| false);
        assert!(metrics.get("T").is_some());
        metrics.ended(Timestamp(20), "T");
        metrics.clean(|topic| topic == "T");
        assert!(metrics.get("T").is_some());
        metrics.clean(|_| false);
        assert!(metrics.get("T").is_none());
    }

    #[test]
    fn topics_beyond_the_limit_are_not_counted_until_a_save_has_forgotten_some() {
        let mut metrics = metrics();
        assert!(metrics.name("T").is_some() && metrics.name("U").is_some() && !metrics.is_dirty());
        assert!(metrics.name("V").is_none() && metrics.take_dirty());
        metrics.begun(Timestamp(10), "V");
        assert!(metrics.get("V").is_none());
        metrics.clean(|topic| topic == "U");
        assert!(metrics.name("V").is_some());
    }
}
