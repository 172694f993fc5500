//! The outside world of Petrel: sockets, the clock, signals, configuration files and the command line. It decides nothing about
//! messages: bytes go in frames to the machines of `route_core`, and what they put out is carried out.
#![forbid(unsafe_code)]

pub mod buffers;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod data_folder;
pub mod event_loop;
pub mod inbox;
pub mod limits;
pub mod logging;
pub mod machine;
pub mod peer_table;
pub mod plan;
pub mod plugins;
pub mod server;
pub mod write_queue;

mod connection;
mod dialer;
mod listener;
mod net;
mod patience;
mod standstill;
