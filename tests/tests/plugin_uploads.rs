//! Uploads of plugins to a real process that meet another upload, the end of a connection, of the process or of the disk, or a file that is long to
//! compile: what was there before stays or what is new is there, whole, and nobody else is kept waiting.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread,
};

use petrel_tests::{
    packet::{Fields, Packet, request},
    process::{Process, free_port},
    small_disk::small_disk,
    socket::Connection,
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    command::Flag,
};
use route_core::plugins::digest;
use serde_json::Value;

/// A broker by itself, whose data and log lie in a folder.
struct Scene {
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Scene {
    fn at(folder: &Path) -> Self {
        let mut scene = Self { folder: folder.to_owned(), port: free_port(), process: None };
        scene.start();
        scene
    }

    fn start(&mut self) {
        let data = self.folder.join("data").display().to_string();
        let (port, names) = (self.port.to_string(), free_port().to_string());
        let arguments = ["standalone", "--data", &data, "--listen-port", &port, "--namesrv-port", &names];
        self.process = Some(Process::start(&arguments, self.port, &self.folder.join("log")));
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("it listens")
    }

    /// Everything in the folder of plugins but compiled code.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join("data/store/plugins")).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.retain(|name| name != "compiled");
        names.sort();
        names
    }

    fn list(&self) -> Vec<Value> {
        let answer = ask(&mut self.connect(), RequestCode::PetrelListPlugins, &[], b"");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        body["plugins"].as_array().expect("a list").clone()
    }

    /// Names, digests and states of what is there.
    fn told(&self) -> Vec<[String; 3]> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.list().iter().map(|plugin| [text(&plugin["name"]), text(&plugin["digest"]), text(&plugin["state"])]).collect()
    }
}

fn ask(connection: &mut Connection, code: RequestCode, fields: &[(&str, &str)], body: &[u8]) -> Packet {
    connection.post(code.code(), &Fields(fields), body).expect("it is there");
    connection.read().expect("an answer")
}

fn install(connection: &mut Connection, name: &str, file: &[u8]) -> Packet {
    ask(connection, RequestCode::PetrelInstallPlugin, &[("name", name)], file)
}

/// The same filter each time, in a file of its own for each number, which has so many bytes more.
fn version(number: u32, more: u32) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/plugins/begins.wasm");
    let mut file = fs::read(path).expect("a file");
    let mut section = vec![1, b'v'];
    section.extend(number.to_le_bytes());
    section.resize(section.len() + more as usize, 7);
    let mut len = section.len();
    file.push(0);
    while len > 0x7f {
        file.push(len as u8 | 0x80);
        len >>= 7;
    }
    file.push(len as u8);
    file.extend(section);
    file
}

#[test]
fn uploads_of_one_name_at_once_are_each_answered_with_their_own_and_the_last_is_there_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::at(folder.path());
    thread::scope(|scope| {
        for nth in 0..3 {
            let mut connection = scene.connect();
            scope.spawn(move || {
                for round in 0..5 {
                    let file = version(nth * 100 + round, 0);
                    let answer = install(&mut connection, "p", &file);
                    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
                    assert_eq!(body["digest"], digest(&file), "{:?}", answer.remark);
                }
            });
        }
    });
    let file = fs::read(scene.folder.join("data/store/plugins/p.wasm")).expect("it is there");
    assert_eq!(scene.told(), [["p".to_owned(), digest(&file), "active".to_owned()]]);
    assert_eq!(scene.files(), ["p.wasm"]);
}

#[test]
fn an_upload_that_is_cut_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::at(folder.path());
    let old = version(1, 0);
    assert_eq!(install(&mut scene.connect(), "p", &old).code, ResponseCode::Success.code());
    let fields = Fields(&[("name", "p")]);
    let whole = request(RequestCode::PetrelInstallPlugin.code(), 1, Flag(0), &fields, &version(2, 1 << 20));
    for end in [1, 4, 50, 5000, whole.len() - 1] {
        let mut stream = TcpStream::connect(scene.address()).expect("it listens");
        stream.write_all(&whole[..end]).expect("it reads");
    }
    assert_eq!(scene.told(), [["p".to_owned(), digest(&old), "active".to_owned()]]);
    assert_eq!(scene.files(), ["p.wasm"]);
}

