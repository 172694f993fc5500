//! Configuration: RocketMQ's keys with their types and defaults, files that set them, and the typed settings that come of them.
//!
//! Later layers win: RocketMQ's defaults, those of `standalone`, the file, the environment's `NAMESRV_ADDR`, the command line. A value
//! that cannot be meant is an error with file, line and key; a key that nobody knows is only warned about, as RocketMQ ignores it.

mod edit;
mod error;
mod file;
pub mod key;
pub mod keys;
mod layers;
pub mod live;
mod origin;
mod reason;
pub mod settings;
mod surroundings;
pub mod table;
mod value;

pub use error::ConfigError;
pub use layers::{Config, Remark};
pub use live::LiveConfig;
pub use origin::Origin;
pub use surroundings::Surroundings;

/// What is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name server and a broker in one process.
    Standalone,
    /// A name server.
    NameServer,
    /// A broker.
    Broker,
}

impl Place {
    /// Whether there is a broker.
    #[must_use]
    pub const fn has_broker(self) -> bool {
        matches!(self, Self::Standalone | Self::Broker)
    }

    /// Whether there is a name server.
    #[must_use]
    pub const fn has_name_server(self) -> bool {
        matches!(self, Self::Standalone | Self::NameServer)
    }
}
