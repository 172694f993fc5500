//! Requests of peers that are broken or mean no good: each is answered, none disturbs the next.

use petrel_tests::{
    cluster::NodeId,
    packet::Fields,
    pair::Pair,
    requests::{Message, Pull},
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::{Millis, random::Random};

/// Every name that any typed header of a broker or name server reads, and one that none does.
const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "topic",
    "defaultTopic",
    "consumerGroup",
    "producerGroup",
    "group",
    "queueId",
    "queueOffset",
    "maxMsgNums",
    "sysFlag",
    "commitOffset",
    "suspendTimeoutMillis",
    "subscription",
    "subVersion",
    "expressionType",
    "maxMsgBytes",
    "offset",
    "timestamp",
    "boundaryType",
    "clientID",
    "readQueueNums",
    "writeQueueNums",
    "perm",
    "topicFilterType",
    "topicSysFlag",
    "order",
    "attributes",
    "force",
    "delayLevel",
    "originMsgId",
    "originTopic",
    "unitMode",
    "maxReconsumeTimes",
    "batch",
    "properties",
    "flag",
    "bornTimestamp",
    "reconsumeTimes",
    "defaultTopicQueueNums",
    "brokerName",
    "brokerAddr",
    "clusterName",
    "haServerAddr",
    "brokerId",
    "bodyCrc32",
    "compressed",
    "namespace",
    "key",
    "value",
    "cluster",
    "groupName",
    "cleanOffset",
    "topicSeq",
    "maxTopicNum",
    "dataVersion",
    "lo",
    "unknown",
];

const VALUES: &[&str] = &[
    "",
    " ",
    "0",
    "1",
    "-1",
    "2",
    "7",
    "99",
    "2147483647",
    "-2147483648",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "1e9",
    "0x10",
    "true",
    "false",
    "TRUE",
    "null",
    "Orders",
    "readers",
    "%RETRY%readers",
    "%DLQ%readers",
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "TopicThatIsNotThere",
    "*",
    "A || B",
    "||",
    "TAG",
    "SQL92",
    "LOWER",
    "broker-a",
    "DefaultCluster",
    "10.1.0.1:10911",
    "\u{1}",
    "KEYS\u{1}k\u{2}",
    "UNIQ_KEY\u{1}\u{2}",
    "DELAY\u{1}-5\u{2}",
    "DELAY\u{1}999\u{2}TAGS\u{1}A\u{2}",
    "💥",
    "name with spaces",
    "a.b/c\\d\"",
];

const BODIES: &[&str] = &[
    "",
    "x",
    "{",
    "{}",
    "[]",
    "null",
    "{\"clientID\":null}",
    "{\"clientID\":\"x\",\"consumerDataSet\":[{}],\"producerDataSet\":[{\"groupName\":null}]}",
    "{\"clientId\":\"x\",\"consumerGroup\":\"readers\",\"mqSet\":[{\"topic\":null,\"queueId\":-1}]}",
    "{\"mqSet\":7}",
    "{\"clientID\":\"x\",\"consumerDataSet\":[{\"groupName\":\"readers\",\"subscriptionDataSet\":[{\"topic\":\"Orders\",\"subString\":\"|| ||\"}]}]}",
    "\u{0}\u{0}\u{0}\u{20}\u{0}\u{0}\u{0}\u{0}",
    "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T\":{\"readQueueNums\":-4}}}}",
];

