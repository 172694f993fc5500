//! Bytes to typed values and back, and nothing else: no socket, file, thread, clock or randomness is ever touched.
//!
//! This crate knows RocketMQ's remoting frames, both header serializers, the typed headers and bodies, and the message
//! record as it lies in the commit log. All integers on the wire and on disk are big-endian.
//!
//! The rules come from recordings of Java RocketMQ 5.5.0; where a doc line names a rule, the recording is its source.
#![forbid(unsafe_code)]

pub mod batch;
pub mod bodies;
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
pub mod record;
pub mod subscription;
pub mod sys_flag;
pub mod text;

pub use command::{Command, CommandError, Flag};
pub use ext::ExtFields;
pub use frame::{Frame, FrameDecoder, FrameError, SerializeType};
pub use text::Text;
