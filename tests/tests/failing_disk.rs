//! A real broker whose disk fails or hangs under it: `runtime-mio/examples/failing_disk.rs`.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use petrel_tests::{
    packet::{Fields, Packet},
    process::{Process, failing_disk, free_port},
    requests::{Message, Pull},
    socket::Connection,
};
use proto_core::code::{RequestCode, ResponseCode};

const TOPIC: &str = "Orders";
const QUEUES: i32 = 4;
/// Requests in flight on each connection.
const WINDOW: usize = 16;

/// A broker's folder, and what its disk is told.
struct Bench {
    folder: tempfile::TempDir,
    port: u16,
}

impl Bench {
    fn new(flush_disk_type: &str) -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder"), port: free_port() };
        let data = bench.path("data");
        let conf = format!(
            "listenPort={}\nbrokerIP1=127.0.0.1\nstorePathRootDir={}\nstorePathCommitLog={}\nmappedFileSizeCommitLog=1048576\nsyncFlushTimeout=200\nstoreCloseTimeout=500\ncleanFileForciblyEnable=false\nflushDiskType={flush_disk_type}\n",
            bench.port,
            data.display(),
            data.join("commitlog").display(),
        );
        fs::write(bench.path("broker.conf"), conf).expect("the configuration can be written");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The disk does this from now on. See the example for the words.
    fn tell_disk(&self, faults: &str) {
        // A file that takes the place of another is never seen in part.
        fs::write(self.path("faults.new"), faults).expect("it can be written");
        fs::rename(self.path("faults.new"), self.path("faults")).expect("it can be renamed");
    }

    fn start_on_failing_disk(&self) -> Process {
        Process::start_program(failing_disk(), &[&self.text("broker.conf"), &self.text("faults")], self.port, &self.path("log"))
    }

    fn start(&self) -> Process {
        Process::start(&["broker", "-c", &self.text("broker.conf")], self.port, &self.path("log"))
    }

    fn connect(&self) -> Connection {
        Connection::open(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).expect("the broker listens")
    }
}

fn send(connection: &mut Connection, body: &str) -> Packet {
    let message = Message::new(TOPIC, body);
    connection.call(RequestCode::SendMessageV2.code(), &message, body.as_bytes()).expect("a send is answered")
}

/// The bodies of all that can be read of a queue, each at the offset that its place says.
fn read_all(connection: &mut Connection, queue: i32) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let pull = Pull::new("readers", TOPIC, all.len() as i64).in_queue(queue);
        let answer = connection.call(RequestCode::PullMessage.code(), &pull, b"").expect("a pull is answered");
        if answer.code == ResponseCode::PullNotFound.code() {
            return all;
        }
        all.extend(answer.expect(ResponseCode::Success).bodies());
    }
}

/// Sends numbered messages to one queue until the broker refuses some, and answers what became of each.
fn send_until_refused(mut connection: Connection, queue: i32, acked: &AtomicUsize) -> BTreeMap<usize, ResponseCode> {
    let mut waiting = BTreeMap::new();
    let mut answers = BTreeMap::new();
    let mut refused = 0;
    for number in 0.. {
        let body = format!("{queue}-{number}");
        let message = Message::new(TOPIC, &body).in_queue(queue);
        let opaque = connection.post(RequestCode::SendMessageV2.code(), &message, body.as_bytes()).expect("the broker listens");
        waiting.insert(opaque, number);
        let enough = refused >= 10;
        while waiting.len() >= if enough { 1 } else { WINDOW } {
            let answer = connection.read().expect("every send is answered");
            let number = waiting.remove(&answer.opaque).expect("each answer belongs to a request");
            let code = ResponseCode::from_code(answer.code).expect("a known code");
            refused += usize::from(code == ResponseCode::ServiceNotAvailable);
            if code == ResponseCode::Success {
                acked.fetch_add(1, Ordering::SeqCst);
            }
            answers.insert(number, code);
        }
        if enough {
            break;
        }
    }
    answers
}

