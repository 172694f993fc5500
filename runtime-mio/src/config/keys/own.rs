//! Keys that RocketMQ does not know.

use crate::config::key::{COUNT, Key, Status::Used, number};

/// What Petrel alone can be told.
pub(super) const OWN: &[Key] = &[number("maxMappedFiles", 0, COUNT, Used)];
