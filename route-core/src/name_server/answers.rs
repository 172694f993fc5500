//! The answer to each request.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command, Text,
    bodies::{DataVersion, GetBrokerMemberGroupResponseBody, KvTable, TopicRouteData},
    code::{RequestCode, ResponseCode},
    json::{self, Dialect},
    names,
};
use serde::Serialize;

use super::{
    Answer, NameServer, info,
    kv::{Namespace, ORDER_TOPIC_CONFIG},
    register_body,
    routes::{
        TopicQueues,
        lists::UnitTopics,
        pick_up::keep_zone,
        register::{Refused, Registered, Registration},
    },
};
use crate::{
    output::{NoticeLevel, Peer, Reply, ReplyHeader},
    time::{Millis, Now},
};

/// How long a broker may be silent that does not say.
const BROKER_TIMEOUT: Millis = Millis::from_secs(120);

/// Peers from this version (4.9.4) on read JSON with quoted keys.
const STANDARD_JSON_VERSION: i32 = 401;

impl NameServer {
    pub(super) fn answer(&mut self, now: Now, peer: Peer, code: RequestCode, command: &Command<'_>) -> Answer {
        let reply = match code {
            RequestCode::PutKvConfig => return self.put_kv_config(command),
            RequestCode::GetKvConfig => self.get_kv_config(command),
            RequestCode::DeleteKvConfig => return self.delete_kv_config(command),
            RequestCode::GetKvlistByNamespace => self.kv_list(command),
            RequestCode::RegisterBroker => self.register_broker(now, peer, command),
            RequestCode::UnregisterBroker => self.unregister_broker(command),
            RequestCode::BrokerHeartbeat => self.broker_heartbeat(now, command),
            RequestCode::QueryDataVersion => self.query_data_version(now, command),
            RequestCode::GetRouteinfoByTopic => self.route_info(now, command),
            RequestCode::GetBrokerClusterInfo => body(&self.routes.cluster_info(), Dialect::Default),
            RequestCode::GetBrokerMemberGroup => self.member_group(command),
            RequestCode::WipeWritePermOfBroker => {
                let count = self.routes.wipe_write_perm(&text(command, "brokerName"));
                count_of("wipeTopicCount", count)
            }
            RequestCode::AddWritePermOfBroker => {
                let count = self.routes.add_write_perm(&text(command, "brokerName"));
                count_of("addTopicCount", count)
            }
            RequestCode::GetAllTopicListFromNameserver => {
                enabled(self.config.enable_all_topic_list, || body(&self.routes.all_topics(), Dialect::Default))
            }
            RequestCode::GetTopicsByCluster => {
                enabled(self.config.enable_topic_list, || body(&self.routes.topics_of_cluster(&text(command, "cluster")), Dialect::Default))
            }
            RequestCode::GetSystemTopicListFromNs => body(&self.routes.system_topics(), Dialect::Default),
            RequestCode::GetUnitTopicList => self.unit_topics(UnitTopics::Unit),
            RequestCode::GetHasUnitSubTopicList => self.unit_topics(UnitTopics::UnitSub),
            RequestCode::GetHasUnitSubUnunitTopicList => self.unit_topics(UnitTopics::UnitSubUnunit),
            RequestCode::DeleteTopicInNamesrv => self.delete_topic(command),
            RequestCode::RegisterTopicInNamesrv => self.register_topic(command),
            _ => Reply::not_supported(command.code),
        };
        Answer::Now(reply)
    }

    fn put_kv_config(&mut self, command: &Command<'_>) -> Answer {
        let (Some(namespace), Some(key)) = (field(command, "namespace"), field(command, "key")) else {
            return system_error("namespace or key is null").into();
        };
        if !self.saves.has_room() {
            return Reply::error(ResponseCode::SystemBusy, "too many changes wait to be saved").into();
        }
        // Java keeps a null that reads like a missing key.
        let changed = match field(command, "value") {
            Some(value) => self.kv.put(&namespace, &key, &value).map(|()| true),
            None => Ok(self.kv.delete(&namespace, &key)),
        };
        match changed {
            Ok(true) => Answer::WhenSaved(Reply::ok()),
            Ok(false) => Reply::ok().into(),
            Err(full) => system_error(full.to_string()).into(),
        }
    }

    fn get_kv_config(&self, command: &Command<'_>) -> Reply {
        let (namespace, key) = (text(command, "namespace"), text(command, "key"));
        match self.kv.get(&namespace, &key) {
            Some(value) => fields(vec![("value", value.to_owned().into())]),
            None => Reply::error(ResponseCode::QueryNotFound, format!("No config item, Namespace: {namespace} Key: {key}")),
        }
    }

