//! What becomes of old units that lead to no message: a damaged message is passed over and told of, a wrong unit is put right from the log.

use std::{cmp::Ordering, sync::Weak};

use proto_core::{
    names::is_lmq,
    record::{RecordView, peek},
};
use route_core::storage::{QueueId, QueueUnit, Readability};

use crate::{
    consume_queue::{ConsumeQueue, PRE_BLANK},
    dispatch::is_tags_code_of,
    doubts::Search,
    errands::Errand,
    flusher::OpenedQueueFile,
    store::Store,
};

/// So many units around one in doubt are looked at for one that is right: between the messages of two right ones lies the one that is
/// looked for.
const AROUND: i64 = 1000;

/// How a whole record fits the unit that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It is the unit's.
    Right,
    /// It is the unit's, but has other tags.
    OtherTags,
    /// It says of itself to lie further in front in the queue: so it is where queues were built anew from a log in which offsets come
    /// twice. A consumer that goes by what it says reads some messages again.
    Earlier,
    /// It says of itself to lie further behind in the queue: a consumer that goes by that would pass over all in between.
    Later,
    /// It is that of another queue, or there is none.
    Other,
}

impl Store {
    /// What [`route_core::Storage::readability`] answers.
    #[inline]
    pub(crate) fn readability_of(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Readability {
        let Some(target) = self.queues.get(queue) else { return Readability::Damaged };
        // Units that stand in for others are told of where they are made.
        if unit.size == PRE_BLANK.size {
            return Readability::Damaged;
        }
        if target.is_unchecked(offset) { self.look_at(queue, target, offset, unit) } else { Readability::Whole }
    }

    fn look_at(&self, queue: QueueId, target: &ConsumeQueue, offset: i64, unit: &QueueUnit) -> Readability {
        let fit = match self.log.check(unit) {
            Ok(()) => self.fit(queue, offset, unit),
            Err(why) if self.log.bears_out(unit) => {
                self.log.tell_damaged(unit, &why);
                return Readability::Damaged;
            }
            Err(_) => Fit::Other,
        };
        // It was told of those that are settled.
        if fit != Fit::Right && self.doubts.raise(queue, offset) {
            return Readability::InDoubt;
        }
        match fit {
            Fit::Right | Fit::OtherTags | Fit::Earlier => {
                target.note_right(offset);
                Readability::Whole
            }
            Fit::Later | Fit::Other => Readability::Damaged,
        }
    }

    /// How the whole record that a unit leads to fits the unit.
    fn fit(&self, queue: QueueId, offset: i64, unit: &QueueUnit) -> Fit {
        let Some((topic, queue_id)) = self.queues.place_of(queue) else { return Fit::Other };
        // What a record says behind its body no checksum covers.
        let Some(Ok(view)) = self.log.bytes_from(unit.offset.0).map(RecordView::parse) else { return Fit::Other };
        if view.queue_id() != queue_id || view.topic() != topic {
            // Java's light queues show messages of other topics.
            return if is_lmq(topic) { Fit::Right } else { Fit::Other };
        }
        match view.queue_offset().cmp(&offset) {
            Ordering::Less => Fit::Earlier,
            Ordering::Greater => Fit::Later,
            Ordering::Equal if is_tags_code_of(unit.tags_code, &view) => Fit::Right,
            Ordering::Equal => Fit::OtherTags,
        }
    }

    /// Has the log searched for what the next unit in doubt should lead to.
    pub(crate) fn look_after_doubts(&mut self) {
        let Some((queue, offset)) = self.doubts.poll() else { return };
        match self.plan_search(queue, offset) {
            Some(search) => self.search(search),
            // Its topic was removed meanwhile.
            None => drop(self.doubts.settle(queue, offset..offset + 1, |_| false)),
        }
    }

    fn search(&mut self, search: Search) {
        self.doubts.begin();
        let (queue, offsets) = (search.queue, search.offsets.clone());
        if !self.cleaning.clean.ask(Errand::Search(Box::new(search))) {
            self.doubts.end();
            tracing::error!("wrong units of queues are not looked after any more: the thread for it is gone");
            drop(self.doubts.settle(queue, offsets, |_| false));
        }
    }

    /// The message of a unit lies between those of the units around it that are right.
    fn plan_search(&self, queue: QueueId, offset: i64) -> Option<Search> {
        let (topic, queue_id) = self.queues.name_of(queue)?;
        let target = self.queues.get(queue)?;
        let is_right = |at: i64, unit: &QueueUnit| self.log.check(unit).is_ok() && self.fit(queue, at, unit) == Fit::Right;
        let right = |at: &i64| target.unit(*at).is_some_and(|unit| is_right(*at, &unit));
        let before = (target.min().max(offset - AROUND)..offset).rev().find(right);
        let behind = (offset + 1..target.max().min(offset + AROUND)).find(right);
        let unit_at = |at: Option<i64>| at.and_then(|at| target.unit(at));
        let log_start = self.log.start();
        let from = unit_at(before).map_or(log_start, |unit| unit.offset.0 + i64::from(unit.size)).max(log_start);
        let to = unit_at(behind).map_or(self.position.dispatched, |unit| unit.offset.0);
        Some(Search {
            queue,
            topic,
            queue_id,
            offsets: before.map_or(offset - AROUND, |at| at + 1)..behind.unwrap_or(offset + AROUND),
            log: from..to.max(from),
            dir: self.cleaning.commit_log_dir.clone(),
            file_size: self.cleaning.log_file_size,
            bases: self.log.bases().collect(),
            trailers: self.log.trailers().clone(),
            delay_levels: self.delay_levels.clone(),
            found: Vec::new(),
        })
    }

    /// A part of the log was read.
    pub(crate) fn handle_searched(&mut self, search: Search, read: Result<(), String>) {
        self.doubts.end();
        if read.is_ok() && !search.is_done() {
            return self.search(search);
        }
        self.conclude(search, &read);
    }

    /// What [`route_core::Storage::settle_units`] does.
    pub(crate) fn settle_units_of(&mut self, queue: QueueId, from: i64) {
        let mut at = from;
        while let Some(target) = self.queues.get(queue).filter(|target| at < target.max()) {
            let in_doubt = target.unit(at).is_some_and(|unit| self.readability_of(queue, at, &unit) == Readability::InDoubt);
            if in_doubt && let Some(mut search) = self.plan_search(queue, at) {
                let mut read = Ok(());
                while read.is_ok() && !search.is_done() {
                    read = search.step(self.queues.disk());
                }
                self.conclude(search, &read);
            }
            at += 1;
        }
    }

    /// What the log has was found.
    fn conclude(&mut self, search: Search, read: &Result<(), String>) {
        if let Err(why) = read {
            tracing::error!(topic = &*search.topic, queue = search.queue_id, why, "the log could not be searched for a message");
        }
        let Search { queue, topic, queue_id, offsets, found, .. } = search;
        let mended = self.put_right(queue, &topic, queue_id, &found);
        let settled = self.doubts.settle(queue, offsets, |offset| mended && found.iter().any(|(at, _)| *at == offset));
        for offset in settled.into_iter().filter(|offset| !mended || found.iter().all(|(at, _)| at != offset)) {
            self.tell_not_found(queue, (&topic, queue_id), offset);
        }
    }

    /// No record of the log is the one that a unit should lead to.
    fn tell_not_found(&self, queue: QueueId, (topic, queue_id): (&str, i32), offset: i64) {
        let Some(target) = self.queues.get(queue) else { return };
        let (path, byte) = target.place_of(offset);
        let path = path.display();
        let unit = target.unit(offset).filter(|unit| self.log.check(unit).is_ok());
        match unit.map(|unit| (unit, self.fit(queue, offset, &unit))) {
            Some((unit, Fit::Later)) => {
                let said = self.log.bytes_from(unit.offset.0).map_or(-1, peek::queue_offset);
                let why = format!("it says of itself to have offset {said} in queue {queue_id} of {topic}, where its unit has {offset}");
                self.log.tell_damaged(&unit, &why);
            }
            Some((unit, Fit::Earlier)) => {
                let at = unit.offset.0;
                tracing::warn!(%path, byte, topic, queue = queue_id, offset, at, "a message has an earlier offset than its unit; readers get it as it is");
            }
            _ => {
                tracing::error!(%path, byte, topic, queue = queue_id, offset, "the message of a unit is nowhere in the log; readers pass over it");
            }
        }
    }

    /// Puts right those units that are wrong. Answers whether that could be done.
    fn put_right(&mut self, queue: QueueId, topic: &str, queue_id: i32, found: &[(i64, QueueUnit)]) -> bool {
        let Ok(target) = self.queues.get_mut(queue) else { return false };
        // They need no second look, nor do those that will be put in place.
        found.iter().for_each(|(offset, _)| target.note_right(*offset));
        let wrong: Vec<_> = found.iter().filter(|(at, unit)| target.unit(*at).is_some_and(|is| is != *unit)).copied().collect();
        if wrong.is_empty() {
            return true;
        }
        match target.mend(&wrong) {
            Ok(changed) => {
                for (offset, unit) in &wrong {
                    let (path, byte) = target.place_of(*offset);
                    let (path, at) = (path.display(), unit.offset.0);
                    tracing::warn!(%path, byte, topic, queue = queue_id, offset, at, "a wrong unit of a queue was put right from the log");
                }
                while let Some(file) = target.take_opened() {
                    self.shared.queue_opened(file);
                }
                for path in changed {
                    // Nobody maps it: it goes to disk under its path.
                    self.shared.queue_opened(OpenedQueueFile { path, mapping: Weak::new(), synced: 0, dirs: Vec::new() });
                }
                true
            }
            Err(error) => {
                tracing::error!(topic, queue = queue_id, %error, "wrong units of a queue could not be put right; all queues are built anew at the next start");
                self.shared.rebuild_queues_from(self.log.start());
                false
            }
        }
    }
}
