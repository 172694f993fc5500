//! A broker on a file system that runs full, to the mark and to the last byte.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use petrel_tests::{
    packet::{Fields, Packet},
    process::{Process, free_port},
    requests::{Message, Pull},
    small_disk::small_disk,
    socket::Connection,
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    record::RecordView,
};

const TOPIC: &str = "FullTopic";
const GROUP: &str = "FullGroup";
const BODY: usize = 8 << 10;

struct Bench {
    disk: PathBuf,
    port: u16,
    /// The log of the process lies where there is space.
    log: tempfile::TempDir,
}

impl Bench {
    fn on(disk: PathBuf) -> Self {
        Self { disk, port: free_port(), log: tempfile::tempdir().expect("a folder") }
    }

    /// A broker whose data fill the small disk, with these settings more.
    fn start(&self, settings: &str) -> Process {
        let conf = self.log.path().join("broker.conf");
        let (port, disk) = (self.port, self.disk.display());
        let text = format!(
            "listenPort={port}\nbrokerIP1=127.0.0.1\nstorePathRootDir={disk}/data\nstorePathCommitLog={disk}/data/commitlog\n\
             mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=60000\nmaxHashSlotNum=1000\nmaxIndexNum=10000\n\
             flushConsumerOffsetInterval=100\n{settings}\n"
        );
        fs::write(&conf, text).expect("the configuration can be written");
        Process::start(&["broker", "-c", &conf.display().to_string()], port, &self.log.path().join("log"))
    }

    fn connect(&self) -> Connection {
        Connection::open(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).expect("the broker listens")
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    /// Takes space that the broker could have had.
    fn put_ballast(&self, bytes: usize) {
        fs::write(self.disk.join("ballast"), vec![7; bytes]).expect("there is still space");
    }

    /// Takes all the rest of the space.
    fn fill_up(&self) {
        let mut file = fs::File::create(self.disk.join("filling")).expect("a file takes no space");
        while file.write(&[7; 512]).is_ok_and(|written| written > 0) {}
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.disk.join(name)).expect("it is there");
    }
}

fn send(connection: &mut Connection, number: usize) -> Packet {
    let body = format!("{number:0>BODY$}");
    connection.call(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, &body), body.as_bytes()).expect("a send is answered")
}

/// Sends numbered messages until one is refused; answers the refusal. `acked` takes the numbers of all others.
fn send_until_refused(connection: &mut Connection, acked: &mut BTreeSet<usize>) -> Packet {
    loop {
        let number = acked.last().map_or(0, |last| last + 1);
        let answer = send(connection, number);
        if answer.code != ResponseCode::Success.code() {
            return answer;
        }
        acked.insert(number);
    }
}

/// Sends one message again and again until it is taken.
fn send_until_taken(connection: &mut Connection, number: usize) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = send(connection, number);
        if answer.code == ResponseCode::Success.code() {
            return begun.elapsed();
        }
        assert_eq!(answer.code, ResponseCode::ServiceNotAvailable.code(), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "no message is taken: {answer:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn pull(connection: &mut Connection, from: i64) -> Packet {
    connection.call(RequestCode::PullMessage.code(), &Pull::new(GROUP, TOPIC, from), b"").expect("a pull is answered")
}

/// The answer itself, which must be this one.
#[track_caller]
fn expect(answer: Packet, code: ResponseCode) -> Packet {
    assert_eq!(answer.code, code.code(), "{:?}", (answer.remark, answer.fields));
    answer
}

/// The numbers of all messages from an offset on that are there at the end, in order.
fn read_from(connection: &mut Connection, from: i64) -> Vec<usize> {
    let (mut numbers, mut next) = (Vec::new(), from);
    loop {
        let answer = pull(connection, next);
        if answer.code == ResponseCode::PullNotFound.code() {
            return numbers;
        }
        if answer.code == ResponseCode::PullOffsetMoved.code() {
            // What was read is gone meanwhile; as a client does, it goes on where the queue begins now.
            numbers.clear();
            next = answer.number("nextBeginOffset");
            continue;
        }
        let answer = expect(answer, ResponseCode::Success);
        let mut rest = answer.body.as_slice();
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
            let record = RecordView::parse(&rest[..size]).expect("a stored record");
            record.verify_crc().expect("a record is whole");
            numbers.push(str::from_utf8(record.body()).ok().and_then(|body| body.parse().ok()).expect("bodies are numbers"));
            rest = &rest[size..];
        }
        next = answer.number("nextBeginOffset");
    }
}

