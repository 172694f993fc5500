//! Every configuration key of RocketMQ 5.5.0, with its type, its default and what Petrel makes of it.

use super::host::Host;

mod broker;
mod name_server;
mod network;
mod store;
mod why;

pub use broker::BROKER;
pub use name_server::NAME_SERVER;
pub use network::{CLIENT, SERVER};
pub use store::STORE;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name in files.
    pub name: &'static str,
    /// The Java class that holds it.
    pub owner: Owner,
    /// Its type.
    pub kind: Kind,
    /// Its default.
    pub default: Default,
    /// What setting it does here.
    pub status: Status,
}

/// The classes of RocketMQ that hold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `BrokerConfig` and `BrokerIdentity`.
    BrokerConfig,
    /// `MessageStoreConfig`.
    MessageStoreConfig,
    /// `NettyServerConfig`.
    NettyServerConfig,
    /// `NettyClientConfig`.
    NettyClientConfig,
    /// `NamesrvConfig`.
    NamesrvConfig,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// One of these names.
    OneOf(&'static [&'static str]),
}

/// Where a default comes from.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// The same everywhere.
    Fixed(&'static str),
    /// Different from machine to machine.
    Of(fn(&Host) -> String),
}

/// What setting a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// What RocketMQ's does.
    Used,
    /// Nothing, for this reason: it tunes something that is built in another way here.
    NoEffect(&'static str),
    /// Nothing yet, for this reason.
    NotYet(&'static str),
    /// Any value but the default is refused, for this reason: to go on without would break a promise.
    Only(&'static str),
}

/// Values of `brokerRole`.
pub const BROKER_ROLES: &[&str] = &["ASYNC_MASTER", "SYNC_MASTER", "SLAVE"];

/// Values of `flushDiskType`.
pub const FLUSH_DISK_TYPES: &[&str] = &["ASYNC_FLUSH", "SYNC_FLUSH"];

/// Declares a table of keys, a line each: name, type, default, status.
macro_rules! keys {
    ($(#[$doc:meta])* $table:ident of $owner:ident { $($name:literal: $kind:expr => $default:expr => $status:expr;)* }) => {
        $(#[$doc])*
        pub static $table: &[$crate::config::keys::Key] = &[$($crate::config::keys::Key {
            name: $name,
            owner: $crate::config::keys::Owner::$owner,
            kind: $kind,
            default: $default,
            status: $status,
        },)*];
    };
}
use keys;

/// Which keys a command knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `petrel broker`
    Broker,
    /// `petrel namesrv`
    NameServer,
    /// `petrel standalone`: a broker's keys, and those of the name server that a broker has not.
    Standalone,
}

impl Program {
    /// The keys, in the order of Java's classes. A name may come twice; the first one counts.
    pub fn keys(self) -> impl Iterator<Item = &'static Key> {
        let tables = match self {
            Self::Broker => vec![BROKER, STORE, SERVER, CLIENT],
            Self::NameServer => vec![NAME_SERVER, SERVER, CLIENT],
            Self::Standalone => vec![BROKER, STORE, SERVER, CLIENT, NAME_SERVER],
        };
        tables.into_iter().flatten()
    }

    /// The key with this name.
    #[must_use]
    pub fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The known key that a misspelt one is most like, if any is like it at all.
    #[must_use]
    pub fn nearest(self, name: &str) -> Option<&'static str> {
        let likeness = |key: &Key| strsim::damerau_levenshtein(&key.name.to_lowercase(), &name.to_lowercase());
        let (distance, key) = self.keys().map(|key| (likeness(key), key)).min_by_key(|(distance, _)| *distance)?;
        (distance <= 2.max(name.len() / 3)).then_some(key.name)
    }
}

impl Key {
    /// The value on this machine if nobody sets it.
    #[must_use]
    pub fn default_on(&self, host: &Host) -> String {
        match self.default {
            Default::Fixed(value) => value.to_owned(),
            Default::Of(value) => value(host),
        }
    }

    /// Whether a value is of the key's type; what was expected if not.
    ///
    /// # Errors
    /// The expectation, in words.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let fits = match self.kind {
            Kind::Text => true,
            Kind::Integer => value.parse::<i64>().is_ok(),
            Kind::Decimal => value.parse::<f64>().is_ok_and(f64::is_finite),
            Kind::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Kind::OneOf(names) => names.contains(&value),
        };
        if fits {
            return Ok(());
        }
        Err(match self.kind {
            Kind::OneOf(names) => format!("one of {}", names.join(", ")),
            Kind::Boolean => "true or false".to_owned(),
            Kind::Decimal => "a number".to_owned(),
            Kind::Integer | Kind::Text => "a whole number".to_owned(),
        })
    }
}

impl Owner {
    /// The class's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokerConfig => "BrokerConfig",
            Self::MessageStoreConfig => "MessageStoreConfig",
            Self::NettyServerConfig => "NettyServerConfig",
            Self::NettyClientConfig => "NettyClientConfig",
            Self::NamesrvConfig => "NamesrvConfig",
        }
    }
}

fn host_name(host: &Host) -> String {
    host.name.clone()
}

fn outward_address(host: &Host) -> String {
    host.address.to_string()
}

fn name_servers(host: &Host) -> String {
    host.name_servers.clone()
}

fn rocketmq_home(host: &Host) -> String {
    host.rocketmq_home.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_of_its_own_type() {
        let host = Host::example();
        for key in Program::Standalone.keys().chain(Program::NameServer.keys()) {
            let value = key.default_on(&host);
            assert_eq!(key.check(&value), Ok(()), "{}={value}", key.name);
        }
    }

    #[test]
    fn no_class_has_a_key_twice() {
        for table in [BROKER, STORE, SERVER, CLIENT, NAME_SERVER] {
            let mut names: Vec<_> = table.iter().map(|key| key.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_nonsense_finds_none() {
        assert_eq!(Program::Broker.nearest("brokerNmae"), Some("brokerName"));
        assert_eq!(Program::Broker.nearest("flushdisktype"), Some("flushDiskType"));
        assert_eq!(Program::NameServer.nearest("brokerName"), None);
        assert_eq!(Program::Broker.nearest("xyzzy"), None);
    }

    #[test]
    fn values_are_checked_against_their_type() {
        let check = |name: &str, value: &str| Program::Broker.key(name).unwrap().check(value);
        assert_eq!(check("listenPort", "10911"), Ok(()));
        assert_eq!(check("listenPort", "10911x"), Err("a whole number".to_owned()));
        assert_eq!(check("autoCreateTopicEnable", "yes"), Err("true or false".to_owned()));
        assert_eq!(check("flushDiskType", "SYNC"), Err("one of ASYNC_FLUSH, SYNC_FLUSH".to_owned()));
        assert_eq!(check("logicalDiskSpaceCleanForciblyThreshold", "0.8"), Ok(()));
    }
}
