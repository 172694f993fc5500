//! Whether a disk after a crash holds what was promised.

use std::path::Path;

use proto_core::record::{RecordView, without_trailer};
use route_core::{Storage, random::Random, storage::OffsetTableKind};
use store::{
    FlushDiskType, Store,
    examine::{Examination, ExamineConfig, Finding, Part, Severity, Watch},
    simulation::{Crash, SimulatedDisk},
};

use super::{
    Start, config,
    model::{Model, QUEUES, TOPICS, parse_table},
    open,
    run::Run,
};

/// What is known about the moment of a crash.
pub(crate) struct Promise<'a> {
    pub(crate) crash: Crash,
    pub(crate) start: Start,
    /// As it was before the step in which the crash came: all that was promised then counts.
    pub(crate) before: &'a Model,
    /// As it would be after it: nothing else may be there.
    pub(crate) after: &'a Model,
    /// It is not the first crash.
    pub(crate) gone_on: bool,
}

impl Promise<'_> {
    /// A topic that was removed may have been back after the first crash, in part.
    fn unsure_of(&self, topic: &str) -> bool {
        self.gone_on && self.after.generation(topic) > 0
    }

    /// The log has to go at least to here.
    fn least_end(&self) -> i64 {
        match self.crash {
            Crash::Kill => self.before.committed,
            Crash::PowerLoss => self.before.durable.min(self.before.end()),
        }
    }
}

/// Opens the disk and looks at everything; then crashes the recovery itself, works on, and looks again.
pub(crate) fn judge(disk: &SimulatedDisk, promise: &Promise<'_>, random: &mut Random, second_crashes: &mut u64) -> Result<(), String> {
    if promise.start.puts_off && random.below(4) == 0 {
        work_on(&disk.after(Crash::Kill, random.next_u64()), promise, random, second_crashes)?;
    }
    let deep = random.below(4) == 0;
    if deep {
        disk.watch(3);
    }
    let mut store = open(disk, promise.start)?;
    let end = check(&mut store, promise)?;
    disk.watch(0);
    for moment in disk.take_moments().into_iter().take(3) {
        *second_crashes += 1;
        let again = moment.after(promise.crash, random.next_u64());
        let mut store = open(&again, promise.start).map_err(|what| format!("after a second crash before {}: {what}", moment.operation))?;
        check(&mut store, promise).map_err(|what| format!("after a second crash before {}: {what}", moment.operation))?;
    }
    if deep {
        go_on(disk, store, promise, end, random)?;
    }
    Ok(())
}

/// Works on with a store that has looked at none of its queues, and crashes it again at many moments.
fn work_on(disk: &SimulatedDisk, promise: &Promise<'_>, random: &mut Random, second_crashes: &mut u64) -> Result<(), String> {
    let store = open(disk, promise.start)?;
    let end = store.log_bounds().1.0;
    let mut model = promise.after.cut(end);
    if promise.start.flush == FlushDiskType::AsyncFlush {
        model.durable = promise.before.durable.min(end);
    }
    let mut run = Run::go_on(disk, promise.start, store, model, random.next_u64());
    disk.watch(3);
    for _ in 0..12 {
        let before = run.model().clone();
        if random.below(4) == 0 {
            run.look_at_queues();
        } else {
            run.step().map_err(|what| format!("when it worked on: {what}"))?;
        }
        for moment in disk.take_moments().into_iter().take(2) {
            *second_crashes += 1;
            let crash = if random.below(3) == 0 { Crash::Kill } else { Crash::PowerLoss };
            let after = moment.after(crash, random.next_u64());
            let promise = Promise { crash, start: promise.start, before: &before, after: run.model(), gone_on: true };
            let told =
                |what| format!("after a second crash ({crash:?}) before {}, {} steps later: {what}", moment.operation, run.trace().len());
            let mut store = open(&after, promise.start).map_err(told)?;
            check_messages(&mut store, &promise).map_err(told)?;
            store.close().map_err(told)?;
        }
    }
    Ok(())
}

/// Works on with a recovered store, stops in order, and looks again: what was cut must not come back.
fn go_on(disk: &SimulatedDisk, store: Store, promise: &Promise<'_>, end: i64, random: &mut Random) -> Result<(), String> {
    let mut run = Run::go_on(disk, promise.start, store, promise.after.cut(end), random.next_u64());
    for _ in 0..5 {
        run.send(1)?;
    }
    run.close_and_open()?;
    run.send(1)?;
    let model = run.model().clone();
    drop(run);
    let promise = Promise { crash: Crash::Kill, start: promise.start, before: &model, after: &model, gone_on: true };
    let after = disk.after(Crash::Kill, random.next_u64());
    let mut store = open(&after, promise.start).map_err(|what| format!("when it had gone on: {what}"))?;
    // The offsets are those of before, which were looked at.
    check_messages(&mut store, &promise).map_err(|what| format!("when it had gone on: {what}"))?;
    if promise.after.removed_any() {
        return Ok(());
    }
    check_files(&after, store)?;
    for derived in ["/data/consumequeue", "/data/checkpoint"] {
        after.remove(Path::new(derived));
    }
    let mut store = open(&after, promise.start).map_err(|what| format!("without its queues: {what}"))?;
    check_messages(&mut store, &promise).map_err(|what| format!("queues built anew: {what}"))?;
    Ok(())
}