/// Sends to all queues at once, and makes the disk fail in the middle of it. Answers the bodies that were acknowledged, by queue.
fn fail_under_load(bench: &Bench, faults: &str) -> Vec<Vec<String>> {
    send(&mut bench.connect(), "0-first").expect(ResponseCode::Success);
    let acked = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..QUEUES)
        .map(|queue| {
            let (connection, acked) = (bench.connect(), Arc::clone(&acked));
            thread::spawn(move || send_until_refused(connection, queue, &acked))
        })
        .collect();
    while acked.load(Ordering::SeqCst) < 500 && !senders.iter().any(thread::JoinHandle::is_finished) {
        thread::yield_now();
    }
    bench.tell_disk(faults);
    let answers = senders.into_iter().map(|sender| sender.join().expect("a sender comes to its end"));
    let of_queue = |(queue, answers): (usize, BTreeMap<usize, ResponseCode>)| {
        // In the order in which they were sent: what was stored and is on disk, what is not known to be there, what was not taken.
        let order = [ResponseCode::Success, ResponseCode::FlushDiskTimeout, ResponseCode::ServiceNotAvailable];
        let places: Vec<_> = answers.values().map(|code| order.iter().position(|known| known == code).expect("one of these")).collect();
        assert!(places.is_sorted(), "queue {queue}: {answers:?}");
        let acked = answers.iter().filter(|(_, code)| **code == ResponseCode::Success).map(|(number, _)| format!("{queue}-{number}"));
        let first = (queue == 0).then(|| "0-first".to_owned());
        first.into_iter().chain(acked).collect()
    };
    answers.enumerate().map(of_queue).collect()
}

fn read_queues(bench: &Bench) -> Vec<Vec<String>> {
    let mut connection = bench.connect();
    (0..QUEUES).map(|queue| read_all(&mut connection, queue)).collect()
}

#[test]
fn a_broker_whose_disk_fails_acknowledges_nothing_more_and_goes_on_reading() {
    let bench = Bench::new("SYNC_FLUSH");
    let process = bench.start_on_failing_disk();
    let acked = fail_under_load(&bench, "fail sync commitlog");
    assert_eq!(read_queues(&bench), acked, "what is on disk can be read, and nothing else");

    let lines = process.printed();
    let line = "the log could not be brought to disk: the disk was told to fail; no more writes are taken, reads go on";
    assert_eq!(lines.matches(line).count(), 1, "{lines}");
    bench.tell_disk("");
    let refused = send(&mut bench.connect(), "late");
    assert_eq!(refused.code, ResponseCode::ServiceNotAvailable.code(), "{refused:?}");
    assert!(refused.remark.as_deref().is_some_and(|why| why.contains("the disk was told to fail")), "{refused:?}");
    let (status, _) = process.terminate();
    assert!(!status.success() && bench.path("data/abort").exists(), "it did not close in order");

    let _process = bench.start();
    for (queue, (acked, found)) in acked.iter().zip(read_queues(&bench)).enumerate() {
        // What was stored without being acknowledged may be there, too, behind what was.
        assert!(found.starts_with(acked), "queue {queue} had {acked:?} and has {found:?}");
        assert!(found.iter().map(|body| body.split_once('-').map(|(_, number)| number.parse::<usize>().ok())).is_sorted());
    }
    send(&mut bench.connect(), "again").expect(ResponseCode::Success);
}

#[test]
fn an_asynchronous_broker_whose_disk_fails_takes_nothing_more_and_goes_on_reading_what_it_took() {
    let bench = Bench::new("ASYNC_FLUSH");
    let process = bench.start_on_failing_disk();
    let acked = fail_under_load(&bench, "fail sync commitlog");
    assert_eq!(read_queues(&bench), acked);
    drop(process);
    // The machine itself went on, so the system has written what the disk had refused to make durable.
    let _process = bench.start();
    assert_eq!(read_queues(&bench), acked);
}

