//! One connection under load: as many requests on their way as the window has, each answer followed by the next request.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use proto_core::{Command, code::ResponseCode};

use crate::{
    client::{ClientError, Connection},
    commands::stop::PAUSE,
};

/// Requests that a load is made of.
pub(super) trait Load {
    /// Called before a run of [`append`](Self::append)s with the time at which they happen.
    fn tick(&mut self, wall: i64);
    /// Appends the next request, numbered `opaque`.
    fn append(&mut self, out: &mut Vec<u8>, opaque: i32);
    /// Messages and bytes of bodies in a successful answer.
    fn count(&self, answer: &Command<'_>) -> (u64, u64);
}

/// Numbers of requests: always ten digits, so that a frame keeps its length whatever its number.
pub(super) const FIRST_OPAQUE: i32 = 1_000_000_000;

/// How long nothing may come before the broker is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest latency that is told apart, in µs: a minute.
const MAX_LATENCY: u64 = 60_000_000;

/// What came of a load.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Messages sent or received.
    pub(super) messages: u64,
    /// Bytes of their bodies, or of the answers that carried them.
    pub(super) bytes: u64,
    /// From the request's making to its answer's reading, in µs.
    pub(super) latency: Histogram<u64>,
    /// Answers other than success by code, with the first remark of each.
    pub(super) failures: BTreeMap<i32, (u64, String)>,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        // Three digits from 1 on are what a histogram can always have.
        let latency = Histogram::new_with_bounds(1, MAX_LATENCY, 3).expect("the bounds are constants that fit");
        Self { messages: 0, bytes: 0, latency, failures: BTreeMap::new(), elapsed: Duration::ZERO }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        for (code, (count, remark)) in &other.failures {
            self.failures.entry(*code).or_insert_with(|| (0, remark.clone())).0 += count;
        }
    }

    fn answered(&mut self, answer: &Command<'_>, load: &impl Load, waited: Duration) {
        self.latency.saturating_record(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        if answer.code == ResponseCode::Success.code() {
            let (messages, bytes) = load.count(answer);
            self.messages += messages;
            self.bytes += bytes;
        } else {
            let remark = || answer.remark.map(|text| text.to_cow().lines().next().unwrap_or_default().to_owned()).unwrap_or_default();
            self.failures.entry(answer.code).or_insert_with(|| (0, remark())).0 += 1;
        }
    }
}

/// Keeps `window` requests on their way until `end` or `stop`, then awaits the last answers. What came of them is in `tally`, also if the
/// connection ends early.
pub(super) fn run(
    mut connection: Connection,
    mut load: impl Load,
    window: u16,
    end: Instant,
    stop: &AtomicBool,
    tally: &mut Tally,
) -> Result<(), ClientError> {
    let clock = crate::clock::Clock::new();
    let mut out = Vec::new();
    let mut sent = vec![Instant::now(); usize::from(window)];
    load.tick(clock.now().wall.0);
    for opaque in (FIRST_OPAQUE..).take(sent.len()) {
        load.append(&mut out, opaque);
    }
    connection.write(&out)?;
    let mut in_flight = sent.len();
    let mut last_answer = Instant::now();
    while in_flight > 0 {
        connection.receive(PAUSE)?;
        let now = Instant::now();
        let goes_on = now < end && !stop.load(Ordering::Relaxed);
        let before = tally.latency.len();
        load.tick(clock.now().wall.0);
        out.clear();
        connection.drain(|answer| {
            let slot = usize::try_from(answer.opaque.wrapping_sub(FIRST_OPAQUE)).ok().and_then(|slot| sent.get_mut(slot));
            let Some(sent) = slot.filter(|_| answer.flag.is_response()) else { return Ok(()) };
            tally.answered(answer, &load, now.duration_since(*sent));
            if goes_on {
                *sent = now;
                load.append(&mut out, answer.opaque);
            } else {
                in_flight -= 1;
            }
            Ok(())
        })?;
        if !out.is_empty() {
            connection.write(&out)?;
        }
        if tally.latency.len() > before {
            last_answer = now;
        } else if now.duration_since(last_answer) >= PATIENCE {
            return Err(ClientError::Silent { peer: connection.peer().to_owned(), millis: PATIENCE.as_millis() });
        }
    }
    Ok(())
}
