//! Every decision of a RocketMQ name server and broker as deterministic state machines: no socket, file, thread, clock or
//! randomness of their own; the same inputs give the same outputs, byte for byte.
//!
//! All machines have the same verbs: `handle_<input>(now, …)` takes what happened, `handle_timeout(now)` takes that time has
//! passed, `poll_timeout()` says when to be woken next, and `poll_output()` is drained until it is empty after every call.
#![forbid(unsafe_code)]

pub mod allocate;
pub mod broker;
pub mod filter;
pub mod interval;
pub mod name_server;
pub mod output;
pub mod random;
pub mod registration;
pub mod saves;
pub mod storage;
pub mod time;

pub use output::{Output, Peer, PeerId, Reply};
pub use storage::Storage;
pub use time::{Millis, Now, Timestamp};
