//! `petrel store dump`: messages as JSON, one in a line.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    ops::ControlFlow,
};

use ::store::examine::Selection;
use base64::{Engine, engine::general_purpose::STANDARD};
use proto_core::{
    calendar::{parse_utc, utc_text},
    properties,
    record::RecordView,
};
use serde::Serialize;

use super::{
    FolderArgs, StoreCommandError,
    watch::{Teller, line_of},
};
use crate::commands::unpacked::unpacked_body;

/// Arguments of `petrel store dump`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    folder: FolderArgs,
    /// Only messages that are stored under this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only messages of the queue with this number
    #[arg(long, value_name = "NUMBER")]
    queue: Option<i32>,
    /// Only messages stored at this time or later: ms since 1970, or a date and time of day in UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// Only messages stored at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<i64>,
    /// Only messages with this key, be it one of their keys or the unique one
    #[arg(long)]
    key: Option<String>,
    /// End after this many messages
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
}

pub(in crate::commands) fn time(text: &str) -> Result<i64, String> {
    parse_utc(text).ok_or_else(|| "ms since 1970 or a time like 2026-11-22T19:36:18 is needed".to_owned())
}

/// A message as an object of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Row<'a> {
    /// Name of the broker that gave the message, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) broker: Option<&'a str>,
    topic: &'a str,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    size: usize,
    stored: String,
    store_timestamp: i64,
    born_timestamp: i64,
    born_host: String,
    store_host: String,
    msg_id: String,
    flag: i32,
    sys_flag: i32,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    #[serde(rename = "bodyCRC")]
    body_crc: u32,
    properties: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// What is no text; or compressed in a way that cannot be read here: then as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl<'a> Row<'a> {
    pub(in crate::commands) fn new(record: &RecordView<'a>) -> Self {
        let (body, body_base64) = match unpacked_body(record).map(|body| String::from_utf8(body.into_owned())) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(error)) => (None, Some(STANDARD.encode(error.as_bytes()))),
            None => (None, Some(STANDARD.encode(record.body()))),
        };
        Self {
            broker: None,
            topic: record.topic(),
            queue_id: record.queue_id(),
            queue_offset: record.queue_offset(),
            commit_log_offset: record.physical_offset(),
            size: record.total_size(),
            stored: utc_text(record.store_timestamp()),
            store_timestamp: record.store_timestamp(),
            born_timestamp: record.born_timestamp(),
            born_host: record.born_host().to_string(),
            store_host: record.store_host().to_string(),
            msg_id: record.offset_message_id().to_string(),
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            body_crc: record.body_crc(),
            properties: properties::iter(record.properties())
                .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
                .collect(),
            body,
            body_base64,
        }
    }
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<bool, StoreCommandError> {
    let examination = args.folder.examine()?;
    let Args { folder: _, topic, queue, from, to, key, max } = args.clone();
    let selection = Selection { topic, queue_id: queue, from, to, key };
    let mut errors = io::stderr();
    let mut teller = Teller::new(&mut errors, false);
    let mut left = max.unwrap_or(u64::MAX);
    let mut failed = None;
    let done = examination.messages(&selection, &mut teller, &mut |record| {
        if let Err(error) = out.write_all(&line_of(&Row::new(record))) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let damaged = teller.count;
    teller.finish()?;
    done?;
    failed.map_or(Ok(damaged == 0), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::record;

    fn row(properties: &[u8], body: &[u8], sys_flag: i32) -> String {
        let bytes = record(5, properties, body, sys_flag);
        String::from_utf8(line_of(&Row::new(&RecordView::parse(&bytes).unwrap()))).unwrap()
    }

    #[test]
    fn a_message_is_one_line_with_all_that_is_known_of_it() {
        let line = row(b"TAGS\x01A\x02KEYS\x01k1 k2\x02", "grüße\n".as_bytes(), 0);
        assert!(line.contains(r#""queueOffset":5,"#) && line.contains(r#""stored":"2023-11-14T22:13:20.000Z""#), "{line}");
        assert!(line.ends_with("\"properties\":{\"KEYS\":\"k1 k2\",\"TAGS\":\"A\"},\"body\":\"grüße\\n\"}\n"), "{line}");
    }

    #[test]
    fn a_body_that_is_no_text_comes_as_base64() {
        assert!(row(b"", b"\xff\xfe\x00", 0).ends_with(",\"properties\":{},\"bodyBase64\":\"//4A\"}\n"));
        assert!(row(b"", b"abc", 0x101).ends_with(",\"bodyBase64\":\"YWJj\"}\n"), "LZ4 is not read");
    }
}
