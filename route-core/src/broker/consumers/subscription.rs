//! What a group wants of a topic, ready to judge messages.

use proto_core::bodies::SubscriptionData;

use crate::filter::tags::TagFilter;

/// A subscription by tags. Expressions of other languages are stored, but nothing passes them here: what they say is in the
/// [table of filters](crate::broker::filters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    data: SubscriptionData,
    filter: Option<TagFilter>,
}

impl Subscription {
    /// A subscription as a heartbeat brings it.
    #[must_use]
    pub fn new(data: SubscriptionData) -> Self {
        let filter = if data.is_tag_type() || data.class_filter_mode { TagFilter::of(&data) } else { Some(TagFilter::nothing()) };
        Self { data, filter }
    }

    /// The subscription as the client sent it.
    #[must_use]
    pub const fn data(&self) -> &SubscriptionData {
        &self.data
    }

    /// What its messages pass; `None` if all pass, so that none has to be looked at.
    #[must_use]
    pub const fn filter(&self) -> Option<&TagFilter> {
        self.filter.as_ref()
    }
}
