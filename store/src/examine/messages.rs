//! The messages of a log in its order, chosen by what they are known by. The queues are not asked: what they lack is found, too.

use std::ops::ControlFlow;

use proto_core::record::RecordView;
use route_core::storage::keys::{MessageNames, text_of};

use super::{Examination, Finding, Part, Severity, Watch};
use crate::{
    error::OpenError,
    log_walk::{LogWalk, Step},
};

/// Progress is told after so many messages.
const TELL_EVERY: u64 = 4096;

/// Which messages are wanted; what is not said lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The topic that they are stored under.
    pub topic: Option<String>,
    /// The queue's number.
    pub queue_id: Option<i32>,
    /// Stored at this time or later, ms since 1970.
    pub from: Option<i64>,
    /// Stored at this time or earlier.
    pub to: Option<i64>,
    /// Their unique key, or one of their keys.
    pub key: Option<String>,
}

impl Selection {
    /// Whether a message is one of them.
    #[must_use]
    pub fn matches(&self, record: &RecordView<'_>) -> bool {
        let stored = record.store_timestamp();
        self.topic.as_ref().is_none_or(|topic| topic == record.topic())
            && self.queue_id.is_none_or(|queue_id| queue_id == record.queue_id())
            && self.from.is_none_or(|from| from <= stored)
            && self.to.is_none_or(|to| stored <= to)
            && self.key.as_ref().is_none_or(|key| {
                let names = MessageNames::of(record.properties());
                names.unique_key.into_iter().chain(names.keys()).any(|name| text_of(name) == *key)
            })
    }
}

impl Examination {
    /// Shows the messages that are wanted to `each`, until it breaks off. What is damaged is told to `watch` and passed over.
    ///
    /// # Errors
    /// [`OpenError`] if a file cannot be read.
    pub fn messages(
        &self,
        selection: &Selection,
        watch: &mut dyn Watch,
        each: &mut dyn FnMut(&RecordView<'_>) -> ControlFlow<()>,
    ) -> Result<(), OpenError> {
        let layout = &self.layout;
        let (from, to) = self.span(selection)?;
        let mut walk = LogWalk::new(&self.disk, &layout.log.dir, layout.log_file_size, &layout.log.files, from, self.trailers()?);
        let mut seen = 0_u64;
        loop {
            let at = walk.position();
            seen += 1;
            if seen.is_multiple_of(TELL_EVERY) {
                watch.progress((at - from).unsigned_abs(), (to - from).unsigned_abs());
            }
            if at >= to {
                return Ok(());
            }
            match walk.step()? {
                Step::Record(record) => {
                    if selection.matches(&record) && each(&record).is_break() {
                        return Ok(());
                    }
                }
                Step::Damage { from, to, why } => {
                    watch.found(self.damage(from, format!("{} bytes are no message ({why}); left out", to - from)));
                }
                Step::End(end) => {
                    if let Some(why) = end.why {
                        watch.found(self.damage(end.at, format!("{} bytes are no message ({why}); the log ends here", end.torn)));
                    }
                    return Ok(());
                }
            }
        }
    }

    fn damage(&self, offset: i64, what: String) -> Finding {
        let (path, at) = self.log_place(offset);
        Finding { severity: Severity::Damage, part: Part::Log, path, at: Some(at), what }
    }

    /// First byte of the first file and last byte of the last file that can have such messages, by the times of their first ones. They
    /// tell nothing if the clock was ever set back.
    fn span(&self, selection: &Selection) -> Result<(i64, i64), OpenError> {
        let files = &self.layout.log.files;
        let size = self.layout.log_file_size.cast_signed();
        let all = (self.layout.log_start(), files.last().map_or(0, |file| file.base + size));
        let mut firsts = Vec::new();
        if selection.from.is_some() || selection.to.is_some() {
            for file in files {
                firsts.extend(self.stored(file.base)?.map(|stored| (file.base, stored)));
            }
        }
        if !firsts.is_sorted_by_key(|(_, stored)| *stored) {
            return Ok(all);
        }
        let before = firsts.partition_point(|(_, stored)| selection.from.is_some_and(|from| *stored < from));
        let until = firsts.partition_point(|(_, stored)| selection.to.is_none_or(|to| *stored <= to));
        let from = before.checked_sub(1).and_then(|index| firsts.get(index)).map_or(all.0, |(base, _)| *base);
        let to = firsts.get(until).map_or(all.1, |(base, _)| *base);
        Ok((from, to.max(from)))
    }
}
