//! A clock of one's own: steady time that begins with the process, wall time that somebody may set, and pauses in which the process does
//! nothing, as one does whose memory is being collected.

use std::any::Any;

use bytes::Bytes;
use petrel_tests::Machine;
use proto_core::Command;
use route_core::{Millis, Now, Output, Peer, PeerId, Reply, Timestamp, output::Ticket};

use crate::{fact::Fact, journal::Journal, names::Name};

/// A machine with a clock of its own.
#[derive(Debug)]
pub struct OwnClock<M> {
    machine: M,
    /// The cluster's time at which the process began.
    started: Millis,
    /// How far its wall clock is off.
    shift: i64,
    /// The cluster's time at which it does something again.
    paused_until: Millis,
    wakes: Wakes,
    name: Name,
    journal: Journal,
}

/// How often a machine was woken without having anything to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wakes {
    woken: bool,
    since: Millis,
    idle: u32,
}

/// A machine is judged by what it does in this time.
const WINDOW: Millis = Millis::from_secs(10);

/// More wakes without work than any machine has in that time.
const SPINNING: u32 = 3_000;

impl<M> OwnClock<M> {
    /// Starts a machine at `now` of the cluster; `start` gets the time that the machine's own clocks show.
    pub fn start(now: Now, shift: i64, name: String, journal: Journal, start: impl FnOnce(Now) -> M) -> Self {
        let own = Now { mono: Millis::ZERO, wall: Timestamp(now.wall.0 + shift) };
        let (paused_until, wakes, name) = (Millis::ZERO, Wakes::default(), name.into());
        Self { machine: start(own), started: now.mono, shift, paused_until, wakes, name, journal }
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Does something with the machine.
    pub fn act<T>(&mut self, now: Now, act: impl FnOnce(&mut M, Now) -> T) -> T {
        let now = self.own(now);
        act(&mut self.machine, now)
    }

    /// How far the wall clock is off.
    #[must_use]
    pub const fn shift(&self) -> i64 {
        self.shift
    }

    /// Somebody sets the wall clock.
    pub const fn step(&mut self, by: i64) {
        self.shift += by;
    }

    /// The machine does nothing until then; what comes has to wait in the network.
    pub const fn pause(&mut self, until: Millis) {
        self.paused_until = until;
    }

    fn own(&self, now: Now) -> Now {
        Now { mono: now.mono.saturating_sub(self.started), wall: Timestamp(now.wall.0 + self.shift) }
    }
}

impl Wakes {
    /// The machine is woken; whether it was woken for nothing too often by now.
    fn wake(&mut self, now: Millis) -> bool {
        if std::mem::replace(&mut self.woken, true) {
            self.idle += 1;
        }
        if now.saturating_sub(self.since) > WINDOW {
            (self.since, self.idle) = (now, 0);
        }
        self.idle == SPINNING
    }
}

impl<M: Machine + 'static> Machine for OwnClock<M> {
    fn handle_connected(&mut self, now: Now, peer: Peer) {
        let now = self.own(now);
        self.machine.handle_connected(now, peer);
    }

    fn handle_dialed(&mut self, now: Now, address: &str, outcome: Option<Peer>) {
        let now = self.own(now);
        self.machine.handle_dialed(now, address, outcome);
    }

    fn handle_command(&mut self, now: Now, peer: Peer, command: &Command<'_>) {
        let now = self.own(now);
        self.machine.handle_command(now, peer, command);
    }

    fn handle_disconnected(&mut self, now: Now, peer: PeerId) {
        let now = self.own(now);
        self.machine.handle_disconnected(now, peer);
    }

    fn handle_persisted(&mut self, now: Now, ticket: Ticket) {
        let now = self.own(now);
        self.machine.handle_persisted(now, ticket);
    }

    fn configure(&mut self, now: Now, asked: Option<(PeerId, i32)>, properties: &Bytes) {
        let now = self.own(now);
        self.machine.configure(now, asked, properties);
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.wakes.wake(now.mono) {
            self.journal.note(Fact::Spins { who: self.name.clone() });
        }
        let now = self.own(now);
        self.machine.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.machine.poll_timeout().map(|at| (at + self.started).max(self.paused_until))
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        if output.is_some() {
            self.wakes.woken = false;
        }
        output
    }

    fn take_body(&mut self, reply: Reply) -> Vec<u8> {
        self.machine.take_body(reply)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
