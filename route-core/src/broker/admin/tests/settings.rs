use super::*;
use crate::settings::SettingsText;

fn text(all: &str, changed: &str) -> SettingsText {
    SettingsText { all: all.into(), changed: changed.into() }
}

/// A change that ends in this configuration.
fn change(scene: &mut Scene, config: BrokerConfig) -> Answered {
    scene.configured = Some(Ok(config));
    scene.ask(RequestCode::UpdateBrokerConfig, &[], "traceOn=false\n")
}

#[test]
fn settings_are_shown_with_their_version() {
    let mut scene = Scene::with(BrokerConfig { settings: text("a=1\nb=2\n", ""), ..BrokerConfig::default() });
    let answer = scene.ask(RequestCode::GetBrokerConfig, &[], "");
    assert_eq!((answer.code, &*answer.body), (ResponseCode::Success, "a=1\nb=2\n"));
    assert_eq!(answer.field("version"), r#"{"counter":0,"stateVersion":0,"timestamp":1000}"#);
    change(&mut scene, BrokerConfig { settings: text("a=2\nb=2\n", "a=2\n"), ..BrokerConfig::default() });
    let answer = scene.ask(RequestCode::GetBrokerConfig, &[], "");
    assert_eq!(&*answer.body, "a=2\nb=2\n");
    assert!(answer.field("version").starts_with(r#"{"counter":1,"#), "{}", answer.field("version"));
}

#[test]
fn a_change_is_answered_when_it_is_on_disk() {
    let mut scene = Scene::new();
    scene.post_as(1, RequestCode::UpdateBrokerConfig, &[], "traceOn=false\n");
    let Some(Output::Configure { asked, properties }) = scene.broker.poll_output() else { panic!("no change is asked for") };
    assert_eq!((asked, &properties[..]), (Some((PeerId(1), 77)), &b"traceOn=false\n"[..]));
    let config = BrokerConfig { trace_on: false, settings: text("", "traceOn=false\n"), ..BrokerConfig::default() };
    scene.broker.handle_configured(scene.now, asked, Ok(config));
    assert!(!scene.broker.config.trace_on, "it counts at once");
    let mut saves = Vec::new();
    while let Some(output) = scene.broker.poll_output() {
        match output {
            Output::Persist { ticket, table: Table::Settings, content } => saves.push((ticket, content.into_bytes())),
            Output::Reply { .. } => panic!("it is not on disk yet"),
            _ => {}
        }
    }
    let [(ticket, content)] = &saves[..] else { panic!("{saves:?}") };
    assert_eq!(content, "traceOn=false\n");
    scene.broker.handle_persisted(scene.now, *ticket, Err("no space".to_owned()));
    let Some(Output::Reply { reply, .. }) = scene.broker.poll_output() else { panic!("no answer") };
    assert_eq!((reply.code, reply.remark.as_deref()), (ResponseCode::SystemError, Some("the change could not be saved: no space")));
}

#[test]
fn a_change_that_is_refused_changes_nothing_and_saves_nothing() {
    let mut scene = Scene::new();
    scene.configured = Some(Err(Refusal::new(ResponseCode::NoPermission, "not this one")));
    let answer = scene.ask(RequestCode::UpdateBrokerConfig, &[], "brokerName=b\n");
    assert_eq!(answer.outcome(), (ResponseCode::NoPermission, "not this one"));
    assert_eq!(scene.wanted, ["brokerName=b\n"]);
    assert!(scene.ask(RequestCode::GetBrokerConfig, &[], "").field("version").contains(r#""counter":0"#));
}

#[test]
fn no_settings_at_all_are_a_change_too() {
    let answer = Scene::new().ask(RequestCode::UpdateBrokerConfig, &[], "");
    assert_eq!(answer.outcome(), (ResponseCode::Success, ""));
}

#[test]
fn topics_and_groups_are_made_by_using_them_only_while_that_is_allowed() {
    let mut scene = Scene::new();
    let send = |scene: &mut Scene, topic| {
        let fields = [("a", "P"), ("b", topic), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", "0"), ("g", "0"), ("h", "0"), ("i", "")];
        scene.ask(RequestCode::SendMessageV2, &fields, "body").code
    };
    assert_eq!(send(&mut scene, "A"), ResponseCode::Success);
    change(&mut scene, BrokerConfig { auto_create_topic: false, auto_create_group: false, ..BrokerConfig::default() });
    assert_eq!((send(&mut scene, "A"), send(&mut scene, "B")), (ResponseCode::Success, ResponseCode::TopicNotExist));
    membership::beat(&mut scene, 1, "c1", "G", "A");
    assert!(scene.broker.groups.get("G").is_none());
    change(&mut scene, BrokerConfig::default());
    assert_eq!(send(&mut scene, "B"), ResponseCode::Success);
    membership::beat(&mut scene, 1, "c1", "G", "A");
    assert!(scene.broker.groups.get("G").is_some());
}

#[test]
fn what_was_decided_at_the_start_stays() {
    let mut scene = Scene::new();
    change(&mut scene, BrokerConfig { name: "other".into(), max_message_size: 1, permission: 4, ..BrokerConfig::default() });
    let config = &scene.broker.config;
    assert_eq!((&*config.name, config.max_message_size, config.permission), ("broker-a", 4 << 20, 4));
}
