//! Where a message lies: its broker's address and its place in the log there.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use thiserror::Error;

use super::HexText;

/// The id that a broker gives a message. As text it is `ip | i32 port | i64 offset` in upper-case hex: 32 digits, or 56 for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetMessageId {
    /// The broker that stored the message.
    pub host: SocketAddr,
    /// Where its record begins in the commit log.
    pub offset: i64,
}

/// Why a text is no such id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OffsetIdError {
    /// Neither 32 nor at least 56 characters.
    #[error("a message id has 32 or 56 characters, not {0}")]
    BadLength(usize),
    /// The port is not one.
    #[error("{0} is no port")]
    BadPort(i32),
}

const V4_LEN: usize = 32;

impl OffsetMessageId {
    /// Appends the id's text. Nothing is allocated beyond what `out` needs to grow.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    fn text(&self) -> HexText {
        let mut text = HexText::EMPTY;
        match self.host.ip() {
            IpAddr::V4(ip) => text.push(ip.octets()),
            IpAddr::V6(ip) => text.push(ip.octets()),
        }
        text.push(i32::from(self.host.port()).to_be_bytes());
        text.push(self.offset.to_be_bytes());
        text
    }

    /// Reads an id. As in Java, letters may be small, a character that is no hex digit counts as -1, and what follows the 56th
    /// character is ignored.
    ///
    /// # Errors
    /// [`OffsetIdError`] by length or port; nothing else can be wrong.
    pub fn parse(text: &str) -> Result<Self, OffsetIdError> {
        let digits = text.as_bytes();
        let mut bytes = [0u8; super::MAX_ID_LEN / 2];
        for (byte, &[high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = (digit(high) << 4) | digit(low);
        }
        let (ip, rest) = match digits.len() {
            V4_LEN => {
                let &[a, b, c, d, ref rest @ ..] = &bytes;
                (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), rest.first_chunk::<12>())
            }
            len if len >= super::MAX_ID_LEN => {
                let ip = bytes.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |ip| Ipv6Addr::from(*ip));
                (IpAddr::V6(ip), bytes.last_chunk::<12>())
            }
            len => return Err(OffsetIdError::BadLength(len)),
        };
        let &[p0, p1, p2, p3, offset @ ..] = rest.unwrap_or(&[0; 12]);
        let port = i32::from_be_bytes([p0, p1, p2, p3]);
        let host = SocketAddr::new(ip, u16::try_from(port).map_err(|_| OffsetIdError::BadPort(port))?);
        Ok(Self { host, offset: i64::from_be_bytes(offset) })
    }
}

/// Java's `indexOf` in the hex alphabet: -1 for anything else.
const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'A'..=b'F' => character - b'A' + 10,
        b'a'..=b'f' => character - b'a' + 10,
        _ => 0xFF,
    }
}

impl fmt::Display for OffsetMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}
