//! Runs the plugins of operators: WebAssembly components in a sandbox without a system interface, bounded in memory, stack, steps and output.
//!
//! [`PluginEngine::load`] makes a [`LoadedPlugin`] of a file, which takes milliseconds and may be done by any thread; [`PluginSet`] holds what is
//! installed and hands out filters and allocators as `route_core::plugins` wants them. A new version takes the place of an old one between two
//! batches. No answer depends on a clock: a plugin is bounded by the steps that it makes (fuel), so the same batch gets the same answer, and fails at
//! the same place, on every machine and in a simulation.
//!
//! What a plugin says is checked before it is believed, and what becomes of messages that it fails on is its operator's [`Policy`].
#![forbid(unsafe_code)]

mod body;
mod code_cache;
mod component;
mod contract;
mod counters;
mod effort;
mod engine;
mod failure;
mod inflate;
mod limits;
mod lz4_frame;
mod packing;
mod plugin;
mod policy;
mod sandbox;
mod set;
mod slot;
mod tally;

pub use component::component_of;
pub use contract::{CONTRACT_VERSION, Kind};
pub use counters::Clock;
pub use engine::{EngineError, PluginEngine};
pub use failure::{Failure, LoadError};
pub use limits::Limits;
pub use plugin::LoadedPlugin;
pub use policy::{OnFailure, Policy, PolicyError};
pub use set::{PluginSet, SetError};