    fn delete_kv_config(&mut self, command: &Command<'_>) -> Answer {
        if !self.saves.has_room() {
            return Reply::error(ResponseCode::SystemBusy, "too many changes wait to be saved").into();
        }
        match self.kv.delete(&text(command, "namespace"), &text(command, "key")) {
            true => Answer::WhenSaved(Reply::ok()),
            false => Reply::ok().into(),
        }
    }

    fn kv_list(&self, command: &Command<'_>) -> Reply {
        let namespace = text(command, "namespace");
        match self.kv.namespace(&namespace) {
            Some(keys) => Reply::with_body(kv_table(keys)),
            None => Reply::error(ResponseCode::QueryNotFound, format!("No config item, Namespace: {namespace}")),
        }
    }

    fn register_broker(&mut self, now: Now, peer: Peer, command: &Command<'_>) -> Reply {
        let crc: u32 = number(command, "bodyCrc32").unwrap_or(0);
        if crc != 0 && crc != proto_core::record::body_crc(command.body) {
            return system_error("crc32 not match");
        }
        let body = match register_body::read(command.body, command.version, flag(command, "compressed").unwrap_or(false)) {
            Ok(body) => body,
            Err(error) => return system_error(format!("the topics cannot be read: {error}")),
        };
        let (cluster_name, broker_addr, broker_name) =
            (text(command, "clusterName"), text(command, "brokerAddr"), text(command, "brokerName"));
        let Some(broker_id) = number(command, "brokerId") else {
            return system_error("register broker failed");
        };
        if broker_addr.is_empty() || broker_name.is_empty() {
            return system_error("register broker failed");
        }
        let (ha_server_addr, zone_name) = (text(command, "haServerAddr"), field(command, "__ZONE_NAME"));
        let info = info(&cluster_name, &broker_addr);
        let wrapper = &body.topic_config_serialize_wrapper;
        let registration = Registration {
            info: info.clone(),
            broker_name: &broker_name,
            broker_id,
            ha_server_addr: &ha_server_addr,
            zone_name: zone_name.as_deref(),
            enable_acting_master: flag(command, "enableActingMaster"),
            data_version: wrapper.data_version,
            topics: wrapper
                .topic_config_table
                .iter()
                .map(|(key, config)| {
                    let name = if config.topic_name.is_empty() { key } else { &config.topic_name };
                    (name.as_str(), TopicQueues::from(config))
                })
                .collect(),
            mappings: wrapper.topic_queue_mapping_info_map.iter().map(|(topic, mapping)| (topic.as_str(), mapping)).collect(),
            filter_servers: body.filter_server_list,
        };
        let known = self.routes.data_version(&info).is_some();
        let registered = match self.routes.register(registration, self.config.delete_topic_with_broker_registration) {
            Ok(registered) => registered,
            Err(refused) => {
                self.notice(NoticeLevel::Warn, format!("broker {broker_name} {broker_id} at {broker_addr} is refused: {refused}"));
                if matches!(refused, Refused::Superseded { .. }) {
                    self.liveness.forget(&info);
                    return self.registered(&Registered::default());
                }
                return system_error("register broker failed");
            }
        };
        let timeout = number(command, "heartbeatTimeoutMillis").map_or(BROKER_TIMEOUT, Millis);
        self.liveness.handle_heard(now.mono, info, peer.id, timeout);
        if let Some(displaced) = &registered.displaced {
            let text = format!("broker {broker_name} {broker_id} is now at {broker_addr}, it was at {displaced}");
            self.notice(NoticeLevel::Warn, text);
        } else if !known || registered.renamed {
            self.notice(NoticeLevel::Info, format!("broker {broker_name} {broker_id} at {broker_addr} has registered"));
        }
        if let Some(change) = &registered.min_broker_id {
            self.notify(change);
        }
        self.registered(&registered)
    }

    fn registered(&self, registered: &Registered) -> Reply {
        let order_topics = self.kv.namespace(ORDER_TOPIC_CONFIG).filter(|_| self.config.return_order_topic_config_to_broker);
        let header = match &registered.master {
            Some(master) => ReplyHeader::Fields(vec![
                ("haServerAddr", master.ha_server_addr.to_string().into()),
                ("masterAddr", master.master_addr.to_string().into()),
            ]),
            None => ReplyHeader::Empty,
        };
        Reply { header, ..order_topics.map_or_else(Reply::ok, |keys| Reply::with_body(kv_table(keys))) }
    }

    fn unregister_broker(&mut self, command: &Command<'_>) -> Reply {
        let info = info(&text(command, "clusterName"), &text(command, "brokerAddr"));
        self.liveness.forget(&info);
        self.unregister(&[info]);
        Reply::ok()
    }

    fn broker_heartbeat(&mut self, now: Now, command: &Command<'_>) -> Reply {
        self.liveness.handle_sign_of_life(now.mono, &info(&text(command, "clusterName"), &text(command, "brokerAddr")));
        Reply::ok()
    }

