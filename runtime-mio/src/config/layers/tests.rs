use std::fs;

use super::*;

const FLAG: Origin = Origin::Flag("--flag");

fn config(place: Place) -> Config {
    Config::new(place, Surroundings::made_up())
}

/// What comes of a file with this text.
fn broker_conf(text: &str) -> (Config, Result<(), ConfigError>) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broker.conf");
    fs::write(&path, text).expect("a file");
    let mut config = config(Place::Broker);
    let read = config.read(&path).and_then(|()| config.judge());
    (config, read)
}

fn remarks(text: &str) -> Vec<String> {
    let (mut config, read) = broker_conf(text);
    read.expect("nothing that must be refused");
    config.take_remarks().iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_those_of_java() {
    let config = config(Place::Broker);
    for (key, value) in [
        ("listenPort", "10911"),
        ("haListenPort", "10912"),
        ("brokerName", "petrel-host"),
        ("brokerIP1", "10.0.0.7"),
        ("pullMessageThreadPoolNums", "24"),
        ("endTransactionThreadPoolNums", "16"),
        ("storePathRootDir", "/home/someone/store"),
        ("storePathCommitLog", "/home/someone/store/commitlog"),
        ("flushDiskType", "ASYNC_FLUSH"),
        ("deleteWhen", "04"),
        ("namesrvAddr", ""),
    ] {
        assert_eq!(config.text(key), value, "{key}");
    }
}

#[test]
fn a_name_server_listens_elsewhere_than_a_broker() {
    assert_eq!(config(Place::NameServer).text("listenPort"), "9876");
}

#[test]
fn defaults_follow_the_keys_that_they_depend_on() {
    let mut config = config(Place::Broker);
    config.set("listenPort", "20911", FLAG).expect("a port");
    config.set("storePathRootDir", "/data", FLAG).expect("a path");
    assert_eq!((config.text("haListenPort"), config.text("storePathCommitLog")), ("20912", "/data/commitlog"));
    config.set("haListenPort", "5", FLAG).expect("a port");
    config.set("listenPort", "20913", FLAG).expect("a port");
    assert_eq!(config.text("haListenPort"), "5");
}

#[test]
fn an_unknown_key_is_one_remark_that_names_the_nearest() {
    let found = remarks("brokerName=a\nflushDiskTyp=SYNC_FLUSH\n");
    let [remark] = found.as_slice() else { panic!("{found:?}") };
    assert!(remark.ends_with("broker.conf:2: unknown key flushDiskTyp is ignored; the nearest known key is flushDiskType"), "{remark}");
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_what_is_unknown_too() {
    let (mut config, read) = broker_conf("listenPort=ten\nbrokerNmae=a\nflushDiskType=SYNC\nbrokerName=a\n");
    let error = read.unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains(":1: listenPort=ten") && lines[1].contains(":3: flushDiskType=SYNC"), "{error}");
    let remarks = config.take_remarks();
    assert!(matches!(&remarks[..], [Remark::Warning(text)] if text.contains(":2: unknown key brokerNmae")), "{remarks:?}");
}

#[test]
fn all_broken_promises_are_told_at_once() {
    let (_, read) = broker_conf("brokerRole=SLAVE\naclEnable=true\n");
    assert!(matches!(&read, Err(ConfigError::Several(errors)) if errors.len() == 2), "{read:?}");
}

#[test]
fn a_key_of_brokers_is_told_apart_from_a_misspelt_one() {
    let mut config = config(Place::NameServer);
    config.set("flushDiskType", "SYNC_FLUSH", FLAG).expect("a remark");
    assert_eq!(config.take_remarks()[0].to_string(), "--flag: flushDiskType is a key of brokers: nothing here reads it");
}

#[test]
fn a_host_may_be_named_and_is_looked_up() {
    let mut config = config(Place::Broker);
    config.set("brokerIP1", "broker.example.org", FLAG).expect("a name");
    assert_eq!(config.host("brokerIP1").expect("a known name").to_string(), "10.0.0.9");
    config.set("brokerIP1", "nowhere", FLAG).expect("a name");
    let error = config.host("brokerIP1").unwrap_err().to_string();
    assert_eq!(error, "--flag: brokerIP1=nowhere is not an IP address or the name of a host that can be looked up here (nobody knows it)");
}

#[test]
fn a_value_that_cannot_be_names_file_line_key_and_what_is_expected() {
    let (_, read) = broker_conf("# first\nlistenPort=ten\n");
    let error = read.unwrap_err().to_string();
    assert!(error.ends_with("broker.conf:2: listenPort=ten is not a whole number from 0 to 65535"), "{error}");
}

#[test]
fn each_kind_of_mistake_is_refused() {
    for wrong in [
        "flushDiskType=SYNC",
        "brokerRole=MASTER",
        "mappedFileSizeConsumeQueue=6000010",
        "mappedFileSizeCommitLog=99999999999",
        "messageDelayLevel=1s 5q",
        "brokerIP1=broker of mine",
        "autoCreateTopicEnable=yes",
        "brokerPermission=9",
        "namesrvAddr=localhost",
    ] {
        let (_, read) = broker_conf(wrong);
        assert!(matches!(read, Err(ConfigError::Value { .. })), "{wrong}: {read:?}");
    }
}

#[test]
fn what_would_break_a_promise_is_refused() {
    for wrong in [
        "brokerRole=SLAVE",
        "brokerRole=SYNC_MASTER",
        "brokerId=1",
        "storeType=defaultRocksDB",
        "enableControllerMode=true",
        "enableDLegerCommitLog=true",
        "aclEnable=true",
        "authenticationEnabled=true",
        "authorizationEnabled=true",
        "useTLS=true",
        "readOnlyCommitLogStorePaths=/old",
    ] {
        let (_, read) = broker_conf(wrong);
        assert!(matches!(read, Err(ConfigError::Promise { .. })), "{wrong}: {read:?}");
    }
}

#[test]
fn a_promise_kept_at_its_default_is_fine() {
    assert_eq!(remarks("brokerRole=ASYNC_MASTER\nbrokerId=0\naclEnable=false\nfileReservedTime=72\nsendMessageThreadPoolNums=4"), [""; 0]);
}

#[test]
fn a_key_without_effect_says_why_once() {
    let found = remarks("sendMessageThreadPoolNums=64\nslaveTimeout=48\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|remark| remark.contains(":1: sendMessageThreadPoolNums=64 has no effect: one loop")), "{found:?}");
    assert!(found.iter().any(|remark| remark.contains(":2: slaveTimeout=48 has no effect yet")), "{found:?}");
}

#[test]
fn an_empty_value_leaves_the_default() {
    let (config, read) = broker_conf("maxMessageSize=\n");
    assert_eq!((read, config.text("maxMessageSize")), (Ok(()), "4194304"));
}

#[test]
fn the_environment_wins_over_the_file_and_says_so() {
    let mut surroundings = Surroundings::made_up();
    surroundings.environment = |name| (name == "NAMESRV_ADDR").then(|| "env:9876".to_owned());
    let mut config = Config::new(Place::Broker, surroundings);
    config.set("namesrvAddr", "file:9876", Origin::File(Path::new("broker.conf").into(), 1)).expect("an address");
    config.read_environment().expect("an address");
    assert_eq!(config.text("namesrvAddr"), "env:9876");
    assert_eq!(config.take_remarks().len(), 1);
}

#[test]
fn all_keys_come_in_the_order_of_their_names() {
    let config = config(Place::Standalone);
    let names: Vec<_> = config.iter().map(|(key, _)| key.name).collect();
    assert!(names.is_sorted() && names.len() > 500, "{}", names.len());
}

#[test]
fn of_a_key_that_is_set_twice_the_later_line_counts() {
    let (mut config, read) = broker_conf("brokerName=a\nbrokerName=b\n");
    let remarks = config.take_remarks();
    assert_eq!((read, config.text("brokerName"), remarks.len()), (Ok(()), "b", 1), "{remarks:?}");
}
