//! What crowds cost a running broker: timed messages that wait, pulls that wait, members with heartbeats.
//!
//! `crowds ADDRESS PID timers 1000000`, `… pulls 5000` (one group each), `… members 10000` (one connection each) tell the process's own
//! memory (`RssAnon`, without the files that it maps) before and after; `… due 100000` tells how late timed messages come, which are due one
//! after the other within a minute. Any broker that speaks RocketMQ's protocol will do. A last argument is given to a shell before memory is
//! looked at, for a process that has to be told to tidy up: `"jcmd PID GC.run"`.

use std::{
    io,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use petrel_tests::{
    packet::{Fields, Packet},
    requests::{Heartbeat, Message, Pull},
    socket::Connection,
};
use proto_core::code::{RequestCode, ResponseCode};
use route_core::random::Random;

/// Requests that are under way on a connection.
const WINDOW: usize = 256;

/// Pulls that wait on one connection.
const PULLS_EACH: usize = 100;

/// Heartbeats of each member after its first.
const ROUNDS: usize = 10;

/// The first of the messages that are due is due after so many milliseconds, the last after these and [`DUE_WITHIN`].
const DUE_AFTER: u64 = 20_000;

/// Milliseconds between the first and the last.
const DUE_WITHIN: u64 = 60_000;

const TOPIC: &str = "Crowded";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "crowds ADDRESS PID timers|due|pulls|members COUNT [COMMAND]";
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, pid, what, count, tidy @ ..] = &args[..] else { return Err(usage.into()) };
    let (address, count): (SocketAddr, usize) = (address.parse()?, count.parse()?);
    let mut first = Connection::open(address)?;
    // The topic is there before anything is measured.
    first.call(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, "first"), b"first")?.expect(ResponseCode::Success);
    let end = end_of_queue(&mut first)?;
    tidy_up(tidy)?;
    let (before, begin) = (own_memory(pid)?, Instant::now());
    let mut crowd = match what.as_str() {
        "timers" => Crowd::Timers(timers(&mut first, count)?),
        "due" => Crowd::Due(due(&mut first, count)?),
        "pulls" => Crowd::Pulls(pulls(address, end, count)?),
        "members" => Crowd::Members(members(address, count)?),
        _ => return Err(usage.into()),
    };
    let took = begin.elapsed();
    tidy_up(tidy)?;
    let after = own_memory(pid)?;
    println!(
        "{count} {what} in {:.1} s: {} KiB before, {} KiB after, {} bytes each",
        took.as_secs_f64(),
        before / 1024,
        after / 1024,
        after.saturating_sub(before) / count.max(1) as u64
    );
    match &mut crowd {
        Crowd::Timers(()) => {}
        Crowd::Due(begin) => wait_for_due(&mut first, *begin, end, count)?,
        Crowd::Pulls(connections) => wake(&mut first, connections, count)?,
        Crowd::Members(members) => beat(members)?,
    }
    Ok(())
}

/// What is there when memory is looked at.
enum Crowd {
    Timers(()),
    /// When the first is due.
    Due(u64),
    Pulls(Vec<Connection>),
    /// With the heartbeat of each.
    Members(Vec<(Connection, Vec<u8>)>),
}

fn tidy_up(commands: &[String]) -> io::Result<()> {
    for command in commands {
        Command::new("sh").args(["-c", command]).status()?;
    }
    Ok(())
}

/// Bytes of a process's memory that no file backs.
fn own_memory(pid: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no RssAnon in the process's status"))
}

/// Milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Messages that are to come within a day.
fn timers(connection: &mut Connection, count: usize) -> io::Result<()> {
    let (now, mut random) = (now(), Random::new(1));
    send_timed(connection, (0..count).map(|_| now + 3_600_000 + u64::from(random.below(86_400_000))))
}

/// Messages that come soon, the first of them at the time that is returned.
fn due(connection: &mut Connection, count: usize) -> io::Result<u64> {
    let begin = now() + DUE_AFTER;
    send_timed(connection, (0..count as u64).map(|number| begin + number * DUE_WITHIN / count as u64))?;
    if now() > begin {
        return Err(io::Error::other("it took longer to send the messages than until the first was due: ask for fewer"));
    }
    Ok(begin)
}

