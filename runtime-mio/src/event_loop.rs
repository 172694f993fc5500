//! The loop: one thread that owns the sockets and the machines.
//!
//! A turn is: wait for events, take connections, read what is ready and hand its frames to the machines, carry out what the machines
//! put out, let them flush what they appended, and write once to every connection that something is queued for.

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, Waker};
use proto_core::{Command, Frame, FrameDecoder, command::CommandError};
use route_core::{
    output::{Peer, PeerId},
    time::{Millis, Now},
};
use rustix::process::Signal;
use signal_hook_mio::v1_0::Signals;
use tracing::{info, warn};

use crate::{
    buffers::BufferPool,
    clock::Clock,
    dialer::Resolver,
    inbox::{Conduit, Flow, Inbox, ReadEnd, ReadFailure, ReadTurn},
    limits::NetLimits,
    machine::Machine,
    net::{FIRST_LISTENER, Net, News, POOLED, POOLED_BYTES},
    patience::{self, Patience},
};

// A connection's number is its token at the poll.
const _: () = assert!(usize::BITS >= u64::BITS, "Petrel needs a 64-bit machine");

/// How often in one turn machines may be told what came of their outputs and put out more; the rest waits for the next turn.
const ROUNDS: usize = 8;

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Events that one wait brings at most.
const EVENTS: usize = 1024;

/// Exit status when a second signal interrupts the goodbye.
const IMPATIENT: i32 = 130;

/// The loop over machines whose logs give slices of type `L`.
pub struct EventLoop<L> {
    poll: Poll,
    events: Events,
    /// The last turn has left work for the next one.
    busy: bool,
    patience: Patience,
    clock: Clock,
    waker: Arc<Waker>,
    signals: Option<Signals>,
    machines: Vec<Box<dyn Machine<Slice = L>>>,
    net: Net<L>,
    /// Memory for cut frames.
    pool: BufferPool,
    scratch: Box<[u8]>,
    /// Set while the process says goodbye: when it ends at the latest.
    ending: Option<Millis>,
}

impl<L> std::fmt::Debug for EventLoop<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLoop").field("machines", &self.machines.len()).finish_non_exhaustive()
    }
}

