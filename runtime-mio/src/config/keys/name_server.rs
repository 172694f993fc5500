//! Keys of `namesrv.conf`.

use crate::config::{
    key::{
        ANY, COUNT, Key, Kind, POSITIVE, Standard,
        Status::{NoEffect, OnlyDefault, Used},
        flag, number, of, text,
    },
    reason::{CONTROLLER, HOME, ONE_LOOP, TEST_ENV},
};

/// `NamesrvConfig`
pub(super) const NAME_SERVER: &[Key] = &[
    of("kvConfigPath", Kind::Path, Standard::Home("namesrv/kvConfig.json"), Used),
    of("configStorePath", Kind::Text, Standard::Home("namesrv/namesrv.properties"), NoEffect(HOME)),
    text("productEnvName", "center", NoEffect(TEST_ENV)),
    flag("clusterTest", false, NoEffect(TEST_ENV)),
    flag("orderMessageEnable", false, Used),
    flag("returnOrderTopicConfigToBroker", true, Used),
    number("clientRequestThreadPoolNums", 8, ANY, NoEffect(ONE_LOOP)),
    number("defaultThreadPoolNums", 16, ANY, NoEffect(ONE_LOOP)),
    number("clientRequestThreadPoolQueueCapacity", 50000, ANY, NoEffect(ONE_LOOP)),
    number("defaultThreadPoolQueueCapacity", 10000, ANY, NoEffect(ONE_LOOP)),
    number("scanNotActiveBrokerInterval", 5000, POSITIVE, Used),
    number("unRegisterBrokerQueueCapacity", 3000, ANY, NoEffect(ONE_LOOP)),
    flag("supportActingMaster", false, Used),
    flag("enableAllTopicList", true, Used),
    flag("enableTopicList", true, Used),
    flag("notifyMinBrokerIdChanged", false, Used),
    flag("enableControllerInNamesrv", false, OnlyDefault(CONTROLLER)),
    flag("needWaitForService", false, Used),
    number("waitSecondsForService", 45, COUNT, Used),
    flag("deleteTopicWithBrokerRegistration", false, Used),
];
