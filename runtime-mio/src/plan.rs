//! From a configuration to what a process serves.

use std::net::SocketAddr;

use crate::{
    config::{
        Config, ConfigError,
        settings::{BrokerSettings, NameServerSettings, broker_limits, net_limits},
    },
    server::Plan,
};

/// RocketMQ's port of name servers.
pub const NAME_SERVER_PORT: u16 = 9876;

impl Plan {
    /// `petrel broker`
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn broker(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self { limits: broker_limits(config), name_server: None, broker: Some(BrokerSettings::new(config)?) })
    }

    /// `petrel namesrv`
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn name_server(config: &Config) -> Result<Self, ConfigError> {
        let name_server = NameServerSettings::new(config, config.number("listenPort"))?;
        Ok(Self { limits: net_limits(config), name_server: Some(name_server), broker: None })
    }

    /// `petrel standalone`: the name server listens on the port of the first address of `namesrvAddr`, by which the broker finds it.
    /// Without that key it is 9876, on the loopback address or the one that the process is bound to.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn standalone(config: &Config) -> Result<Self, ConfigError> {
        let mut broker = BrokerSettings::new(config)?;
        let port = match broker.machine.name_servers.first() {
            None => {
                let bound = broker.listen.ip();
                let ip = if bound.is_unspecified() { [127, 0, 0, 1].into() } else { bound };
                broker.machine.name_servers.push(SocketAddr::new(ip, NAME_SERVER_PORT).to_string().into());
                NAME_SERVER_PORT
            }
            Some(first) => {
                let port = first.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                port.ok_or_else(|| config.wrong("namesrvAddr", "HOST:PORT of the name server to be"))?
            }
        };
        let name_server = NameServerSettings::new(config, port)?;
        Ok(Self { limits: broker_limits(config), name_server: Some(name_server), broker: Some(broker) })
    }
}
