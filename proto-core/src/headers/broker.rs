//! Brokers at the name server: 103, 104, 322, 901, 904, 905; and the version of a broker's configuration (26).

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 103 `REGISTER_BROKER`: a broker says what it serves; topics and filters are the body.
    lenient RegisterBrokerRequest<'a> {
        /// The broker's name, shared by master and slaves.
        broker_name: Text<'a> = "brokerName",
        /// Where clients reach it.
        broker_addr: Text<'a> = "brokerAddr",
        /// Its cluster.
        cluster_name: Text<'a> = "clusterName",
        /// Where slaves reach it.
        ha_server_addr: Text<'a> = "haServerAddr",
        /// 0 is the master; who does not say is not taken for one.
        broker_id: Option<i64> = "brokerId",
        /// How long it may be silent, in ms; missing means the name server's own limit.
        heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMillis",
        /// Whether a slave may act for a lost master; brokers before 5 do not say.
        enable_acting_master: Option<bool> = "enableActingMaster",
        /// Whether the body is compressed.
        compressed: bool = "compressed",
        /// CRC-32 of the body as sent, top bit cleared; 0 is not checked.
        body_crc32: i32 = "bodyCrc32",
        /// The broker's zone.
        zone_name: Option<Text<'a>> = "__ZONE_NAME",
    }

    /// What a slave needs to know of its master.
    lenient RegisterBrokerResponse<'a> {
        /// Where the master replicates from.
        ha_server_addr: Option<Text<'a>> = "haServerAddr",
        /// Where clients reach the master.
        master_addr: Option<Text<'a>> = "masterAddr",
    }

    /// 104 `UNREGISTER_BROKER`: a broker leaves.
    lenient UnregisterBrokerRequest<'a> {
        /// The broker's name.
        broker_name: Text<'a> = "brokerName",
        /// Where clients reached it.
        broker_addr: Text<'a> = "brokerAddr",
        /// Its cluster.
        cluster_name: Text<'a> = "clusterName",
        /// 0 is the master.
        broker_id: i64 = "brokerId",
    }

    /// 322 `QUERY_DATA_VERSION`: does the name server know the broker's newest topics? The broker's version of them is the body.
    lenient QueryDataVersionRequest<'a> {
        /// The broker's name.
        broker_name: Text<'a> = "brokerName",
        /// Where clients reach it.
        broker_addr: Text<'a> = "brokerAddr",
        /// Its cluster.
        cluster_name: Text<'a> = "clusterName",
        /// 0 is the master.
        broker_id: i64 = "brokerId",
    }

    /// Whether the broker has to register anew.
    lenient QueryDataVersionResponse {
        /// True if the versions differ or the broker is not known.
        changed: bool = "changed",
    }

    /// 901 `GET_BROKER_MEMBER_GROUP`: master and slaves of one name.
    lenient GetBrokerMemberGroupRequest<'a> {
        /// The cluster.
        cluster_name: Text<'a> = "clusterName",
        /// The name.
        broker_name: Text<'a> = "brokerName",
    }

    /// 904 `BROKER_HEARTBEAT`: a broker is alive; controllers look at the rest.
    lenient BrokerHeartbeatRequest<'a> {
        /// The cluster.
        cluster_name: Text<'a> = "clusterName",
        /// Where clients reach the broker.
        broker_addr: Text<'a> = "brokerAddr",
        /// Its name.
        broker_name: Text<'a> = "brokerName",
        /// Its id.
        broker_id: Option<i64> = "brokerId",
        /// The master's term.
        epoch: Option<i32> = "epoch",
        /// End of its log.
        max_offset: Option<i64> = "maxOffset",
        /// How far its log is confirmed.
        confirm_offset: Option<i64> = "confirmOffset",
        /// How long it may be silent, in ms.
        heartbeat_timeout_mills: Option<i64> = "heartbeatTimeoutMills",
        /// Lower is elected first.
        election_priority: Option<i32> = "electionPriority",
    }

    /// 905 `NOTIFY_MIN_BROKER_ID_CHANGE`: the name server tells brokers of one name who leads now.
    lenient NotifyMinBrokerIdChangeRequest<'a> {
        /// The least id that is online.
        min_broker_id: Option<i64> = "minBrokerId",
        /// The name.
        broker_name: Option<Text<'a>> = "brokerName",
        /// Address of the least id.
        min_broker_addr: Option<Text<'a>> = "minBrokerAddr",
        /// Address of the broker that went offline.
        offline_broker_addr: Option<Text<'a>> = "offlineBrokerAddr",
        /// Where the least id replicates from.
        ha_broker_addr: Option<Text<'a>> = "haBrokerAddr",
    }

    /// The answer to 26 `GET_BROKER_CONFIG`, whose body is a properties file.
    lenient GetBrokerConfigResponse<'a> {
        /// Version of the topics, as JSON.
        version: Text<'a> = "version",
    }
}
