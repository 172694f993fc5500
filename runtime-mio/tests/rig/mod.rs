//! A loop with one scripted machine, driven step by step beside the sockets that test it.

use std::{
    cell::{Ref, RefCell},
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use proto_core::{
    Command, ExtFields, Flag, FrameDecoder,
    code::RequestCode,
    encode::{Head, encode_frame},
    frame::Decoded,
};
use route_core::{
    Millis, Now, Output, PeerId, Reply,
    output::{Peer as From, ReplyBody, ReplyHeader, Request, Table, Ticket},
    storage::{LogOffset, LogRange},
    table_content::TableContent,
};
use runtime_mio::{clock::Clock, event_loop::EventLoop, limits::NetLimits, machine::Machine};

/// A connected socket of a test.
pub(crate) type Peer = TcpStream;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of the log that the machine pretends to have.
const LOG: usize = 1 << 20;

/// What the machine has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Numbers of requests.
    pub(crate) requests: Vec<i32>,
    /// Requests that were answered with their own body.
    pub(crate) echoed: usize,
    /// Numbers of responses.
    pub(crate) responses: Vec<i32>,
    /// Connections that are gone.
    pub(crate) disconnected: Vec<PeerId>,
    /// Outcomes of dials.
    pub(crate) dialed: Vec<Result<PeerId, String>>,
    /// Timers that have rung.
    pub(crate) timeouts: usize,
    /// When the last of them has.
    pub(crate) last_timeout: Millis,
    /// Turns that ended after at least one request.
    pub(crate) turns_with_requests: usize,
}

/// What the machine is to do.
#[derive(Debug, Default)]
struct Script {
    seen: Seen,
    outputs: VecDeque<Output>,
    timeout: Option<Millis>,
    requests_at_end_of_turn: usize,
}

struct Scripted(Rc<RefCell<Script>>);

/// The loop under test.
pub(crate) struct Rig {
    event_loop: EventLoop<Vec<u8>>,
    addr: SocketAddr,
    script: Rc<RefCell<Script>>,
}

impl Rig {
    /// A loop that listens on a port that the system chose.
    pub(crate) fn new(limits: NetLimits) -> Self {
        let mut event_loop = EventLoop::new(Clock::new(), limits).unwrap();
        let script = Rc::new(RefCell::new(Script::default()));
        let machine = event_loop.add(Box::new(Scripted(script.clone())));
        let addr = event_loop.listen(([127, 0, 0, 1], 0).into(), machine).unwrap();
        Self { event_loop, addr, script }
    }

    /// The loop's time.
    pub(crate) fn now(&self) -> Now {
        self.event_loop.now()
    }

    /// A new connection.
    pub(crate) fn connect(&mut self) -> Peer {
        let peer = TcpStream::connect(self.addr).unwrap();
        peer.set_nodelay(true).unwrap();
        self.turn();
        peer
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self) {
        self.event_loop.turn(Some(Duration::from_millis(5))).unwrap();
    }

    /// Some turns, enough for what is under way on loopback.
    pub(crate) fn settle(&mut self) {
        (0..10).for_each(|_| self.turn());
    }

