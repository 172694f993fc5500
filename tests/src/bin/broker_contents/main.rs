//! Fills a broker with messages of every kind, or tells all that a broker serves as JSON lines: so that one broker's answers about a
//! data folder can be held against another one's. See `tests/java-store/run.sh`.
//!
//! ```text
//! broker_contents fill HOST:PORT PART    sends messages and makes topics and groups; PART (a number) tells runs apart
//! broker_contents tell HOST:PORT PARTS   prints topics, groups, queues, messages, offsets, look-ups of parts 1 to PARTS
//! ```

mod fill;
mod names;
mod tell;

use std::{env, io, process::ExitCode};

use petrel_tests::{Packet, socket::Connection};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [what, address, number] = arguments.as_slice() else { return usage() };
    let (Ok(address), Ok(number)) = (address.parse(), number.parse::<u32>()) else { return usage() };
    let done = Connection::open(address).and_then(|mut connection| match what.as_str() {
        "fill" => fill::fill(&mut connection, number),
        "tell" => tell::tell(&mut connection, number, &mut io::stdout().lock()),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker_contents: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An answer that says success.
fn succeeded(answer: Packet) -> io::Result<Packet> {
    if answer.code == 0 { Ok(answer) } else { Err(io::Error::other(format!("answered with {}: {:?}", answer.code, answer.remark))) }
}

fn usage() -> ExitCode {
    eprintln!("usage: broker_contents fill|tell HOST:PORT NUMBER");
    ExitCode::from(2)
}
