use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
};

use super::*;
use crate::{
    cli::{BrokerArgs, NamesrvArgs, StandaloneArgs},
    config::Surroundings,
};

fn assemble(role: &Role, surroundings: Surroundings) -> Result<(Config, Plan), ConfigError> {
    let mut config = Config::new(role.place(), surroundings);
    let plan = super::assemble(role, &mut config)?;
    Ok((config, plan))
}

fn machine() -> Surroundings {
    Surroundings {
        host_name: Some("petrel-host".to_owned()),
        local_address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
        processors: 4,
        memory: 1 << 33,
        home: PathBuf::from("/home/someone"),
        environment: |_| None,
        look_up: |_| Err("nobody knows it".to_owned()),
    }
}

fn standalone(text: &str, change: impl FnOnce(&mut StandaloneArgs)) -> Plan {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broker.conf");
    fs::write(&path, text).expect("a file");
    let mut args = StandaloneArgs { server: ServerArgs { config: Some(path), ..ServerArgs::default() }, ..StandaloneArgs::default() };
    change(&mut args);
    assemble(&Role::Standalone(args), machine()).expect("a configuration that can be worked with").1
}

fn name_servers(plan: &Plan) -> Vec<&str> {
    plan.broker.iter().flat_map(|broker| &broker.machine.name_servers).map(|address| &**address).collect()
}

fn name_server_port(plan: &Plan) -> Option<u16> {
    Some(plan.name_server.as_ref()?.listen.port())
}

#[test]
fn standalone_serves_both_and_keeps_all_in_one_folder() {
    let plan = assemble(&Role::Standalone(StandaloneArgs::default()), machine()).expect("settings").1;
    assert_eq!((name_server_port(&plan), name_servers(&plan)), (Some(9876), vec!["127.0.0.1:9876"]));
    let (broker, name_server) = (plan.broker.expect("a broker"), plan.name_server.expect("a name server"));
    assert_eq!(broker.listen.to_string(), "0.0.0.0:10911");
    assert_eq!(broker.store.store_path_root_dir, PathBuf::from("petrel-data/store"));
    assert_eq!(name_server.kv_config_path, PathBuf::from("petrel-data/namesrv/kvConfig.json"));
    assert_eq!(&*broker.machine.name, "petrel-host");
}

#[test]
fn standalone_filters_by_sql_unless_it_is_told_not_to_and_a_broker_does_if_it_is_told_to() {
    let filters = |plan: Plan| plan.broker.expect("a broker").machine.property_filter;
    assert!(filters(standalone("", |_| {})));
    assert!(!filters(standalone("enablePropertyFilter=false\n", |_| {})));
    assert!(!filters(assemble(&Role::Broker(BrokerArgs::default()), machine()).expect("settings").1));
}

#[test]
fn standalone_takes_messages_on_a_fuller_disk_than_a_broker_does() {
    let refused_above = |plan: Plan| plan.broker.expect("a broker").store.expiry.disk_space_warning_level_ratio;
    assert_eq!(refused_above(standalone("", |_| {})), 98);
    assert_eq!(refused_above(standalone("diskSpaceWarningLevelRatio=80\n", |_| {})), 80);
    assert_eq!(refused_above(assemble(&Role::Broker(BrokerArgs::default()), machine()).expect("settings").1), 90);
}

#[test]
fn a_machine_without_a_name_gives_the_broker_ours() {
    let nameless = Surroundings { host_name: None, ..machine() };
    let plan = assemble(&Role::Standalone(StandaloneArgs::default()), nameless).expect("settings").1;
    assert_eq!(&*plan.broker.expect("a broker").machine.name, "petrel");
}

#[test]
fn an_address_of_this_machine_in_the_file_is_where_the_name_server_listens() {
    let plan = standalone("namesrvAddr=other:9876;127.0.0.1:19876\n", |_| {});
    assert_eq!((name_server_port(&plan), name_servers(&plan)), (Some(19876), vec!["127.0.0.1:19876", "other:9876"]));
}

#[test]
fn name_servers_elsewhere_are_registered_with_too() {
    let plan = standalone("namesrvAddr=other:9876\n", |_| {});
    assert_eq!((name_server_port(&plan), name_servers(&plan)), (Some(9876), vec!["127.0.0.1:9876", "other:9876"]));
}

