//! What an operator has installed, as the machines see it: filters and allocations by name, and nothing of what runs them.
//!
//! A broker asks [`Plugins`] once for each subscription, and holds on to what it is given. What that is bound to, and in which language it was
//! written, is the business of whoever implements the trait; without plugins it is [`NoPlugins`], and nothing here is ever called.

use std::{
    fmt::{Debug, Write as _},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::filter::{MessageFilter, QueueName};

pub mod name;
pub mod shelf;

/// Why a plugin does not serve. The text goes to the client that asked, or into the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PluginRefusal {
    /// Nothing of this name is installed.
    #[error("no plugin is called '{0}' here; `petrel plugin list` names those that are installed")]
    NotInstalled(String),
    /// It is installed, and the operator has switched it off.
    #[error("the plugin '{0}' is disabled; `petrel plugin enable {0}` lets it work again")]
    Disabled(String),
    /// It does something else.
    #[error("the plugin '{name}' is no {wanted}")]
    WrongKind {
        /// The plugin.
        name: String,
        /// What it was asked to be: `filter` or `allocator`.
        wanted: &'static str,
    },
    /// It does not take the argument of the subscription.
    #[error("the plugin '{name}' refuses the argument '{argument}': {why}")]
    Argument {
        /// The plugin.
        name: String,
        /// The beginning of the argument.
        argument: String,
        /// What the plugin says, or the limit that it ran into.
        why: String,
    },
    /// It was asked and failed: which limit it ran into, or where it trapped.
    #[error("the plugin '{name}' failed: {why}")]
    Failed {
        /// The plugin.
        name: String,
        /// What happened.
        why: String,
    },
    /// The broker was built or started without plugins.
    #[error("this broker runs no plugins, so there is none called '{0}'")]
    NoPlugins(String),
}

/// A consumer of a group that shares queues, as an allocator may look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupClient<'a> {
    /// Its id, by which it is known to the other members.
    pub id: &'a str,
    /// What else is known of it, by name: `address` (`ip:port` of its connection), `language`, `version`. Empty for a client that has not
    /// been heard of on this broker.
    pub properties: &'a [(&'a str, &'a str)],
}

/// Queues that have to be shared out, and among whom. Both lists come sorted: queues by topic, broker and number, clients by their id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share<'a> {
    /// The group of the clients.
    pub group: &'a str,
    /// The queues of one topic, on all brokers that are known to have some.
    pub queues: &'a [QueueName<'a>],
    /// The members of the group.
    pub clients: &'a [GroupClient<'a>],
}

/// An allocation that an operator installed. Unlike the [built-in ones](crate::allocate) it can fail.
pub trait PluginAllocator: Debug + Send + Sync {
    /// For each queue of the share the index of the client that owns it: a queue has one owner, never two. The answer is as long as
    /// `share.queues`, each number below `share.clients.len()`: an implementation believes no plugin that says anything else.
    ///
    /// # Errors
    /// [`PluginRefusal::Failed`] if the plugin failed, ran into a limit, or answered something that is no partition of the queues.
    fn allocate(&self, share: &Share<'_>) -> Result<Vec<usize>, PluginRefusal>;
}

/// Where the broker finds what an operator has installed.
///
/// A filter that was given stays usable whatever becomes of its plugin. After a new version has taken the place of an old one the next batch
/// is judged by the new one; what is withheld and delivered when a plugin fails, is disabled or removed is the policy of the implementation.
/// The broker is told of such changes and asks anew for each subscription, so that clients hear of a plugin that is gone.
pub trait Plugins: Debug + Send + Sync {
    /// A filter by the plugin `name` for a subscription that gives it `argument`; an argument that the subscription leaves out is empty.
    /// Called once for each subscription, and again when plugins have changed; never for each message.
    ///
    /// # Errors
    /// [`PluginRefusal`]: there is no such plugin, it is no filter, or it refuses the argument.
    fn filter(&self, name: &str, argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal>;

    /// The allocator of that name with `argument`, which is empty if it was left out.
    ///
    /// # Errors
    /// [`PluginRefusal`]: there is no such plugin, it is no allocator, or it refuses the argument.
    fn allocator(&self, name: &str, argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal>;

    /// All that is installed, by name, for who asks what there is.
    fn list(&self) -> Vec<PluginInfo> {
        Vec::new()
    }
}

/// What an operator is told of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PluginInfo {
    /// Messages that went as the policy says, since the plugin had no answer for them.
    pub by_policy: u64,
    /// Batches of messages that it has judged, or shares of queues that it has made.
    pub calls: u64,
    /// SHA-256 of its file, in hexadecimal digits.
    pub digest: String,
    /// Times that it failed, in judging, sharing out, or looking at an argument.
    pub failures: u64,
    /// The steps that it made, in units of what runs it.
    pub fuel: u64,
    /// `filter` or `allocator`; empty if its file cannot be used.
    pub kind: String,
    /// The last failure, or why the file that lies there is not used.
    pub last_error: String,
    /// Failures that were a limit: of steps, memory, tables or stack.
    pub limits: u64,
    /// Messages that it has judged.
    pub messages: u64,
    /// Its name.
    pub name: String,
    /// Nanoseconds that a call takes, by a sample of its calls; 0 if none was timed.
    pub nanos_per_call: u64,
    /// Nanoseconds that a message takes, by the same calls.
    pub nanos_per_message: u64,
    /// What becomes of messages that it fails on, as the operator has set it.
    pub policy: String,
    /// Size of its file, in bytes.
    pub size: u64,
    /// `active`, `disabled` or `refused`.
    pub state: String,
    /// Failures that were a trap, as a panic is.
    pub traps: u64,
    /// The version that it gives itself, if it does.
    pub version: String,
}

/// SHA-256 of a plugin's file, in hexadecimal digits: by it the same file is told from another one everywhere.
#[must_use]
pub fn digest(file: &[u8]) -> String {
    Sha256::digest(file).iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing into a text cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Plugins of a broker that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlugins;

impl Plugins for NoPlugins {
    fn filter(&self, name: &str, _argument: &str) -> Result<Arc<dyn MessageFilter>, PluginRefusal> {
        Err(PluginRefusal::NoPlugins(name.to_owned()))
    }

    fn allocator(&self, name: &str, _argument: &str) -> Result<Arc<dyn PluginAllocator>, PluginRefusal> {
        Err(PluginRefusal::NoPlugins(name.to_owned()))
    }
}
