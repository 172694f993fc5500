//! Plugins in the way of pulls: what is bound to groups and topics, and what becomes of those who use a plugin when others are installed.

use proto_core::{bodies::SubscriptionData, names};

use super::{Broker, pull_filter::PullFilter, refusal::Refusal};
use crate::{output::NoticeLevel, plugins::PluginRefusal, storage::Storage, time::Now};

impl<S: Storage> Broker<S> {
    /// The filter of a pull, with what is bound to its group and its topic. What a group gets again through its retry topic has passed before.
    pub(super) fn with_bound(&self, group: &str, topic: &str, own: PullFilter) -> Result<PullFilter, Refusal> {
        if self.bindings.has_no_filters() || names::is_retry(topic) {
            return Ok(own);
        }
        let bound = self.bindings.filters(group, topic).map_err(|refusal| {
            Refusal::system(format!("a filter that is bound to group {group} or topic {topic} cannot be asked: {refusal}"))
        })?;
        Ok(own.and(bound))
    }

    /// Tells the operator that pulls are refused for want of a plugin.
    pub(super) fn notice_lost_binding(&mut self, refusal: &PluginRefusal) {
        self.notice(NoticeLevel::Error, format!("pulls are refused whose group or topic has a filter bound to it that is away: {refusal}"));
    }

    /// Plugins came, changed or went: what depends on them is looked up anew. A group whose filter is gone is refused from its next pull on,
    /// and one that waits for a plugin has its filter as soon as there is one, without another heartbeat.
    pub fn handle_plugins_changed(&mut self, now: Now) {
        self.begin(now);
        self.filters_epoch += 1;
        for (group, topic, error) in self.filters.handle_plugins_changed() {
            self.notice_unusable_filter(&group, &topic, &error);
        }
        for refusal in self.bindings.handle_plugins_changed() {
            self.notice_lost_binding(&refusal);
        }
        let missing: Vec<(String, Vec<SubscriptionData>)> = self
            .consumers
            .groups()
            .filter_map(|(group, consumers)| {
                let wanted = consumers.subscriptions().map(|subscription| subscription.data()).filter(|data| !data.is_tag_type());
                let wanted: Vec<_> = wanted.cloned().collect();
                let lacks = |data: &SubscriptionData| self.filters.get(group, &data.topic).is_none();
                wanted.iter().any(lacks).then(|| (group.to_owned(), wanted))
            })
            .collect();
        for (group, subscriptions) in missing {
            // Those that still lack their plugin were told so when they came, or just now.
            self.filters.register(now.wall, &group, &subscriptions);
        }
    }
}