    /// What the machine has seen so far.
    pub(crate) fn seen(&self) -> Ref<'_, Seen> {
        Ref::map(self.script.borrow(), |script| &script.seen)
    }

    /// Sets the machine's timer.
    pub(crate) fn set_timeout(&mut self, at: Millis) {
        self.script.borrow_mut().timeout = Some(at);
    }

    /// Makes the machine put something out.
    pub(crate) fn put_out(&mut self, output: Output) {
        self.script.borrow_mut().outputs.push_back(output);
    }

    /// Turns until a condition holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let start = Instant::now();
        while !condition(&self.seen()) {
            assert!(start.elapsed() < PATIENCE, "it never came to this: {what}; {:?}", self.seen());
            self.turn();
        }
    }

    /// Writes bytes while the loop turns, as many as the other side takes within a while. Returns how many.
    #[track_caller]
    pub(crate) fn write(&mut self, peer: &mut Peer, bytes: &[u8]) -> usize {
        peer.set_nonblocking(true).unwrap();
        let (mut written, mut idle) = (0, 0);
        while written < bytes.len() && idle < 50 {
            idle += 1;
            match peer.write(&bytes[written..]) {
                Ok(len) => (written, idle) = (written + len, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The loop has had enough of this peer, which may be what the test wants to see.
                Err(_) => break,
            }
            self.turn();
        }
        peer.set_nonblocking(false).unwrap();
        written
    }

    /// Reads what answers are there; half of one is waited for.
    #[track_caller]
    pub(crate) fn some_answers(&mut self, peer: &mut Peer) -> Vec<(i32, Vec<u8>)> {
        let (mut answers, mut bytes) = (Vec::new(), Vec::new());
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "half an answer");
            self.read_some(peer, &mut bytes);
            take_frames(&mut bytes, &mut answers);
            if bytes.is_empty() {
                return answers;
            }
        }
    }

    /// Reads whole frames: number and body of each.
    #[track_caller]
    pub(crate) fn answers(&mut self, peer: &mut Peer, count: usize) -> Vec<(i32, Vec<u8>)> {
        let (mut answers, mut bytes) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while answers.len() < count {
            assert!(start.elapsed() < PATIENCE, "{} of {count} answers came", answers.len());
            let ended = self.read_some(peer, &mut bytes);
            take_frames(&mut bytes, &mut answers);
            assert!(!ended || answers.len() >= count, "the connection ended after {} of {count} answers", answers.len());
        }
        assert!(bytes.is_empty(), "more came than {count} answers");
        answers
    }

    /// Reads one frame: number and code.
    #[track_caller]
    pub(crate) fn answer_code(&mut self, peer: &mut Peer) -> (i32, i32) {
        let mut bytes = Vec::new();
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "no answer");
            self.read_some(peer, &mut bytes);
            if let Ok(Decoded::Frame { frame, .. }) = FrameDecoder::default().decode(&bytes) {
                let command = Command::decode(frame).unwrap();
                return (command.opaque, command.code);
            }
        }
    }

    /// Whether the loop closes a connection.
    pub(crate) fn is_closed(&mut self, peer: &mut Peer) -> bool {
        let start = Instant::now();
        let mut bytes = Vec::new();
        while start.elapsed() < PATIENCE {
            if self.read_some(peer, &mut bytes) {
                self.settle();
                return true;
            }
        }
        false
    }

    /// Reads what is there; whether the connection has ended.
    fn read_some(&mut self, peer: &mut Peer, bytes: &mut Vec<u8>) -> bool {
        self.turn();
        peer.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let ended = loop {
            match peer.read(&mut buffer) {
                Ok(0) => break true,
                Ok(len) => bytes.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Err(_) => break true,
            }
        };
        peer.set_nonblocking(false).unwrap();
        ended
    }
}

fn take_frames(bytes: &mut Vec<u8>, answers: &mut Vec<(i32, Vec<u8>)>) {
    let mut at = 0;
    while let Some((opaque, body, len)) = parse(&bytes[at..]) {
        answers.push((opaque, body));
        at += len;
    }
    bytes.drain(..at);
}

/// A request with a body: `make N` asks for N bytes, `log OFFSET LEN` for a piece of the log, `close` for the end, `drop` for nothing;
/// anything else comes back.
pub(crate) fn frame(opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = Head { code: RequestCode::SendMessage.code(), opaque, flag: Flag(0), remark: None };
    encode_frame(&mut bytes, &head, None::<&ExtFields<'_>>, body.len());
    bytes.extend_from_slice(body);
    bytes
}

/// Number, body and length of the frame at the start of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Option<(i32, Vec<u8>, usize)> {
    match FrameDecoder::default().decode(bytes).unwrap() {
        Decoded::Frame { frame, len } => Some((Command::decode(frame).unwrap().opaque, frame.body.to_vec(), len)),
        Decoded::Incomplete { .. } => None,
    }
}

