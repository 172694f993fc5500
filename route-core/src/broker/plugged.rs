//! What becomes of those who use plugins when others are installed.

use proto_core::bodies::SubscriptionData;

use super::Broker;
use crate::{storage::Storage, time::Now};

impl<S: Storage> Broker<S> {
    /// Plugins came, changed or went: what depends on them is looked up anew. A group whose filter is gone is refused from its next pull on,
    /// and one that waits for a plugin has its filter as soon as there is one, without another heartbeat.
    pub fn handle_plugins_changed(&mut self, now: Now) {
        self.begin(now);
        for (group, topic, error) in self.filters.handle_plugins_changed() {
            self.notice_unusable_filter(&group, &topic, &error);
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
