//! JSON as fastjson writes and takes it: lenient in, two dialects and one file layout out.
//!
//! Reading tolerates what Java tolerates: keys without quotes, numbers and objects in key position, an object's text as a key,
//! single quotes, numbers as strings and the other way round, 0 and 1 for booleans, names of members in another letter case or
//! with `_` and `-` in them, unknown members, surplus commas. Null members, entries and elements are skipped, so that a null
//! member has its default; so is `{"$ref":…}`, by which fastjson points at an object that it has written before.
//! Of members that come twice the first counts.
//!
//! ```
//! use proto_core::{bodies::{MessageQueue, ResetOffsetBody}, json::{self, Dialect}};
//!
//! let body: ResetOffsetBody = json::from_slice(br#"{"offsetTable":{{"brokerName":"b","queue_id":"3","topic":"T"}:5}}"#)?;
//! assert_eq!(body.offset_table[&MessageQueue { broker_name: "b".into(), queue_id: 3, topic: "T".into() }], 5);
//! assert_eq!(json::to_vec(&body, Dialect::Default), br#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:5}}"#);
//! # Ok::<_, json::JsonError>(())
//! ```

mod cursor;
mod double;
mod error;
mod field;
mod key;
mod read;
mod write;

pub use error::{JsonError, JsonErrorKind};

use serde::{Serialize, de::DeserializeOwned};

/// Objects and arrays inside each other; more are refused before they cost stack.
pub const MAX_DEPTH: u8 = 64;

/// Objects and arrays in one body; more are refused, so that a body cannot claim many times its own size in memory.
/// A frame full of topics, registered by name, stays well below.
pub const MAX_CONTAINERS: u32 = 1 << 18;

/// A double as `Double.toString` prints it; what is not finite as `null`.
pub(crate) fn double_text(value: f64) -> String {
    let mut text = Vec::new();
    double::write_double(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// How JSON is written. Members that are `None` are left out in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// fastjson's default: keys that are no strings stand as they are, `{0:"addr"}` and `{{"queueId":3}:5}`. Most bodies.
    Default,
    /// What any JSON reader takes: all keys quoted, entries of maps sorted, ASCII only, `/` escaped. Routes for newer clients.
    Standard,
    /// [`Dialect::Default`] with a line for each member, indented by tabs: the tables on disk.
    Pretty,
}

/// Reads the body of a command. Strings are always copies, as keys and escapes may not lie in `bytes` as they are meant.
///
/// # Errors
/// [`JsonError`] with the place where reading stopped.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read(bytes, MAX_CONTAINERS)
}

/// [`from_slice`] for a table on disk, which only brokers write and which may be larger than any body.
///
/// # Errors
/// [`JsonError`] with the place where reading stopped.
pub fn from_table<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read(bytes, u32::MAX)
}

fn read<T: DeserializeOwned>(bytes: &[u8], containers: u32) -> Result<T, JsonError> {
    let mut cursor = cursor::Cursor::new(bytes, containers)?;
    let value = T::deserialize(read::Reader::new(&mut cursor)).map_err(|error| error.or_at(cursor.position()))?;
    cursor.finish()?;
    Ok(value)
}

/// Writes a value.
///
/// A `Serialize` that refuses by itself comes out as `null`; those of [`crate::bodies`] never do.
#[must_use]
pub fn to_vec<T: Serialize + ?Sized>(value: &T, dialect: Dialect) -> Vec<u8> {
    let mut out = Vec::new();
    append(value, dialect, &mut out);
    out
}

/// [`to_vec`] into a buffer of the caller.
pub fn append<T: Serialize + ?Sized>(value: &T, dialect: Dialect, out: &mut Vec<u8>) {
    let start = out.len();
    if value.serialize(&mut write::Writer::new(out, dialect)).is_err() {
        out.truncate(start);
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
}