impl<L: AsRef<[u8]>> EventLoop<L> {
    /// A loop without machines.
    ///
    /// # Errors
    /// The system gives no poll.
    pub fn new(clock: Clock, limits: NetLimits) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let resolver = Resolver::new(waker.clone(), limits.dials);
        let net = Net::new(poll.registry().try_clone()?, resolver, limits);
        let scratch = vec![0; limits.read_share].into_boxed_slice();
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            busy: false,
            patience: Patience::new(thread::available_parallelism().map_or(1, NonZero::get)),
            clock,
            waker,
            signals: None,
            machines: Vec::new(),
            net,
            pool: BufferPool::new(POOLED, POOLED_BYTES),
            scratch,
            ending: None,
        })
    }

    /// Wakes the loop from another thread; every machine gets `handle_wake` then.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// The present on the loop's clock.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Ends the loop on SIGINT and SIGTERM; a second one ends the process at once.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn catch_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new([Signal::INT.as_raw(), Signal::TERM.as_raw()])?;
        self.poll.registry().register(&mut signals, SIGNALS, mio::Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Adds a machine; its number is for [`Self::listen`]. At the end of the process the machine that was added last says goodbye first.
    pub fn add(&mut self, machine: Box<dyn Machine<Slice = L>>) -> usize {
        self.machines.push(machine);
        self.machines.len() - 1
    }

    /// How many machines there are: the number that the next one gets.
    #[must_use]
    pub fn machines(&self) -> usize {
        self.machines.len()
    }

    /// Listens for connections of a machine, which may be added later but before the loop runs. Returns the address, with its port if the system chose it.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn listen(&mut self, addr: SocketAddr, machine: usize) -> io::Result<SocketAddr> {
        self.net.listen(addr, machine)
    }

    /// Runs until a signal ends it, then closes all machines in turn.
    ///
    /// # Errors
    /// The poll fails, or a machine cannot be closed as it should.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn(None)?;
        }
        // All are closed, also behind one that fails.
        let mut outcome = Ok(());
        while let Some(machine) = self.machines.pop() {
            outcome = outcome.and(machine.close().map_err(io::Error::other));
        }
        outcome
    }

    /// Waits for something to do, no longer than `longest`, and does it once. [`Self::run`] calls it again and again.
    ///
    /// # Errors
    /// The poll fails.
    pub fn turn(&mut self, longest: Option<Duration>) -> io::Result<()> {
        let timeout = if self.busy { Some(Duration::ZERO) } else { self.time_left().into_iter().chain(longest).min() };
        // The events are lent to the poll and to the turn, which needs all the rest.
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let outcome = self.wait(&mut events, timeout);
        if let Some(still) = self.clock.handle_turn(timeout.unwrap_or(Duration::MAX)) {
            warn!("the process has stood still for {} ms: deadlines are put off by as much", still.0);
        }
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(()) => self.busy = self.handle_events(&events),
        }
        self.events = events;
        Ok(())
    }

    /// Waits for events: looks for a moment where that lately has paid, then sleeps.
    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout <= patience::SPAN) {
            return self.poll.poll(events, timeout);
        }
        let begun = Instant::now();
        if self.patience.pays() {
            while begun.elapsed() < patience::SPAN {
                self.poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    self.patience.handle_found();
                    return Ok(());
                }
                // Where there are fewer processors than threads the peer may need this one.
                rustix::thread::sched_yield();
            }
            self.patience.handle_missed();
        }
        self.poll.poll(events, timeout)?;
        if !events.is_empty() {
            self.patience.handle_slept(begun.elapsed());
        }
        Ok(())
    }

    /// One turn. Returns whether the next one has work already.
    fn handle_events(&mut self, events: &Events) -> bool {
        let now = self.clock.now();
        for event in events {
            match event.token() {
                WAKER => {
                    self.net.handle_lookups(now.mono);
                    self.machines.iter_mut().for_each(|machine| machine.handle_wake(now));
                }
                SIGNALS => self.handle_signal(now),
                token if token.0 >= FIRST_LISTENER => self.net.handle_acceptable(token),
                _ => self.net.handle_event(now.mono, event),
            }
        }
        let more_to_accept = self.net.accept(now.mono);
        if self.net.has_news() {
            // A machine knows of a connection that it has dialled before it hears what comes on it.
            self.carry_out(now);
        }
        for _ in 0..self.net.ready.len() {
            if let Some(peer) = self.net.ready.pop_front() {
                self.read(now, peer);
            }
        }
        self.expire(now);
        let more_to_carry_out = self.carry_out(now);
        self.machines.iter_mut().for_each(|machine| machine.end_turn());
        self.net.flush(now.mono);
        more_to_accept || more_to_carry_out || self.net.is_busy()
    }

    /// Reads one share from a connection and hands its frames to its machine.
    fn read(&mut self, now: Now, peer: PeerId) {
        let Some(connection) = self.net.connections.get_mut(peer) else { return };
        connection.in_ready = false;
        if !connection.takes_frames() {
            return;
        }
        connection.note_read(now.mono);
        let (at, to_the_end) = (connection.machine, connection.end_seen);
        let speaker = Peer { id: peer, addr: connection.addr, from_here: connection.from_here };
        let mut inbox = std::mem::take(&mut connection.inbox);
        let memory = inbox.memory();
        let decoder = FrameDecoder::new(self.net.limits().frame);
        let mut turn = ReadTurn { decoder, scratch: &mut self.scratch, pool: &mut self.pool, to_the_end };
        let (machine, net) = (&mut *self.machines[at], &mut self.net);
        let end = inbox.read(&mut MachineConduit { now, peer: speaker, at, machine, net, frames: 0 }, &mut turn);
        self.finish_read(now, peer, at, inbox, memory, end);
    }

    fn finish_read(&mut self, now: Now, peer: PeerId, at: usize, mut inbox: Inbox, before: usize, end: Result<ReadEnd, ReadFailure>) {
        let Some(connection) = self.net.connections.get_mut(peer) else {
            // It was cut off in the middle of its turn.
            self.net.note_inbound(before, 0);
            return inbox.release(&mut self.pool);
        };
        let after = inbox.memory();
        connection.inbox = inbox;
        // Counted before anything closes the connection, which gives back what it is counted with.
        let largest = self.net.note_inbound(before, after);
        let Some(connection) = self.net.connections.get_mut(peer) else { return };
        match end {
            Ok(ReadEnd::Drained) => connection.readable = false,
            Ok(ReadEnd::More) => self.net.want_read(peer),
            // It is read again when enough of what waits for it has left.
            Ok(ReadEnd::Stopped) => {}
            Ok(ReadEnd::Ended) => {
                self.answer_before_the_end(now, at);
                self.net.drop_connection(peer, "the peer has closed it");
            }
            Err(ReadFailure::Io(why)) => self.net.drop_connection(peer, &format!("reading failed: {why}")),
            Err(why) => {
                self.answer_before_the_end(now, at);
                self.net.cut(peer, &why.to_string());
            }
        }
        if let Some(largest) = largest {
            self.net.cut(largest, "all memory for unfinished frames is in use, and this connection holds the most of it");
        }
    }

    /// A connection ends: what its peer asked before is still answered, as far as the socket takes it.
    fn answer_before_the_end(&mut self, now: Now, at: usize) {
        drain(now, at, &mut *self.machines[at], &mut self.net);
        self.net.flush(now.mono);
    }

    /// Lets what has become due happen.
    fn expire(&mut self, now: Now) {
        for machine in &mut self.machines {
            if machine.poll_timeout().is_some_and(|at| at <= now.mono) {
                machine.handle_timeout(now);
            }
        }
        if self.net.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.net.handle_timeout(now.mono);
        }
    }

    /// Carries out what the machines put out, and tells them what came of it.
    /// Returns whether there may be more to carry out.
    fn carry_out(&mut self, now: Now) -> bool {
        for _ in 0..ROUNDS {
            for (at, machine) in self.machines.iter_mut().enumerate() {
                drain(now, at, &mut **machine, &mut self.net);
            }
            let mut told = false;
            while let Some(news) = self.net.poll_news() {
                told = true;
                match news {
                    News::Lost(at, peer) => self.machines[at].handle_disconnected(now, peer),
                    News::Dialed(at, address, outcome) => self.machines[at].handle_dialed(now, &address, outcome),
                }
            }
            if !told {
                return false;
            }
        }
        true
    }

    fn handle_signal(&mut self, now: Now) {
        let caught = self.signals.as_mut().map_or(0, |signals| signals.pending().count());
        if caught == 0 {
            return;
        }
        if self.ending.is_some() {
            std::process::exit(IMPATIENT);
        }
        info!("stopping: everything is flushed and saved first; a second signal ends the process at once");
        self.ending = Some(now.mono + self.net.limits().goodbye);
        self.net.stop_listening();
        self.machines.iter_mut().rev().for_each(|machine| machine.handle_shutdown(now));
    }

    /// Whether the goodbye has been said, or has taken too long.
    fn is_over(&self) -> bool {
        let Some(deadline) = self.ending else { return false };
        let quiet = !self.net.is_busy() && !self.net.has_unsent() && self.machines.iter().all(|machine| machine.has_ended());
        quiet || self.clock.now().mono >= deadline
    }

    /// How long the poll may wait.
    fn time_left(&self) -> Option<Duration> {
        let next =
            self.machines.iter().filter_map(|machine| machine.poll_timeout()).chain(self.net.poll_timeout()).chain(self.ending).min()?;
        Some(Duration::from_millis(next.saturating_sub(self.clock.now().mono).0))
    }
}

