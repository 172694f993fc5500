//! Bytes to typed values and back, and nothing else: no socket, file, thread, clock or randomness is ever touched.
//!
//! This crate knows RocketMQ's remoting frames, both header serializers, the typed headers and bodies, and the message
//! record as it lies in the commit log. All integers on the wire and on disk are big-endian.
//!
//! A frame that lies in a read buffer is cut off, read and answered without copying anything but the answer:
//!
//! ```
//! use proto_core::{
//!     Command, Flag, FrameDecoder, Text,
//!     encode::{Head, encode_frame},
//!     frame::Decoded,
//!     headers::{DecodeExt, GetMaxOffsetRequest, GetMaxOffsetResponse},
//! };
//!
//! let header = br#"{"code":30,"extFields":{"topic":"TopicTest","queueId":"3"},"language":"GO","opaque":7}"#;
//! let mut buffer = u32::to_be_bytes(4 + header.len() as u32).to_vec();
//! buffer.extend_from_slice(&u32::to_be_bytes(header.len() as u32));
//! assert_eq!(FrameDecoder::default().decode(&buffer)?, Decoded::Incomplete { needed: 8 + header.len() });
//! buffer.extend_from_slice(header);
//!
//! let Decoded::Frame { frame, len } = FrameDecoder::default().decode(&buffer)? else { panic!("the frame is whole") };
//! let command = Command::decode(frame)?;
//! let request = GetMaxOffsetRequest::decode_ext(&command.ext)?;
//! assert_eq!((request.topic, request.queue_id, request.committed), (Text::plain("TopicTest"), 3, true));
//!
//! let mut answer = Vec::new();
//! let head = Head { code: 0, opaque: command.opaque, flag: Flag(Flag::RESPONSE), remark: None };
//! encode_frame(&mut answer, &head, Some(&GetMaxOffsetResponse { offset: 42 }), 0);
//! assert!(answer.ends_with(
//!     br#"{"code":0,"extFields":{"offset":"42"},"flag":1,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":513}"#
//! ));
//! assert_eq!(len, buffer.len());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The rules come from recordings of Java RocketMQ 5.5.0; where a doc line names a rule, the recording is its source.
#![forbid(unsafe_code)]

pub mod batch;
pub mod bloom;
pub mod bodies;
pub mod calendar;
pub mod code;
pub mod command;
pub mod delay;
pub mod encode;
pub mod ext;
pub mod frame;
pub mod hash;
pub mod headers;
pub mod ids;
pub mod json;
pub mod names;
pub mod perm;
pub mod properties;
pub mod recall;
pub mod record;
pub mod sql;
pub mod subscription;
pub mod sys_flag;
pub mod text;
mod word;

pub use command::{Command, CommandError, Flag};
pub use ext::ExtFields;
pub use frame::{Frame, FrameDecoder, FrameError, SerializeType};
pub use text::Text;
