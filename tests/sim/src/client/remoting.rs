//! Connections and calls, as `NettyRemotingClient` keeps them: one connection for each address, made when it is needed, and a table of
//! requests that wait for their answers.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use petrel_tests::Packet;
use proto_core::code::RequestCode;
use route_core::{Millis, Now, Output, PeerId, output::Request};

/// The fields of a request.
pub type Fields = Vec<(&'static str, Cow<'static, str>)>;

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nobody answers at the address.
    NotConnected,
    /// The connection broke before the answer came.
    Closed,
    /// The answer did not come in time.
    TimedOut,
}

/// How a call ended.
pub type Answer = Result<Packet, CallError>;

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is asked.
    pub code: RequestCode,
    /// The fields of its header.
    pub fields: Fields,
    /// Its body.
    pub body: Bytes,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub const fn new(code: RequestCode, fields: Fields) -> Self {
        Self { code, fields, body: Bytes::new() }
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// How long an answer is waited for, and what its absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A call that somebody waits in: if the answer does not come, the connection is closed with it.
    Sync(Millis),
    /// A call whose answer comes back later: if it does not, the connection stays.
    Async(Millis),
}

#[derive(Debug)]
enum Link {
    /// Being connected; what is to be sent then.
    Dialing(Vec<(i32, Request)>),
    Open(PeerId),
}

#[derive(Debug)]
struct Waiting<T> {
    tag: T,
    address: Arc<str>,
    deadline: Millis,
    closes: bool,
}

/// A client's connections and the calls under way. `T` says what a call was made for.
#[derive(Debug)]
pub struct Remoting<T> {
    links: BTreeMap<Arc<str>, Link>,
    waiting: BTreeMap<i32, Waiting<T>>,
    deadlines: BTreeSet<(Millis, i32)>,
    ended: VecDeque<(T, Answer)>,
    outputs: VecDeque<Output>,
    next_opaque: i32,
}

impl<T> Default for Remoting<T> {
    fn default() -> Self {
        Self {
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ended: VecDeque::new(),
            outputs: VecDeque::new(),
            next_opaque: 1,
        }
    }
}

impl<T> Remoting<T> {
    /// Asks somebody; the answer, or why there is none, comes back with the tag.
    pub fn call(&mut self, now: Now, address: &str, ask: Ask, patience: Patience, tag: T) {
        let (Patience::Sync(wait) | Patience::Async(wait)) = patience;
        let opaque = self.next_opaque();
        let deadline = now.mono + wait;
        let closes = matches!(patience, Patience::Sync(_));
        self.waiting.insert(opaque, Waiting { tag, address: address.into(), deadline, closes });
        self.deadlines.insert((deadline, opaque));
        self.write(address, opaque, ask, false);
    }

    /// Tells somebody something that is not answered.
    pub fn tell(&mut self, address: &str, ask: Ask) {
        let opaque = self.next_opaque();
        self.write(address, opaque, ask, true);
    }

    /// Closes the connection to an address.
    pub fn close(&mut self, address: &str) {
        if let Some(Link::Open(peer)) = self.links.get(address) {
            self.outputs.push_back(Output::Close { peer: *peer, reason: "not needed".into() });
        }
    }

    /// The addresses with an open connection.
    pub fn connected(&self) -> impl Iterator<Item = &Arc<str>> {
        self.links.iter().filter(|(_, link)| matches!(link, Link::Open(_))).map(|(address, _)| address)
    }

    /// The next call that has ended.
    pub fn poll_ended(&mut self) -> Option<(T, Answer)> {
        self.ended.pop_front()
    }

    /// What the world is to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// An attempt to connect has ended.
    pub fn handle_dialed(&mut self, address: &str, outcome: Option<PeerId>) {
        let Some(Link::Dialing(queued)) = self.links.remove(address) else { return };
        match outcome {
            Some(to) => {
                self.links.insert(address.into(), Link::Open(to));
                self.outputs.extend(queued.into_iter().map(|(opaque, request)| Output::Request { to, opaque, request }));
            }
            None => self.fail(address, CallError::NotConnected),
        }
    }

    /// A response came.
    pub fn handle_response(&mut self, packet: Packet) {
        // An answer that comes too late is nobody's.
        if let Some(Waiting { tag, deadline, .. }) = self.waiting.remove(&packet.opaque) {
            self.deadlines.remove(&(deadline, packet.opaque));
            self.ended.push_back((tag, Ok(packet)));
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, peer: PeerId) {
        let gone = self.links.iter().find(|(_, link)| matches!(link, Link::Open(open) if *open == peer));
        if let Some(address) = gone.map(|(address, _)| address.clone()) {
            self.links.remove(&address);
            self.fail(&address, CallError::Closed);
        }
    }

    /// Calls whose time is over end without an answer.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(deadline, opaque)) = self.deadlines.first()
            && deadline <= now.mono
        {
            self.deadlines.pop_first();
            let Some(Waiting { tag, address, closes, .. }) = self.waiting.remove(&opaque) else { continue };
            self.ended.push_back((tag, Err(CallError::TimedOut)));
            if closes {
                self.close(&address);
            }
        }
    }

    /// When the next call's time is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn next_opaque(&mut self) -> i32 {
        let opaque = self.next_opaque;
        self.next_opaque = opaque.wrapping_add(1);
        opaque
    }

    fn write(&mut self, address: &str, opaque: i32, ask: Ask, oneway: bool) {
        let request = Request { code: ask.code, oneway, fields: Some(ask.fields), body: ask.body };
        match self.links.get_mut(address) {
            Some(Link::Open(to)) => self.outputs.push_back(Output::Request { to: *to, opaque, request }),
            Some(Link::Dialing(queued)) => queued.push((opaque, request)),
            None => {
                self.links.insert(address.into(), Link::Dialing(vec![(opaque, request)]));
                self.outputs.push_back(Output::Dial { address: address.into() });
            }
        }
    }

    /// Ends every call to an address.
    fn fail(&mut self, address: &str, error: CallError) {
        let lost = self.waiting.extract_if(.., |_, waiting| *waiting.address == *address);
        for (opaque, Waiting { tag, deadline, .. }) in lost {
            self.deadlines.remove(&(deadline, opaque));
            self.ended.push_back((tag, Err(error)));
        }
    }
}
