//! What both halves know of the topics, groups and keys.

/// Topics with the number of their queues.
pub(crate) const TOPICS: [(&str, i32); 3] = [("JavaStore_plain", 4), ("JavaStore_one", 1), ("JavaStore_delayed", 2)];

/// Groups that have committed offsets.
pub(crate) const GROUPS: [&str; 2] = ["JavaStore_g1", "JavaStore_g2"];

/// Names of all topics and groups begin with this, those of retries contain it.
pub(crate) const MARK: &str = "JavaStore_";

/// The key of every tenth message of a part.
pub(crate) fn shared_key(part: u32) -> String {
    format!("shared-{part}")
}

/// A message's own key.
pub(crate) fn own_key(part: u32, number: usize) -> String {
    format!("own-{part}-{number}")
}

/// The unique key that a client would have given a message: 32 digits.
pub(crate) fn unique_key(part: u32, number: usize) -> String {
    format!("7F0000010000{part:010}{number:010}")
}

/// Messages of a part in the topic with several queues.
pub(crate) const PLAIN: usize = 240;
