//! Keys that RocketMQ does not know.

use crate::config::key::{COUNT, Key, POSITIVE, Status::Used, flag, number};

/// What Petrel alone can be told.
pub(super) const OWN: &[Key] = &[
    number("maxMappedFiles", 0, COUNT, Used),
    flag("pluginAdminRemoteEnable", false, Used),
    // Ten seconds less than what many who stop processes wait before they kill them.
    number("storeCloseTimeout", 20000, POSITIVE, Used),
];
