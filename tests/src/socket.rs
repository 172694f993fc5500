//! A blocking client over a real socket, for tests of the whole process.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use proto_core::{
    Command,
    command::Flag,
    encode::EncodeExt,
    frame::{Decoded, FrameDecoder},
};

use crate::packet::{Packet, request};

/// A connection that sends requests and reads whatever comes back, one packet at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    inbound: Vec<u8>,
    next_opaque: i32,
}

impl Connection {
    /// Connects; reads give up after ten seconds.
    ///
    /// # Errors
    /// The socket's.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, inbound: Vec::new(), next_opaque: 1 })
    }

    /// Sends a request; the number tells its answer apart.
    ///
    /// # Errors
    /// The socket's.
    pub fn post(&mut self, code: i32, header: &impl EncodeExt, body: &[u8]) -> io::Result<i32> {
        let opaque = self.next_opaque;
        self.next_opaque += 1;
        self.stream.write_all(&request(code, opaque, Flag(0), header, body))?;
        Ok(opaque)
    }

    /// Waits for the next packet.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` if the peer has closed, `InvalidData` if it sends no frames.
    pub fn read(&mut self) -> io::Result<Packet> {
        loop {
            if let Some((packet, len)) = first_packet(&self.inbound)? {
                self.inbound.drain(..len);
                return Ok(packet);
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.inbound.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request and waits for its answer; requests of the peer that come before it are dropped.
    ///
    /// # Errors
    /// As [`Self::post`] and [`Self::read`].
    pub fn call(&mut self, code: i32, header: &impl EncodeExt, body: &[u8]) -> io::Result<Packet> {
        let opaque = self.post(code, header, body)?;
        loop {
            let packet = self.read()?;
            if packet.flag.is_response() && packet.opaque == opaque {
                return Ok(packet);
            }
        }
    }
}

fn first_packet(bytes: &[u8]) -> io::Result<Option<(Packet, usize)>> {
    let invalid = |error: &dyn std::error::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    match FrameDecoder::default().decode(bytes).map_err(|error| invalid(&error))? {
        Decoded::Incomplete { .. } => Ok(None),
        Decoded::Frame { frame, len } => {
            let command = Command::decode(frame).map_err(|error| invalid(&error))?;
            Ok(Some((Packet::own(&command), len)))
        }
    }
}
