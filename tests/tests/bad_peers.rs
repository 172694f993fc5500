//! A whole process among peers that break the rules: they are named in its log, others are served, and it ends as fast as ever.

use std::{
    fs, io,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use petrel_tests::{
    packet::{Fields, request},
    process::{Process, free_port},
    socket::Connection,
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    command::Flag,
};

/// A code that nobody serves.
const UNKNOWN: i32 = 31_999;

/// Memory of its own, in KiB, that no peer makes a broker go beyond: what it keeps for all unfinished frames and unread answers
/// together would be more.
const MEMORY: u64 = 64 * 1024;

/// A standalone process in a folder of its own.
struct Scene {
    _folder: tempfile::TempDir,
    process: Process,
    broker: SocketAddr,
    name_server: SocketAddr,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, names) = (free_port(), free_port());
        let data = folder.path().join("data").display().to_string();
        let arguments = ["standalone", "--data", &data, "--listen-port", &port.to_string(), "--namesrv-port", &names.to_string()];
        let process = Process::start(&arguments, port, &folder.path().join("log"));
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { _folder: folder, process, broker: local(port), name_server: local(names) }
    }

    /// Memory of the process that no file stands behind, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the system tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has time-outs");
    stream
}

fn frame(announced: u32, header: &[u8]) -> Vec<u8> {
    let len = u32::try_from(header.len()).expect("a short header");
    [&announced.to_be_bytes(), &len.to_be_bytes(), header].concat()
}

/// A frame that is as long as it says.
fn whole(header: &[u8]) -> Vec<u8> {
    frame(u32::try_from(4 + header.len()).expect("a short header"), header)
}

/// What peers send that nobody can answer, and what the log is to say of it.
fn unanswerable() -> Vec<(Vec<u8>, &'static str)> {
    let deep = [&b"{\"opaque\":1,\"x\":"[..], &b"[".repeat(100_000)].concat();
    let fields: Vec<_> = (0..65).map(|name| format!("\"{name}\":\"\"")).collect();
    let crowded = format!("{{\"extFields\":{{{}}}}}", fields.join(","));
    vec![
        (frame(1 << 30, b"{}"), "a frame of 1073741828 bytes is announced"),
        (frame(u32::MAX, b"{}"), "a frame of 3 bytes is announced, the shortest has 8"),
        (frame(0, b""), "a frame of 4 bytes is announced"),
        ([&20_u32.to_be_bytes()[..], &100_u32.to_be_bytes(), &[b'x'; 16]].concat(), "100"),
        ([&8_u32.to_be_bytes()[..], &0x0700_0004_u32.to_be_bytes(), b"{}{}"].concat(), "7"),
        (whole(b"{\"code\":105,\"opaque\":7"), "comma or the end of the object"),
        (whole(b"{\"code\":105,\"remark\":\"\xff\"}"), "not UTF-8"),
        (whole(&deep), "nested too deeply"),
        (whole(crowded.as_bytes()), "more than 64 ext fields"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "TLS"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "HTTP"),
    ]
}

#[test]
fn what_cannot_be_answered_closes_its_connection_with_one_line_that_names_peer_and_cause() {
    let scene = Scene::new();
    for address in [scene.broker, scene.name_server] {
        let mut bystander = Connection::open(address).expect("it listens");
        for (bytes, cause) in unanswerable() {
            let mut peer = connect(address);
            let addr = peer.local_addr().expect("a socket has an address").to_string();
            peer.write_all(&bytes).expect("it reads");
            let ended = peer.read(&mut [0]);
            // What it had not read before it closed comes back as a reset.
            assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|why| why.kind() == io::ErrorKind::ConnectionReset), "{cause}");
            let printed = scene.process.printed();
            let lines: Vec<_> = printed.lines().filter(|line| line.contains(&addr)).collect();
            assert!(matches!(*lines, [line] if line.contains(cause)), "{cause}: {lines:?}");
        }
        assert_eq!(bystander.call(UNKNOWN, &Fields(&[]), b"").expect("it is served").code, ResponseCode::RequestCodeNotSupported.code());
    }
}

#[test]
fn half_a_frame_that_ends_is_named_and_what_was_asked_before_is_answered() {
    let scene = Scene::new();
    let mut peer = connect(scene.broker);
    let addr = peer.local_addr().expect("a socket has an address").to_string();
    let asked = request(UNKNOWN, 1, Flag(0), &Fields(&[]), b"");
    peer.write_all(&[&asked[..], &asked[..20]].concat()).expect("it reads");
    peer.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut answered = Vec::new();
    peer.read_to_end(&mut answered).expect("it closes");
    assert!(String::from_utf8_lossy(&answered).contains("not supported"), "{answered:?}");
    let printed = scene.process.printed();
    assert!(printed.lines().any(|line| line.contains(&addr) && line.contains("in the middle of a frame")), "{printed}");
}

#[test]
fn who_asks_and_never_reads_is_stopped_with_bounded_memory_and_holds_up_neither_others_nor_the_end() {
    let scene = Scene::new();
    let mut others = Connection::open(scene.broker).expect("it listens");
    let requests = request(UNKNOWN, 1, Flag(0), &Fields(&[]), b"").repeat(1000);
    let mut deaf = connect(scene.broker);
    deaf.set_write_timeout(Some(Duration::from_millis(300))).expect("a socket has time-outs");
    while deaf.write_all(&requests).is_ok() {}
    // Frames of 16 MiB that never come to their end: room is made for what came, not for what was announced.
    let announced: Vec<_> = (0..100)
        .map(|_| {
            let mut peer = connect(scene.broker);
            peer.write_all(&frame(16_000_000, b"{\"code\":")).expect("it reads");
            peer
        })
        .collect();
    assert_eq!(others.call(UNKNOWN, &Fields(&[]), b"").expect("it is served").code, ResponseCode::RequestCodeNotSupported.code());
    let memory = scene.memory();
    assert!(memory < MEMORY, "{memory} KiB");
    let (status, _) = scene.process.terminate();
    assert!(status.success(), "{status:?}");
    drop((deaf, announced));
}

/// Sends until the connection ends; counts answers.
fn load(address: SocketAddr, answered: &AtomicUsize, over: &AtomicBool) -> io::Result<()> {
    let header = [("a", "p"), ("b", "Load"), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", "0"), ("g", "1"), ("h", "0"), ("i", "")];
    let mut connection = Connection::open(address)?;
    let mut waiting = 0;
    while !over.load(Ordering::Relaxed) {
        connection.post(RequestCode::SendMessageV2.code(), &Fields(&header), &[b'x'; 1024])?;
        waiting += 1;
        while waiting >= 64 {
            connection.read()?;
            waiting -= 1;
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

#[test]
fn under_load_either_signal_ends_it_in_order() {
    for signal in ["INT", "TERM"] {
        let scene = Scene::new();
        let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| load(scene.broker, &answered, &over))).collect();
            while answered.load(Ordering::Relaxed) < 1000 && !clients.iter().any(|client| client.is_finished()) {
                thread::yield_now();
            }
            let (status, _) = scene.process.end_by(signal);
            over.store(true, Ordering::Relaxed);
            assert!(status.success(), "{signal}: {status:?}");
        });
        assert!(answered.into_inner() >= 1000, "{signal}");
    }
}
