//! The configuration of a running machine: what requests show and change of it.
//!
//! A change is taken whole or not at all. What takes effect with a restart only is refused by name, unless it asks for the value that the key
//! has: nobody shall be told "done" where nothing was. (RocketMQ says yes to everything and ignores what it cannot do.)

use std::{
    collections::BTreeSet,
    fmt::Write,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use proto_core::code::ResponseCode;
use route_core::{broker::refusal::Refusal, settings::SettingsText};

use super::{Config, ConfigError, Origin, Place, edit, file, key::Status, keys};

/// The keys of a broker that count at once when they are changed.
pub const CHANGEABLE_OF_BROKER: &[&str] = &[
    "accessMessageInMemoryMaxRatio",
    "allowRecallWhenBrokerNotWriteable",
    "appendTopicForTimerDeleteKey",
    "autoCreateSubscriptionGroup",
    "autoCreateTopicEnable",
    "brokerPermission",
    "channelExpiredTimeout",
    "cleanFileForciblyEnable",
    "cleanResourceInterval",
    "defaultQueryMaxNum",
    "deleteCommitLogFilesInterval",
    "deleteConsumeQueueFilesInterval",
    "deleteFileBatchMax",
    "deleteWhen",
    "diskMaxUsedSpaceRatio",
    "diskSpaceCleanForciblyRatio",
    "diskSpaceWarningLevelRatio",
    "enableMixedMessageType",
    "enablePropertyFilter",
    "fileReservedTime",
    "filterDataCleanTimeSpan",
    "filterSupportRetry",
    "flushCommitLogLeastPages",
    "flushCommitLogThoroughInterval",
    "flushConsumerOffsetInterval",
    "flushDelayOffsetInterval",
    "flushIntervalCommitLog",
    "flushIntervalConsumeQueue",
    "litePullMessageEnable",
    "longPollingEnable",
    "maxFilterMessageSize",
    "maxMsgsNumBatch",
    "maxTransferBytesOnMessageInDisk",
    "maxTransferBytesOnMessageInMemory",
    "maxTransferCountOnMessageInDisk",
    "maxTransferCountOnMessageInMemory",
    "notifyConsumerIdsChangedEnable",
    "recallMessageEnable",
    "redeleteHangedFileInterval",
    "rejectTransactionMessage",
    "serverLoadBalancerEnable",
    "shortPollingTimeMills",
    "slaveReadEnable",
    "storeReplyMessageEnable",
    "syncFlushTimeout",
    "timerCongestNumEachSlot",
    "timerFlushIntervalMs",
    "timerMaxDelaySec",
    "timerRollWindowSlot",
    "timerStopDequeue",
    "timerStopEnqueue",
    "traceOn",
    "transactionCheckInterval",
    "transactionCheckMax",
    "transactionMetricFlushInterval",
    "transactionTimeOut",
    "useServerSideResetOffset",
];

/// The same of a name server.
pub const CHANGEABLE_OF_NAME_SERVER: &[&str] = &[
    "deleteTopicWithBrokerRegistration",
    "enableAllTopicList",
    "enableTopicList",
    "needWaitForService",
    "notifyMinBrokerIdChanged",
    "orderMessageEnable",
    "returnOrderTopicConfigToBroker",
    "scanNotActiveBrokerInterval",
    "supportActingMaster",
    "waitSecondsForService",
];

/// Keys that no request may change, whatever `configBlackList` says.
const BLACK_LIST: [&str; 4] = ["brokerConfigPath", "configBlackList", "configStorePath", "kvConfigPath"];

/// Keys that one request may carry: more than there are.
const MAX_ENTRIES: usize = 2_000;

/// Whether a request may change a key while the machine runs.
#[must_use]
pub fn is_changeable(name: &str) -> bool {
    CHANGEABLE_OF_BROKER.contains(&name) || CHANGEABLE_OF_NAME_SERVER.contains(&name)
}

/// The settings of one machine.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    config: Config,
    /// Whose keys these are; never `Standalone`.
    of: Place,
    /// Keys that no request may change.
    black_list: BTreeSet<String>,
    /// What requests have changed since the start.
    changed: BTreeSet<&'static str>,
    file: PathBuf,
}

