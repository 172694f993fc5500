//! Plugins in the way of pulls: what is bound to groups and topics, and what becomes of those who use a plugin when others are installed.

use proto_core::{bodies::SubscriptionData, names};

use super::{Broker, pull_filter::PullFilter, refusal::Refusal};
use crate::{output::NoticeLevel, plugins::PluginRefusal, storage::Storage, time::Now};

/// Filters that are looked up in one turn: a plugin is asked about each, and requests wait meanwhile.
const LOOKUPS: usize = 8;

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

    /// Plugins came, changed or went: what depends on them is looked up anew, some of it at once and the rest in the turns that follow. A group whose
    /// filter is gone is refused from then on, and one that waits for a plugin has its filter as soon as there is one, without another heartbeat.
    pub fn handle_plugins_changed(&mut self, now: Now) {
        self.begin(now);
        self.filters_epoch += 1;
        self.filters.handle_plugins_changed();
        self.bindings.handle_plugins_changed();
        self.recheck_plugins(now);
    }

    /// Whether all that depends on plugins has been looked up since the last of them came or went.
    pub(super) fn plugins_are_rechecked(&self) -> bool {
        self.filters.is_rechecked() && self.bindings.are_rechecked()
    }

    /// Looks up some of what depends on plugins.
    pub(super) fn recheck_plugins(&mut self, now: Now) {
        let mut lookups = LOOKUPS;
        let lost_bindings = self.bindings.recheck(&mut lookups);
        let lost_filters = self.filters.recheck(&mut lookups);
        if !lost_bindings.is_empty() || !lost_filters.is_empty() {
            // Who has come to wait in between waits with a filter that is none any more.
            self.filters_epoch += 1;
        }
        for refusal in lost_bindings {
            self.notice_lost_binding(&refusal);
        }
        for (group, topic, error) in lost_filters {
            self.notice_unusable_filter(&group, &topic, &error);
        }
        while lookups > 0
            && let Some(group) = self.filters.next_lacking()
        {
            let subscriptions = self.consumers.group(&group).into_iter().flat_map(|consumers| consumers.subscriptions());
            let wanted: Vec<SubscriptionData> =
                subscriptions.map(|subscription| subscription.data()).filter(|data| !data.is_tag_type()).cloned().collect();
            // Those that still lack their plugin were told so when they came.
            self.filters.register(now.wall, &group, &wanted);
            lookups = lookups.saturating_sub(wanted.len().max(1));
        }
    }
}
