//! A cluster in one thread: the shipped name server and broker machines, clients that speak the protocol as the official Java client does,
//! a network that loses, delays and cuts, and oracles that say what must hold whatever happens. Time is virtual and all chance comes from
//! one seed: the same seed is the same run, event by event.
#![forbid(unsafe_code)]

pub mod client;
pub mod fact;
pub mod journal;
pub mod mutation;
pub mod names;
pub mod oracle;
pub mod plugins;
pub mod process;
pub mod scenario;
pub mod shrink;
pub mod world;
