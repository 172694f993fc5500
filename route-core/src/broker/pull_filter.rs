//! Which messages a pull is for: what its own header says, or else the heartbeats of its group.

use std::{borrow::Cow, sync::Arc};

use proto_core::{
    bodies::MessageModel,
    code::ResponseCode,
    headers::PullMessageRequest,
    names::{FAQ_SUFFIX as FAQ, RETRY_PREFIX},
    subscription::{TAG, WASM},
};

use super::{
    Broker,
    filters::FilterError,
    pull::{PullRefusal, forbidden},
    refusal::Refusal,
};
use crate::{
    filter::{AllOf, Candidate, MessageFilter, sql::RealTopicFilter, tags::TagFilter},
    output::NoticeLevel,
    storage::Storage,
};

/// What decides for a pull, kept for as long as it waits.
#[derive(Clone, Debug)]
pub(super) enum PullFilter {
    /// Every message is for it.
    All,
    /// Those with one of some tags.
    Tags(TagFilter),
    /// Those that an expression or a plugin takes.
    Shared(Arc<dyn MessageFilter>),
}

impl PullFilter {
    /// The filter, unless everything passes.
    pub(super) fn as_filter(&self) -> Option<&dyn MessageFilter> {
        match self {
            Self::All => None,
            Self::Tags(filter) => Some(filter),
            Self::Shared(filter) => Some(&**filter),
        }
    }

    /// What passes this filter and all of the others.
    pub(super) fn and(self, bound: impl IntoIterator<Item = Arc<dyn MessageFilter>>) -> Self {
        let own: Option<Arc<dyn MessageFilter>> = match self {
            Self::All => None,
            Self::Tags(filter) => Some(Arc::new(filter)),
            Self::Shared(filter) => Some(filter),
        };
        let mut all: Vec<_> = own.into_iter().chain(bound).collect();
        match all.len() {
            0 => Self::All,
            1 => Self::Shared(all.remove(0)),
            _ => Self::Shared(Arc::new(AllOf::new(all))),
        }
    }

    /// How much work each arriving message is while the pull waits: see [`MessageFilter::steps`].
    pub(super) fn steps(&self) -> usize {
        self.as_filter().map_or(1, MessageFilter::steps)
    }

    /// Whether a message may be for the pull. Its record is asked for only if the tags code does not suffice; one that cannot be had
    /// may be for anyone.
    pub(super) fn may_match<'r>(&self, tags_code: i64, record: &dyn Fn() -> Option<&'r [u8]>) -> bool {
        match self {
            Self::All => true,
            Self::Tags(filter) => filter.passes(tags_code),
            Self::Shared(filter) if !filter.needs_record() => filter.matches_one(Candidate { tags_code, record: None }),
            Self::Shared(filter) => record().is_none_or(|record| filter.matches_one(Candidate { tags_code, record: Some(record) })),
        }
    }
}

impl From<Option<TagFilter>> for PullFilter {
    fn from(filter: Option<TagFilter>) -> Self {
        filter.map_or(Self::All, Self::Tags)
    }
}

impl<S: Storage> Broker<S> {
    /// The filter that a pull carries in its own header.
    pub(super) fn own_filter(&mut self, request: &PullMessageRequest<'_>, topic: &str) -> Result<PullFilter, Refusal> {
        let unreadable = || Refusal::new(ResponseCode::SubscriptionParseFailed, "parse the consumer's subscription failed");
        let expression = request.subscription.map(|text| text.to_cow());
        let kind = request.expression_type.map_or(Cow::Borrowed(TAG), |kind| kind.to_cow());
        if matches!(&*kind, TAG | "") {
            let filter = TagFilter::parse(expression.as_deref().unwrap_or("*")).map_err(|_| unreadable())?;
            return Ok(filter.into());
        }
        let expression = expression.filter(|text| !text.is_empty()).ok_or_else(unreadable)?;
        if kind != WASM && !self.config.property_filter {
            return Err(not_supported(&kind));
        }
        let (compiled, fresh) = self.filters.compile(&kind, &expression);
        match compiled {
            Ok(compiled) => Ok(self.filter_for(topic, compiled.for_group(&request.consumer_group.to_cow()).filter)),
            Err(error) => {
                if fresh {
                    let group = request.consumer_group.to_cow();
                    self.notice_unusable_filter(&group, topic, &error);
                }
                Err(match error {
                    FilterError::Plugin(refusal) => Refusal::new(ResponseCode::SubscriptionParseFailed, refusal.to_string()),
                    _ => unreadable(),
                })
            }
        }
    }

