//! `petrel store inspect`

use std::io::{self, Write};

use ::store::examine::{QueueSummary, Summary};
use proto_core::calendar::utc_text;
use serde::Serialize;

use super::{FolderArgs, StoreCommandError, watch::line_of};

pub(super) fn run(args: &FolderArgs, out: &mut dyn Write) -> Result<bool, StoreCommandError> {
    let summary = args.examine()?.inspect()?;
    if args.json { write_json(&summary, out) } else { write_text(&summary, out) }?;
    Ok(true)
}

fn write_text(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let Summary { root, closed, checkpoint, log, queue_file_size, topics, index, tables, cut_off } = summary;
    writeln!(out, "folder       {}, {}", root.display(), if *closed { "closed in order" } else { "not closed in order" })?;
    match checkpoint {
        Some(it) => {
            write!(out, "checkpoint   messages on disk until {}", time(Some(it.physic_msg_timestamp)))?;
            write!(out, ", queues until {}, index until {}", time(Some(it.logics_msg_timestamp)), time(Some(it.index_msg_timestamp)))?;
            match it.on_disk {
                Some(offset) => writeln!(out, ", log up to {offset}")?,
                None => writeln!(out)?,
            }
        }
        None => writeln!(out, "checkpoint   none")?,
    }
    writeln!(out, "log          {} to {} in {} files of {} bytes", log.start, log.end, log.files.len(), log.file_size)?;
    if log.torn > 0 {
        writeln!(out, "             {} bytes behind the end are no message", log.torn)?;
    }
    for file in &log.files {
        writeln!(out, "  {:020} {:>12} bytes  from {}", file.base, file.bytes, time(file.first_stored))?;
    }
    for (path, bytes) in cut_off {
        writeln!(out, "cut off      {bytes} bytes kept in {}", path.display())?;
    }
    let queues: usize = topics.iter().map(|topic| topic.queues.len()).sum();
    writeln!(out, "queues       {queues} of {} topics, files of {queue_file_size} bytes", topics.len())?;
    if queues > 0 {
        let width = topics.iter().map(|topic| topic.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(out, "  {:width$} {:>5} {:>12} {:>12}  {:24} last stored", "topic", "queue", "min", "max", "first stored")?;
        for topic in topics {
            let mark = if topic.in_table == Some(false) { "  (not in topics.json)" } else { "" };
            for queue in &topic.queues {
                let QueueSummary { queue_id, files: _, min_offset, max_offset, first_stored, last_stored } = *queue;
                let times = format!("{:24} {}", time(first_stored), time(last_stored));
                writeln!(out, "  {:width$} {queue_id:>5} {min_offset:>12} {max_offset:>12}  {times}{mark}", topic.name)?;
            }
        }
    }
    writeln!(out, "index        {} files", index.len())?;
    for (name, bytes) in index {
        writeln!(out, "  {name} {bytes:>12} bytes")?;
    }
    writeln!(out, "tables")?;
    for table in tables {
        let entries = match (table.bytes, table.entries) {
            (None, _) => "missing".to_owned(),
            (Some(bytes), Some(entries)) => format!("{bytes} bytes, {entries} entries"),
            (Some(bytes), None) => format!("{bytes} bytes, cannot be read"),
        };
        let bak = if table.bak_bytes.is_some() { ", with a copy (.bak)" } else { "" };
        writeln!(out, "  {:24} {entries}{bak}", table.name)?;
    }
    Ok(())
}

fn time(millis: Option<i64>) -> String {
    millis.filter(|millis| *millis > 0).map_or_else(|| "-".to_owned(), utc_text)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FolderRow {
    r#type: &'static str,
    path: String,
    closed: bool,
    log_start: i64,
    log_end: i64,
    torn: u64,
    log_file_size: u64,
    queue_file_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    physic_msg_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logics_msg_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_msg_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_disk: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileRow {
    r#type: &'static str,
    name: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_stored: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueRow<'a> {
    r#type: &'static str,
    topic: &'a str,
    queue_id: i32,
    min_offset: i64,
    max_offset: i64,
    files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_stored: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_stored: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_table: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TableRow {
    r#type: &'static str,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bak_bytes: Option<u64>,
}

fn write_json(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let log = &summary.log;
    let checkpoint = summary.checkpoint;
    out.write_all(&line_of(&FolderRow {
        r#type: "folder",
        path: summary.root.display().to_string(),
        closed: summary.closed,
        log_start: log.start,
        log_end: log.end,
        torn: log.torn,
        log_file_size: log.file_size,
        queue_file_size: summary.queue_file_size,
        physic_msg_timestamp: checkpoint.map(|it| it.physic_msg_timestamp),
        logics_msg_timestamp: checkpoint.map(|it| it.logics_msg_timestamp),
        index_msg_timestamp: checkpoint.map(|it| it.index_msg_timestamp),
        on_disk: checkpoint.and_then(|it| it.on_disk),
    }))?;
    for file in &log.files {
        let name = format!("{:020}", file.base);
        out.write_all(&line_of(&FileRow { r#type: "logFile", name, bytes: file.bytes, first_stored: file.first_stored }))?;
    }
    for (path, bytes) in &summary.cut_off {
        let name = path.display().to_string();
        out.write_all(&line_of(&FileRow { r#type: "cutOff", name, bytes: *bytes, first_stored: None }))?;
    }
    for topic in &summary.topics {
        for queue in &topic.queues {
            let QueueSummary { queue_id, files, min_offset, max_offset, first_stored, last_stored } = *queue;
            out.write_all(&line_of(&QueueRow {
                r#type: "queue",
                topic: &topic.name,
                queue_id,
                min_offset,
                max_offset,
                files,
                first_stored,
                last_stored,
                in_table: topic.in_table,
            }))?;
        }
    }
    for (name, bytes) in &summary.index {
        out.write_all(&line_of(&FileRow { r#type: "indexFile", name: name.clone(), bytes: *bytes, first_stored: None }))?;
    }
    for table in &summary.tables {
        let (name, bytes, entries, bak_bytes) = (table.name, table.bytes, table.entries, table.bak_bytes);
        out.write_all(&line_of(&TableRow { r#type: "table", name, bytes, entries, bak_bytes }))?;
    }
    Ok(())
}
