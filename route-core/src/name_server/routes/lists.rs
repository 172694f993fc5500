//! Lists of clusters, brokers and topics, as tools ask for them.

use proto_core::bodies::{BrokerMemberGroup, ClusterInfo, TopicList};

use super::RouteTable;

/// `topicSysFlag`: the topic lives in one unit of a deployment.
const FLAG_UNIT: i32 = 1;
/// `topicSysFlag`: groups of other units read it.
const FLAG_UNIT_SUB: i32 = 1 << 1;

/// Which topics a list of units names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitTopics {
    /// Topics of a unit.
    Unit,
    /// Topics that other units read.
    UnitSub,
    /// Topics that units read and that belong to none.
    UnitSubUnunit,
}

impl UnitTopics {
    const fn includes(self, flag: i32) -> bool {
        let (unit, sub) = (flag & FLAG_UNIT != 0, flag & FLAG_UNIT_SUB != 0);
        match self {
            Self::Unit => unit,
            Self::UnitSub => sub,
            Self::UnitSubUnunit => sub && !unit,
        }
    }
}

impl RouteTable {
    /// All brokers, by name and by cluster.
    #[must_use]
    pub fn cluster_info(&self) -> ClusterInfo {
        ClusterInfo {
            broker_addr_table: self.brokers.iter().map(|(name, broker)| (name.to_string(), broker.to_broker_data(name))).collect(),
            cluster_addr_table: self
                .clusters
                .iter()
                .map(|(cluster, names)| (cluster.to_string(), names.iter().map(ToString::to_string).collect()))
                .collect(),
        }
    }

    /// The members of one broker; none if it is not known.
    #[must_use]
    pub fn member_group(&self, cluster: &str, broker_name: &str) -> BrokerMemberGroup {
        let addrs = self.brokers.get(broker_name).map(|broker| &broker.addrs);
        BrokerMemberGroup {
            cluster: cluster.to_owned(),
            broker_name: broker_name.to_owned(),
            broker_addrs: addrs.into_iter().flatten().map(|(id, addr)| (*id, addr.to_string())).collect(),
        }
    }

    /// Every topic.
    #[must_use]
    pub fn all_topics(&self) -> TopicList {
        TopicList { broker_addr: None, topic_list: self.topics.keys().map(ToString::to_string).collect() }
    }

    /// Every topic of a cluster; none if it is not known.
    #[must_use]
    pub fn topics_of_cluster(&self, cluster: &str) -> TopicList {
        let names = self.clusters.get(cluster);
        let held = self.topics.iter().filter(|(_, brokers)| names.is_some_and(|names| brokers.keys().any(|name| names.contains(name))));
        TopicList { broker_addr: None, topic_list: held.map(|(topic, _)| topic.to_string()).collect() }
    }

    /// Topics by unit, judged by their first broker.
    #[must_use]
    pub fn unit_topics(&self, which: UnitTopics) -> TopicList {
        let included = self
            .topics
            .iter()
            .filter(|(_, brokers)| brokers.first_key_value().is_some_and(|(_, queues)| which.includes(queues.topic_sys_flag)));
        TopicList { broker_addr: None, topic_list: included.map(|(topic, _)| topic.to_string()).collect() }
    }

    /// The topics that exist because clusters and brokers do, and one broker to ask for more.
    #[must_use]
    pub fn system_topics(&self) -> TopicList {
        let names = self.clusters.iter().flat_map(|(cluster, names)| std::iter::once(cluster).chain(names));
        TopicList {
            broker_addr: self.brokers.values().find_map(|broker| broker.addrs.values().next()).map(ToString::to_string),
            topic_list: names.map(ToString::to_string).collect(),
        }
    }
}