/// Reads messages as they become due; tells how late they are.
fn wait_for_due(connection: &mut Connection, begin: u64, mut offset: i64, count: usize) -> io::Result<()> {
    let mut late = Vec::with_capacity(count);
    while late.len() < count {
        let pull = Pull { suspend: 5_000, ..Pull::new("watchers", TOPIC, offset) };
        let answer = connection.call(RequestCode::PullMessage.code(), &pull, b"")?;
        let arrived = now() as i64;
        offset = answer.number("nextBeginOffset");
        if answer.code == ResponseCode::Success.code() {
            late.extend(answer.bodies().iter().filter_map(|body| body.parse::<i64>().ok()).map(|due| arrived - due));
        } else if now() > begin + 2 * DUE_WITHIN {
            println!("{} messages did not come within another minute", count - late.len());
            break;
        }
    }
    late.sort_unstable();
    let at = |part: f64| late.get((late.len() as f64 * part) as usize).or(late.last()).copied().unwrap_or_default();
    let punctual = late.iter().filter(|late| late.abs() <= 1_000).count();
    println!(
        "milliseconds late: first {}, half {}, 99 % {}, 99.9 % {}, last {}; within a second {punctual} of {count}",
        at(0.0),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    Ok(())
}

fn end_of_queue(connection: &mut Connection) -> io::Result<i64> {
    let answer = connection.call(RequestCode::GetMaxOffset.code(), &Fields(&[("topic", TOPIC), ("queueId", "0")]), b"")?;
    Ok(answer.expect(ResponseCode::Success).number("offset"))
}

/// Sends a message for each of these times, which is its body, too.
fn send_timed(connection: &mut Connection, times: impl Iterator<Item = u64>) -> io::Result<()> {
    let mut open = 0;
    for at in times {
        let at = at.to_string();
        let properties = [("TIMER_DELIVER_MS", at.as_str())];
        connection.post(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, &at).with(&properties), at.as_bytes())?;
        open += 1;
        if open == WINDOW {
            drain(connection, &mut open)?;
        }
    }
    drain(connection, &mut open)
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

/// Pulls of as many groups that wait for what comes after the end of the queue.
fn pulls(address: SocketAddr, end: i64, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for number in 0..count {
        if number % PULLS_EACH == 0 {
            connections.push(Connection::open(address)?);
        }
        let Some(connection) = connections.last_mut() else { break };
        let group = format!("group-{number}");
        let pull = Pull::new(&group, TOPIC, end);
        // The first makes the group: some brokers save their whole table before they go on.
        connection.call(RequestCode::PullMessage.code(), &pull, b"")?.expect(ResponseCode::PullNotFound);
        connection.post(RequestCode::PullMessage.code(), &pull.held_for(60_000), b"")?;
    }
    // All have been handled when a later request of each connection is answered, or a little later where several threads handle them.
    connections.iter_mut().try_for_each(|connection| end_of_queue(connection).map(drop))?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(connections)
}

/// Tells how long it takes until all that wait have a message.
fn wake(first: &mut Connection, connections: &mut [Connection], count: usize) -> io::Result<()> {
    let begin = Instant::now();
    first.call(RequestCode::SendMessageV2.code(), &Message::new(TOPIC, "second"), b"second")?.expect(ResponseCode::Success);
    for (number, connection) in connections.iter_mut().enumerate() {
        for _ in 0..PULLS_EACH.min(count - number * PULLS_EACH) {
            answer(connection)?.expect(ResponseCode::Success);
        }
    }
    println!("one message woke them all within {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

/// Connections that have sent a heartbeat, every hundred of them a group.
fn members(address: SocketAddr, count: usize) -> io::Result<Vec<(Connection, Vec<u8>)>> {
    let join = |number: usize| {
        let mut connection = Connection::open(address)?;
        let (client, group) = (format!("client-{number}"), format!("group-{}", number / 100));
        let heartbeat = Heartbeat::consumer(&client, &group, &[(TOPIC, "*")]).to_json();
        connection.call(RequestCode::HeartBeat.code(), &Fields(&[]), &heartbeat)?.expect(ResponseCode::Success);
        Ok((connection, heartbeat))
    };
    (0..count).map(join).collect()
}

/// Tells how fast heartbeats of all are taken.
fn beat(members: &mut [(Connection, Vec<u8>)]) -> io::Result<()> {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for members in members.chunks_mut(WINDOW) {
            for (connection, heartbeat) in members.iter_mut() {
                connection.post(RequestCode::HeartBeat.code(), &Fields(&[]), heartbeat)?;
            }
            for (connection, _) in members {
                answer(connection)?.expect(ResponseCode::Success);
            }
        }
    }
    println!("{:.0} heartbeats a second", (members.len() * ROUNDS) as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

/// The next answer; what a broker asks or tells of itself in front of it is passed over.
fn answer(connection: &mut Connection) -> io::Result<Packet> {
    loop {
        let packet = connection.read()?;
        if packet.flag.is_response() {
            return Ok(packet);
        }
    }
}
