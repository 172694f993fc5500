//! The filter of a retry topic, in which messages of several topics meet.

use std::sync::Arc;

use proto_core::{
    properties::{self, names::RETRY_TOPIC},
    record::peek,
};

use crate::filter::{Candidate, MessageFilter, Verdicts};

/// Judges a retried message by the expression for the topic that it comes from; without one it passes.
#[derive(Clone, Debug)]
pub struct RealTopicFilter {
    filters: Vec<(Box<str>, Arc<dyn MessageFilter>)>,
}

impl RealTopicFilter {
    /// A filter with these expressions by topic.
    pub fn new<'a>(filters: impl Iterator<Item = (&'a str, Arc<dyn MessageFilter>)>) -> Self {
        Self { filters: filters.map(|(topic, filter)| (topic.into(), filter)).collect() }
    }

    fn passes(&self, candidate: Candidate<'_>, record: &[u8]) -> bool {
        let stored = peek::properties(record).unwrap_or_default();
        let Some(topic) = properties::find(stored, RETRY_TOPIC) else { return true };
        let filter = self.filters.iter().find(|(known, _)| known.as_bytes() == topic);
        filter.is_none_or(|(_, filter)| filter.matches_one(candidate))
    }
}

impl MessageFilter for RealTopicFilter {
    fn steps(&self) -> usize {
        // Each message is judged by one of them; all are in memory.
        1 + self.filters.iter().map(|(_, filter)| filter.steps()).sum::<usize>()
    }

    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        for (index, &candidate) in batch.iter().enumerate() {
            if candidate.record.is_some_and(|record| self.passes(candidate, record)) {
                verdicts.deliver(index);
            }
        }
    }
}
