//! The broker's settings: shown (26), and changed while it runs (25).

use bytes::Bytes;
use proto_core::{
    Command,
    json::{self, Dialect},
};

use super::Answer;
use crate::{
    broker::{Asked, Broker, config::BrokerConfig, refusal::Refusal},
    output::{NoticeLevel, Output, ParkedReply, PeerId, Reply, ReplyHeader, Table},
    storage::Storage,
    time::Now,
};

impl<S: Storage> Broker<S> {
    /// 26: all settings, and their version.
    pub(super) fn all_settings(&self) -> Answer {
        let version = String::from_utf8_lossy(&json::to_vec(&self.settings_version, Dialect::Default)).into_owned();
        let header = ReplyHeader::Fields(vec![("version", version.into())]);
        Answer::Now(Reply { header, ..self.config.settings.reply() })
    }

    /// 25: some settings are to change, all of them or none. Nothing at all is a change too.
    pub(super) fn update_settings(&mut self, asked: Asked, command: &Command<'_>) -> Answer {
        if command.body.is_empty() {
            return Answer::Now(Reply::ok());
        }
        let asked = (!asked.oneway).then_some((asked.peer.id, asked.opaque));
        self.outputs.push_back(Output::Configure { asked, properties: Bytes::copy_from_slice(command.body) });
        Answer::WhenChanged
    }

    /// What has come of an [`Output::Configure`]: the whole configuration as it is to be, of which counts what [may change while the broker
    /// runs](BrokerConfig::take_changeable), or what is answered because nothing changes.
    pub fn handle_configured(&mut self, now: Now, asked: Option<(PeerId, i32)>, outcome: Result<BrokerConfig, Refusal>) {
        self.begin(now);
        let reply = match outcome {
            Ok(config) => {
                self.take_settings(now, config);
                self.saves.settings.handle_changed(None);
                Reply::ok()
            }
            Err(refused) => {
                if let Some((to, opaque)) = asked {
                    self.outputs.push_back(Output::Reply { to, opaque, reply: refused.into() });
                }
                return;
            }
        };
        let Some((to, opaque)) = asked else { return };
        if self.saves.settings.has_room() {
            self.wait_for_saves(&[Table::Settings], ParkedReply { to, opaque, reply });
        } else {
            let why = "the change is made and will be saved, but too many wait for the disk to be told when";
            self.outputs.push_back(Output::Reply { to, opaque, reply: Refusal::system(why).into() });
        }
    }

    fn take_settings(&mut self, now: Now, changed: BrokerConfig) {
        let permission = self.config.permission;
        self.config.take_changeable(changed);
        self.settings_version = self.settings_version.next(0, now.wall.0);
        let config = &self.config;
        self.groups.set_auto_create(config.auto_create_group);
        self.topics.set_auto_create(config.auto_create_topic.then_some(config.default_topic_queue_nums));
        self.topics.set_mixed_type(config.mixed_message_type);
        self.consumers.set_expiry(config.channel_expired_timeout);
        self.producers.set_expiry(config.channel_expired_timeout);
        self.broadcast_offsets.set_config(config.broadcast);
        self.filters.set_keep_dead(config.filter_clean_span);
        self.save_offsets.set_period(now, config.flush_consumer_offset_interval);
        self.save_delays.set_period(now, config.flush_delay_offset_interval);
        self.save_transaction_metrics.set_period(now, config.transaction_metric_flush_interval);
        self.save_timer.set_period(now, config.timer.flush_interval);
        if let Some(timer) = &mut self.timer {
            timer.handle_configured(now, config.timer);
        }
        if config.permission != permission {
            // The name servers hand it out as part of every topic's permission.
            self.topics.step(now.wall);
            let (registration, announced) = self.registration();
            registration.handle_all_changed(now, &announced);
        }
        let text = self.config.settings.changed.trim_end().replace('\n', ", ");
        self.notice(NoticeLevel::Info, format!("settings were changed by request, all in all since the start: {text}"));
    }
}
