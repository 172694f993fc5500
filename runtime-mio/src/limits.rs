//! The bounds of what peers can make the process hold or do.

use proto_core::FrameDecoder;
use route_core::time::Millis;

/// Limits of the loop. `Default` is what ships; RocketMQ's keys change some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetLimits {
    /// Connections at a time; who comes later is turned away.
    pub connections: usize,
    /// Connections that the system holds ready for one listener until they are taken (`serverSocketBacklog`).
    pub backlog: i32,
    /// Longest frame in bytes, its length field included.
    pub frame: usize,
    /// Bytes one connection may bring in one turn; also the size of the shared read buffer. At least 16 KiB.
    pub read_share: usize,
    /// Frames of one connection between two looks at what they put out.
    pub frames_at_once: usize,
    /// Memory for cut frames of all connections together; beyond it the largest is cut off.
    pub inbound: usize,
    /// Above so many waiting bytes nothing more is read from a connection until fewer than [`Self::low_water`] wait.
    pub high_water: usize,
    /// See [`Self::high_water`].
    pub low_water: usize,
    /// Memory that may be kept for one peer that does not read; beyond it the connection is cut off.
    pub outbound: usize,
    /// A connection on which nothing moves for so long is closed (`serverChannelMaxIdleTimeSeconds`); zero for never.
    pub idle: Millis,
    /// A connection that takes none of the bytes that wait for it for so long is closed.
    pub stalled: Millis,
    /// A connection that is to be closed is given so long to take what was written to it.
    pub linger: Millis,
    /// How long a dial may take (`connectTimeoutMillis`).
    pub dial: Millis,
    /// Dials at a time.
    pub dials: usize,
    /// Connections that one listener takes in one turn.
    pub accepts_at_once: usize,
    /// How long the goodbye at the end of the process may take.
    pub goodbye: Millis,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            backlog: 1024,
            frame: FrameDecoder::DEFAULT_LIMIT,
            read_share: 256 * 1024,
            frames_at_once: 64,
            inbound: 256 << 20,
            high_water: 4 << 20,
            low_water: 1 << 20,
            outbound: 64 << 20,
            idle: Millis::from_secs(120),
            stalled: Millis::from_secs(120),
            linger: Millis::from_secs(5),
            dial: Millis::from_secs(3),
            dials: 256,
            accepts_at_once: 128,
            goodbye: Millis(700),
        }
    }
}