/// Good requests, to be spoilt a little.
const GOOD: &[(RequestCode, &str, &str)] = &[
    (
        RequestCode::SendMessage,
        "producerGroup=p topic=Orders defaultTopic=TBW102 defaultTopicQueueNums=4 queueId=0 sysFlag=0 bornTimestamp=1 flag=0 properties= reconsumeTimes=0 unitMode=false batch=false",
        "x",
    ),
    (RequestCode::SendMessageV2, "a=p b=Orders c=TBW102 d=4 e=1 f=0 g=1 h=0 i= j=0 k=false l=16 m=false n=broker-a", "x"),
    (RequestCode::SendMessageV2, "a=p b=%RETRY%readers c=TBW102 d=4 e=0 f=0 g=1 h=0 i= j=3 k=false l=2 m=false n=broker-a", "x"),
    (
        RequestCode::SendBatchMessage,
        "a=p b=Orders c=TBW102 d=4 e=1 f=0 g=1 h=0 i= j=0 k=false m=true n=broker-a",
        "\u{0}\u{0}\u{0}\u{17}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}x\u{0}\u{0}",
    ),
    (
        RequestCode::PullMessage,
        "consumerGroup=readers topic=Orders queueId=0 queueOffset=0 maxMsgNums=32 sysFlag=6 commitOffset=0 suspendTimeoutMillis=1000 subscription=* subVersion=0 expressionType=TAG maxMsgBytes=262144",
        "",
    ),
    (
        RequestCode::LitePullMessage,
        "consumerGroup=readers topic=Orders queueId=0 queueOffset=1 maxMsgNums=32 sysFlag=20 commitOffset=0 suspendTimeoutMillis=1000 subscription=A||B subVersion=0 expressionType=TAG",
        "",
    ),
    (RequestCode::QueryConsumerOffset, "consumerGroup=readers topic=Orders queueId=0", ""),
    (RequestCode::UpdateConsumerOffset, "consumerGroup=readers topic=Orders queueId=0 commitOffset=3", ""),
    (
        RequestCode::UpdateAndCreateTopic,
        "topic=Made defaultTopic=TBW102 readQueueNums=4 writeQueueNums=4 perm=6 topicFilterType=SINGLE_TAG topicSysFlag=0 order=false attributes=+message.type=NORMAL force=false",
        "",
    ),
    (RequestCode::SearchOffsetByTimestamp, "topic=Orders queueId=0 timestamp=5 boundaryType=LOWER", ""),
    (RequestCode::GetMaxOffset, "topic=Orders queueId=0", ""),
    (RequestCode::GetMinOffset, "topic=Orders queueId=0", ""),
    (RequestCode::GetEarliestMsgStoretime, "topic=Orders queueId=0", ""),
    (
        RequestCode::HeartBeat,
        "",
        r#"{"clientID":"x","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"readers","messageModel":1,"subscriptionDataSet":[{"topic":"Orders","subString":"A","subVersion":"1"}]}],"producerDataSet":[{"groupName":"p"}]}"#,
    ),
    (RequestCode::UnregisterClient, "clientID=x consumerGroup=readers producerGroup=p", ""),
    (
        RequestCode::ConsumerSendMsgBack,
        "offset=0 group=readers delayLevel=0 originMsgId=x originTopic=Orders unitMode=false maxReconsumeTimes=16",
        "",
    ),
    (RequestCode::GetConsumerListByGroup, "consumerGroup=readers", ""),
    (
        RequestCode::LockBatchMq,
        "",
        r#"{"clientId":"x","consumerGroup":"readers","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"Orders"}]}"#,
    ),
    (
        RequestCode::UnlockBatchMq,
        "",
        r#"{"clientId":"x","consumerGroup":"readers","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"Orders"}]}"#,
    ),
    (RequestCode::GetTopicStatsInfo, "topic=Orders", ""),
    (RequestCode::GetConsumeStats, "consumerGroup=readers topic=Orders", ""),
    (RequestCode::GetTopicConfig, "topic=Orders lo=true", ""),
    (RequestCode::DeleteTopicInBroker, "topic=Orders", ""),
    (
        RequestCode::RegisterBroker,
        "brokerName=broker-x brokerAddr=10.9.9.9:1 clusterName=C haServerAddr=10.9.9.9:2 brokerId=0 bodyCrc32=0 compressed=false",
        r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T","readQueueNums":4,"writeQueueNums":4,"perm":6}},"dataVersion":{"counter":1,"timestamp":2,"stateVersion":0}},"filterServerList":[]}"#,
    ),
    (RequestCode::UnregisterBroker, "brokerName=broker-x brokerAddr=10.9.9.9:1 clusterName=C brokerId=0", ""),
    (RequestCode::GetRouteinfoByTopic, "topic=Orders", ""),
    (RequestCode::PutKvConfig, "namespace=n key=k value=v", ""),
    (RequestCode::GetKvConfig, "namespace=n key=k", ""),
    (RequestCode::DeleteTopicInNamesrv, "topic=Orders clusterName=DefaultCluster", ""),
    (
        RequestCode::QueryDataVersion,
        "brokerName=broker-x brokerAddr=10.9.9.9:1 clusterName=C brokerId=0",
        r#"{"counter":1,"timestamp":2,"stateVersion":0}"#,
    ),
];

