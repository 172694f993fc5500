//! Names of topics and groups: what is allowed, what is reserved, what is derived.

use thiserror::Error;

/// Prefix of retry topics; the group follows.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of dead-letter topics; the group follows.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Prefix of light queues.
pub const LMQ_PREFIX: &str = "%LMQ%";
/// Suffix of the topic for answers; the cluster stands before it.
pub const REPLY_TOPIC_SUFFIX: &str = "_REPLY_TOPIC";
/// Prefix of topics that belong to brokers.
pub const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
/// Prefix of groups that belong to brokers.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// The topic after which others are made on the first send.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Where messages wait for their delay.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Where Java's benchmark sends.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Where half messages wait.
pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Where ends of transactions are noted.
pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// As [`TRANS_HALF_TOPIC`], for transactions in RocksDB.
pub const ROCKSDB_TRANS_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
/// As [`TRANS_OP_HALF_TOPIC`], for transactions in RocksDB.
pub const ROCKSDB_TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
/// Where half messages go that were checked too often.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Where clients send traces.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// For a broker's test of itself.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Where offsets that had to be moved were noted.
pub const OFFSET_MOVED_EVENT_TOPIC: &str = "OFFSET_MOVED_EVENT";
/// For the store in RocksDB.
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";
/// Where timed messages wait.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";

/// Every topic with a fixed name that belongs to brokers.
pub const SYSTEM_TOPICS: [&str; 12] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    TRANS_HALF_TOPIC,
    ROCKSDB_TRANS_HALF_TOPIC,
    TRACE_TOPIC,
    TRANS_OP_HALF_TOPIC,
    ROCKSDB_TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT_TOPIC,
    CHECKPOINT_TOPIC,
];

/// Topics to which no client may send.
pub const FORBIDDEN_TO_SEND: [&str; 8] = [
    SCHEDULE_TOPIC,
    TRANS_HALF_TOPIC,
    ROCKSDB_TRANS_HALF_TOPIC,
    TRANS_OP_HALF_TOPIC,
    ROCKSDB_TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT_TOPIC,
];

/// The group of Java's command line tools.
pub const TOOLS_CONSUMER_GROUP: &str = "TOOLS_CONSUMER";
/// The group of the broker's transaction check.
pub const TRANS_CONSUMER_GROUP: &str = "CID_RMQ_SYS_TRANS";

/// Groups that every broker knows from the start.
pub const SYSTEM_GROUPS: [&str; 8] = [
    TOOLS_CONSUMER_GROUP,
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    TRANS_CONSUMER_GROUP,
];

/// Longest name of a topic, in bytes.
pub const TOPIC_MAX_LEN: usize = 127;
/// Longest name of a retry or dead-letter topic, in bytes.
pub const RETRY_OR_DLQ_TOPIC_MAX_LEN: usize = 255;
/// Longest name of a group, in bytes.
pub const GROUP_MAX_LEN: usize = 120;

/// What Java appends to some remarks.
pub const FAQ_SUFFIX: &str = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

/// Why a name is refused; the text is the remark that clients know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("The specified {kind} is blank.")]
    Blank {
        /// Topic or group.
        kind: NameKind,
    },
    /// A character outside `%|a-zA-Z0-9_-`.
    #[error("The specified {kind}: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    IllegalCharacters {
        /// Topic or group.
        kind: NameKind,
        /// The name.
        name: String,
    },
    /// Too long.
    #[error("The specified {kind}: {name}, is longer than {kind} max length: {}", .kind.max_len())]
    TooLong {
        /// Topic or group.
        kind: NameKind,
        /// The name.
        name: String,
    },
    /// A retry or dead-letter topic that is too long.
    #[error("The specified topic is DLQ or Retry topic: {0}, and it's longer than topic max length: {RETRY_OR_DLQ_TOPIC_MAX_LEN}")]
    RetryOrDlqTooLong(String),
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A topic.
    Topic,
    /// A group.
    Group,
}

impl NameKind {
    const fn max_len(self) -> usize {
        match self {
            Self::Topic => TOPIC_MAX_LEN,
            Self::Group => GROUP_MAX_LEN,
        }
    }
}