/// Carries out all that one machine puts out.
fn drain<L: AsRef<[u8]>>(now: Now, at: usize, machine: &mut dyn Machine<Slice = L>, net: &mut Net<L>) {
    while let Some(output) = machine.poll_output() {
        net.apply(now, at, machine, output);
    }
}

/// One connection's turn: its socket on one side, its machine on the other.
struct MachineConduit<'a, L> {
    now: Now,
    peer: Peer,
    at: usize,
    machine: &'a mut dyn Machine<Slice = L>,
    net: &'a mut Net<L>,
    frames: usize,
}

impl<L: AsRef<[u8]>> Conduit for MachineConduit<'_, L> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.net.read(self.peer.id, room)
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<Flow, CommandError> {
        let command = Command::decode(frame)?;
        if command.flag.is_response() {
            self.machine.handle_response(self.now, self.peer.id, &command);
        } else {
            self.machine.handle_request(self.now, self.peer, &command);
        }
        self.frames += 1;
        if !self.frames.is_multiple_of(self.net.limits().frames_at_once) {
            return Ok(Flow::Continue);
        }
        // Looked at now and then, so that a peer that asks for much and takes little is stopped in time.
        drain(self.now, self.at, self.machine, self.net);
        let goes_on = self.net.connections.get(self.peer.id).is_some_and(|connection| connection.takes_frames());
        Ok(if goes_on { Flow::Continue } else { Flow::Stop })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_pause_of_the_process_is_not_the_silence_of_its_peers() {
        let mut event_loop = EventLoop::<Vec<u8>>::new(Clock::new(), NetLimits::default()).unwrap();
        let addr = event_loop.listen(([127, 0, 0, 1], 0).into(), 0).unwrap();
        let peer = TcpStream::connect(addr).unwrap();
        while event_loop.net.connections.is_empty() {
            event_loop.turn(None).unwrap();
        }
        let before = event_loop.now().mono;
        event_loop.clock.pause(Duration::from_secs(121));
        for _ in 0..3 {
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(event_loop.net.connections.len(), 1);
        assert!(event_loop.now().mono.saturating_sub(before) < Millis::from_secs(60));
        drop(peer);
    }
}