    /// The filter of what the group's heartbeats have subscribed to.
    pub(super) fn registered_filter(
        &self,
        request: &PullMessageRequest<'_>,
        topic: &str,
        group: &str,
        broadcast_enable: bool,
    ) -> Result<PullFilter, PullRefusal> {
        let Some(consumers) = self.consumers.group(group) else {
            return Err(Refusal::new(ResponseCode::SubscriptionNotExist, format!("the consumer's group info not exist{FAQ}")).into());
        };
        if !broadcast_enable && consumers.message_model() == MessageModel::Broadcasting {
            let remark = format!("the consumer group[{group}] can not consume by broadcast way");
            return Err(PullRefusal::forbidden(forbidden::BROADCASTING, remark));
        }
        if !self.groups.may_read(group, topic) {
            return Err(PullRefusal::subscription_forbidden(group, topic));
        }
        let Some(subscription) = consumers.subscription(topic) else {
            return Err(Refusal::new(ResponseCode::SubscriptionNotExist, format!("the consumer's subscription not exist{FAQ}")).into());
        };
        if subscription.data().sub_version < request.sub_version {
            return Err(Refusal::new(ResponseCode::SubscriptionNotLatest, "the consumer's subscription not latest").into());
        }
        if subscription.data().is_tag_type() {
            return Ok(subscription.filter().cloned().into());
        }
        let Some(known) = self.filters.get(group, topic) else {
            let remark = "The broker's consumer filter data is not exist!Your expression may be wrong!";
            return Err(Refusal::new(ResponseCode::FilterDataNotExist, remark).into());
        };
        if known.version() < request.sub_version {
            return Err(Refusal::new(ResponseCode::FilterDataNotLatest, "the consumer's consumer filter data not latest").into());
        }
        let kind = subscription.data().expression_type.as_deref().unwrap_or_default();
        if kind != WASM && !self.config.property_filter {
            return Err(not_supported(kind).into());
        }
        Ok(self.filter_for(topic, Arc::clone(known.filter())))
    }

    /// An expression for a topic. With `filterSupportRetry`, the messages of a group's retry topic are judged by what the group wants
    /// of the topics that they come from.
    fn filter_for(&self, topic: &str, filter: Arc<dyn MessageFilter>) -> PullFilter {
        match topic.strip_prefix(RETRY_PREFIX).filter(|_| self.config.filter_support_retry) {
            None => PullFilter::Shared(filter),
            Some(group) => {
                let real_topics = self.filters.of_group(group).map(|(topic, known)| (topic, Arc::clone(known.filter())));
                PullFilter::Shared(Arc::new(RealTopicFilter::new(real_topics)))
            }
        }
    }

    /// Tells the operator why a group gets nothing.
    pub(super) fn notice_unusable_filter(&mut self, group: &str, topic: &str, error: &FilterError) {
        let text = format!("group {group} gets nothing of topic {topic} until its consumers are started with another filter: {error}");
        self.notice(NoticeLevel::Warn, text);
    }
}

/// Java's answer where `enablePropertyFilter` is off.
pub(super) fn not_supported(kind: &str) -> Refusal {
    Refusal::system(format!("The broker does not support consumer to filter message by {kind}"))
}
