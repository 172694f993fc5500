//! Settings that operators look at and change while a machine runs.
//!
//! A machine knows what a setting means, its runtime knows how it is written and where it is kept. So a change goes out as it came
//! (`Output::Configure`) and comes back as a configuration (`handle_configured`), of which the machine takes over what may change while it
//! runs; then what was changed is saved like any table, and only then answered.

use std::sync::Arc;

use bytes::Bytes;

use crate::output::Reply;

/// The settings of a machine as text: `key=value` a line, in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsText {
    /// All of them.
    pub all: Arc<str>,
    /// Those that requests have changed since the start.
    pub changed: Arc<str>,
}

impl SettingsText {
    /// What is to be saved.
    pub(crate) fn to_file(&self) -> Bytes {
        Bytes::copy_from_slice(self.changed.as_bytes())
    }

    /// The answer to who asks for all.
    pub(crate) fn reply(&self) -> Reply {
        Reply::with_body(Bytes::copy_from_slice(self.all.as_bytes()))
    }
}
