//! One connection to a broker or a name server.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use proto_core::{
    Command, Flag,
    code::{RequestCode, ResponseCode},
    encode::{EncodeExt, Head, encode_frame},
};
use tracing::{debug, trace};

use super::{
    error::{ClientError, code_name},
    incoming::{Incoming, IncomingError},
};

/// How long to wait for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection to stand.
    pub connect: Duration,
    /// For an answer, and for room to write.
    pub answer: Duration,
}

impl Default for Timeouts {
    /// The times of Java's clients: 3 s each.
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), answer: Duration::from_secs(3) }
    }
}

/// A connection on which requests are numbered and answers found by their number.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: String,
    incoming: Incoming,
    out: Vec<u8>,
    next_opaque: i32,
    timeouts: Timeouts,
    /// What the socket waits at most, as it was told last.
    read_timeout: Option<Duration>,
}

impl Connection {
    /// Connects to `address`, `HOST:PORT`; of several addresses that a name has, the first that answers counts.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] and [`ClientError::Connect`].
    pub fn connect(address: &str, timeouts: Timeouts) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { address: address.to_owned(), source };
        if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            return Err(ClientError::BadAddress(address.to_owned()));
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for socket in address.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&socket, timeouts.connect).and_then(|stream| Self::set_up(stream, timeouts)) {
                Ok(stream) => {
                    debug!("connected to {address} at {socket}");
                    let (incoming, out) = (Incoming::new(), Vec::new());
                    return Ok(Self { stream, peer: address.to_owned(), incoming, out, next_opaque: 0, timeouts, read_timeout: None });
                }
                Err(error) => {
                    debug!("cannot connect to {address} at {socket}: {error}");
                    last = error;
                }
            }
        }
        Err(failed(last))
    }

    fn set_up(stream: TcpStream, timeouts: Timeouts) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(timeouts.answer))?;
        Ok(stream)
    }

    /// The other end as it was named.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The address of this end, as the peer sees it if nothing translates it.
    #[must_use]
    pub fn local_ip(&self) -> IpAddr {
        self.stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
    }

    /// The socket, for waiting on several.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a request and returns its number; the answer is for [`drain`](Self::drain).
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn post(&mut self, request: RequestCode, header: &impl EncodeExt, body: &[u8]) -> Result<i32, ClientError> {
        self.send(request, Flag(0), header, body)
    }

    /// Sends a request that gets no answer.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn tell(&mut self, request: RequestCode, header: &impl EncodeExt, body: &[u8]) -> Result<(), ClientError> {
        self.send(request, Flag(Flag::ONEWAY), header, body).map(drop)
    }

    fn send(&mut self, request: RequestCode, flag: Flag, header: &impl EncodeExt, body: &[u8]) -> Result<i32, ClientError> {
        let opaque = self.next_opaque;
        self.next_opaque = opaque.wrapping_add(1) & i32::MAX;
        self.out.clear();
        encode_frame(&mut self.out, &Head { code: request.code(), opaque, flag, remark: None }, Some(header), body.len());
        self.out.extend_from_slice(body);
        trace!("to {}: {} number {opaque}, {} bytes", self.peer, request.name(), self.out.len());
        self.stream.write_all(&self.out).map_err(|source| ClientError::Io { peer: self.peer.clone(), source })?;
        Ok(opaque)
    }

    /// Sends frames as they are; their numbers are the caller's.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn write(&mut self, frames: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(frames).map_err(|source| ClientError::Io { peer: self.peer.clone(), source })
    }

    /// Sends a request, waits for its answer and lets `read` look at it if it says success. Whatever else comes is dropped: answers
    /// to earlier requests, and requests of the broker, none of which must be answered.
    ///
    /// # Errors
    /// Any [`ClientError`]; [`ClientError::Refused`] if the answer is no success.
    pub fn call<R>(
        &mut self,
        request: RequestCode,
        header: &impl EncodeExt,
        body: &[u8],
        read: impl FnOnce(&Command<'_>) -> Result<R, ClientError>,
    ) -> Result<R, ClientError> {
        let opaque = self.post(request, header, body)?;
        let deadline = Instant::now() + self.timeouts.answer;
        loop {
            while let Some(command) = self.incoming.take().map_err(|error| unreadable(&self.peer, error))? {
                trace_incoming(&self.peer, &command);
                if command.flag.is_response() && command.opaque == opaque {
                    let success = command.code == ResponseCode::Success.code();
                    return if success { read(&command) } else { Err(ClientError::refused(request, &command)) };
                }
            }
            let late = || ClientError::TimedOut { peer: self.peer.clone(), request, millis: self.timeouts.answer.as_millis() };
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or_else(late)?;
            self.receive(left)?;
        }
    }

    /// Reads once what has come, or waits up to `wait` for it. Nothing may have come after that.
    ///
    /// # Errors
    /// [`ClientError::Io`], and [`ClientError::Closed`] at the end of the stream.
    pub fn receive(&mut self, wait: Duration) -> Result<(), ClientError> {
        // A socket takes no time-out of zero.
        let wait = Some(wait.max(Duration::from_millis(1)));
        let told = if self.read_timeout == wait { Ok(()) } else { self.stream.set_read_timeout(wait) };
        self.read_timeout = wait;
        match told.and_then(|()| self.incoming.fill(&mut self.stream)) {
            Ok(0) => Err(ClientError::Closed { peer: self.peer.clone() }),
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(source) => Err(ClientError::Io { peer: self.peer.clone(), source }),
        }
    }

    /// Hands every whole command that has been received to `each`.
    ///
    /// # Errors
    /// What `each` returns, and [`ClientError::Frame`] or [`ClientError::Header`].
    pub fn drain(&mut self, mut each: impl FnMut(&Command<'_>) -> Result<(), ClientError>) -> Result<(), ClientError> {
        while let Some(command) = self.incoming.take().map_err(|error| unreadable(&self.peer, error))? {
            trace_incoming(&self.peer, &command);
            each(&command)?;
        }
        Ok(())
    }
}

fn trace_incoming(peer: &str, command: &Command<'_>) {
    if command.flag.is_response() {
        trace!("from {peer}: answer {} to number {}, {} bytes of body", code_name(command.code), command.opaque, command.body.len());
    } else {
        trace!("from {peer}: request of code {}, which is not answered", command.code);
    }
}

fn unreadable(peer: &str, error: IncomingError) -> ClientError {
    let peer = peer.to_owned();
    match error {
        IncomingError::Frame(source) => ClientError::Frame { peer, source },
        IncomingError::Header(source) => ClientError::Header { peer, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::{Reply, TestServer};
    use proto_core::headers::{DecodeExt, GetMaxOffsetRequest, GetMaxOffsetResponse};
    use proto_core::{ExtFields, Text};

    const SHORT: Timeouts = Timeouts { connect: Duration::from_secs(3), answer: Duration::from_millis(20) };

    fn ask(connection: &mut Connection) -> Result<i64, ClientError> {
        let header = GetMaxOffsetRequest { topic: Text::plain("T"), ..GetMaxOffsetRequest::default() };
        let read = |answer: &Command<'_>| Ok(GetMaxOffsetResponse::decode_ext(&answer.ext)?.offset);
        connection.call(RequestCode::GetMaxOffset, &header, b"", read)
    }

    #[test]
    fn an_answer_is_found_by_its_number_among_others() {
        let server = TestServer::start(|request| {
            let late = Reply::to(request).opaque(request.opaque + 100);
            let notice = Reply::request(RequestCode::NotifyConsumerIdsChanged);
            vec![late, notice, Reply::to(request).header(&GetMaxOffsetResponse { offset: 42 })]
        });
        let mut connection = Connection::connect(server.address(), Timeouts::default()).unwrap();
        assert_eq!(ask(&mut connection).unwrap(), 42);
        assert_eq!(ask(&mut connection).unwrap(), 42);
    }

    #[test]
    fn a_refusal_names_request_code_and_the_first_line_of_the_remark() {
        let server = TestServer::start(|request| vec![Reply::to(request).code(17).remark("no topic T\nSee the FAQ")]);
        let mut connection = Connection::connect(server.address(), Timeouts::default()).unwrap();
        let error = ask(&mut connection).unwrap_err();
        assert_eq!(error.to_string(), "GET_MAX_OFFSET failed with TOPIC_NOT_EXIST (17): no topic T");
    }

    #[test]
    fn a_silent_peer_is_given_up_in_time() {
        let server = TestServer::start(|_| Vec::new());
        let mut connection = Connection::connect(server.address(), SHORT).unwrap();
        let error = ask(&mut connection).unwrap_err().to_string();
        assert_eq!(error, format!("{} did not answer GET_MAX_OFFSET within 20 ms", server.address()));
    }

    #[test]
    fn a_peer_that_hangs_up_is_named() {
        let server = TestServer::start(|request| vec![Reply::to(request).hang_up()]);
        let mut connection = Connection::connect(server.address(), Timeouts::default()).unwrap();
        assert_eq!(ask(&mut connection).unwrap_err().to_string(), format!("{} closed the connection", server.address()));
    }

    #[test]
    fn an_address_without_a_port_is_refused_before_anyone_is_called() {
        for address in ["localhost", "localhost:", ":9876", "localhost:port", ""] {
            assert!(matches!(Connection::connect(address, SHORT), Err(ClientError::BadAddress(_))), "{address:?}");
        }
    }

    #[test]
    fn a_request_without_answer_says_so() {
        let server = TestServer::start(|request| {
            assert_eq!(request.code == RequestCode::UpdateConsumerOffset.code(), request.flag.is_oneway());
            vec![Reply::to(request).header(&GetMaxOffsetResponse { offset: i64::from(request.opaque) })]
        });
        let mut connection = Connection::connect(server.address(), Timeouts::default()).unwrap();
        connection.tell(RequestCode::UpdateConsumerOffset, &ExtFields::present(), b"").unwrap();
        assert_eq!(ask(&mut connection).unwrap(), 1, "the server is still there, and this is the second request");
    }
}
