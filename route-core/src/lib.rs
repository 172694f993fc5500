//! Every decision of a RocketMQ name server and broker as deterministic state machines: no socket, file, thread, clock or
//! randomness of their own; the same inputs give the same outputs, byte for byte.
//!
//! All machines have the same verbs: `handle_<input>(now, …)` takes what happened, `handle_timeout(now)` takes that time has
//! passed, `poll_timeout()` says when to be woken next, and `poll_output()` is drained until it is empty before the caller sleeps. A caller
//! may take several inputs in between, as a loop does in one turn: what follows from them is settled when the outputs are drained.
//!
//! A whole broker runs on values: its log is in memory, its clock is an argument, its peers are numbers.
//!
//! ```
//! use proto_core::{Command, FrameDecoder, frame::Decoded};
//! use route_core::{
//!     Millis, Now, Output, Peer, PeerId, Storage, Timestamp,
//!     broker::{Broker, config::BrokerConfig},
//!     output::ReplyHeader,
//!     storage::memory::{MemoryStorage, Visibility},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // SEND_MESSAGE_V2 to queue 0 of a topic that the send itself makes.
//! let header = br#"{"code":310,"opaque":7,"version":513,"extFields":{"b":"Greetings","c":"TBW102","d":"4","e":"0"}}"#;
//! let body = b"hello";
//! let mut frame = Vec::new();
//! frame.extend_from_slice(&u32::try_from(4 + header.len() + body.len())?.to_be_bytes());
//! frame.extend_from_slice(&u32::try_from(header.len())?.to_be_bytes());
//! frame.extend_from_slice(header);
//! frame.extend_from_slice(body);
//!
//! let now = Now { mono: Millis(0), wall: Timestamp(1_700_000_000_000) };
//! let peer = Peer { id: PeerId(1), addr: "192.0.2.7:50000".parse()?, from_here: false };
//! let mut broker = Broker::new(now, BrokerConfig::default(), MemoryStorage::new(Visibility::OnAppend))?;
//! broker.handle_start(now);
//!
//! let Decoded::Frame { frame, .. } = FrameDecoder::default().decode(&frame)? else { panic!("the frame is whole") };
//! broker.handle_request(now, peer, &Command::decode(frame)?);
//!
//! let mut stored = None;
//! while let Some(output) = broker.poll_output() {
//!     if let Output::Reply { opaque: 7, reply, .. } = output
//!         && let ReplyHeader::Send(send) = reply.header
//!     {
//!         stored = send.stored;
//!     }
//! }
//! let stored = stored.ok_or("the send was refused")?;
//! assert_eq!((stored.queue_id, stored.queue_offset), (0, 0));
//! let record = broker.storage().record(stored.offsets[0]).ok_or("nothing lies there")?;
//! assert_eq!(proto_core::record::RecordView::parse(record)?.body(), b"hello");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod allocate;
pub mod broker;
pub mod filter;
pub mod flow;
pub mod interval;
pub mod meter;
pub mod name_server;
pub mod output;
pub mod plugins;
pub mod random;
pub mod registration;
pub mod saves;
pub mod seldom;
pub mod settings;
pub mod storage;
pub mod table_content;
pub mod time;

pub use output::{Output, Peer, PeerId, Reply};
pub use storage::Storage;
pub use time::{Millis, Now, Timestamp};
