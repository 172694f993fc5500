//! What an operator may set.

use crate::{settings::SettingsText, time::Millis};

/// Settings of a name server. Fields carry RocketMQ's keys of `namesrv.conf`; keys that only sized Java's threads are not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServerConfig {
    /// `orderMessageEnable`: routes carry the topic's `orderTopicConf`.
    pub order_message_enable: bool,
    /// `returnOrderTopicConfigToBroker`: brokers learn the ordered topics when they register.
    pub return_order_topic_config_to_broker: bool,
    /// `scanNotActiveBrokerInterval`, milliseconds in the file: how often silent brokers are looked for.
    pub scan_not_active_broker_interval: Millis,
    /// `supportActingMaster`: the lowest slave of a broker without a master is shown as its master.
    pub support_acting_master: bool,
    /// `enableAllTopicList`: request 206 is answered.
    pub enable_all_topic_list: bool,
    /// `enableTopicList`: requests 224 and 311 to 313 are answered.
    pub enable_topic_list: bool,
    /// `notifyMinBrokerIdChanged`: the members of a broker are told when the lowest id among them changes.
    pub notify_min_broker_id_changed: bool,
    /// `needWaitForService`: no routes are told until brokers had [the time](Self::wait_seconds_for_service) to register.
    pub need_wait_for_service: bool,
    /// `waitSecondsForService`, seconds in the file.
    pub wait_seconds_for_service: Millis,
    /// `deleteTopicWithBrokerRegistration`: a full registration takes away the broker's topics that it does not name.
    pub delete_topic_with_broker_registration: bool,
    /// All settings as text.
    pub settings: SettingsText,
    /// Brokers (addresses) that are known at most; registrations beyond it are refused.
    pub max_brokers: usize,
    /// Pairs of topic and broker that are known at most; registrations beyond it are refused.
    pub max_topic_entries: usize,
    /// Bytes of keys and values that the KV configuration holds at most.
    pub max_kv_bytes: usize,
}

impl NameServerConfig {
    /// Takes over from `changed` what may change while a name server runs: all but the limits of its tables.
    pub fn take_changeable(&mut self, changed: Self) {
        let Self { max_brokers, max_topic_entries, max_kv_bytes, .. } = *self;
        *self = Self { max_brokers, max_topic_entries, max_kv_bytes, ..changed };
    }
}

impl Default for NameServerConfig {
    /// Java's defaults, and limits far above what one cluster needs.
    fn default() -> Self {
        Self {
            order_message_enable: false,
            return_order_topic_config_to_broker: true,
            scan_not_active_broker_interval: Millis::from_secs(5),
            support_acting_master: false,
            enable_all_topic_list: true,
            enable_topic_list: true,
            notify_min_broker_id_changed: false,
            need_wait_for_service: false,
            wait_seconds_for_service: Millis::from_secs(45),
            delete_topic_with_broker_registration: false,
            settings: SettingsText::default(),
            max_brokers: 4096,
            max_topic_entries: 1 << 20,
            max_kv_bytes: 16 << 20,
        }
    }
}
