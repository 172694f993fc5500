//! What the binary says and how it ends, seen from the shell.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

fn petrel(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
    command.args(arguments).current_dir(dir).env_remove("NAMESRV_ADDR").stdin(Stdio::null());
    command.output().expect("the binary runs")
}

/// Standard output and standard error.
fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn folder_with(broker_conf: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("broker.conf"), broker_conf).expect("a file");
    dir
}

#[test]
fn a_wrong_value_ends_with_one_line_and_status_1() {
    let dir = folder_with("brokerName=a\nflushDiskType=SOMETIMES\n");
    let output = petrel(dir.path(), &["standalone", "-c", "broker.conf"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr, "petrel: broker.conf:2: flushDiskType=SOMETIMES is not ASYNC_FLUSH or SYNC_FLUSH\n");
    assert_eq!(stdout, "");
}

#[test]
fn a_promise_that_is_not_kept_ends_with_one_line_and_status_1() {
    let dir = folder_with("brokerRole=SLAVE\n");
    let output = petrel(dir.path(), &["broker", "-n", "127.0.0.1:9876", "-c", "broker.conf"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("petrel: broker.conf:1: brokerRole=SLAVE asks for replication") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_wrong_key_is_warned_about_and_ignored() {
    let dir = folder_with("brokerNmae=a\n");
    let output = petrel(dir.path(), &["broker", "-c", "broker.conf", "-p"]);
    let (_, stderr) = texts(&output);
    assert!(output.status.success());
    assert!(stderr.contains("broker.conf:1: unknown key brokerNmae is ignored; the nearest known key is brokerName"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// What `-p` prints with these arguments, which end well.
fn printed(dir: &Path, arguments: &[&str]) -> String {
    let output = petrel(dir, arguments);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    stdout
}

#[test]
fn p_prints_the_keys_that_count_in_the_order_of_their_names_and_ends() {
    let dir = folder_with("brokerName=a\nlistenPort=20911\n");
    let stdout = printed(dir.path(), &["standalone", "-c", "broker.conf", "--data", "d", "-p"]);
    for line in ["brokerName=a", "brokerRole=ASYNC_MASTER", "haListenPort=20912", "namesrvAddr=127.0.0.1:9876", "storePathRootDir=d/store"]
    {
        assert!(stdout.lines().any(|found| found == line), "{line} is not in\n{stdout}");
    }
    assert!(!stdout.contains("sendMessageThreadPoolNums"), "a key without effect");
    let keys: Vec<_> = stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(keys.len() > 100 && keys.is_sorted() && keys.len() == stdout.lines().count());
    assert!(!dir.path().join("d").exists(), "printing leaves nothing behind");
}

#[test]
fn p_with_all_also_prints_what_has_no_effect_as_comments() {
    let dir = folder_with("sendMessageThreadPoolNums=64\n");
    let stdout = printed(dir.path(), &["broker", "-c", "broker.conf", "-p", "--all"]);
    assert!(stdout.lines().count() > 450, "{}", stdout.lines().count());
    assert!(stdout.lines().any(|line| line == "# no effect: sendMessageThreadPoolNums=64"), "{stdout}");
    assert!(stdout.lines().any(|line| line == "flushDiskType=ASYNC_FLUSH"), "{stdout}");
    assert_eq!(petrel(dir.path(), &["broker", "--all"]).status.code(), Some(2), "without -p it means nothing");
}

#[test]
fn all_mistakes_of_a_file_are_told_each_in_a_line() {
    let dir = folder_with("flushDiskType=SOMETIMES\nbrokerNmae=a\nlistenPort=ten\n");
    let output = petrel(dir.path(), &["standalone", "-c", "broker.conf"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr.lines().filter(|line| line.starts_with("petrel: broker.conf:")).count(), 2, "{stderr}");
    assert!(stderr.contains("broker.conf:2: unknown key brokerNmae") && stderr.lines().count() == 3, "{stderr}");
    assert!(!dir.path().join("petrel-data").exists());
}

#[test]
fn a_busy_port_names_the_flag_that_chooses_another_and_nothing_is_left_behind() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let dir = folder_with("");
    for (arguments, flag) in [
        (["standalone", "--namesrv-port", &port, "--listen-port", "0"], "--namesrv-port"),
        (["standalone", "--namesrv-port", "0", "--listen-port", &port], "--listen-port"),
    ] {
        let output = petrel(dir.path(), &arguments);
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.ends_with(&format!("or choose another port with {flag}\n")), "{stderr}");
        assert!(!dir.path().join("petrel-data").exists());
    }
}

#[test]
fn data_in_place_of_a_folder_is_refused_by_what_it_is() {
    let dir = folder_with("");
    let output = petrel(dir.path(), &["-q", "standalone", "--data", "broker.conf", "--listen-port", "0", "--namesrv-port", "0"]);
    assert_eq!(texts(&output).1, "petrel: broker.conf: is a file, not a folder; choose a folder with --data\n");
    let output = petrel(dir.path(), &["store", "inspect", "nowhere"]);
    assert_eq!(texts(&output).1, "petrel: nowhere: there is no such folder; name one that holds a message store\n");
}

#[test]
fn what_p_prints_can_be_read_again() {
    let dir = folder_with("brokerName=a\nflushDiskType=SYNC_FLUSH\n");
    let (printed, _) = texts(&petrel(dir.path(), &["broker", "-c", "broker.conf", "-p"]));
    fs::write(dir.path().join("again.conf"), &printed).expect("a file");
    let (again, stderr) = texts(&petrel(dir.path(), &["broker", "-c", "again.conf", "-p"]));
    assert_eq!((again, stderr), (printed, String::new()));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let dir = folder_with("");
    let output = petrel(dir.path(), &["namesrv", "-c", "missing.conf"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("petrel: missing.conf: ") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_wrong_flag_ends_with_status_2() {
    let dir = folder_with("");
    let output = petrel(dir.path(), &["standalone", "--prot", "1"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn version_and_help_are_told() {
    let dir = folder_with("");
    let (version, _) = texts(&petrel(dir.path(), &["--version"]));
    assert_eq!(version, format!("petrel {}\n", env!("CARGO_PKG_VERSION")));
    let (help, _) = texts(&petrel(dir.path(), &["standalone", "--help"]));
    assert!(help.contains("Examples:") && help.contains("--namesrv-port") && help.contains("[default: ./petrel-data]"), "{help}");
}

#[test]
fn standalone_says_where_it_serves_and_what_to_try() {
    let dir = folder_with("bindAddress=127.0.0.1\nbrokerIP1=127.0.0.1\nmappedFileSizeCommitLog=1048576\n");
    let arguments = ["-q", "standalone", "-c", "broker.conf", "--data", "d", "--listen-port", "0", "--namesrv-port", "0"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
    let mut server = command.args(arguments).current_dir(dir.path()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let printed: Vec<_> = lines.map_while(Result::ok).take(8).collect();
    // Both fail only if it has ended already, and then the lines are missing.
    let _ = server.kill();
    let _ = server.wait();
    let port = printed.iter().find_map(|line| line.strip_prefix("name server  listens on 127.0.0.1:"));
    let port = port.unwrap_or_else(|| panic!("{printed:#?}"));
    assert_ne!(port, "0");
    assert!(printed.iter().any(|line| line == "data         d"), "{printed:#?}");
    assert!(printed.iter().any(|line| *line == format!("  petrel consume Greetings -n 127.0.0.1:{port}")), "{printed:#?}");
}

/// A folder with the log of a store in it: one file, `bytes` long and empty but for its first ones.
fn folder_with_log(bytes: usize, first: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("store/commitlog");
    fs::create_dir_all(&log).expect("a folder");
    let mut content = vec![0; bytes];
    content[..first.len()].copy_from_slice(first);
    fs::write(log.join("00000000000000000000"), content).expect("a file");
    dir
}

#[test]
fn store_says_by_its_status_whether_all_is_well() {
    let empty = folder_with_log(16384, b"");
    let output = petrel(empty.path(), &["store", "verify", "."]);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, "0 messages from 0 to 0 of the log, 0 units in 0 queues, 0 keys in the index\nall is well\n");

    let torn = folder_with_log(16384, b"garbage");
    let output = petrel(torn.path(), &["store", "verify", "store", "--json"]);
    let (stdout, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout.starts_with(r#"{"type":"finding","severity":"damage","part":"log","path":"store/commitlog/00000000000000000000","at":0,"#)
    );
    assert!(stdout.lines().last().is_some_and(|line| line.starts_with(r#"{"type":"verified","well":false,"#)), "{stdout}");

    let output = petrel(torn.path(), &["store", "inspect", "nowhere"]);
    assert_eq!((output.status.code(), texts(&output).1.lines().count()), (Some(2), 1));
    assert_eq!(petrel(torn.path(), &["store", "verify"]).status.code(), Some(2), "a folder is needed");
}

#[test]
fn store_rebuild_says_what_it_did_and_what_it_cut_off() {
    let empty = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(empty.path().join("store/commitlog")).expect("a folder");
    let output = petrel(empty.path(), &["store", "rebuild", "store"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("store/commitlog: the log is empty") && stderr.lines().count() == 1, "{stderr}");

    let torn = folder_with_log(16384, b"garbage");
    let output = petrel(torn.path(), &["store", "rebuild", "store", "--queues", "--json"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stdout.starts_with(r#"{"type":"rebuilt","logStart":0,"logEnd":0,"queues":0,"cutBytes":7,"saved":["store/commitlog-cut/"#),
        "{stdout}"
    );

    let output = petrel(torn.path(), &["store", "rebuild", "store", "--queues"]);
    assert_eq!((output.status.code(), texts(&output).0.as_str()), (Some(0), "0 queues made anew from the log, 0 to 0\n"));
    assert_eq!(petrel(torn.path(), &["store", "verify", "store"]).status.code(), Some(0));
}

#[test]
fn store_goes_by_the_sizes_of_a_configuration_if_it_is_given_one() {
    let dir = folder_with_log(16384, b"");
    fs::write(dir.path().join("broker.conf"), "storePathRootDir=store\nmappedFileSizeCommitLog=8192\n").expect("a file");
    let output = petrel(dir.path(), &["store", "verify", "-c", "broker.conf"]);
    let (stdout, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("16384 bytes long, where 8192 are expected"), "{stdout}");
}