/// Closes a store and holds its queues and its index against the log, entry by entry.
fn check_files(disk: &SimulatedDisk, store: Store) -> Result<(), String> {
    store.close().map_err(|why| format!("closing fails: {why}"))?;
    let shape = config(FlushDiskType::AsyncFlush);
    let config = ExamineConfig {
        root: shape.store_path_root_dir,
        index_shape: Some((shape.max_hash_slot_num, shape.max_index_num)),
        disk: disk.clone().into(),
        ..ExamineConfig::default()
    };
    let examination = Examination::open(config);
    let mut wrong = Wrong::default();
    examination.and_then(|examination| examination.verify(&mut wrong)).map_err(|error| format!("cannot be examined: {error}"))?;
    if wrong.0.is_empty() { Ok(()) } else { Err(wrong.0.join("; ")) }
}

/// What is wrong with log, queues and index. Tables hold no topics here.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Watch for Wrong {
    fn found(&mut self, finding: Finding) {
        if finding.severity > Severity::Note && finding.part != Part::Tables {
            self.0.push(finding.to_string());
        }
    }
}

fn check(store: &mut Store, promise: &Promise<'_>) -> Result<i64, String> {
    let end = check_messages(store, promise)?;
    check_offsets(store, promise)?;
    Ok(end)
}

/// The log is a front part of what was sent, as long as was promised, and the queues show just that. Answers its end.
fn check_messages(store: &mut Store, promise: &Promise<'_>) -> Result<i64, String> {
    let end = store.log_bounds().1.0;
    if end < promise.least_end() {
        return Err(format!("the log ends at {end}, and {} was promised", promise.least_end()));
    }
    let there: Vec<_> = promise.after.sent.iter().take_while(|sent| sent.end <= end).collect();
    let known = there.last().map_or(0, |sent| sent.end);
    let size = 16 << 10;
    if end != known && (end % size != 0 || end - known > size) {
        return Err(format!("the log ends at {end}, where no message ends; the last one before ends at {known}"));
    }
    for sent in &there {
        let record = store.record(route_core::storage::LogOffset(sent.offset)).ok_or_else(|| format!("no record at {}", sent.offset))?;
        let view = RecordView::parse(record).map_err(|error| format!("the record at {}: {error}", sent.offset))?;
        let told = (view.topic(), view.queue_id(), view.queue_offset(), view.body(), without_trailer(view.properties()));
        let whole = told == (sent.topic, sent.queue_id, sent.queue_offset, sent.body.as_bytes(), sent.properties.as_bytes());
        if !whole || view.verify_crc().is_err() || view.verify_trailer() != Ok(promise.start.trailers) {
            return Err(format!("the record at {} is not the message that was sent", sent.offset));
        }
    }
    for topic in TOPICS.into_iter().filter(|topic| !promise.unsure_of(topic)) {
        for queue_id in 0..QUEUES {
            let of_generation = |generation: u32| -> Vec<_> {
                let mine = |sent: &&&super::model::Sent| sent.topic == topic && sent.queue_id == queue_id && sent.generation == generation;
                there.iter().filter(mine).map(|sent| (sent.queue_offset, sent.offset)).collect()
            };
            let shown = shown(store, topic, queue_id)?;
            let last = promise.after.generation(topic);
            // A removal is not promised to have happened before something new was sent, nor to have been forgotten.
            let mut allowed = vec![(last, of_generation(last))];
            if allowed[0].1.is_empty() {
                allowed.extend((0..last).rev().map(|generation| (generation, of_generation(generation))));
            }
            // Of a topic that was removed any run may be shown: messages behind the checkpoint come back, others never came.
            let is_shown = |generation: u32, messages: &[(i64, i64)]| {
                messages == shown || generation < last && messages.windows(shown.len().max(1)).any(|run| run == shown)
            };
            if !allowed.iter().any(|(generation, messages)| is_shown(*generation, messages)) {
                return Err(format!("{topic}-{queue_id} shows {shown:?}, and the log to {end} has {allowed:?}"));
            }
        }
    }
    Ok(end)
}

/// Offsets of what can be read of a queue, with the places in the log.
fn shown(store: &Store, topic: &str, queue_id: i32) -> Result<Vec<(i64, i64)>, String> {
    let Some(queue) = store.find_queue(topic, queue_id) else { return Ok(Vec::new()) };
    let bounds = store.bounds(queue);
    let mut shown = Vec::new();
    let mut at = bounds.min;
    while at < bounds.max {
        let before = at;
        for unit in store.units(queue, at) {
            shown.push((at, unit.offset.0));
            at += 1;
        }
        if at == before {
            return Err(format!("{topic}-{queue_id} has no units at {at} of {bounds:?}"));
        }
    }
    Ok(shown)
}

/// A killed process loses no offset; after a loss of power those of the last save that is known to be on disk, or later ones, are there.
fn check_offsets(store: &mut Store, promise: &Promise<'_>) -> Result<(), String> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map_err(|error| error.to_string()).and_then(parse_table);
    let (table, noted) = store.load_offsets(OffsetTableKind::Consumer, text).map_err(|error| error.to_string())?;
    let mut offsets = table.unwrap_or_default();
    offsets.extend(noted.into_iter().map(|noted| ((noted.key, noted.queue_id), noted.offset)));
    let least = match promise.crash {
        Crash::Kill => &promise.before.noted,
        Crash::PowerLoss => &promise.before.saved,
    };
    for (key, promised) in least {
        let found = offsets.get(key).copied().unwrap_or(0);
        if found < *promised {
            return Err(format!("the offset of {key:?} is {found}, and {promised} was promised"));
        }
    }
    for (key, found) in &offsets {
        if *found > promise.after.noted.get(key).copied().unwrap_or(0) {
            return Err(format!("the offset of {key:?} is {found}, which was never noted"));
        }
    }
    Ok(())
}
