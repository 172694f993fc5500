use super::*;

/// What is answered to who asks from the broker's own address, be that the broker's machine or not.
fn unbind(from_here: bool, remote: bool) -> Answered {
    let address = SocketAddr::from(([10, 0, 0, 1], 10911));
    let mut scene = Scene::with(BrokerConfig { address, remote_plugin_admin: remote, ..BrokerConfig::default() });
    scene.from_here = from_here;
    scene.ask(RequestCode::PetrelBindPlugin, &[("name", "")], r#"{"group":"G"}"#)
}

#[test]
fn the_connection_says_who_sits_at_the_brokers_machine_and_not_the_address_that_the_broker_is_known_by() {
    let refused = unbind(false, false);
    assert_eq!(refused.code, ResponseCode::NoPermission);
    assert!(refused.remark.contains("10.0.0.1") && refused.remark.contains("pluginAdminRemoteEnable"), "{}", refused.remark);
    assert_eq!(unbind(true, false).code, ResponseCode::Success);
    assert_eq!(unbind(false, true).code, ResponseCode::Success);
}
