//! Plugins in a real process: installed from the shell or by a copy into the folder, swapped, refused, switched, and there after a restart.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use petrel_tests::process::{Process, free_port, run};
use tempfile::TempDir;

/// A broker with a name server in one process.
struct Scene {
    folder: TempDir,
    names: String,
    broker: String,
    process: Option<Process>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (names, broker) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let mut scene = Self { folder, names, broker, process: None };
        scene.start();
        scene
    }

    fn start(&mut self) {
        let data = self.folder.path().join("data").display().to_string();
        let port = |address: &str| address.rsplit_once(':').expect("a port").1.to_owned();
        let (names, broker) = (port(&self.names), port(&self.broker));
        let arguments = ["standalone", "--data", &data, "--listen-port", &broker, "--namesrv-port", &names];
        self.process = Some(Process::start(&arguments, broker.parse().expect("a port"), &self.folder.path().join("log")));
    }

    fn restart(&mut self) {
        self.process = None;
        self.start();
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("data/store/plugins")
    }

    /// `petrel plugin` with the broker named; what it prints, or its error.
    fn plugin(&self, arguments: &[&str]) -> Result<String, String> {
        let output = run(&[&["plugin"], arguments, &["--broker", &self.broker]].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn list(&self) -> serde_json::Value {
        serde_json::from_str(&self.plugin(&["list", "--json"]).expect("a list")).expect("JSON")
    }

    fn send(&self, bodies: &[&str]) {
        for body in bodies {
            let first = format!("first={}", &body[..1]);
            let sent = run(&["produce", "-n", &self.names, "Orders", body, "--property", &first]);
            assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        }
    }

    /// The bodies that a consumer with these arguments prints, sorted.
    fn consume(&self, count: usize, arguments: &[&str]) -> Vec<String> {
        let count = count.to_string();
        let read = run(&[&["consume", "-n", &self.names, "Orders", "--from", "first", "--count", &count, "--json"], arguments].concat());
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        let body = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            row["body"].as_str().expect("a body").to_owned()
        };
        let mut bodies: Vec<_> = String::from_utf8_lossy(&read.stdout).lines().map(body).collect();
        bodies.sort();
        bodies
    }

    /// Waits until the list is as `wanted` says.
    #[track_caller]
    fn wait_for(&self, wanted: impl Fn(&serde_json::Value) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let list = self.list();
            if wanted(&list) {
                return;
            }
            assert!(Instant::now() < patience, "{list}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/plugins").join(name)
}

fn path(name: &str) -> String {
    file(name).display().to_string()
}

#[test]
fn the_plugins_for_tests_are_what_their_texts_say() {
    for name in ["begins", "last"] {
        let made = wat::parse_file(file(&format!("{name}.wat"))).expect("the text is WebAssembly");
        if std::env::var_os("PETREL_BLESS").is_some() {
            fs::write(file(&format!("{name}.wasm")), &made).expect("it can be written");
        }
        let there = fs::read(file(&format!("{name}.wasm"))).unwrap_or_default();
        assert!(made == there, "this makes {name}.wasm of {name}.wat: PETREL_BLESS=1 cargo test -p petrel-tests --test installed_plugins");
    }
}

#[test]
fn a_plugin_from_the_shell_filters_by_sql_and_where_it_is_bound_also_after_a_restart() {
    let mut scene = Scene::new();
    let told = scene.plugin(&["install", &path("begins.wasm")]).expect("it is good");
    assert!(told.contains("begins is installed: filter") && told.contains("sha-256"), "{told}");
    scene.send(&["a1", "b1", "a2", "c1"]);
    assert_eq!(scene.consume(1, &["--sql", "first <> 'a' AND wasm('begins', 'b')"]), ["b1"]);
    scene.plugin(&["bind", "begins", "--group", "readers", "--argument", "a"]).expect("it can be bound");
    assert_eq!(scene.consume(2, &["--group", "readers"]), ["a1", "a2"]);
    scene.restart();
    let list = scene.list();
    assert_eq!((&list["plugins"][0]["name"], &list["plugins"][0]["state"]), (&"begins".into(), &"active".into()));
    assert_eq!(list["bindings"]["groupFilters"]["readers"]["argument"], "a");
    scene.send(&["c2", "a3"]);
    assert_eq!(scene.consume(1, &["--sql", "wasm('begins', 'b')"]), ["b1"]);
}

#[test]
fn what_is_broken_is_refused_and_the_version_before_stays() {
    let scene = Scene::new();
    scene.plugin(&["install", &path("begins.wasm")]).expect("it is good");
    let digest = scene.list()["plugins"][0]["digest"].clone();
    let broken = scene.folder.path().join("broken.wasm");
    let whole = fs::read(file("begins.wasm")).expect("a file");
    fs::write(&broken, &whole[..whole.len() / 2]).expect("a file");
    let refused = scene.plugin(&["install", &broken.display().to_string(), "--name", "begins"]).expect_err("it is broken");
    assert!(refused.contains("PETREL_INSTALL_PLUGIN"), "{refused}");
    assert_eq!(scene.list()["plugins"][0]["digest"], digest);
    // A copy into the folder is refused as well, and noted where an operator looks.
    fs::copy(&broken, scene.plugins().join("begins.wasm")).expect("a copy");
    scene.wait_for(|list| list["plugins"][0]["lastError"].as_str().is_some_and(|error| !error.is_empty()));
    assert_eq!(scene.list()["plugins"][0]["digest"], digest);
    scene.send(&["a1", "b1"]);
    assert_eq!(scene.consume(1, &["--sql", "wasm('begins', 'b')"]), ["b1"]);
}

#[test]
fn a_copy_into_the_folder_is_a_way_to_install_and_a_plugin_can_be_switched_off() {
    let scene = Scene::new();
    fs::create_dir_all(scene.plugins()).expect("a folder");
    fs::copy(file("last.wasm"), scene.plugins().join("last.wasm")).expect("a copy");
    scene.wait_for(|list| list["plugins"][0]["state"] == "active" && list["plugins"][0]["kind"] == "allocator");
    scene.plugin(&["bind", "last", "--group", "readers", "--allocator"]).expect("it shares out queues");
    let refused = scene.plugin(&["bind", "last", "--group", "readers"]).expect_err("it is no filter");
    assert!(refused.contains("no filter"), "{refused}");
    scene.plugin(&["disable", "last"]).expect("it is there");
    assert_eq!(scene.list()["plugins"][0]["state"], "disabled");
    let refused = scene.plugin(&["bind", "last", "--group", "others", "--allocator"]).expect_err("it is disabled");
    assert!(refused.contains("last"), "{refused}");
    scene.plugin(&["enable", "last"]).expect("it is there");
    assert_eq!(scene.list()["plugins"][0]["state"], "active");
    scene.plugin(&["remove", "last"]).expect("it is there");
    assert_eq!(scene.list()["plugins"], serde_json::json!([]));
    assert!(scene.plugin(&["remove", "last"]).is_err());
}

#[test]
fn a_filter_is_tried_over_stored_messages_then_installed_and_bound_while_the_broker_is_down() {
    let mut scene = Scene::new();
    scene.send(&["a1", "b1", "a2"]);
    let data = scene.folder.path().join("data").display().to_string();
    let bind = ["plugin", "bind", "begins", "--topic", "Orders", "--argument", "b", "--data", &data];
    assert!(String::from_utf8_lossy(&run(&bind).stderr).contains("--broker"), "a broker is at work");
    let (status, _) = scene.process.take().expect("it runs").terminate();
    assert!(status.success());
    let tried = run(&["plugin", "test", &path("begins.wasm"), "--data", &data, "--topic", "Orders", "--argument", "a", "--matches"]);
    let text = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
    assert!(text.contains("2 of 3 messages pass") && text.contains("fuel each"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("queue ")).count(), 2, "{text}");
    let refused = run(&["plugin", "test", &path("begins.wasm"), "--data", &data, "--topic", "Orders"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("an argument is needed"));
    let half = scene.folder.path().join("half.wasm");
    let whole = fs::read(file("begins.wasm")).expect("a file");
    fs::write(&half, &whole[..whole.len() / 2]).expect("a file");
    let refused = run(&["plugin", "install", &half.display().to_string(), "--data", &data]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("'half' is refused"), "{refused:?}");
    // It is installed and bound while the broker is down.
    let told = run(&["plugin", "install", &path("begins.wasm"), "--data", &data]);
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("542 bytes, sha-256 ab1f53f2"), "{told:?}");
    assert!(run(&bind).status.success());
    scene.start();
    assert_eq!(scene.consume(1, &[]), ["b1"]);
}

#[test]
fn messages_that_a_plugin_fails_on_are_delivered_by_policy_counted_and_all_in_the_log_with_their_group() {
    let mut scene = Scene::new();
    let module = r#"(module (memory (export "memory") 40) (data (i32.const 900) "0.1.0")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "petrel:plugin/filtering@1.0.0#version") (result i32)
            (i32.store (i32.const 16) (i32.const 900)) (i32.store (i32.const 20) (i32.const 5)) (i32.const 16))
        (func (export "petrel:plugin/filtering@1.0.0#wants") (result i32) (i32.const 0))
        (func (export "petrel:plugin/filtering@1.0.0#validate") (param i32 i32) (result i32) (i32.store8 (i32.const 32) (i32.const 0)) (i32.const 32))
        (func (export "petrel:plugin/filtering@1.0.0#matches") (param i32 i32) (result i64) unreachable))"#;
    let traps = scene.folder.path().join("traps.wasm");
    fs::write(&traps, wat::parse_str(module).expect("WebAssembly")).expect("a file");
    scene.plugin(&["install", &traps.display().to_string(), "--policy", "deliver"]).expect("it is good until it is asked");
    scene.plugin(&["bind", "traps", "--group", "readers"]).expect("it can be bound");
    scene.send(&["a1", "b1", "c1"]);
    assert_eq!(scene.consume(3, &["--group", "readers"]), ["a1", "b1", "c1"]);
    let told = scene.list()["plugins"][0].clone();
    assert!(told["byPolicy"].as_u64() >= Some(3) && told["traps"].as_u64() > Some(0), "{told}");
    // What was not told at once is told at the latest when the broker ends.
    let process = scene.process.take().expect("it runs");
    let (status, _) = process.terminate();
    assert!(status.success());
    let log = fs::read_to_string(scene.folder.path().join("log")).expect("a log");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("had no answer for messages")).collect();
    assert!(lines.iter().all(|line| line.contains("plugin=\"traps\"") && line.contains("for group readers")), "{log}");
    let count = |line: &&str| -> u64 {
        let text = line.split("messages=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let number = |part: &str| part.split_once(" messages from").map_or(1, |(count, _)| count.trim().parse().unwrap_or(0));
        text.split(", ").map(number).sum()
    };
    assert_eq!(Some(lines.iter().map(count).sum()), told["byPolicy"].as_u64(), "{log}");
}
