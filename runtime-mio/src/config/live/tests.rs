use super::*;
use crate::config::{
    Surroundings,
    key::Kind,
    settings::{changed_machine, changed_name_server, changed_store},
    value,
};

fn live(place: Place, of: Place) -> LiveConfig {
    let mut config = Config::new(place, Surroundings::made_up());
    config.set("storePathRootDir", "/data/store", Origin::Standalone).expect("a path");
    LiveConfig::new(&config, of)
}

fn broker() -> LiveConfig {
    live(Place::Standalone, Place::Broker)
}

fn refused(live: &mut LiveConfig, properties: &str) -> (ResponseCode, String) {
    let before = live.text();
    let refusal = live.change(&Bytes::copy_from_slice(properties.as_bytes())).expect_err("it is refused");
    assert_eq!(live.text(), before, "a refused change leaves no trace");
    (refusal.code, refusal.remark.into_owned())
}

#[test]
fn all_keys_of_a_broker_are_shown_in_order_and_none_of_the_name_server_beside_it() {
    let all = broker().text().all;
    let names: Vec<_> = all.lines().map(|line| line.split_once('=').expect("key=value").0).collect();
    assert!(names.is_sorted() && names.len() > 500, "{}", names.len());
    assert!(all.contains("\nbrokerName=petrel-host\n") && !names.contains(&"orderMessageEnable"));
    let of_names = live(Place::Standalone, Place::NameServer).text().all;
    assert!(of_names.contains("orderMessageEnable=false\n") && !of_names.contains("brokerName="));
}

#[test]
fn a_change_shows_in_all_and_alone_among_what_was_changed() {
    let mut live = broker();
    live.change(&Bytes::from_static(b"fileReservedTime=48\n")).expect("a key that may change");
    live.change(&Bytes::from_static(b"traceOn=false\nfileReservedTime=24")).expect("keys that may change");
    let text = live.text();
    assert_eq!(&*text.changed, "fileReservedTime=24\ntraceOn=false\n");
    assert!(text.all.contains("\nfileReservedTime=24\n"));
}

#[test]
fn what_takes_a_restart_is_refused_by_name_unless_it_stays_as_it_is() {
    let mut live = broker();
    let (code, text) = refused(&mut live, "traceOn=false\nbrokerName=other\n");
    assert_eq!(code, ResponseCode::NoPermission);
    assert_eq!(text, "Can not update config brokerName while it runs: set it in /data/store/config/broker.properties and restart");
    live.change(&Bytes::from_static(b"brokerName=petrel-host\n")).expect("it has this name");
    assert_eq!(&*live.text().changed, "");
}

#[test]
fn keys_of_the_black_list_are_refused_as_java_refuses_them() {
    let listed = "Can not update config in black list.";
    for key in ["brokerConfigPath", "configBlackList", "kvConfigPath"] {
        let outcome = refused(&mut broker(), &format!("{key}=x"));
        assert_eq!(outcome, (ResponseCode::NoPermission, listed.to_owned()), "{key}");
    }
    let mut config = Config::new(Place::Broker, Surroundings::made_up());
    config.set("configBlackList", "traceOn; brokerPermission", Origin::Standalone).expect("a text");
    assert_eq!(refused(&mut LiveConfig::new(&config, Place::Broker), "brokerPermission=4").1, listed);
}

#[test]
fn unknown_keys_and_values_that_a_key_does_not_take_are_named() {
    let mut live = broker();
    assert_eq!(refused(&mut live, "fileReservedTim=1").1, "unknown key fileReservedTim; the nearest known key is fileReservedTime");
    assert_eq!(refused(&mut live, "orderMessageEnable=true").0, ResponseCode::SystemError, "a key of name servers");
    let (code, text) = refused(&mut live, "traceOn=false\nbrokerPermission=9");
    assert_eq!(code, ResponseCode::SystemError);
    assert_eq!(text, "request: brokerPermission=9 is not a whole number from 0 to 7");
    assert_eq!(refused(&mut live, "brokerPermission=").1, "brokerPermission needs a value");
    assert!(refused(&mut live, "aclEnable=true").1.contains("which Petrel does not serve"));
    assert!(refused(&mut live, "a=\\u00zz").1.contains("line 1") || refused(&mut live, "a=\\u00zz").1.contains(":1:"));
}

#[test]
fn keys_without_effect_are_taken_as_java_takes_them() {
    let mut live = broker();
    live.change(&Bytes::from_static(b"sendMessageThreadPoolNums=9\n")).expect("a key that has no effect");
    assert_eq!(&*live.text().changed, "sendMessageThreadPoolNums=9\n");
}

/// A value that a key takes and does not have.
fn another_value(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::Switch => (!value::switch(value).expect("a switch")).to_string(),
        Kind::Whole(range) => {
            let now = value::whole(value).expect("a number");
            let other = [now / 2, now + 1].into_iter().find(|other| *other != now && range.contains(other));
            other.expect("the range has another number").to_string()
        }
        Kind::Hours => "05".to_owned(),
        other => panic!("no other value of {other:?}"),
    }
}

#[test]
fn every_changeable_key_reaches_the_machine_or_its_store() {
    for name in CHANGEABLE_OF_BROKER {
        let mut live = broker();
        let (mut machine, mut store) = (changed_machine(&live), changed_store(&live).expect("the defaults"));
        machine.settings = SettingsText::default();
        let before = format!("{machine:?}{store:?}");
        let key = keys::of(Place::Broker).find(|key| key.name == *name).expect("a key of brokers");
        assert_eq!(key.status, Status::Used, "{name}");
        let value = another_value(&key.kind, live.config().text(name));
        live.change(&format!("{name}={value}").into()).unwrap_or_else(|refusal| panic!("{name}={value}: {refusal:?}"));
        machine.take_changeable(changed_machine(&live));
        machine.settings = SettingsText::default();
        store.take_changeable(changed_store(&live).expect("a value that the key takes"));
        assert_ne!(format!("{machine:?}{store:?}"), before, "{name}");
    }
    for name in CHANGEABLE_OF_NAME_SERVER {
        let mut live = live(Place::NameServer, Place::NameServer);
        let mut machine = changed_name_server(&live);
        machine.settings = SettingsText::default();
        let before = machine.clone();
        let key = keys::of(Place::NameServer).find(|key| key.name == *name).expect("a key of name servers");
        live.change(&format!("{name}={}", another_value(&key.kind, live.config().text(name))).into()).expect("a key that may change");
        machine.take_changeable(changed_name_server(&live));
        machine.settings = SettingsText::default();
        assert_ne!(machine, before, "{name}");
    }
}

#[test]
fn a_file_that_is_named_from_the_working_folder_has_a_folder_to_be_synced() {
    let mut live = broker();
    live.set_file(Path::new("broker.conf"));
    assert!(live.file().is_absolute() && live.file().ends_with("broker.conf"), "{}", live.file().display());
}

#[test]
fn the_file_is_made_if_there_is_none_and_kept_otherwise() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut live = broker();
    live.set_file(&dir.path().join("broker.conf"));
    assert_eq!(live.merged(b"traceOn=false\n").expect("no file is fine"), "traceOn=false\n");
    std::fs::write(live.file(), "# ours\nbrokerName=a\n").expect("a file");
    assert_eq!(live.merged(b"traceOn=false\n").expect("a file"), "# ours\nbrokerName=a\ntraceOn=false\n");
    live.set_file(dir.path());
    let why = live.merged(b"traceOn=false\n").expect_err("a folder is no file");
    assert!(why.contains(&*dir.path().to_string_lossy()), "{why}");
}
