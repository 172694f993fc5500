//! Keys of parts that Petrel does not have: they are known, so that nobody takes them for misspelt.

use crate::config::{
    key::{
        ANY, Key, Kind, Standard,
        Status::{NotYet, OnlyDefault},
        flag, number, of, text,
    },
    reason::{AUTHENTICATION, CONTROLLER, TIERED},
};

/// `AuthConfig`
pub(super) const AUTHENTICATION_KEYS: &[Key] = &[
    flag("authenticationEnabled", false, OnlyDefault(AUTHENTICATION)),
    text("authenticationProvider", "", NotYet(AUTHENTICATION)),
    text("authenticationMetadataProvider", "", NotYet(AUTHENTICATION)),
    text("authenticationStrategy", "", NotYet(AUTHENTICATION)),
    text("authenticationWhitelist", "", NotYet(AUTHENTICATION)),
    text("initAuthenticationUser", "", NotYet(AUTHENTICATION)),
    text("innerClientAuthenticationCredentials", "", NotYet(AUTHENTICATION)),
    flag("authorizationEnabled", false, OnlyDefault(AUTHENTICATION)),
    text("authorizationProvider", "", NotYet(AUTHENTICATION)),
    text("authorizationMetadataProvider", "", NotYet(AUTHENTICATION)),
    text("authorizationStrategy", "", NotYet(AUTHENTICATION)),
    text("authorizationWhitelist", "", NotYet(AUTHENTICATION)),
    flag("migrateAuthFromV1Enabled", false, NotYet(AUTHENTICATION)),
    number("userCacheMaxNum", 1000, ANY, NotYet(AUTHENTICATION)),
    number("userCacheExpiredSecond", 600, ANY, NotYet(AUTHENTICATION)),
    number("userCacheRefreshSecond", 60, ANY, NotYet(AUTHENTICATION)),
    number("aclCacheMaxNum", 1000, ANY, NotYet(AUTHENTICATION)),
    number("aclCacheExpiredSecond", 600, ANY, NotYet(AUTHENTICATION)),
    number("aclCacheRefreshSecond", 60, ANY, NotYet(AUTHENTICATION)),
    number("statefulAuthenticationCacheMaxNum", 10000, ANY, NotYet(AUTHENTICATION)),
    number("statefulAuthenticationCacheExpiredSecond", 60, ANY, NotYet(AUTHENTICATION)),
    number("statefulAuthorizationCacheMaxNum", 10000, ANY, NotYet(AUTHENTICATION)),
    number("statefulAuthorizationCacheExpiredSecond", 60, ANY, NotYet(AUTHENTICATION)),
];

/// `ControllerConfig`
pub(super) const CONTROLLER_KEYS: &[Key] = &[
    text("jraftConfig", "", NotYet(CONTROLLER)),
    text("controllerType", "DLEDGER_CONTROLLER", NotYet(CONTROLLER)),
    number("controllerThreadPoolNums", 16, ANY, NotYet(CONTROLLER)),
    number("controllerRequestThreadPoolQueueCapacity", 50000, ANY, NotYet(CONTROLLER)),
    of("controllerDLegerGroup", Kind::Text, Standard::Unset, NotYet(CONTROLLER)),
    of("controllerDLegerPeers", Kind::Text, Standard::Unset, NotYet(CONTROLLER)),
    of("controllerDLegerSelfId", Kind::Text, Standard::Unset, NotYet(CONTROLLER)),
    number("mappedFileSize", 1073741824, ANY, NotYet(CONTROLLER)),
    text("controllerStorePath", "", NotYet(CONTROLLER)),
    number("electMasterMaxRetryCount", 3, ANY, NotYet(CONTROLLER)),
    flag("enableElectUncleanMaster", false, NotYet(CONTROLLER)),
    flag("isProcessReadEvent", false, NotYet(CONTROLLER)),
    flag("notifyBrokerRoleChanged", true, NotYet(CONTROLLER)),
    number("scanInactiveMasterInterval", 5000, ANY, NotYet(CONTROLLER)),
];

/// `MessageStoreConfig` of the tiered store
pub(super) const TIERED_KEYS: &[Key] = &[
    text("tieredStorageLevel", "NOT_IN_DISK", NotYet(TIERED)),
    flag("recordGetMessageResult", false, NotYet(TIERED)),
    number("tieredStoreCommitLogMaxSize", 1073741824, ANY, NotYet(TIERED)),
    number("tieredStoreConsumeQueueMaxSize", 104857600, ANY, NotYet(TIERED)),
    number("tieredStoreIndexFileMaxHashSlotNum", 5000000, ANY, NotYet(TIERED)),
    number("tieredStoreIndexFileMaxIndexNum", 20000000, ANY, NotYet(TIERED)),
    text("tieredMetadataServiceProvider", "org.apache.rocketmq.tieredstore.metadata.DefaultMetadataStore", NotYet(TIERED)),
    text("tieredBackendServiceProvider", "org.apache.rocketmq.tieredstore.provider.MemoryFileSegment", NotYet(TIERED)),
    flag("tieredStoreDeleteFileEnable", true, NotYet(TIERED)),
    number("tieredStoreFileReservedTime", 72, ANY, NotYet(TIERED)),
    number("tieredStoreDeleteFileInterval", 3600000, ANY, NotYet(TIERED)),
    number("commitLogRollingInterval", 24, ANY, NotYet(TIERED)),
    number("commitLogRollingMinimumSize", 16777216, ANY, NotYet(TIERED)),
    flag("tieredStoreGroupCommit", true, NotYet(TIERED)),
    number("tieredStoreGroupCommitTimeout", 30000, ANY, NotYet(TIERED)),
    number("tieredStoreGroupCommitCount", 4096, ANY, NotYet(TIERED)),
    number("tieredStoreGroupCommitSize", 4194304, ANY, NotYet(TIERED)),
    number("tieredStoreMaxGroupCommitCount", 10000, ANY, NotYet(TIERED)),
    flag("readAheadCacheEnable", true, NotYet(TIERED)),
    number("readAheadMessageCountThreshold", 4096, ANY, NotYet(TIERED)),
    number("readAheadMessageSizeThreshold", 16777216, ANY, NotYet(TIERED)),
    number("readAheadCacheExpireDuration", 15000, ANY, NotYet(TIERED)),
    of("readAheadCacheSizeThresholdRate", Kind::Decimal, Standard::Is("0.3"), NotYet(TIERED)),
    number("tieredStoreMaxPendingLimit", 10000, ANY, NotYet(TIERED)),
    flag("tieredStoreCrcCheckEnable", false, NotYet(TIERED)),
    text("tieredStoreFilePath", "", NotYet(TIERED)),
    text("objectStoreEndpoint", "", NotYet(TIERED)),
    text("objectStoreBucket", "", NotYet(TIERED)),
    text("objectStoreAccessKey", "", NotYet(TIERED)),
    text("objectStoreSecretKey", "", NotYet(TIERED)),
];
