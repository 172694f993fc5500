//! Keys of a name server.

use super::{Default::*, Kind::*, Status::*, keys, rocketmq_home, why};

keys! {
    /// `NamesrvConfig`.
    NAME_SERVER of NamesrvConfig {
        "rocketmqHome": Text => Of(rocketmq_home) => NoEffect(why::JAVA);
        "kvConfigPath": Text => Of(|host| host.in_home("namesrv/kvConfig.json")) => Used;
        "configStorePath": Text => Of(|host| host.in_home("namesrv/namesrv.properties")) => NoEffect(why::JAVA);
        "productEnvName": Text => Fixed("center") => NoEffect(why::JAVA);
        "clusterTest": Boolean => Fixed("false") => NoEffect(why::JAVA);
        "orderMessageEnable": Boolean => Fixed("false") => Used;
        "returnOrderTopicConfigToBroker": Boolean => Fixed("true") => Used;
        "clientRequestThreadPoolNums": Integer => Fixed("8") => NoEffect(why::THREADS);
        "defaultThreadPoolNums": Integer => Fixed("16") => NoEffect(why::THREADS);
        "clientRequestThreadPoolQueueCapacity": Integer => Fixed("50000") => NoEffect(why::THREADS);
        "defaultThreadPoolQueueCapacity": Integer => Fixed("10000") => NoEffect(why::THREADS);
        "scanNotActiveBrokerInterval": Integer => Fixed("5000") => Used;
        "unRegisterBrokerQueueCapacity": Integer => Fixed("3000") => NoEffect(why::THREADS);
        "supportActingMaster": Boolean => Fixed("false") => Used;
        "enableAllTopicList": Boolean => Fixed("true") => Used;
        "enableTopicList": Boolean => Fixed("true") => Used;
        "notifyMinBrokerIdChanged": Boolean => Fixed("false") => Used;
        "enableControllerInNamesrv": Boolean => Fixed("false") => Only(why::NO_CONTROLLER);
        "needWaitForService": Boolean => Fixed("false") => Used;
        "waitSecondsForService": Integer => Fixed("45") => Used;
        "deleteTopicWithBrokerRegistration": Boolean => Fixed("false") => Used;
        "configBlackList": Text => Fixed("configBlackList;configStorePath;kvConfigPath") => NoEffect(why::JAVA);
    }
}
