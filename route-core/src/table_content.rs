//! What the file of a table is to hold.
//!
//! A table that can be large is handed over as it was at one moment, in pieces that the machine and its saver share, which costs a count for
//! each entry and no text. Whoever saves it makes the bytes, beside the loop that goes on with the table: what changes there gets a piece of
//! its own.

use bytes::Bytes;

use crate::broker::{groups::GroupsSnapshot, offsets::OffsetsSnapshot, topics::TopicsSnapshot};

/// The new content of a table's file.
#[derive(Clone, Debug)]
pub enum TableContent {
    /// These bytes.
    Bytes(Bytes),
    /// All topics.
    Topics(TopicsSnapshot),
    /// All groups.
    Groups(GroupsSnapshot),
    /// All offsets.
    Offsets(OffsetsSnapshot),
}

impl TableContent {
    /// Whether the bytes are there already.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        matches!(self, Self::Bytes(_))
    }

    /// The bytes of the file. Of a large table they take their time.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Topics(topics) => topics.to_bytes().into(),
            Self::Groups(groups) => groups.to_bytes().into(),
            Self::Offsets(offsets) => offsets.to_bytes().into(),
        }
    }
}

impl From<Bytes> for TableContent {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for TableContent {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&'static str> for TableContent {
    fn from(text: &'static str) -> Self {
        Self::Bytes(text.into())
    }
}
