//! Routes and topics at the name server: 105, 205, 216, 217, 224, 327.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 105 `GET_ROUTEINFO_BY_TOPIC`: where a topic lives.
    lenient GetRouteInfoRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// Whether the body must be strict JSON whatever the client's version.
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
        /// Whether only brokers of the client's zone are wanted.
        zone_mode: bool = "__ZONE_MODE",
        /// The client's zone.
        zone_name: Option<Text<'a>> = "__ZONE_NAME",
    }

    /// 205 `WIPE_WRITE_PERM_OF_BROKER`: no topic of the broker may be written.
    lenient WipeWritePermOfBrokerRequest<'a> {
        /// The broker.
        broker_name: Text<'a> = "brokerName",
    }

    /// What was wiped.
    lenient WipeWritePermOfBrokerResponse {
        /// Number of topics that changed.
        wipe_topic_count: i32 = "wipeTopicCount",
    }

    /// 327 `ADD_WRITE_PERM_OF_BROKER`: all topics of the broker may be read and written.
    lenient AddWritePermOfBrokerRequest<'a> {
        /// The broker.
        broker_name: Text<'a> = "brokerName",
    }

    /// What was opened.
    lenient AddWritePermOfBrokerResponse {
        /// Number of topics that changed.
        add_topic_count: i32 = "addTopicCount",
    }

    /// 216 `DELETE_TOPIC_IN_NAMESRV`: forget a topic.
    lenient DeleteTopicFromNamesrvRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
        /// The cluster whose brokers forget it; missing means all.
        cluster_name: Option<Text<'a>> = "clusterName",
    }

    /// 217 `REGISTER_TOPIC_IN_NAMESRV`: one more topic of brokers that are known; the route is the body.
    lenient RegisterTopicRequest<'a> {
        /// The topic.
        topic: Text<'a> = "topic",
    }

    /// 224 `GET_TOPICS_BY_CLUSTER`: the topics of a cluster.
    lenient GetTopicsByClusterRequest<'a> {
        /// The cluster.
        cluster: Text<'a> = "cluster",
    }
}
