//! Every key that a RocketMQ 5.5 broker or name server knows, in the order of its Java classes, and the few that only Petrel knows.

use super::{Place, key::Key};

mod broker;
mod elsewhere;
mod name_server;
mod network;
mod own;
mod store;

/// Keys that stand together in one class of RocketMQ, or that are none of its.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The class.
    pub class: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Whether brokers know them.
    of_brokers: bool,
    /// Whether name servers know them.
    of_name_servers: bool,
}

impl Group {
    const fn new(class: &'static str, keys: &'static [Key], of_brokers: bool, of_name_servers: bool) -> Self {
        Self { class, keys, of_brokers, of_name_servers }
    }
}

/// All keys. None stands in two groups.
pub const GROUPS: &[Group] = &[
    Group::new("BrokerIdentity", broker::IDENTITY, true, false),
    Group::new("BrokerConfig", broker::BROKER, true, false),
    Group::new("MessageStoreConfig", store::STORE, true, false),
    Group::new("NettyServerConfig", network::SERVER, true, true),
    Group::new("NettyClientConfig", network::CLIENT, true, true),
    Group::new("NamesrvConfig", name_server::NAME_SERVER, false, true),
    Group::new("AuthConfig", elsewhere::AUTHENTICATION_KEYS, true, false),
    Group::new("ControllerConfig", elsewhere::CONTROLLER_KEYS, false, true),
    Group::new("MessageStoreConfig of the tiered store", elsewhere::TIERED_KEYS, true, false),
    Group::new("Petrel's own", own::OWN, true, false),
];

/// Keys that Java keeps in classes of brokers and of name servers alike, but that stand here only in the brokers' group.
const SHARED: [&str; 3] = ["listenPort", "rocketmqHome", "configBlackList"];

/// The keys that are known in a place.
pub(super) fn of(place: Place) -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(move |group| {
        let all = group.of_brokers && place.has_broker() || group.of_name_servers && place.has_name_server();
        group.keys.iter().filter(move |key| all || place.has_name_server() && SHARED.contains(&key.name))
    })
}

/// Whose key it is, if it is known anywhere: for who meets it where it is not.
pub(super) fn owner(name: &str) -> Option<&'static str> {
    let group = GROUPS.iter().find(|group| group.keys.iter().any(|key| key.name == name))?;
    Some(if group.of_brokers { "brokers" } else { "name servers" })
}

/// The known key that a misspelt one is most like, if it is like one at all.
pub(super) fn nearest(place: Place, name: &str) -> Option<&'static str> {
    let likeness = |key: &Key| strsim::jaro_winkler(&key.name.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let best = of(place).map(|key| (likeness(key), key.name)).max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(likeness, _)| *likeness > 0.85).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{key::Standard, value};

    #[test]
    fn no_key_stands_in_the_table_twice() {
        let mut seen = BTreeSet::new();
        for key in GROUPS.iter().flat_map(|group| group.keys) {
            assert!(seen.insert(key.name), "{}", key.name);
        }
    }

    #[test]
    fn every_default_is_a_value_that_its_key_takes() {
        for key in GROUPS.iter().flat_map(|group| group.keys) {
            match key.standard {
                Standard::Is("") => {}
                Standard::Is(text) => assert_eq!(value::check(&key.kind, text), Ok(()), "{}", key.name),
                Standard::Number(number) => assert_eq!(value::check(&key.kind, &number.to_string()), Ok(()), "{}", key.name),
                _ => {}
            }
        }
    }

    #[test]
    fn a_misspelt_key_is_told_its_nearest() {
        assert_eq!(nearest(Place::Broker, "flushDiskTyp"), Some("flushDiskType"));
        assert_eq!(nearest(Place::Broker, "brokerIp1"), Some("brokerIP1"));
        assert_eq!(nearest(Place::Broker, "xyzzy"), None);
    }

    #[test]
    fn a_name_server_does_not_know_keys_of_brokers() {
        assert!(of(Place::NameServer).any(|key| key.name == "listenPort"));
        assert!(!of(Place::NameServer).any(|key| key.name == "flushDiskType"));
        assert!(of(Place::Standalone).any(|key| key.name == "flushDiskType"));
    }
}
