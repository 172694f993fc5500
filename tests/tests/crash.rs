//! A broker that is killed in the middle of its work has kept everything that it acknowledged.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use petrel_tests::{
    packet::{Fields, Packet},
    process::{Process, free_port},
    socket::Connection,
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    record::RecordView,
};
use route_core::random::Random;

const TOPIC: &str = "CrashTopic";
const GROUP: &str = "CrashGroup";
const QUEUES: i32 = 4;
/// Requests in flight on each connection.
const WINDOW: usize = 64;

/// Where an acknowledged message lies, by its body.
type Acked = BTreeMap<String, (i64, String)>;

struct Bench {
    folder: tempfile::TempDir,
    port: u16,
    seed: u64,
    flush: &'static str,
}

impl Bench {
    fn new(flush: &'static str) -> Self {
        let seed = std::env::var("PETREL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64));
        println!("PETREL_SEED={seed}");
        Self { folder: tempfile::tempdir().expect("a folder"), port: free_port(), seed, flush }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A broker of its own, without a name server: its clients know where it is.
    fn start(&self) -> Process {
        let data = self.path("data");
        let conf = self.path("broker.conf");
        let text = format!(
            "listenPort={}\nbrokerIP1=127.0.0.1\nstorePathRootDir={}\nstorePathCommitLog={}\nmappedFileSizeCommitLog=1048576\ncleanFileForciblyEnable=false\ndiskSpaceWarningLevelRatio=100\nflushDiskType={}\n",
            self.port,
            data.display(),
            data.join("commitlog").display(),
            self.flush
        );
        fs::write(&conf, text).expect("the configuration can be written");
        Process::start(&["broker", "-c", &conf.display().to_string()], self.port, &self.path("log"))
    }
}

/// Sends numbered messages into one queue until the broker dies, and notes each acknowledgement.
fn produce(address: SocketAddr, queue: i32, first: usize, acked: &Mutex<Acked>) -> Option<usize> {
    let mut connection = Connection::open(address).ok()?;
    let mut waiting = BTreeMap::new();
    for number in first.. {
        let body = format!("{queue}-{number}");
        let key = format!("KEYS\u{1}{body}\u{2}");
        let queue_id = queue.to_string();
        let header = [
            ("a", "CrashProducer"),
            ("b", TOPIC),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", &queue_id),
            ("f", "0"),
            ("g", "1700000000000"),
            ("h", "0"),
            ("i", &key),
            ("j", "0"),
            ("k", "false"),
        ];
        match connection.post(RequestCode::SendMessageV2.code(), &Fields(&header), body.as_bytes()) {
            Ok(opaque) => waiting.insert(opaque, body),
            Err(_) => return Some(number),
        };
        while waiting.len() >= WINDOW {
            let Ok(answer) = connection.read() else { return Some(number + 1) };
            let answer = answer.expect(ResponseCode::Success);
            let body = waiting.remove(&answer.opaque).expect("each answer belongs to a request");
            let place = (answer.number("queueOffset"), answer.field("msgId").to_owned());
            acked.lock().expect("no holder panics").insert(body, place);
        }
    }
    None
}

/// Consumes one queue from where its group left off until the broker dies; notes the offset that was acknowledged last and the one tried last.
fn consume(address: SocketAddr, queue: i32, acked: &AtomicI64, tried: &AtomicI64) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    let client = format!("127.0.0.1@{queue}");
    let subscription = format!(r#"{{"classFilterMode":false,"codeSet":[],"subString":"*","subVersion":1,"tagsSet":[],"topic":"{TOPIC}"}}"#);
    let consumer = format!(
        r#"{{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"{GROUP}","messageModel":"CLUSTERING","subscriptionDataSet":[{subscription}],"unitMode":false}}"#
    );
    let heartbeat = format!(r#"{{"clientID":"{client}","consumerDataSet":[{consumer}],"producerDataSet":[]}}"#);
    connection.call(RequestCode::HeartBeat.code(), &Fields(&[]), heartbeat.as_bytes())?;
    let mut next = acked.load(Ordering::SeqCst);
    loop {
        let answer = pull(&mut connection, GROUP, queue, next)?;
        if answer.code != ResponseCode::Success.code() {
            thread::sleep(Duration::from_millis(5));
            continue;
        }
        next = answer.number("nextBeginOffset");
        tried.store(next, Ordering::SeqCst);
        let (queue, offset) = (queue.to_string(), next.to_string());
        let header = [("consumerGroup", GROUP), ("topic", TOPIC), ("queueId", &queue), ("commitOffset", &offset)];
        let answer = connection.call(RequestCode::UpdateConsumerOffset.code(), &Fields(&header), b"")?;
        assert_eq!(answer.code, 0, "an offset is taken: {answer:?}");
        acked.store(next, Ordering::SeqCst);
    }
}

fn pull(connection: &mut Connection, group: &str, queue: i32, from: i64) -> io::Result<Packet> {
    let (queue, offset) = (queue.to_string(), from.to_string());
    let header = [
        ("consumerGroup", group),
        ("topic", TOPIC),
        ("queueId", &queue),
        ("queueOffset", &offset),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subscription", "*"),
        ("subVersion", "0"),
        ("expressionType", "TAG"),
    ];
    connection.call(RequestCode::PullMessage.code(), &Fields(&header), b"")
}

/// A stored message: its body, queue offset and id.
type Stored = (String, i64, i64);

/// Everything in one queue, from its first message to its last.
fn read_all(connection: &mut Connection, queue: i32) -> Vec<Stored> {
    let mut all = Vec::new();
    let mut next = 0;
    loop {
        let answer = pull(connection, "CrashReader", queue, next).expect("a pull is answered");
        if answer.code == ResponseCode::PullNotFound.code() {
            return all;
        }
        let answer = answer.expect(ResponseCode::Success);
        let mut rest = answer.body.as_slice();
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
            let record = RecordView::parse(&rest[..size]).expect("a stored record");
            let body = String::from_utf8(record.body().to_vec()).expect("bodies are text");
            all.push((body, record.queue_offset(), record.physical_offset()));
            rest = &rest[size..];
        }
        next = answer.number("nextBeginOffset");
    }
}

/// Every acknowledged message is there once, where its answer said, and all come in the order in which they were sent.
fn verify(connection: &mut Connection, queue: i32, acked: &Acked, seed: u64) -> i64 {
    let stored = read_all(connection, queue);
    for (index, (_, offset, _)) in stored.iter().enumerate() {
        assert_eq!(*offset, index as i64, "offsets of queue {queue} have a hole, PETREL_SEED={seed}");
    }
    let numbers: Vec<usize> =
        stored.iter().map(|(body, _, _)| body.split_once('-').and_then(|(_, n)| n.parse().ok()).expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "queue {queue} holds a message twice or out of order, PETREL_SEED={seed}");
    let found: BTreeMap<&str, (i64, i64)> = stored.iter().map(|(body, offset, physical)| (body.as_str(), (*offset, *physical))).collect();
    for (body, (offset, id)) in acked {
        let physical = i64::from_str_radix(&id[id.len() - 16..], 16).expect("an id ends with its place");
        assert_eq!(found.get(body.as_str()), Some(&(*offset, physical)), "{body} was acknowledged, PETREL_SEED={seed}");
    }
    stored.len() as i64
}

fn stored_offset(connection: &mut Connection, queue: i32) -> i64 {
    let queue = queue.to_string();
    let header = [("consumerGroup", GROUP), ("topic", TOPIC), ("queueId", &queue)];
    let answer = connection.call(RequestCode::QueryConsumerOffset.code(), &Fields(&header), b"").expect("the offset is answered");
    answer.expect(ResponseCode::Success).number("offset")
}

#[test]
fn a_broker_killed_under_load_has_every_acknowledged_message_once_and_in_order() {
    killed_again_and_again(&Bench::new("ASYNC_FLUSH"), 6);
}

#[test]
fn so_has_one_that_acknowledges_what_is_on_disk() {
    killed_again_and_again(&Bench::new("SYNC_FLUSH"), 3);
}

fn killed_again_and_again(bench: &Bench, rounds: usize) {
    let mut random = Random::new(bench.seed);
    let acked: Vec<Arc<Mutex<Acked>>> = (0..QUEUES).map(|_| Arc::default()).collect();
    let committed: Vec<(Arc<AtomicI64>, Arc<AtomicI64>)> = (0..QUEUES).map(|_| (Arc::default(), Arc::default())).collect();
    let mut next = vec![0; QUEUES as usize];
    let mut broker = bench.start();
    for round in 0..rounds {
        let address = bench.address();
        let producers: Vec<_> = (0..QUEUES)
            .map(|queue| {
                let (acked, first) = (Arc::clone(&acked[queue as usize]), next[queue as usize]);
                thread::spawn(move || produce(address, queue, first, &acked))
            })
            .collect();
        // The topic is made by its first message; a group's offsets are taken as soon as it exists.
        thread::sleep(Duration::from_millis(100));
        let consumers: Vec<_> = (0..QUEUES)
            .map(|queue| {
                let (done, tried) = committed[queue as usize].clone();
                // It ends with the error of its socket when the broker dies.
                thread::spawn(move || consume(address, queue, &done, &tried).err())
            })
            .collect();
        thread::sleep(Duration::from_millis(200 + u64::from(random.below(1200))));
        broker.kill();
        for (queue, producer) in producers.into_iter().enumerate() {
            next[queue] = producer.join().expect("a producer ends").unwrap_or(next[queue]);
        }
        for consumer in consumers {
            consumer.join().expect("a consumer finds nothing wrong");
        }

        let started = Instant::now();
        broker = bench.start();
        println!("round {round}: {} sent, up again after {:?}", next.iter().sum::<usize>(), started.elapsed());
        let mut connection = Connection::open(bench.address()).expect("the broker listens");
        for queue in 0..QUEUES {
            let index = queue as usize;
            let acked = acked[index].lock().expect("no holder panics");
            assert!(round > 0 || !acked.is_empty(), "nothing was acknowledged before the kill");
            verify(&mut connection, queue, &acked, bench.seed);
            let (done, tried) = &committed[index];
            let (done, tried) = (done.load(Ordering::SeqCst), tried.load(Ordering::SeqCst));
            if done > 0 {
                let stored = stored_offset(&mut connection, queue);
                assert!(
                    (done..=tried).contains(&stored),
                    "offset {stored} of queue {queue}: {done} was acknowledged, PETREL_SEED={}",
                    bench.seed
                );
            }
        }
    }
}
