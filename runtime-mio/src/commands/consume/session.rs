//! One run of `petrel consume`, over as many connections as it takes.

use std::{
    fmt,
    io::{self, Write},
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tracing::debug;

use super::{Args, backoff::Backoff, line};
use crate::{
    client::{ClientError, Consumer, Filter, NameServers, Places, Reading, Timeouts},
    commands::{CommandError, stop::PAUSE},
};

/// How often the group's offsets are kept.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// What has been said already.
#[derive(Debug, Default)]
struct Told {
    /// That the topic is waited for.
    waiting: bool,
    /// Whether the group has others.
    members: bool,
}

/// One run, over as many connections as it takes.
pub(super) struct Session<'a, O, N> {
    args: &'a Args,
    stop: &'a AtomicBool,
    name_servers: NameServers,
    reading: Reading,
    /// Messages that are still wanted.
    left: u64,
    /// When the last message came, or the run began.
    last_message: Instant,
    /// Whether a broker went away and is looked for.
    lost: bool,
    backoff: Backoff,
    told: Told,
    out: &'a mut O,
    notes: &'a mut N,
}

impl<'a, O: Write, N: Write> Session<'a, O, N> {
    /// A run that has printed nothing yet.
    pub(super) fn new(
        args: &'a Args,
        stop: &'a AtomicBool,
        name_servers: NameServers,
        filter: Option<Filter>,
        out: &'a mut O,
        notes: &'a mut N,
    ) -> Self {
        let reading = Reading { group: args.group.clone(), filter, start: args.start, places: Places::default() };
        Self {
            args,
            stop,
            name_servers,
            reading,
            left: args.count.unwrap_or(u64::MAX),
            last_message: Instant::now(),
            lost: false,
            backoff: Backoff::default(),
            told: Told::default(),
            out,
            notes,
        }
    }

    /// Reads until nobody waits for more, or an error that waiting does not mend.
    pub(super) fn run(mut self) -> Result<(), CommandError> {
        while let Some(mut consumer) = self.join()? {
            let printed = self.print_messages(&mut consumer);
            match printed {
                Err(CommandError::Client(lost)) if lost.is_lost_connection() => {
                    self.reading.places = consumer.places();
                    self.note(format_args!("{lost}; trying again until it is back"));
                    self.lost = true;
                    let wait = self.backoff.next_wait();
                    self.sleep(wait);
                }
                ended => {
                    let closed = consumer.close();
                    return ended.and(closed.map_err(CommandError::Client));
                }
            }
        }
        if self.reading.group.is_some() && self.lost {
            self.note(format_args!("how far the group came since the last second could not be kept: those messages come again"));
        }
        Ok(())
    }

    /// The consumer, once the topic is there; `None` if nobody waits for it any longer.
    fn join(&mut self) -> Result<Option<Consumer>, CommandError> {
        loop {
            let joined = Consumer::new(&mut self.name_servers, &self.args.topic, self.reading.clone(), Timeouts::default());
            // Who has been there, or a name server that has answered, is waited for; else it is most likely a mistake.
            let was_there = self.lost || self.told.waiting;
            let wait = match joined {
                Ok(consumer) => {
                    if std::mem::take(&mut self.lost) {
                        self.note(format_args!("it is back, reading goes on"));
                    }
                    return Ok(Some(consumer));
                }
                Err(error) if error.is_unknown_topic() || was_there && matches!(error, ClientError::NoQueue { .. }) => PAUSE,
                Err(error) if was_there && error.is_lost_connection() => {
                    let wait = self.backoff.next_wait();
                    debug!("{error}; trying again in {} ms", wait.as_millis());
                    wait
                }
                Err(error) => return Err(error.into()),
            };
            if self.is_over() {
                return Ok(None);
            }
            if !was_there {
                self.told.waiting = true;
                self.note(format_args!("waiting for topic {}, which no name server knows yet", self.args.topic));
            }
            self.sleep(wait);
        }
    }

    /// Waits, but not past the end of the run.
    fn sleep(&self, wait: Duration) {
        let started = Instant::now();
        while !self.is_over() {
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(PAUSE).min(self.patience()));
        }
    }

    /// How long the next message may still be away.
    fn patience(&self) -> Duration {
        self.args.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(self.last_message.elapsed()))
    }

    /// Whether nobody waits for more.
    fn is_over(&self) -> bool {
        self.left == 0 || self.stop.load(Ordering::Relaxed) || self.patience().is_zero()
    }

    fn note(&mut self, text: fmt::Arguments<'_>) {
        // Nothing is lost if nobody can read the note.
        let _ = writeln!(self.notes, "{text}");
    }

    fn print_messages(&mut self, consumer: &mut Consumer) -> Result<(), CommandError> {
        if !self.told.members {
            let others = consumer.other_members()?;
            self.told.members = true;
            if others > 0 {
                let group = self.args.group.as_deref().unwrap_or_default();
                self.note(format_args!("group {group} has {others} other member(s): messages of their queues are read here too"));
            }
        }
        let mut last_commit = Instant::now();
        while !self.is_over() {
            let (mut failed, mut count) = (None, 0_u64);
            let polled = consumer.poll(self.patience().min(PAUSE), |queue, record| {
                if let Err(error) = line::write(self.out, queue, record, self.args.json) {
                    failed = Some(error);
                }
                (self.left, count) = (self.left - 1, count + 1);
                if self.left == 0 || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if count > 0 {
                self.last_message = Instant::now();
                self.backoff = Backoff::default();
            }
            match failed.map_or_else(|| self.out.flush(), Err) {
                // Whoever reads the output has seen enough, as `head` does.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                written => written.map_err(CommandError::Output)?,
            }
            if self.left == 0 {
                break;
            }
            polled?;
            if last_commit.elapsed() >= COMMIT_INTERVAL {
                last_commit = Instant::now();
                consumer.commit()?;
                // The connection has held for a while.
                self.backoff = Backoff::default();
            }
        }
        Ok(())
    }
}
