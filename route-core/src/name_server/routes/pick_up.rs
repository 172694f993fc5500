//! The route of a topic, as clients ask for it.

use std::collections::BTreeMap;

use proto_core::bodies::{BrokerData, TopicRouteData};

use super::{Broker, BrokerAddrInfo, MASTER_ID, RouteTable};

/// Topics of this kind are how the members of a broker see each other; nobody acts for anybody there.
const SYNC_BROKER_MEMBER_GROUP_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

impl RouteTable {
    /// Who holds the topic, and where. `None` if nobody who is known does.
    ///
    /// With `support_acting_master` the lowest slave of a broker that has lost its master is shown in its place, for reading.
    #[must_use]
    pub fn pick_up(&self, topic: &str, support_acting_master: bool) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let acting = support_acting_master && !topic.starts_with(SYNC_BROKER_MEMBER_GROUP_PREFIX);
        let mut route = TopicRouteData {
            queue_datas: queues.iter().map(|(name, queues)| queues.to_queue_data(name)).collect(),
            topic_queue_mapping_by_broker: self.mappings.get(topic).cloned(),
            ..TopicRouteData::default()
        };
        for (name, queues) in queues {
            let Some(broker) = self.brokers.get(name) else { continue };
            let mut data = broker.to_broker_data(name);
            if acting && broker.enable_acting_master && queues.perm & proto_core::perm::WRITE == 0 {
                show_lowest_as_master(&mut data.broker_addrs);
            }
            route.broker_datas.push(data);
            for addr in broker.addrs.values() {
                let info = BrokerAddrInfo { cluster_name: broker.cluster.clone(), broker_addr: addr.clone() };
                if let Some(servers) = self.filter_servers.get(&info) {
                    route.filter_server_table.insert(addr.to_string(), servers.clone());
                }
            }
        }
        (!route.broker_datas.is_empty()).then_some(route)
    }
}

impl Broker {
    pub(super) fn to_broker_data(&self, name: &str) -> BrokerData {
        BrokerData {
            cluster: self.cluster.to_string(),
            broker_name: name.to_owned(),
            broker_addrs: self.addrs.iter().map(|(id, addr)| (*id, addr.to_string())).collect(),
            enable_acting_master: self.enable_acting_master,
            zone_name: self.zone_name.clone(),
        }
    }
}

fn show_lowest_as_master(addrs: &mut BTreeMap<i64, String>) {
    if !addrs.contains_key(&MASTER_ID)
        && let Some((_, addr)) = addrs.pop_first()
    {
        addrs.insert(MASTER_ID, addr);
    }
}

/// Leaves the brokers of one zone in a route. A broker whose master is down stays, as its slaves serve whoever needs them.
pub fn keep_zone(route: &mut TopicRouteData, zone_name: &str) {
    let stays = |broker: &BrokerData| {
        !broker.broker_addrs.contains_key(&MASTER_ID)
            || broker.zone_name.as_deref().is_some_and(|zone| zone.eq_ignore_ascii_case(zone_name))
    };
    let (kept, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut route.broker_datas).into_iter().partition(stays);
    route.broker_datas = kept;
    for broker in &dropped {
        route.queue_datas.retain(|queues| queues.broker_name != broker.broker_name);
        for addr in broker.broker_addrs.values() {
            route.filter_server_table.shift_remove(addr);
        }
    }
}
