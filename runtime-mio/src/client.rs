//! A thin blocking client over plain sockets: what the commands of the shell need to produce and to consume, no more.
//!
//! Nothing here retries, reconnects or shares queues with other members of a group: what fails is said in one line, and the caller
//! goes or begins anew where it was. Each type is used by one thread.

mod connection;
mod consumer;
mod error;
mod incoming;
mod name_servers;
mod producer;
mod queues;
mod reader;

pub use connection::{Connection, Timeouts};
pub use consumer::{Consumer, Filter, Places, Reading, Start};
pub use error::{ClientError, code_name};
pub use incoming::{Incoming, IncomingError};
pub use name_servers::{NameServers, Route, default_name_servers};
pub use producer::{Message, Producer, Sent};
pub use queues::{Queue, readable_queues, writable_queues};

#[cfg(test)]
pub(crate) mod test_server;
