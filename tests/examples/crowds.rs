//! How much memory a running broker takes for crowds: timed messages that wait, pulls that wait, members with heartbeats.
//!
//! `crowds ADDRESS PID timers 1000000`, `… pulls 5000` (one group each), `… members 10000` (one connection each). Tells the process's own
//! memory (`RssAnon`, without the files that it maps) before and after, for each of them.

use std::{
    io,
    net::SocketAddr,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use petrel_tests::{
    packet::Fields,
    requests::{Heartbeat, Message, Pull},
    socket::Connection,
};
use proto_core::code::RequestCode;
use route_core::random::Random;

/// Requests that are under way on a connection.
const WINDOW: usize = 256;

/// Pulls that wait on one connection.
const PULLS_EACH: usize = 100;

const TOPIC: &str = "Crowded";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "crowds ADDRESS PID timers|pulls|members COUNT";
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, pid, what, count] = &args[..] else { return Err(usage.into()) };
    let (address, count): (SocketAddr, usize) = (address.parse()?, count.parse()?);
    let mut first = Connection::open(address)?;
    // The topic is there before anything is measured.
    first.call(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, "first"), b"first")?;
    let (before, begin) = (own_memory(pid)?, Instant::now());
    let _held = match what.as_str() {
        "timers" => timers(first, count)?,
        "pulls" => pulls(address, first, count)?,
        "members" => members(address, count)?,
        _ => return Err(usage.into()),
    };
    let (after, took) = (own_memory(pid)?, begin.elapsed());
    println!(
        "{count} {what} in {:.1} s: {} KiB before, {} KiB after, {} bytes each",
        took.as_secs_f64(),
        before / 1024,
        after / 1024,
        after.saturating_sub(before) / count.max(1) as u64
    );
    Ok(())
}

/// Bytes of a process's memory that no file backs.
fn own_memory(pid: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no RssAnon in the process's status"))
}

/// Messages that are to come within a day.
fn timers(mut connection: Connection, count: usize) -> io::Result<Vec<Connection>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let mut random = Random::new(1);
    let mut open = 0;
    for _ in 0..count {
        let at = (now + 3_600_000 + u64::from(random.below(86_400_000))).to_string();
        let properties = [("TIMER_DELIVER_MS", at.as_str())];
        connection.post(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, "timed").with(&properties), b"timed")?;
        open += 1;
        if open == WINDOW {
            drain(&mut connection, &mut open)?;
        }
    }
    drain(&mut connection, &mut open)?;
    Ok(vec![connection])
}

fn drain(connection: &mut Connection, open: &mut usize) -> io::Result<()> {
    for _ in 0..std::mem::take(open) {
        let answer = connection.read()?;
        if answer.code != 0 {
            return Err(io::Error::other(format!("{answer:?}")));
        }
    }
    Ok(())
}

/// Pulls of as many groups that wait for one message; tells how long it takes until all have it.
fn pulls(address: SocketAddr, mut first: Connection, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for number in 0..count {
        if number % PULLS_EACH == 0 {
            connections.push(Connection::open(address)?);
        }
        let Some(connection) = connections.last_mut() else { break };
        let group = format!("group-{number}");
        let pull = Pull { suspend: 60_000, ..Pull::new(&group, TOPIC, 1) };
        connection.post(RequestCode::PullMessage.code(), &pull, b"")?;
    }
    // All have been handled when a later request of each connection is answered.
    for connection in &mut connections {
        connection.call(RequestCode::GetMaxOffset.code(), &Fields(&[("topic", TOPIC), ("queueId", "0")]), b"")?;
    }
    let begin = Instant::now();
    first.call(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, "second"), b"second")?;
    for (number, connection) in connections.iter_mut().enumerate() {
        for _ in 0..PULLS_EACH.min(count - number * PULLS_EACH) {
            connection.read()?;
        }
    }
    println!("one message woke them all within {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    Ok(connections)
}

/// Connections with a heartbeat each, every hundred of them a group.
fn members(address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for number in 0..count {
        let mut connection = Connection::open(address)?;
        let (client, group) = (format!("client-{number}"), format!("group-{}", number / 100));
        let heartbeat = Heartbeat::consumer(&client, &group, &[(TOPIC, "*")]);
        connection.call(RequestCode::HeartBeat.code(), &Fields(&[]), &heartbeat.to_json())?;
        connections.push(connection);
    }
    Ok(connections)
}