fn commit(connection: &mut Connection, offset: i64) -> Packet {
    let offset = offset.to_string();
    let header = [("consumerGroup", GROUP), ("topic", TOPIC), ("queueId", "0"), ("commitOffset", &offset)];
    connection.call(RequestCode::UpdateConsumerOffset.code(), &Fields(&header), b"").expect("a commit is answered")
}

fn committed(connection: &mut Connection) -> i64 {
    let header = [("consumerGroup", GROUP), ("topic", TOPIC), ("queueId", "0")];
    let answer = connection.call(RequestCode::QueryConsumerOffset.code(), &Fields(&header), b"").expect("the offset is answered");
    answer.expect(ResponseCode::Success).number("offset")
}

/// Each of these is there once, and nothing else but what was sent and not answered.
#[track_caller]
fn assert_all_once(stored: &[usize], acked: &BTreeSet<usize>) {
    assert!(stored.is_sorted_by(|a, b| a < b), "a message is there twice or out of order: {stored:?}");
    let stored: BTreeSet<_> = stored.iter().copied().collect();
    let lost: Vec<_> = acked.difference(&stored).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
}

/// The name of the log's oldest file.
fn oldest_file(disk: &Path) -> String {
    let files = fs::read_dir(disk.join("data/commitlog")).expect("the log is there");
    files.filter_map(|file| file.ok()?.file_name().into_string().ok()).min().expect("a file is there")
}

/// Filled to the last byte, with looks at the disk so rare that only the allocation of space says no.
fn filled_to_the_last_byte(disk: PathBuf, flush: &str) {
    let bench = Bench::on(disk);
    bench.put_ballast(16 << 20);
    let settings = format!("flushDiskType={flush}\ncleanResourceInterval=3600000\ncleanFileForciblyEnable=false");
    let broker = bench.start(&settings);
    let mut connection = bench.connect();
    let mut acked = BTreeSet::new();

    let refusal = send_until_refused(&mut connection, &mut acked);
    assert_eq!(refusal.code, ResponseCode::ServiceNotAvailable.code(), "{refusal:?}");
    assert!(refusal.remark.as_deref().is_some_and(|remark| remark.contains("space")), "{refusal:?}");
    assert!(acked.len() > 100, "{}", acked.len());

    bench.fill_up();
    assert_eq!(send(&mut connection, 0).code, ResponseCode::ServiceNotAvailable.code());
    assert_all_once(&read_from(&mut connection, 0), &acked);
    assert_eq!(commit(&mut connection, 77).code, ResponseCode::Success.code(), "committed offsets have space of their own");
    // Its table cannot be saved meanwhile.
    thread::sleep(Duration::from_millis(500));
    assert_eq!(committed(&mut connection), 77);

    broker.kill();
    let broker = bench.start(&settings);
    let mut connection = bench.connect();
    assert_all_once(&read_from(&mut connection, 0), &acked);
    assert_eq!(committed(&mut connection), 77, "acknowledged before the kill");
    assert_eq!(send(&mut connection, 0).code, ResponseCode::ServiceNotAvailable.code());

    bench.remove("filling");
    bench.remove("ballast");
    let number = acked.last().map_or(0, |last| last + 1);
    // Refused by the mark as the start saw it, or not: the disk is looked at every second while it is that full.
    send_until_taken(&mut connection, number);
    acked.insert(number);
    for number in number + 1..number + 200 {
        assert_eq!(send(&mut connection, number).code, ResponseCode::Success.code());
        acked.insert(number);
    }
    let (status, _) = broker.terminate();
    assert!(status.success(), "{status}\n{}", bench.printed());
    let _broker = bench.start(&settings);
    let mut connection = bench.connect();
    assert_all_once(&read_from(&mut connection, 0), &acked);
    assert_eq!(committed(&mut connection), 77);
}