#[test]
fn flags_win_over_the_file() {
    let plan = standalone("listenPort=1\nstorePathRootDir=/file\n", |args| {
        args.server.listen_port = Some(20911);
        args.server.data = Some("/flag".into());
        args.namesrv_port = Some(19876);
    });
    assert_eq!((name_server_port(&plan), name_servers(&plan)), (Some(19876), vec!["127.0.0.1:19876"]));
    let broker = plan.broker.expect("a broker");
    assert_eq!((broker.listen.port(), broker.store.commit_log_dir()), (20911, PathBuf::from("/flag/store/commitlog")));
}

#[test]
fn the_file_wins_over_the_folder_that_standalone_would_take() {
    let plan = standalone("storePathRootDir=/file\n", |_| {});
    assert_eq!(plan.broker.expect("a broker").store.store_path_root_dir, PathBuf::from("/file"));
}

#[test]
fn a_port_that_the_system_chooses_is_left_open_for_the_broker() {
    let plan = standalone("", |args| args.namesrv_port = Some(0));
    assert_eq!((name_server_port(&plan), name_servers(&plan)), (Some(0), vec!["127.0.0.1:0"]));
}

#[test]
fn a_server_bound_to_one_address_is_reached_there() {
    assert_eq!(name_servers(&standalone("bindAddress=10.0.0.7\n", |_| {})), ["10.0.0.7:9876"]);
    assert_eq!(name_servers(&standalone("bindAddress=::1\n", |_| {})), ["[::1]:9876"]);
}

#[test]
fn a_broker_alone_registers_where_the_flag_says() {
    let args = BrokerArgs { name_servers: Some("a:1;b:2".to_owned()), ..BrokerArgs::default() };
    let plan = assemble(&Role::Broker(args), machine()).expect("settings").1;
    assert_eq!(name_servers(&plan), ["a:1", "b:2"]);
    assert!(plan.name_server.is_none());
    assert_eq!(plan.broker.expect("a broker").store.store_path_root_dir, PathBuf::from("/home/someone/store"));
}

#[test]
fn a_flag_that_is_no_address_is_named() {
    let args = BrokerArgs { name_servers: Some("nowhere".to_owned()), ..BrokerArgs::default() };
    let error = assemble(&Role::Broker(args), machine()).unwrap_err().to_string();
    assert!(error.starts_with("--namesrv: namesrvAddr=nowhere is not addresses"), "{error}");
}

#[test]
fn a_name_server_alone_listens_where_the_flag_says() {
    let args = NamesrvArgs { server: ServerArgs { listen_port: Some(19876), ..ServerArgs::default() } };
    let plan = assemble(&Role::Namesrv(args), machine()).expect("settings").1;
    assert_eq!(name_server_port(&plan), Some(19876));
    assert!(plan.broker.is_none());
}

#[test]
fn one_line_for_the_name_server_is_not_called_two() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broker.conf");
    fs::write(&path, "namesrvAddr=127.0.0.1:19876\n").expect("a file");
    let args = StandaloneArgs { server: ServerArgs { config: Some(path), ..ServerArgs::default() }, ..StandaloneArgs::default() };
    let (mut config, _) = assemble(&Role::Standalone(args), machine()).expect("settings");
    assert_eq!(config.take_remarks(), []);
}

#[test]
fn mistakes_of_file_and_flags_are_told_together() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("broker.conf");
    fs::write(&path, "flushDiskType=SOMETIMES\nbrokerRole=SLAVE\nbrokerIP1=nowhere\n").expect("a file");
    let server = ServerArgs { config: Some(path), ..ServerArgs::default() };
    let args = BrokerArgs { server, name_servers: Some("nowhere".to_owned()) };
    let error = assemble(&Role::Broker(args), machine()).unwrap_err();
    assert!(matches!(&error, ConfigError::Several(errors) if errors.len() == 4), "{error}");
}

#[test]
fn the_folder_of_all_data_is_that_of_the_flag_or_of_standalone_unless_a_file_says_otherwise() {
    let folder = |role: &Role, text: &str| {
        let mut config = Config::new(role.place(), machine());
        super::assemble(role, &mut config).expect("settings");
        if !text.is_empty() {
            config.set("storePathRootDir", text, Origin::Environment("test")).expect("a path");
            config.set("kvConfigPath", text, Origin::Environment("test")).expect("a path");
        }
        data_folder(role, &config).map(Path::to_owned)
    };
    let alone = Role::Standalone(StandaloneArgs::default());
    assert_eq!(folder(&alone, ""), Some(PathBuf::from("petrel-data")));
    assert_eq!(folder(&alone, "/elsewhere"), None);
    assert_eq!(folder(&Role::Broker(BrokerArgs::default()), ""), None);
}
