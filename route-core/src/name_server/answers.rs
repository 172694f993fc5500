//! The answer to each request.

use std::borrow::Cow;

use bytes::Bytes;
use proto_core::{
    Command, Text,
    bodies::{DataVersion, GetBrokerMemberGroupResponseBody, KvTable, TopicRouteData},
    code::{RequestCode, ResponseCode},
    headers::{
        AddWritePermOfBrokerRequest, BrokerHeartbeatRequest, DecodeExt, DeleteKvConfigRequest, DeleteTopicFromNamesrvRequest, FieldError,
        GetBrokerMemberGroupRequest, GetKvConfigRequest, GetKvListByNamespaceRequest, GetRouteInfoRequest, GetTopicsByClusterRequest,
        PutKvConfigRequest, QueryDataVersionRequest, RegisterBrokerRequest, RegisterTopicRequest, UnregisterBrokerRequest,
        WipeWritePermOfBrokerRequest,
    },
    json::{self, Dialect},
    names,
};
use serde::Serialize;

use super::{
    Answer, NameServer,
    kv::{Namespace, ORDER_TOPIC_CONFIG},
    register_body,
    routes::{
        BrokerAddrInfo, TopicQueues,
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
        self.try_answer(now, peer, code, command).unwrap_or_else(|error| system_error(error.to_string()).into())
    }

    fn try_answer(&mut self, now: Now, peer: Peer, code: RequestCode, command: &Command<'_>) -> Result<Answer, FieldError> {
        let reply = match code {
            RequestCode::PutKvConfig => return Ok(self.put_kv_config(&read(command)?)),
            RequestCode::GetKvConfig => self.get_kv_config(&read(command)?),
            RequestCode::UpdateNamesrvConfig if !command.body.is_empty() => {
                return Ok(Answer::WhenConfigured(Bytes::copy_from_slice(command.body)));
            }
            RequestCode::UpdateNamesrvConfig => Reply::ok(),
            RequestCode::GetNamesrvConfig => self.config.settings.reply(),
            RequestCode::DeleteKvConfig => return Ok(self.delete_kv_config(&read(command)?)),
            RequestCode::GetKvlistByNamespace => self.kv_list(&read(command)?),
            RequestCode::RegisterBroker => self.register_broker(now, peer, &read(command)?, command),
            RequestCode::UnregisterBroker => self.unregister_broker(&read(command)?),
            RequestCode::BrokerHeartbeat => self.broker_heartbeat(now, &read(command)?),
            RequestCode::QueryDataVersion => self.query_data_version(now, &read(command)?, command.body),
            RequestCode::GetRouteinfoByTopic => self.route_info(now, &read(command)?, command.version),
            RequestCode::GetBrokerClusterInfo => body(&self.routes.cluster_info(), Dialect::Default),
            RequestCode::GetBrokerMemberGroup => self.member_group(&read(command)?),
            RequestCode::WipeWritePermOfBroker => {
                let WipeWritePermOfBrokerRequest { broker_name } = read(command)?;
                count_of("wipeTopicCount", self.routes.wipe_write_perm(&broker_name.to_cow()))
            }
            RequestCode::AddWritePermOfBroker => {
                let AddWritePermOfBrokerRequest { broker_name } = read(command)?;
                count_of("addTopicCount", self.routes.add_write_perm(&broker_name.to_cow()))
            }
            RequestCode::GetAllTopicListFromNameserver => {
                enabled(self.config.enable_all_topic_list, || body(&self.routes.all_topics(), Dialect::Default))
            }
            RequestCode::GetTopicsByCluster => {
                let GetTopicsByClusterRequest { cluster } = read(command)?;
                let topics = || body(&self.routes.topics_of_cluster(&cluster.to_cow()), Dialect::Default);
                enabled(self.config.enable_topic_list, topics)
            }
            RequestCode::GetSystemTopicListFromNs => body(&self.routes.system_topics(), Dialect::Default),
            RequestCode::GetUnitTopicList => self.unit_topics(UnitTopics::Unit),
            RequestCode::GetHasUnitSubTopicList => self.unit_topics(UnitTopics::UnitSub),
            RequestCode::GetHasUnitSubUnunitTopicList => self.unit_topics(UnitTopics::UnitSubUnunit),
            RequestCode::DeleteTopicInNamesrv => self.delete_topic(&read(command)?),
            RequestCode::RegisterTopicInNamesrv => self.register_topic(&read(command)?, command.body),
            _ => Reply::not_supported(command.code),
        };
        Ok(Answer::Now(reply))
    }

    fn put_kv_config(&mut self, request: &PutKvConfigRequest<'_>) -> Answer {
        let (Some(namespace), Some(key)) = (request.namespace, request.key) else {
            return system_error("namespace or key is null").into();
        };
        if !self.saves.has_room() {
            return too_many_saves().into();
        }
        let (namespace, key) = (namespace.to_cow(), key.to_cow());
        // Java keeps a null, which reads like a missing key.
        let changed = match request.value {
            Some(value) => self.kv.put(&namespace, &key, &value.to_cow()).map(|()| true),
            None => Ok(self.kv.delete(&namespace, &key)),
        };
        match changed {
            Ok(true) => Answer::WhenSaved(Reply::ok()),
            Ok(false) => Reply::ok().into(),
            Err(full) => system_error(full.to_string()).into(),
        }
    }

    fn get_kv_config(&self, request: &GetKvConfigRequest<'_>) -> Reply {
        let (namespace, key) = (request.namespace.to_cow(), request.key.to_cow());
        match self.kv.get(&namespace, &key) {
            Some(value) => fields(vec![("value", value.to_owned().into())]),
            None => Reply::error(ResponseCode::QueryNotFound, format!("No config item, Namespace: {namespace} Key: {key}")),
        }
    }

    fn delete_kv_config(&mut self, request: &DeleteKvConfigRequest<'_>) -> Answer {
        let (Some(namespace), Some(key)) = (request.namespace, request.key) else {
            return Reply::ok().into();
        };
        if !self.saves.has_room() {
            return too_many_saves().into();
        }
        match self.kv.delete(&namespace.to_cow(), &key.to_cow()) {
            true => Answer::WhenSaved(Reply::ok()),
            false => Reply::ok().into(),
        }
    }

    fn kv_list(&self, request: &GetKvListByNamespaceRequest<'_>) -> Reply {
        let namespace = request.namespace.to_cow();
        match self.kv.namespace(&namespace) {
            Some(keys) => Reply::with_body(kv_table(keys)),
            None => Reply::error(ResponseCode::QueryNotFound, format!("No config item, Namespace: {namespace}")),
        }
    }

    fn register_broker(&mut self, now: Now, peer: Peer, request: &RegisterBrokerRequest<'_>, command: &Command<'_>) -> Reply {
        let crc = u32::from_ne_bytes(request.body_crc32.to_ne_bytes());
        if crc != 0 && crc != proto_core::record::body_crc(command.body) {
            return system_error("crc32 not match");
        }
        let body = match register_body::read(command.body, command.version, request.compressed) {
            Ok(body) => body,
            Err(error) => return system_error(format!("the topics cannot be read: {error}")),
        };
        let (broker_addr, broker_name) = (request.broker_addr.to_cow(), request.broker_name.to_cow());
        let Some(broker_id) = request.broker_id.filter(|_| !broker_addr.is_empty() && !broker_name.is_empty()) else {
            return system_error("register broker failed");
        };
        let zone_name = request.zone_name.map(|zone| zone.to_cow());
        let info = info(request.cluster_name, request.broker_addr);
        let wrapper = &body.topic_config_serialize_wrapper;
        let registration = Registration {
            info: info.clone(),
            broker_name: &broker_name,
            broker_id,
            ha_server_addr: &request.ha_server_addr.to_cow(),
            zone_name: zone_name.as_deref(),
            enable_acting_master: request.enable_acting_master,
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
        let timeout = request.heartbeat_timeout_millis.and_then(|timeout| u64::try_from(timeout).ok());
        self.liveness.handle_heard(now.mono, info, peer.id, timeout.map_or(BROKER_TIMEOUT, Millis));
        if let Some(displaced) = &registered.displaced {
            let text = format!("broker {broker_name} {broker_id} is now at {broker_addr}, it was at {displaced}");
            self.notice(NoticeLevel::Warn, text);
        } else if !known || registered.renamed {
            self.notice(NoticeLevel::Info, format!("broker {broker_name} (id {broker_id}) at {broker_addr} has registered"));
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

    fn unregister_broker(&mut self, request: &UnregisterBrokerRequest<'_>) -> Reply {
        let info = info(request.cluster_name, request.broker_addr);
        self.liveness.forget(&info);
        self.unregister(&[info]);
        Reply::ok()
    }

    fn broker_heartbeat(&mut self, now: Now, request: &BrokerHeartbeatRequest<'_>) -> Reply {
        self.liveness.handle_sign_of_life(now.mono, &info(request.cluster_name, request.broker_addr));
        Reply::ok()
    }

    fn query_data_version(&mut self, now: Now, request: &QueryDataVersionRequest<'_>, version: &[u8]) -> Reply {
        let theirs: DataVersion = match json::from_slice(version) {
            Ok(version) => version,
            Err(error) => return system_error(format!("the data version cannot be read: {error}")),
        };
        let info = info(request.cluster_name, request.broker_addr);
        self.liveness.handle_sign_of_life(now.mono, &info);
        let ours = self.routes.data_version(&info);
        let changed = if ours == Some(&theirs) { "false" } else { "true" };
        let header = ReplyHeader::Fields(vec![("changed", changed.into())]);
        Reply { header, ..ours.map_or_else(Reply::ok, |version| body(version, Dialect::Default)) }
    }

    fn route_info(&self, now: Now, request: &GetRouteInfoRequest<'_>, version: i32) -> Reply {
        if self.config.need_wait_for_service && now.mono < self.started + self.config.wait_seconds_for_service {
            return system_error("name server not ready");
        }
        let topic = request.topic.to_cow();
        let Some(mut route) = self.routes.pick_up(&topic, self.config.support_acting_master) else {
            let suffix = names::FAQ_SUFFIX;
            let remark = format!("No topic route info in name server for the topic: {topic}{suffix}");
            return Reply::error(ResponseCode::TopicNotExist, remark);
        };
        if self.config.order_message_enable {
            route.order_topic_conf = self.kv.get(ORDER_TOPIC_CONFIG, &topic).map(str::to_owned);
        }
        if let Some(zone) = request.zone_name.filter(|_| request.zone_mode).map(|zone| zone.to_cow())
            && !zone.trim().is_empty()
        {
            keep_zone(&mut route, &zone);
        }
        let standard = version >= STANDARD_JSON_VERSION || request.accept_standard_json_only == Some(true);
        body(&route, if standard { Dialect::Standard } else { Dialect::Default })
    }

    fn member_group(&self, request: &GetBrokerMemberGroupRequest<'_>) -> Reply {
        let broker_member_group = self.routes.member_group(&request.cluster_name.to_cow(), &request.broker_name.to_cow());
        body(&GetBrokerMemberGroupResponseBody { broker_member_group }, Dialect::Default)
    }

    fn unit_topics(&self, which: UnitTopics) -> Reply {
        enabled(self.config.enable_topic_list, || body(&self.routes.unit_topics(which), Dialect::Default))
    }

    fn delete_topic(&mut self, request: &DeleteTopicFromNamesrvRequest<'_>) -> Reply {
        let cluster = request.cluster_name.filter(|cluster| !cluster.is_empty()).map(|cluster| cluster.to_cow());
        self.routes.delete_topic(&request.topic.to_cow(), cluster.as_deref());
        Reply::ok()
    }

    fn register_topic(&mut self, request: &RegisterTopicRequest<'_>, queues: &[u8]) -> Reply {
        let route: TopicRouteData = match json::from_slice(queues) {
            Ok(route) => route,
            Err(error) => return system_error(format!("the queues cannot be read: {error}")),
        };
        let topic = request.topic.to_cow();
        if !self.routes.register_topic(&topic, &route.queue_datas) {
            self.notice(NoticeLevel::Warn, format!("not all queues of topic {topic} were taken: unknown broker or no room"));
        }
        Reply::ok()
    }
}

fn read<'a, H: DecodeExt<'a>>(command: &Command<'a>) -> Result<H, FieldError> {
    H::decode_ext(&command.ext)
}

fn info(cluster_name: Text<'_>, broker_addr: Text<'_>) -> BrokerAddrInfo {
    BrokerAddrInfo { cluster_name: cluster_name.to_cow().into(), broker_addr: broker_addr.to_cow().into() }
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

pub(super) fn too_many_saves() -> Reply {
    Reply::error(ResponseCode::SystemBusy, "too many changes wait to be saved")
}

fn enabled(enabled: bool, reply: impl FnOnce() -> Reply) -> Reply {
    if enabled { reply() } else { system_error("disable") }
}