/// A request that the machine sends.
pub(crate) fn request(to: PeerId, opaque: i32, body: &'static [u8]) -> Output {
    let request = Request { code: RequestCode::HeartBeat, oneway: true, fields: None, body: Bytes::from_static(body) };
    Output::Request { to, opaque, request }
}

/// What lies at an offset of the pretended log.
pub(crate) fn log_bytes(offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len).map(|at| (at % 253) as u8).collect()
}

impl Scripted {
    fn reply(&self, to: PeerId, opaque: i32, body: ReplyBody) {
        let reply = Reply { header: ReplyHeader::Absent, body, ..Reply::ok() };
        self.0.borrow_mut().outputs.push_back(Output::Reply { to, opaque, reply });
    }
}

impl Machine for Scripted {
    type Slice = Vec<u8>;

    fn handle_request(&mut self, _now: Now, peer: From, command: &Command<'_>) {
        self.0.borrow_mut().seen.requests.push(command.opaque);
        let text = String::from_utf8_lossy(&command.body[..command.body.len().min(64)]).into_owned();
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            ["drop"] => {}
            ["close"] => {
                self.0.borrow_mut().outputs.push_back(Output::Close { peer: peer.id, reason: "it was asked for".into() });
            }
            ["make", len] => self.reply(peer.id, command.opaque, ReplyBody::Bytes(vec![1; len.parse().unwrap()].into())),
            ["log", offset, len] => {
                // In two pieces, as records of two files would come.
                let (offset, len): (i64, u32) = (offset.parse().unwrap(), len.parse().unwrap());
                let half = len / 2;
                let ranges = vec![
                    LogRange { offset: LogOffset(offset), len: half },
                    LogRange { offset: LogOffset(offset + i64::from(half)), len: len - half },
                ];
                self.reply(peer.id, command.opaque, ReplyBody::Records(ranges));
            }
            _ => {
                self.0.borrow_mut().seen.echoed += 1;
                self.reply(peer.id, command.opaque, ReplyBody::Bytes(Bytes::copy_from_slice(command.body)));
            }
        }
    }

    fn handle_response(&mut self, _now: Now, _peer: PeerId, command: &Command<'_>) {
        self.0.borrow_mut().seen.responses.push(command.opaque);
    }

    fn handle_disconnected(&mut self, _now: Now, peer: PeerId) {
        self.0.borrow_mut().seen.disconnected.push(peer);
    }

    fn handle_dialed(&mut self, _now: Now, _address: &str, outcome: Result<PeerId, String>) {
        self.0.borrow_mut().seen.dialed.push(outcome);
    }

    fn handle_wake(&mut self, _now: Now) {}

    fn handle_shutdown(&mut self, _now: Now) {}

    fn handle_timeout(&mut self, now: Now) {
        let mut script = self.0.borrow_mut();
        script.timeout = None;
        script.seen.timeouts += 1;
        script.seen.last_timeout = now.mono;
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.0.borrow().timeout
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.0.borrow_mut().outputs.pop_front()
    }

    fn recycle(&mut self, _reply: Reply) {}

    fn slice(&self, range: LogRange) -> Option<Vec<u8>> {
        let offset = usize::try_from(range.offset.0).ok()?;
        (offset + range.len as usize <= LOG).then(|| log_bytes(offset, range.len as usize))
    }

    fn persist(&mut self, _now: Now, _ticket: Ticket, _table: Table, _content: TableContent) {}

    fn configure(&mut self, _now: Now, _asked: Option<(PeerId, i32)>, _properties: &Bytes) {}

    fn has_ended(&self) -> bool {
        true
    }

    fn end_turn(&mut self) {
        let mut script = self.0.borrow_mut();
        let requests = script.seen.requests.len();
        script.seen.turns_with_requests += usize::from(requests > script.requests_at_end_of_turn);
        script.requests_at_end_of_turn = requests;
    }

    fn close(self: Box<Self>) -> Result<(), String> {
        Ok(())
    }
}
