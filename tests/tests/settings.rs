//! Settings that requests show and change while the processes run, and what is left of that after a restart.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use petrel_tests::{
    packet::{Fields, Packet},
    pair::Pair,
    process::{Process, free_port},
    requests::Message,
    socket::Connection,
};
use proto_core::code::{RequestCode, ResponseCode};

/// A broker and a name server in one process, with a file of settings or without.
struct Standalone {
    folder: tempfile::TempDir,
    names: u16,
    port: u16,
}

impl Standalone {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), names: free_port(), port: free_port() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, more: &[&str]) -> Process {
        let (data, port, names) = (self.path("data").display().to_string(), self.port.to_string(), self.names.to_string());
        let arguments = [&["standalone", "--data", &data, "--listen-port", &port, "--namesrv-port", &names], more].concat();
        Process::start(&arguments, self.port, &self.path("log"))
    }

    fn ask(port: u16, code: RequestCode, body: &str) -> Packet {
        let mut connection = Connection::open(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("it listens");
        connection.call(code.code(), &Fields(&[]), body.as_bytes()).expect("an answer")
    }

    /// The value of a broker's key.
    fn value(&self, key: &str) -> String {
        let all = Self::ask(self.port, RequestCode::GetBrokerConfig, "").expect(ResponseCode::Success).text().to_owned();
        all.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect("the key is shown").to_owned()
    }
}

#[test]
fn a_changed_setting_is_written_into_the_file_of_the_start_and_lasts() {
    let server = Standalone::new();
    let file = server.path("broker.conf");
    fs::write(&file, "# of the team\nmaxTransferCountOnMessageInMemory=40\ntraceOn=true\n").expect("a file");
    let with_file = ["-c", &*file.display().to_string()];
    let process = server.start(&with_file);
    assert_eq!(server.value("maxTransferCountOnMessageInMemory"), "40");
    let change = "maxTransferCountOnMessageInMemory=33\nfileReservedTime=48\n";
    Standalone::ask(server.port, RequestCode::UpdateBrokerConfig, change).expect(ResponseCode::Success);
    Standalone::ask(server.names, RequestCode::UpdateNamesrvConfig, "orderMessageEnable=true\n").expect(ResponseCode::Success);
    assert_eq!(server.value("maxTransferCountOnMessageInMemory"), "33");
    let written = fs::read_to_string(&file).expect("the file");
    let expected = "# of the team\nmaxTransferCountOnMessageInMemory=33\ntraceOn=true\nfileReservedTime=48\norderMessageEnable=true\n";
    assert_eq!(written, expected);
    drop(process);
    let _process = server.start(&with_file);
    assert_eq!((server.value("maxTransferCountOnMessageInMemory"), server.value("fileReservedTime")), ("33".to_owned(), "48".to_owned()));
    let names = Standalone::ask(server.names, RequestCode::GetNamesrvConfig, "").expect(ResponseCode::Success);
    assert!(names.text().contains("orderMessageEnable=true\n"));
}

#[test]
fn a_file_that_is_named_from_the_working_folder_through_a_link_is_changed_where_it_lies_and_keeps_its_mode() {
    let server = Standalone::new();
    let file = server.path("real.conf");
    fs::write(&file, "traceOn=true\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    std::os::unix::fs::symlink(&file, server.path("broker.conf")).expect("a link");
    let up = "../".repeat(std::env::current_dir().expect("a folder").components().count());
    let relative = format!("{up}{}", server.path("broker.conf").display());
    let _process = server.start(&["-c", &relative]);
    Standalone::ask(server.port, RequestCode::UpdateBrokerConfig, "traceOn=false\n").expect(ResponseCode::Success);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "traceOn=false\n");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    assert!(server.path("broker.conf").is_symlink());
}

#[test]
fn without_a_file_a_changed_setting_is_kept_beside_the_data() {
    let server = Standalone::new();
    let process = server.start(&[]);
    Standalone::ask(server.port, RequestCode::UpdateBrokerConfig, "transactionCheckMax=7\n").expect(ResponseCode::Success);
    Standalone::ask(server.names, RequestCode::UpdateNamesrvConfig, "enableTopicList=false\n").expect(ResponseCode::Success);
    drop(process);
    let _process = server.start(&[]);
    assert_eq!(server.value("transactionCheckMax"), "7");
    let names = Standalone::ask(server.names, RequestCode::GetNamesrvConfig, "").expect(ResponseCode::Success);
    assert!(names.text().contains("enableTopicList=false\n"));
}

#[test]
fn what_takes_a_restart_is_refused_and_leaves_no_trace() {
    let server = Standalone::new();
    let _process = server.start(&[]);
    let refused = Standalone::ask(server.port, RequestCode::UpdateBrokerConfig, "traceOn=false\nbrokerName=other\n");
    assert_eq!(refused.code, ResponseCode::NoPermission.code());
    assert!(refused.remark.as_deref().is_some_and(|remark| remark.contains("brokerName")), "{refused:?}");
    assert_eq!(server.value("traceOn"), "true");
    assert!(!server.path("data/store/config/broker.properties").exists());
}

#[test]
fn a_broker_that_may_not_be_written_any_more_tells_its_name_servers_at_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "x")).expect(ResponseCode::Success);
    let perm = |pair: &mut Pair| {
        let route = client.ask(&mut pair.cluster, pair.names, RequestCode::GetRouteinfoByTopic, &[("topic", "Orders")]);
        let text = route.expect(ResponseCode::Success).text().to_owned();
        text.split("\"perm\":").nth(1).and_then(|rest| rest.chars().next())
    };
    assert_eq!(perm(&mut pair), Some('6'));
    let code = RequestCode::UpdateBrokerConfig.code();
    client.call(&mut pair.cluster, pair.broker, code, &Fields(&[]), b"brokerPermission=4\n").expect(ResponseCode::Success);
    pair.cluster.drive();
    assert_eq!(perm(&mut pair), Some('4'));
}

#[test]
fn a_name_server_changes_its_mind_while_it_runs() {
    let mut pair = Pair::new();
    let client = pair.client();
    let list = |pair: &mut Pair| client.ask(&mut pair.cluster, pair.names, RequestCode::GetAllTopicListFromNameserver, &[]).code;
    assert_eq!(list(&mut pair), ResponseCode::Success.code());
    let code = RequestCode::UpdateNamesrvConfig.code();
    client.call(&mut pair.cluster, pair.names, code, &Fields(&[]), b"enableAllTopicList=false\n").expect(ResponseCode::Success);
    assert_eq!(list(&mut pair), ResponseCode::SystemError.code());
    let refused = client.call(&mut pair.cluster, pair.names, code, &Fields(&[]), b"kvConfigPath=/tmp/x\n");
    assert_eq!(refused.code, ResponseCode::NoPermission.code());
}