#[test]
fn a_disk_filled_to_the_last_byte_refuses_messages_loses_none_and_takes_them_again_when_there_is_space() {
    let name = "a_disk_filled_to_the_last_byte_refuses_messages_loses_none_and_takes_them_again_when_there_is_space";
    if let Some(disk) = small_disk(name, 48) {
        filled_to_the_last_byte(disk, "ASYNC_FLUSH");
    }
}

#[test]
fn so_does_one_whose_messages_are_acknowledged_when_they_are_on_it() {
    if let Some(disk) = small_disk("so_does_one_whose_messages_are_acknowledged_when_they_are_on_it", 48) {
        filled_to_the_last_byte(disk, "SYNC_FLUSH");
    }
}

#[test]
fn above_the_mark_messages_are_refused_until_the_oldest_files_have_made_room() {
    let Some(disk) = small_disk("above_the_mark_messages_are_refused_until_the_oldest_files_have_made_room", 64) else { return };
    let bench = Bench::on(disk);
    let broker = bench.start("cleanResourceInterval=100\ncleanFileForciblyEnable=false");
    let mut connection = bench.connect();
    let mut acked = BTreeSet::new();
    // A fast sender may meet the end of the space before the mark is seen.
    let begun = Instant::now();
    loop {
        let refusal = send_until_refused(&mut connection, &mut acked);
        assert_eq!(refusal.code, ResponseCode::ServiceNotAvailable.code(), "{refusal:?}");
        if refusal.remark.as_deref().is_some_and(|remark| remark.contains("disk is full")) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the mark is not seen: {refusal:?}");
    }
    assert_all_once(&read_from(&mut connection, 0), &acked);
    assert!(bench.printed().contains("no message is taken until there is room"), "{}", bench.printed());
    broker.kill();

    let broker = bench.start("cleanResourceInterval=100\ncleanFileForciblyEnable=false");
    let mut connection = bench.connect();
    assert_all_once(&read_from(&mut connection, 0), &acked);
    let oldest = oldest_file(&bench.disk);
    let (status, _) = broker.terminate();
    assert!(status.success(), "{status}\n{}", bench.printed());

    // Now the oldest may go.
    let broker = bench.start("cleanResourceInterval=100");
    let mut connection = bench.connect();
    let begun = Instant::now();
    while oldest_file(&bench.disk) == oldest {
        assert!(begun.elapsed() < Duration::from_secs(20), "no file goes\n{}", bench.printed());
        thread::sleep(Duration::from_millis(20));
    }
    let number = acked.last().map_or(0, |last| last + 1);
    send_until_taken(&mut connection, number);
    acked.insert(number);
    let moved = expect(pull(&mut connection, 0), ResponseCode::PullOffsetMoved);
    let min = moved.number("nextBeginOffset");
    assert!(min > 0 && min == moved.number("minOffset"), "{moved:?}");

    // For as long as somebody sends, files go and are made; every message is taken now or after a moment.
    for number in number + 1..number + 3000 {
        send_until_taken(&mut connection, number);
        acked.insert(number);
    }
    let min = expect(pull(&mut connection, 0), ResponseCode::PullOffsetMoved).number("nextBeginOffset");
    let kept = read_from(&mut connection, min);
    let first = *kept.first().expect("the newest stay");
    assert_all_once(&kept, &acked.split_off(&first));
    assert!(bench.printed().contains("the oldest file of the log goes before its time"), "{}", bench.printed());
    broker.kill();

    let _broker = bench.start("cleanResourceInterval=100");
    let mut connection = bench.connect();
    let min = expect(pull(&mut connection, 0), ResponseCode::PullOffsetMoved).number("nextBeginOffset");
    assert!(read_from(&mut connection, min).ends_with(&kept[kept.len() / 2..]));
}