impl LiveConfig {
    /// Settings as they are at the start of the broker or name server of a process (`of`).
    #[must_use]
    pub fn new(config: &Config, of: Place) -> Self {
        let listed = config.text("configBlackList").split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let black_list = BLACK_LIST.into_iter().map(str::to_owned).chain(listed).collect();
        let file = match of {
            Place::NameServer => config.path("kvConfigPath").with_file_name("namesrv.properties"),
            Place::Broker | Place::Standalone => config.path("storePathRootDir").join("config").join("broker.properties"),
        };
        Self { config: config.clone(), of, black_list, changed: BTreeSet::new(), file }
    }

    /// The file that changes are written to.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Changes go to the file that the machine was started with; where a link leads to it, the link stays.
    pub fn set_file(&mut self, file: &Path) {
        self.file = file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_owned());
    }

    /// All values.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The settings as operators are shown them.
    #[must_use]
    pub fn text(&self) -> SettingsText {
        let (mut all, mut changed) = (String::new(), String::new());
        let own: BTreeSet<_> = keys::of(self.of).map(|key| key.name).collect();
        for (key, value) in self.config.iter().filter(|(key, _)| own.contains(key.name)) {
            let line = |out: &mut String| {
                // Writing into a string never fails.
                let _ = writeln!(out, "{}={}", key.name, edit::escaped(value));
            };
            line(&mut all);
            if self.changed.contains(key.name) {
                line(&mut changed);
            }
        }
        SettingsText { all: all.into(), changed: changed.into() }
    }

    /// Takes a change, the bytes of a properties file.
    ///
    /// # Errors
    /// What to answer, if there is anything in it that cannot be changed; then nothing is.
    pub fn change(&mut self, properties: &Bytes) -> Result<(), Refusal> {
        let wrong = |text: String| Refusal::system(text);
        let entries = file::parse(Path::new("request"), properties.to_vec()).map_err(|error| wrong(error.to_string()))?;
        if entries.len() > MAX_ENTRIES {
            return Err(wrong(format!("{} settings in one request are more than the {MAX_ENTRIES} that it may carry", entries.len())));
        }
        if entries.iter().any(|entry| self.black_list.contains(&entry.key)) {
            return Err(Refusal::new(ResponseCode::NoPermission, "Can not update config in black list."));
        }
        let mut next = self.clone();
        for file::Entry { key, value, .. } in entries {
            next.change_one(&key, value)?;
        }
        next.config.judge().map_err(|error| wrong(error.to_string()))?;
        // All of this was said at the start.
        drop(next.config.take_remarks());
        *self = next;
        Ok(())
    }

    fn change_one(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        let wrong = |text: String| Refusal::system(text);
        let Some(key) = keys::of(self.of).find(|key| key.name == name) else {
            let hint = keys::nearest(self.of, name).map(|nearest| format!("; the nearest known key is {nearest}")).unwrap_or_default();
            return Err(wrong(format!("unknown key {name}{hint}")));
        };
        if self.config.text(name) == value {
            return Ok(());
        }
        if key.status == Status::Used && !is_changeable(name) {
            let text = format!("Can not update config {name} while it runs: set it in {} and restart", self.file.display());
            return Err(Refusal::new(ResponseCode::NoPermission, text));
        }
        if value.is_empty() {
            return Err(wrong(format!("{name} needs a value")));
        }
        self.config.set(name, value, Origin::Request).map_err(|error: ConfigError| wrong(error.to_string()))?;
        self.changed.insert(key.name);
        Ok(())
    }

    /// The file with `changed` in it, the properties that [`Self::text`] tells as changed. What else stands there stays.
    ///
    /// # Errors
    /// One line that says why the file cannot be read.
    pub fn merged(&self, changed: &[u8]) -> Result<Bytes, String> {
        let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", self.file.display());
        let present = match std::fs::read(&self.file) {
            Ok(present) => present,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&error)),
        };
        edit::merge(&self.file, present, changed).map(Bytes::from).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
