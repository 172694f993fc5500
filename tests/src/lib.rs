//! A whole cluster in one process: real machines, a network of bytes in memory, and time that only a test moves. Every command crosses the
//! network as the frame that a socket would carry, so that codec and machines are tested together; the same test always runs the same way.
#![forbid(unsafe_code)]

pub mod client;
pub mod cluster;
pub mod conversation;
pub mod machine;
pub mod network;
pub mod packet;
pub mod pair;
pub mod plugins;
pub mod process;
pub mod requests;
pub mod small_disk;
pub mod socket;

pub use client::TestClient;
pub use cluster::{Cluster, NodeId};
pub use machine::Machine;
pub use packet::Packet;
