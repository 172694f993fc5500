//! Holds the checkpoint and the note of a stop in order against the log.

use std::path::PathBuf;

use super::{Examination, Finding, Part, Severity};
use crate::{
    checkpoint::{self, Checkpoint, JavaCheckpoint},
    error::{OpenError, at},
    queue_ends::{self, QueueEnds},
};

/// What becomes of a checkpoint that says nothing.
const ANEW: &str = "the next start reads the log again from an older place and writes it anew";

/// What is wrong with a checkpoint as a file, for a log that has messages.
pub(super) fn flaw(content: Option<&[u8]>) -> Option<String> {
    let Some(bytes) = content else { return Some(format!("missing, although there is a log; {ANEW}")) };
    if bytes.len() != checkpoint::LEN {
        return Some(format!("{} bytes long, where a checkpoint has {}; {ANEW}", bytes.len(), checkpoint::LEN));
    }
    Checkpoint::damage(bytes).map(|why| format!("no checkpoint: {why}; {ANEW}"))
}

/// What is wrong with its times, for a log whose newest message was stored at `newest`.
fn time_flaw(java: &JavaCheckpoint, newest: Option<i64>) -> Option<String> {
    let times = [
        ("of the log", java.physic_msg_timestamp),
        ("of the queues", java.logics_msg_timestamp),
        ("of the index", java.index_msg_timestamp),
    ];
    let becomes =
        "either the end of the log is gone, or this is no checkpoint of it; without the file the next start reads all that it needs";
    times.into_iter().find_map(|(part, time)| match newest {
        _ if time < 0 => Some(format!("the time {part} is {time}, which is none; {becomes}")),
        Some(newest) if time > newest => {
            Some(format!("the time {part} is {time}, although the newest message was stored at {newest}; {becomes}"))
        }
        _ => None,
    })
}

impl Examination {
    /// What is wrong with the checkpoint of a log that has messages. `newest` is the store time of the newest message, if all of them could be read.
    pub(super) fn judge_checkpoint(&self, newest: Option<i64>) -> Option<Finding> {
        let what = self.checkpoint_flaw.clone().or_else(|| time_flaw(&self.checkpoint.java, newest))?;
        let path = self.config.root.join("checkpoint");
        Some(Finding { severity: Severity::Repairable, part: Part::Folder, path, at: None, what })
    }

    /// Files that the log had when the store was closed in order, and has no more.
    ///
    /// # Errors
    /// If the note cannot be read.
    pub(super) fn judge_log_start(&self) -> Result<Option<Finding>, OpenError> {
        let path = self.config.root.join("config").join(queue_ends::FILE);
        let content = self.disk.read(&path).map_err(at(&path))?;
        let (Some(ends), Some(mark)) = (content.as_deref().and_then(QueueEnds::decode), self.checkpoint.mark) else { return Ok(None) };
        let start = self.layout.log_start();
        if start <= ends.log_start || self.layout.log.files.is_empty() {
            return Ok(None);
        }
        let (severity, becomes) = if self.closed && mark.clean && ends.log_end == mark.position {
            (Severity::Damage, "restore the files in front of it, or their messages are lost")
        } else {
            (Severity::Note, "expired files went since, or files are missing")
        };
        let what = format!("the log begins here, at {start}; when the store was closed in order it began at {}: {becomes}", ends.log_start);
        let path = self.layout.log.path(start);
        Ok(Some(Finding { severity, part: Part::Log, path, at: None, what }))
    }

    /// The table of topics, against the topics that queues were found of.
    pub(super) fn judge_topics<'a>(&self, known: Option<&[String]>, found: impl Iterator<Item = &'a str>) -> Option<Finding> {
        let missing: Vec<_> =
            found.filter(|topic| is_in_table(topic) && known.is_none_or(|known| known.iter().all(|it| it != topic))).collect();
        let first = missing.first()?;
        let path = self.topics_path();
        let (severity, what) = if known.is_none_or(<[String]>::is_empty) {
            let what = format!(
                "no topic is in it, although there are queues of {} ({first:?} for one): the next start makes these topics again, but not as they were set up; restore the file",
                missing.len()
            );
            (Severity::Damage, what)
        } else {
            let what = format!(
                "{} topics that have queues are not in it ({first:?} for one): they were removed, or have to be made again before clients reach their messages",
                missing.len()
            );
            (Severity::Note, what)
        };
        Some(Finding { severity, part: Part::Tables, path, at: None, what })
    }

    fn topics_path(&self) -> PathBuf {
        self.config.root.join("config/topics.json")
    }
}

/// Whether a topic that has messages stands in the table of topics: brokers have some without that.
fn is_in_table(topic: &str) -> bool {
    use proto_core::names::{is_lmq, is_read_by_broker, is_system_topic};
    !is_lmq(topic) && !is_system_topic(topic) && !is_read_by_broker(topic)
}
