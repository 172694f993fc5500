//! The binary as its users meet it: started, used from the shell, stopped, and in the way of another one.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use petrel_tests::process::{Process, free_port, run};

/// A broker with a name server in one process, on ports of its own.
struct Standalone {
    folder: tempfile::TempDir,
    names: String,
    port: String,
}

impl Standalone {
    fn new() -> Self {
        let (names, port) = (free_port().to_string(), free_port().to_string());
        Self { folder: tempfile::tempdir().expect("a folder"), names, port }
    }

    fn arguments<'a>(&'a self, data: &'a str) -> [&'a str; 7] {
        ["standalone", "--data", data, "--listen-port", &self.port, "--namesrv-port", &self.names]
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn start(&self) -> Process {
        let port = self.port.parse().expect("a port");
        Process::start(&self.arguments(&self.data()), port, &self.folder.path().join("log"))
    }

    fn name_server(&self) -> String {
        format!("127.0.0.1:{}", self.names)
    }
}

/// The one line that a failed start leaves for the user.
#[track_caller]
fn refusal(arguments: &[&str]) -> String {
    let output = run(&[arguments, &["--quiet"]].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    text
}

#[test]
fn a_message_from_the_shell_comes_out_in_the_shell() {
    let server = Standalone::new();
    let _process = server.start();
    let at = server.name_server();
    let sent = run(&["produce", "-n", &at, "Greetings", "hello, storm", "--key", "k1", "--tag", "A"]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let read = run(&["consume", "-n", &at, "Greetings", "--from", "first", "--count", "1"]);
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success() && text.contains("hello, storm"), "{text}{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn a_terminated_server_ends_within_a_second_and_keeps_its_messages() {
    let server = Standalone::new();
    let process = server.start();
    let at = server.name_server();
    assert!(run(&["produce", "-n", &at, "Greetings", "hello"]).status.success());
    let (status, took) = process.terminate();
    assert!(status.success() && took < Duration::from_secs(1), "{status:?} after {took:?}");
    assert!(!Path::new(&server.data()).join("abort").exists(), "the mark of an unclean stop is left");
    let _process = server.start();
    let read = run(&["consume", "-n", &at, "Greetings", "--from", "first", "--count", "1"]);
    assert!(String::from_utf8_lossy(&read.stdout).contains("hello"));
}

#[test]
fn a_port_in_use_is_named_in_one_line() {
    let server = Standalone::new();
    let taken = TcpListener::bind(("0.0.0.0", server.port.parse().expect("a port"))).expect("the port is free");
    let text = refusal(&server.arguments(&server.data()));
    assert!(text.contains(&server.port), "{text}");
    drop(taken);
}

#[test]
fn a_folder_that_another_process_uses_is_named_in_one_line() {
    let (server, other) = (Standalone::new(), Standalone::new());
    let _process = server.start();
    let text = refusal(&other.arguments(&server.data()));
    assert!(text.contains(&server.data()), "{text}");
}

#[test]
fn a_folder_that_is_a_file_is_named_in_one_line() {
    let server = Standalone::new();
    fs::write(server.data(), "not a folder").expect("the file can be written");
    let text = refusal(&server.arguments(&server.data()));
    assert!(text.contains(&server.data()), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named_in_one_line() {
    let server = Standalone::new();
    let text = refusal(&server.arguments("/proc/petrel"));
    assert!(text.contains("/proc/petrel: "), "{text}");
}

#[test]
fn a_folder_of_another_product_is_named_in_one_line_and_left_alone() {
    let server = Standalone::new();
    fs::create_dir_all(Path::new(&server.data()).join("pg_wal")).expect("the folder can be made");
    let text = refusal(&server.arguments(&server.data()));
    assert!(text.contains(&server.data()) && text.contains("pg_wal"), "{text}");
    assert_eq!(fs::read_dir(server.data()).expect("the folder").count(), 1);
}

#[test]
fn a_store_that_is_named_as_the_folder_around_it_is_refused_in_one_line() {
    let server = Standalone::new();
    fs::create_dir_all(Path::new(&server.data()).join("commitlog")).expect("the folder can be made");
    let text = refusal(&server.arguments(&server.data()));
    assert!(text.contains("is a store itself"), "{text}");
}

#[test]
fn a_key_that_is_misspelt_is_named_with_its_line_and_its_nearest() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.conf");
    fs::write(&file, "brokerName=here\nflushDiskTyp=SYNC_FLUSH\n").expect("the file can be written");
    let output = run(&["broker", "-c", &file.display().to_string(), "-p"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("broker.conf:2") && text.contains("flushDiskTyp") && text.contains("flushDiskType"), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("brokerName=here"));
}

#[test]
fn a_value_that_cannot_be_read_ends_the_start_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.conf");
    fs::write(&file, "\nlistenPort=many\n").expect("the file can be written");
    let text = refusal(&["broker", "-c", &file.display().to_string()]);
    assert!(text.contains("broker.conf:2") && text.contains("listenPort") && text.contains("many"), "{text}");
}