    fn query_data_version(&mut self, now: Now, command: &Command<'_>) -> Reply {
        let theirs: DataVersion = match json::from_slice(command.body) {
            Ok(version) => version,
            Err(error) => return system_error(format!("the data version cannot be read: {error}")),
        };
        let info = info(&text(command, "clusterName"), &text(command, "brokerAddr"));
        self.liveness.handle_sign_of_life(now.mono, &info);
        let ours = self.routes.data_version(&info);
        let changed = if ours == Some(&theirs) { "false" } else { "true" };
        let header = ReplyHeader::Fields(vec![("changed", changed.into())]);
        Reply { header, ..ours.map_or_else(Reply::ok, |version| body(version, Dialect::Default)) }
    }

    fn route_info(&self, now: Now, command: &Command<'_>) -> Reply {
        if self.config.need_wait_for_service && now.mono < self.started + self.config.wait_seconds_for_service {
            return system_error("name server not ready");
        }
        let topic = text(command, "topic");
        let Some(mut route) = self.routes.pick_up(&topic, self.config.support_acting_master) else {
            let suffix = names::FAQ_SUFFIX;
            let remark = format!("No topic route info in name server for the topic: {topic}{suffix}");
            return Reply::error(ResponseCode::TopicNotExist, remark);
        };
        if self.config.order_message_enable {
            route.order_topic_conf = self.kv.get(ORDER_TOPIC_CONFIG, &topic).map(str::to_owned);
        }
        if flag(command, "__ZONE_MODE").unwrap_or(false)
            && let Some(zone) = field(command, "__ZONE_NAME").filter(|zone| !zone.trim().is_empty())
        {
            keep_zone(&mut route, &zone);
        }
        let standard = command.version >= STANDARD_JSON_VERSION || flag(command, "acceptStandardJsonOnly").unwrap_or(false);
        body(&route, if standard { Dialect::Standard } else { Dialect::Default })
    }

    fn member_group(&self, command: &Command<'_>) -> Reply {
        let group = self.routes.member_group(&text(command, "clusterName"), &text(command, "brokerName"));
        body(&GetBrokerMemberGroupResponseBody { broker_member_group: group }, Dialect::Default)
    }

    fn unit_topics(&self, which: UnitTopics) -> Reply {
        enabled(self.config.enable_topic_list, || body(&self.routes.unit_topics(which), Dialect::Default))
    }

    fn delete_topic(&mut self, command: &Command<'_>) -> Reply {
        let cluster = field(command, "clusterName").filter(|cluster| !cluster.is_empty());
        self.routes.delete_topic(&text(command, "topic"), cluster.as_deref());
        Reply::ok()
    }

    fn register_topic(&mut self, command: &Command<'_>) -> Reply {
        let route: TopicRouteData = match json::from_slice(command.body) {
            Ok(route) => route,
            Err(error) => return system_error(format!("the queues cannot be read: {error}")),
        };
        let topic = text(command, "topic");
        if !self.routes.register_topic(&topic, &route.queue_datas) {
            self.notice(NoticeLevel::Warn, format!("not all queues of topic {topic} were taken: unknown broker or no room"));
        }
        Reply::ok()
    }
}

fn body<T: Serialize>(value: &T, dialect: Dialect) -> Reply {
    Reply::with_body(json::to_vec(value, dialect).into())
}

fn kv_table(keys: &Namespace) -> Bytes {
    let table = KvTable { table: keys.iter().map(|(key, value)| (key.clone(), value.clone())).collect() };
    json::to_vec(&table, Dialect::Default).into()
}

fn fields(fields: Vec<(&'static str, Cow<'static, str>)>) -> Reply {
    Reply { header: ReplyHeader::Fields(fields), ..Reply::ok() }
}

fn count_of(name: &'static str, count: usize) -> Reply {
    fields(vec![(name, count.to_string().into())])
}

fn system_error(remark: impl Into<Cow<'static, str>>) -> Reply {
    Reply::error(ResponseCode::SystemError, remark)
}

fn enabled(enabled: bool, reply: impl FnOnce() -> Reply) -> Reply {
    if enabled { reply() } else { system_error("disable") }
}

fn field<'a>(command: &Command<'a>, name: &str) -> Option<Cow<'a, str>> {
    command.ext.get(name).map(|text: Text<'a>| text.to_cow())
}

/// A field that Java would fail on if it were missing; it reads as a name that nobody has.
fn text<'a>(command: &Command<'a>, name: &str) -> Cow<'a, str> {
    field(command, name).unwrap_or_default()
}

fn number<T: std::str::FromStr>(command: &Command<'_>, name: &str) -> Option<T> {
    field(command, name)?.trim().parse().ok()
}

/// As Java reads a boolean: anything but `true` in any case is false.
fn flag(command: &Command<'_>, name: &str) -> Option<bool> {
    field(command, name).map(|value| value.eq_ignore_ascii_case("true"))
}
