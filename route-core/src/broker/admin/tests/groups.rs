use super::*;

fn group(scene: &mut Scene, group: &str) -> Answered {
    scene.ask(RequestCode::GetSubscriptiongroupConfig, &[("group", group)], "")
}

#[test]
fn a_group_is_made_and_changed() {
    let mut scene = Scene::new();
    let body = r#"{"consumeBroadcastEnable":false,"groupName":"G","retryMaxTimes":5,"retryQueueNums":1}"#;
    assert_eq!(scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], body).outcome(), (ResponseCode::Success, ""));
    let answer = group(&mut scene, "G");
    assert!(answer.body.contains(r#""consumeBroadcastEnable":false"#) && answer.body.contains(r#""retryMaxTimes":5"#));
}

#[test]
fn a_request_for_a_group_without_a_body_changes_nothing() {
    let mut scene = Scene::new();
    let version = *scene.broker.groups.version();
    assert_eq!(scene.ask(RequestCode::UpdateAndCreateSubscriptiongroup, &[], "").code, ResponseCode::Success);
    assert_eq!(*scene.broker.groups.version(), version);
}

#[test]
fn several_groups_are_made_at_once() {
    let mut scene = Scene::new();
    let body = r#"{"groupConfigList":[{"groupName":"G"},{"groupName":"H"}]}"#;
    assert_eq!(scene.ask(RequestCode::UpdateAndCreateSubscriptiongroupList, &[], body).code, ResponseCode::Success);
    assert!(scene.broker.groups.get("G").is_some() && scene.broker.groups.get("H").is_some());
    let answer = scene.ask(RequestCode::UpdateAndCreateSubscriptiongroupList, &[], r#"{"groupConfigList":[{"groupName":"a.b"}]}"#);
    assert_eq!(answer.code, ResponseCode::InvalidParameter);
}

#[test]
fn asking_for_a_group_makes_it_if_its_name_is_one() {
    let mut scene = Scene::new();
    assert_eq!(group(&mut scene, "G").code, ResponseCode::Success);
    assert_eq!(group(&mut scene, "a b").outcome(), (ResponseCode::SubscriptionGroupNotExist, "No group in this broker"));
}

#[test]
fn a_deleted_group_keeps_its_offsets_unless_they_are_to_go() {
    let mut scene = Scene::new();
    for (clean, left) in [("false", Some(3)), ("true", None)] {
        scene.make_group("G");
        scene.broker.offsets.restore("T@G", 0, 3);
        let answer = scene.ask(RequestCode::DeleteSubscriptiongroup, &[("groupName", "G"), ("cleanOffset", clean)], "");
        assert_eq!(answer.code, ResponseCode::Success);
        assert!(scene.broker.groups.get("G").is_none());
        assert_eq!(scene.broker.offsets.query("T", "G", 0), left);
    }
}

#[test]
fn all_groups_are_listed_whole_or_page_by_page() {
    let mut scene = Scene::new();
    scene.make_group("G");
    let all = scene.ask(RequestCode::GetAllSubscriptiongroupConfig, &[], "");
    assert_eq!(all.field("totalGroupNum"), "9");
    assert_eq!(all.body.matches("groupName").count(), 9);
    let fields = [("groupSeq", "0"), ("dataVersion", ""), ("maxGroupNum", "3")];
    let page = scene.ask(RequestCode::GetAllSubscriptiongroupConfig, &fields, "");
    assert_eq!((page.field("totalGroupNum"), page.body.matches("groupName").count()), ("9", 3));
}

#[test]
fn a_group_is_forbidden_a_topic_and_allowed_it_again() {
    let mut scene = Scene::new();
    let mut ask = |readable: Option<&str>| {
        let mut fields = vec![("group", "G"), ("topic", "T")];
        fields.extend(readable.map(|value| ("readable", value)));
        scene.ask(RequestCode::UpdateAndGetGroupForbidden, &fields, "").body
    };
    assert_eq!(ask(None), r#"{"group":"G","readable":true,"topic":"T"}"#);
    assert_eq!(ask(Some("false")), r#"{"group":"G","readable":false,"topic":"T"}"#);
    assert_eq!(ask(None), r#"{"group":"G","readable":false,"topic":"T"}"#);
    assert_eq!(ask(Some("true")), r#"{"group":"G","readable":true,"topic":"T"}"#);
}