fn pick(random: &mut Random, from: &[&'static str]) -> &'static str {
    from[random.below(u32::try_from(from.len()).expect("few")) as usize]
}

type Asked = (RequestCode, Vec<(&'static str, &'static str)>, &'static str);

fn anything(random: &mut Random) -> Asked {
    let code = RequestCode::ALL[random.below(u32::try_from(RequestCode::ALL.len()).expect("few")) as usize];
    let fields = (0..random.below(24)).map(|_| (pick(random, NAMES), pick(random, VALUES))).collect();
    (code, fields, pick(random, BODIES))
}

/// A good request of which up to two fields were changed or left out, and now and then the body.
fn nearly_good(random: &mut Random) -> Asked {
    let (code, fields, body) = GOOD[random.below(u32::try_from(GOOD.len()).expect("few")) as usize];
    let mut fields: Vec<(&str, &str)> = fields.split(' ').filter_map(|field| field.split_once('=')).collect();
    for _ in 0..random.below(3) {
        if fields.is_empty() {
            break;
        }
        let at = random.below(u32::try_from(fields.len()).expect("few")) as usize;
        match random.below(5) {
            0 => drop(fields.swap_remove(at)),
            _ => fields[at].1 = pick(random, VALUES),
        }
    }
    (code, fields, if random.below(5) == 0 { pick(random, BODIES) } else { body })
}

fn deep() -> String {
    format!("{{\"mqSet\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000))
}

#[track_caller]
fn still_serves(pair: &mut Pair) {
    let client = pair.client();
    let topic = "StillServed";
    let sent = client.send(&mut pair.cluster, pair.broker, &Message::new(topic, "hello")).expect(ResponseCode::Success);
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("witnesses", topic, sent.number("queueOffset")));
    assert_eq!(pulled.bodies(), ["hello"]);
    assert_eq!(pair.route(client, topic).code, 0);
}

/// By now a broker has given up a client that does not answer what it was asked on somebody's behalf.
const PATIENCE_WITH_CLIENTS: Millis = Millis::from_secs(11);

/// Sends requests of one seed to one node; says which one was never answered.
fn assault(pair: &mut Pair, node: NodeId, seed: u64, requests: usize) {
    let mut random = Random::new(seed);
    let client = pair.client();
    let deep = deep();
    let mut relayed = Vec::new();
    for number in 0..requests {
        let (code, fields, mut body) = if random.below(4) == 0 { anything(&mut random) } else { nearly_good(&mut random) };
        if random.below(100) == 0 {
            body = &deep;
        }
        let opaque = client.post(&mut pair.cluster, node, code.code(), &Fields(&fields), body.as_bytes());
        pair.cluster.drive();
        if client.answer(&mut pair.cluster, opaque).is_none() {
            let asked = format!("seed {seed}, request {number}: {code:?} with {fields:?} and {body:.100} got no answer");
            match code {
                // It may wait, but not for ever, whatever time it has asked for.
                RequestCode::PullMessage | RequestCode::LitePullMessage => {}
                // These go on to clients, which here do not say a word.
                RequestCode::InvokeBrokerToGetConsumerStatus
                | RequestCode::GetConsumerRunningInfo
                | RequestCode::ConsumeMessageDirectly
                | RequestCode::SendReplyMessage
                | RequestCode::SendReplyMessageV2 => relayed.push((opaque, asked)),
                _ => panic!("{asked}"),
            }
        }
    }
    pair.cluster.advance(PATIENCE_WITH_CLIENTS);
    for (opaque, asked) in relayed {
        assert!(client.answer(&mut pair.cluster, opaque).is_some(), "{asked}");
    }
}

#[test]
fn whatever_a_broker_is_asked_it_answers_and_goes_on() {
    for seed in 0..20 {
        let mut pair = Pair::new();
        let broker = pair.broker;
        assault(&mut pair, broker, seed, 1000);
        pair.cluster.advance(Millis::from_secs(3));
        still_serves(&mut pair);
    }
}

#[test]
fn whatever_a_name_server_is_asked_it_answers_and_goes_on() {
    for seed in 100..120 {
        let mut pair = Pair::new();
        let names = pair.names;
        assault(&mut pair, names, seed, 1000);
        pair.cluster.advance(Millis::from_secs(60));
        still_serves(&mut pair);
    }
}

#[test]
fn bytes_at_random_close_at_most_their_own_connection() {
    let mut pair = Pair::new();
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let client = pair.client();
        let mut bytes: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        if random.below(2) == 0 && bytes.len() > 8 {
            // Half of them look like a frame at first.
            let len = u32::try_from(bytes.len() - 4).expect("short").to_be_bytes();
            bytes[..4].copy_from_slice(&len);
            bytes[4..7].fill(0);
        }
        let node = if seed % 2 == 0 { pair.broker } else { pair.names };
        client.write_raw(&mut pair.cluster, node, bytes);
        pair.cluster.drive();
        client.disconnect(&mut pair.cluster, node);
    }
    still_serves(&mut pair);
}

#[test]
fn a_frame_that_announces_a_gigabyte_ends_its_connection_at_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.write_raw(&mut pair.cluster, pair.broker, vec![0x40, 0, 0, 0]);
    pair.cluster.drive();
    assert!(!client.is_connected(&mut pair.cluster, pair.broker));
    still_serves(&mut pair);
}