#[test]
fn a_broker_whose_log_cannot_be_written_acknowledges_nothing_of_that_and_goes_on_reading() {
    for flush_disk_type in ["ASYNC_FLUSH", "SYNC_FLUSH"] {
        let bench = Bench::new(flush_disk_type);
        let process = bench.start_on_failing_disk();
        let acked = fail_under_load(&bench, "fail write commitlog");
        // What was written before may still come to the disk when nobody waits for that any more.
        let holds_all = |found: Vec<Vec<String>>| {
            for (queue, (acked, found)) in acked.iter().zip(found).enumerate() {
                assert!(found.starts_with(acked), "{flush_disk_type}: queue {queue} had {acked:?} and has {found:?}");
            }
        };
        holds_all(read_queues(&bench));
        drop(process);
        let _process = bench.start();
        holds_all(read_queues(&bench));
        send(&mut bench.connect(), "again").expect(ResponseCode::Success);
    }
}

#[test]
fn who_waits_for_a_disk_that_hangs_is_told_in_time_and_who_does_not_wait_hears_at_once() {
    let bench = Bench::new("SYNC_FLUSH");
    let _process = bench.start_on_failing_disk();
    let mut connection = bench.connect();
    send(&mut connection, "before").expect(ResponseCode::Success);
    bench.tell_disk("hang sync commitlog");
    let late = send(&mut connection, "late").expect(ResponseCode::FlushDiskTimeout);
    assert_eq!(late.number("queueOffset"), 1, "it has its place all the same");
    let careless = Message::new(TOPIC, "careless").with(&[("WAIT", "false")]);
    let answer = connection.call(RequestCode::SendMessageV2.code(), &careless, b"careless").expect("it is answered");
    assert_eq!(answer.expect(ResponseCode::Success).number("queueOffset"), 2);
    assert_eq!(read_all(&mut connection, 0), ["before"], "nobody reads what is not on disk");

    bench.tell_disk("");
    send(&mut connection, "after").expect(ResponseCode::Success);
    assert_eq!(read_all(&mut connection, 0), ["before", "late", "careless", "after"]);
}

#[test]
fn a_broker_that_is_stopped_while_its_disk_hangs_ends_all_the_same_and_the_next_one_has_what_was_taken() {
    let bench = Bench::new("ASYNC_FLUSH");
    let process = bench.start_on_failing_disk();
    let mut connection = bench.connect();
    send(&mut connection, "taken").expect(ResponseCode::Success);
    bench.tell_disk("hang sync commitlog");
    send(&mut connection, "late").expect(ResponseCode::Success);
    drop(connection);
    let (status, _) = process.terminate();
    let lines = fs::read_to_string(bench.path("log")).expect("it has printed something");
    assert!(!status.success() && bench.path("data/abort").exists(), "it did not close in order: {lines}");
    assert!(lines.contains("the disk was not done after 500 ms (storeCloseTimeout)"), "{lines}");

    let _process = bench.start();
    assert_eq!(read_all(&mut bench.connect(), 0), ["taken", "late"]);
}

#[test]
fn a_topic_that_cannot_be_saved_is_no_success_and_can_be_tried_again() {
    let bench = Bench::new("ASYNC_FLUSH");
    let process = bench.start_on_failing_disk();
    let mut connection = bench.connect();
    let fields = [("topic", "Saved"), ("readQueueNums", "4"), ("writeQueueNums", "4"), ("perm", "6"), ("topicFilterType", "SINGLE_TAG")];
    let mut make = || connection.call(RequestCode::UpdateAndCreateTopic.code(), &Fields(&fields), b"").expect("it is answered");
    bench.tell_disk("fail sync topics.json");
    let refused = make().expect(ResponseCode::SystemError);
    assert!(refused.remark.as_deref().is_some_and(|why| why.contains("topics.json: the disk was told to fail")), "{refused:?}");
    bench.tell_disk("");
    make().expect(ResponseCode::Success);
    process.kill();
    assert!(fs::read_to_string(bench.path("data/config/topics.json")).expect("it was saved").contains("\"Saved\""));
}