impl std::fmt::Display for NameKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Group => "group",
        })
    }
}

/// Whether a client may use this name for a topic.
///
/// # Errors
/// [`NameError`], whose text is the remark of the answer.
pub fn validate_topic(topic: &str) -> Result<(), NameError> {
    check_characters(NameKind::Topic, topic)?;
    if is_retry(topic) || is_dlq(topic) {
        if topic.len() > RETRY_OR_DLQ_TOPIC_MAX_LEN {
            return Err(NameError::RetryOrDlqTooLong(topic.to_owned()));
        }
        return Ok(());
    }
    check_len(NameKind::Topic, topic)
}

/// Whether a client may use this name for a group.
///
/// # Errors
/// [`NameError`], whose text is the remark of the answer.
pub fn validate_group(group: &str) -> Result<(), NameError> {
    check_characters(NameKind::Group, group)?;
    check_len(NameKind::Group, group)
}

fn check_characters(kind: NameKind, name: &str) -> Result<(), NameError> {
    if name.chars().all(char::is_whitespace) {
        return Err(NameError::Blank { kind });
    }
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-')) {
        return Ok(());
    }
    Err(NameError::IllegalCharacters { kind, name: name.to_owned() })
}

fn check_len(kind: NameKind, name: &str) -> Result<(), NameError> {
    if name.len() > kind.max_len() {
        return Err(NameError::TooLong { kind, name: name.to_owned() });
    }
    Ok(())
}

/// Whether a topic belongs to brokers. At run time a broker's own names join these.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX)
}

/// Whether no client may send to a topic.
#[must_use]
pub fn is_forbidden_to_send(topic: &str) -> bool {
    FORBIDDEN_TO_SEND.contains(&topic)
}

/// Whether a broker reads a topic back and acts on what lies there: nothing may come into it that the broker has not put there itself.
/// Java forbids all of these but the timer's.
#[must_use]
pub fn is_read_by_broker(topic: &str) -> bool {
    matches!(topic, SCHEDULE_TOPIC | TIMER_TOPIC | TRANS_HALF_TOPIC | TRANS_OP_HALF_TOPIC)
}

/// Whether a message that waits somewhere else may go to a topic of this name: one that a client may use, or a pop retry topic
/// (`%RETRY%group+topic`), which only brokers make.
///
/// # Errors
/// [`NameError`]
pub fn validate_target(topic: &str) -> Result<(), NameError> {
    match topic.split_once('+') {
        Some((group, of)) if is_retry(group) && topic.len() <= RETRY_OR_DLQ_TOPIC_MAX_LEN => {
            validate_topic(group).and_then(|()| validate_topic(of))
        }
        _ => validate_topic(topic),
    }
}

/// Whether a group belongs to brokers.
#[must_use]
pub fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
}

/// Whether every broker knows this group from the start.
#[must_use]
pub fn is_predefined_group(group: &str) -> bool {
    SYSTEM_GROUPS.contains(&group)
}

/// Whether a topic holds messages that come again.
#[must_use]
pub fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Whether a topic holds dead letters.
#[must_use]
pub fn is_dlq(topic: &str) -> bool {
    topic.starts_with(DLQ_PREFIX)
}

/// Whether a name is that of a light queue.
#[must_use]
pub fn is_lmq(name: &str) -> bool {
    name.starts_with(LMQ_PREFIX)
}

/// The retry topic of a group.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    [RETRY_PREFIX, group].concat()
}

/// The dead-letter topic of a group.
#[must_use]
pub fn dlq_topic(group: &str) -> String {
    [DLQ_PREFIX, group].concat()
}

/// The topic of a cluster's answers.
#[must_use]
pub fn reply_topic(cluster: &str) -> String {
    [cluster, REPLY_TOPIC_SUFFIX].concat()
}

/// The group that a retry topic belongs to. In the name of a pop retry topic (`%RETRY%group+topic`) it ends before the `+`.
#[must_use]
pub fn group_of_retry_topic(topic: &str) -> Option<&str> {
    let group = topic.strip_prefix(RETRY_PREFIX)?;
    Some(group.split_once('+').map_or(group, |(group, _)| group))
}
