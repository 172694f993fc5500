use std::collections::BTreeMap;

use super::*;

fn figures(scene: &mut Scene) -> BTreeMap<String, String> {
    let answer = scene.ask(RequestCode::GetBrokerRuntimeInfo, &[], "");
    let body: proto_core::bodies::KvTable = json::from_slice(answer.body.as_bytes()).unwrap();
    body.table.into_iter().collect()
}

fn send(scene: &mut Scene, topic: &str) {
    let fields = [("a", "P"), ("b", topic), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", "0"), ("g", "0"), ("h", "0"), ("i", "")];
    let answer = scene.ask(RequestCode::SendMessageV2, &fields, "body");
    assert_eq!(answer.code, ResponseCode::Success, "{}", answer.remark);
}

/// What Java tells whatever it has done so far, but for the disk that a log in memory does not have.
const KEYS: &[&str] = &[
    "EndTransactionQueueSize",
    "EndTransactionThreadPoolQueueCapacity",
    "ackThreadPoolQueueCapacity",
    "ackThreadPoolQueueHeadWaitTimeMills",
    "ackThreadPoolQueueSize",
    "bootTimestamp",
    "brokerActive",
    "brokerVersionDesc",
    "commitLogMaxOffset",
    "commitLogMinOffset",
    "dispatchBehindBytes",
    "dispatchMaxBuffer",
    "earliestMessageTimeStamp",
    "getFoundTps",
    "getMessageEntireTimeMax",
    "getMissTps",
    "getTotalTps",
    "getTransferredTps",
    "litePullThreadPoolQueueCapacity",
    "litePullThreadPoolQueueHeadWaitTimeMills",
    "litePullThreadPoolQueueSize",
    "msgGetTotalTodayMorning",
    "msgGetTotalTodayNow",
    "msgGetTotalYesterdayMorning",
    "msgPutTotalTodayMorning",
    "msgPutTotalTodayNow",
    "msgPutTotalYesterdayMorning",
    "pageCacheLockTimeMills",
    "pullThreadPoolQueueCapacity",
    "pullThreadPoolQueueHeadWaitTimeMills",
    "pullThreadPoolQueueSize",
    "putLatency99",
    "putLatency999",
    "putMessageAverageSize",
    "putMessageDistributeTime",
    "putMessageEntireTimeMax",
    "putMessageFailedTimes",
    "putMessageSizeTotal",
    "putMessageTimesTotal",
    "putTps",
    "queryThreadPoolQueueCapacity",
    "queryThreadPoolQueueHeadWaitTimeMills",
    "queryThreadPoolQueueSize",
    "remainHowManyDataToFlush",
    "remainTransientStoreBufferNumbs",
    "runtime",
    "sendThreadPoolQueueCapacity",
    "sendThreadPoolQueueHeadWaitTimeMills",
    "sendThreadPoolQueueSize",
    "startAcceptSendRequestTimeStamp",
    "timerCongestNum",
    "timerDequeueTps",
    "timerEnqueueTps",
    "timerOffsetBehind",
    "timerReadBehind",
];

#[test]
fn a_fresh_broker_tells_every_figure_that_java_tells() {
    let figures = figures(&mut Scene::new());
    let of_java = figures.keys().map(String::as_str).filter(|key| !key.starts_with("transactions"));
    assert_eq!(of_java.collect::<Vec<_>>(), KEYS);
    assert_eq!((&*figures["putTps"], &*figures["earliestMessageTimeStamp"]), ("0.0 0.0 0.0", "-1"));
}

#[test]
fn messages_in_and_out_are_counted_without_those_of_the_brokers_own_topics() {
    let mut scene = Scene::new();
    send(&mut scene, "T");
    send(&mut scene, "broker-a");
    for topic in ["T", "broker-a"] {
        let pull = [
            ("consumerGroup", "G"),
            ("topic", topic),
            ("queueId", "0"),
            ("queueOffset", "0"),
            ("maxMsgNums", "32"),
            ("sysFlag", "4"),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "0"),
            ("subscription", "*"),
            ("subVersion", "0"),
        ];
        assert_eq!(scene.ask(RequestCode::PullMessage, &pull, "").places.len(), 1);
    }
    scene.wait(1_000);
    let figures = figures(&mut scene);
    let read = |keys: [&str; 5]| keys.map(|key| figures[key].as_str().to_owned());
    let counts = read(["putMessageTimesTotal", "msgPutTotalTodayNow", "msgGetTotalTodayNow", "putTps", "getTransferredTps"]);
    assert_eq!(counts, ["2", "1", "1", "2.0 2.0 2.0", "2.0 2.0 2.0"]);
    assert_eq!(figures["putMessageSizeTotal"], figures["commitLogMaxOffset"]);
    assert_eq!(figures["runtime"], "[ 0 days, 0 hours, 0 minutes, 1 seconds ]");
}
