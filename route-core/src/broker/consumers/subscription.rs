//! What a group wants of a topic, ready to judge messages.

use proto_core::{bodies::SubscriptionData, subscription};

use crate::filter::{Candidate, MessageFilter, Verdicts};

/// A subscription by tags. Expressions of other types are stored, but nothing passes them: whoever serves them brings a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    data: SubscriptionData,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Everything,
    /// Sorted hashes of tags: as many as a group has tags, mostly one or two.
    Codes(Vec<i32>),
}

impl Subscription {
    /// A subscription as a heartbeat or a pull brings it.
    #[must_use]
    pub fn new(data: SubscriptionData) -> Self {
        let all = data.class_filter_mode || data.is_tag_type() && data.sub_string.as_deref().is_none_or(subscription::is_all);
        let wanted = if all { Wanted::Everything } else { Wanted::Codes(data.code_set.iter().copied().collect()) };
        Self { data, wanted }
    }

    /// The subscription as the client sent it.
    #[must_use]
    pub const fn data(&self) -> &SubscriptionData {
        &self.data
    }

    /// Whether all messages pass, so that none has to be looked at.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self.wanted, Wanted::Everything)
    }

    /// Whether a message whose tag has this hash passes. Tags with equal hashes pass too; the client looks again.
    #[must_use]
    pub fn passes(&self, tags_code: i64) -> bool {
        match &self.wanted {
            Wanted::Everything => true,
            // Java narrows the code to 32 bits as well.
            #[expect(clippy::cast_possible_truncation, reason = "tag hashes are 32 bits, sign-extended")]
            Wanted::Codes(codes) => codes.binary_search(&(tags_code as i32)).is_ok(),
        }
    }
}

impl MessageFilter for Subscription {
    fn needs_record(&self) -> bool {
        false
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        for (index, candidate) in batch.iter().enumerate() {
            if self.passes(candidate.tags_code) {
                verdicts.deliver(index);
            }
        }
    }
}