#[test]
fn who_is_killed_while_it_installs_has_the_old_version_or_the_new_one_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scene = Scene::at(folder.path());
    let mut versions: Vec<Vec<u8>> = (0..2).map(|number| version(number, 1 << 18)).collect();
    assert_eq!(install(&mut scene.connect(), "p", &versions[0]).code, ResponseCode::Success.code());
    for number in 2..8 {
        let fields = Fields(&[("name", "p"), ("policy", "withhold")]);
        let mut connection = scene.connect();
        // Of several uploads some are at one step and some at another; where the kill meets them is up to the machine.
        for file in &versions {
            connection.post(RequestCode::PetrelInstallPlugin.code(), &fields, file).expect("it reads");
        }
        if number % 2 == 0 {
            drop(connection.read());
        }
        scene.process.take().expect("it runs").kill();
        scene.start();
        let told = scene.told();
        assert!(versions.iter().any(|file| told == [["p".to_owned(), digest(file), "active".to_owned()]]), "{told:?}");
        let policy = scene.list()[0]["policy"].clone();
        assert!(policy == "withhold" || policy == "deliver,disable-after=16", "{policy}");
        assert!(scene.files().iter().all(|file| file == "p.wasm" || file == "p.policy"), "{:?}", scene.files());
        versions.push(version(number, 1 << 18));
    }
}

#[test]
fn an_upload_to_a_full_disk_changes_nothing_and_goes_through_when_there_is_space() {
    let Some(disk) = small_disk("an_upload_to_a_full_disk_changes_nothing_and_goes_through_when_there_is_space", 48) else { return };
    let mut scene = Scene::at(&disk);
    let (old, new) = (version(1, 0), version(2, 1 << 19));
    assert_eq!(install(&mut scene.connect(), "p", &old).code, ResponseCode::Success.code());
    let filler = disk.join("filler");
    let mut full = fs::File::create(&filler).expect("a file");
    while full.write_all(&[0; 4096]).is_ok() {}
    let fields = [("name", "p"), ("policy", "withhold")];
    let refused = ask(&mut scene.connect(), RequestCode::PetrelInstallPlugin, &fields, &new);
    assert!(refused.remark.as_deref().is_some_and(|remark| remark.contains("No space left")), "{refused:?}");
    assert_eq!(scene.told(), [["p".to_owned(), digest(&old), "active".to_owned()]]);
    assert_eq!(scene.files(), ["p.wasm"]);
    fs::remove_file(filler).expect("it is there");
    drop(full);
    let answer = ask(&mut scene.connect(), RequestCode::PetrelInstallPlugin, &fields, &new);
    assert_eq!(answer.code, ResponseCode::Success.code(), "{:?}", answer.remark);
    assert!(scene.process.take().expect("it runs").terminate().0.success());
    scene.start();
    assert_eq!(scene.told(), [["p".to_owned(), digest(&new), "active".to_owned()]]);
}

#[test]
fn while_a_plugin_is_compiled_requests_are_served_and_the_broker_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scene = Scene::at(folder.path());
    assert_eq!(install(&mut scene.connect(), "p", &version(1, 0)).code, ResponseCode::Success.code());
    // As much as a plugin may be to compile, of which a compiler without optimization has for minutes.
    let branches = "(if (local.get 0) (then (local.set 1 (local.get 2))))".repeat(6000);
    let long = format!("(module (func (local{}) {branches}))", " i32".repeat(1000));
    let module = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/plugins/begins.wat")).expect("a text");
    let function = long.strip_prefix("(module ").and_then(|rest| rest.strip_suffix(')')).expect("a module");
    let end = module.rfind(')').expect("a module");
    let file = wat::parse_str(format!("{} {function})", &module[..end])).expect("WebAssembly");
    let mut waiting = scene.connect();
    waiting.post(RequestCode::PetrelInstallPlugin.code(), &Fields(&[("name", "p")]), &file).expect("it reads");
    let mut other = scene.connect();
    for _ in 0..20 {
        assert_eq!(ask(&mut other, RequestCode::PetrelListPlugins, &[], b"").code, ResponseCode::Success.code());
    }
    let (status, _) = scene.process.take().expect("it runs").terminate();
    assert!(status.success(), "{status}");
    scene.start();
    assert_eq!(scene.told(), [["p".to_owned(), digest(&version(1, 0)), "active".to_owned()]]);
}
