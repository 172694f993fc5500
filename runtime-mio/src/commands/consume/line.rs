//! A message as one line of text.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use proto_core::{
    calendar::utc_text,
    json::{self, Dialect},
    properties::{
        self,
        names::{CLUSTER, KEYS, MSG_REGION, TAGS, TRACE_ON, UNIQ_KEY, WAIT},
    },
    record::RecordView,
};

use crate::{
    client::Queue,
    commands::{
        store::{dump::Row, watch::line_of},
        unpacked::unpacked_body,
    },
};

/// Writes a message as an object of JSON, or as queue, offset, id, store time, tag, keys, other properties and body for people; the body
/// comes last, as it may hold anything.
pub(super) fn write(out: &mut impl Write, queue: &Queue, record: &RecordView<'_>, as_json: bool) -> io::Result<()> {
    if as_json {
        let mut row = Row::new(record);
        row.broker = Some(&queue.broker);
        return out.write_all(&line_of(&row));
    }
    let property = |name| record.property(name).map_or(Cow::Borrowed(""), in_one_line);
    write!(
        out,
        "queue={queue} offset={} id={} stored={} tags={} keys={} ",
        record.queue_offset(),
        property(UNIQ_KEY),
        utc_text(record.store_timestamp()),
        property(TAGS),
        property(KEYS),
    )?;
    let others: BTreeMap<_, _> = properties::iter(record.properties())
        .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .filter(|(name, _)| !TOLD_ELSEWHERE.contains(&&**name))
        .collect();
    if !others.is_empty() {
        let text = json::to_vec(&others, Dialect::Standard);
        // JSON has escaped what breaks a line; a backslash in it is one already.
        let text: String = String::from_utf8_lossy(&text).chars().filter(|character| !character.is_control()).collect();
        write!(out, "properties={text} ")?;
    }
    writeln!(out, "body={}", body_text(record))
}

/// Properties that have a place of their own in the line, or that say nothing about the message.
const TOLD_ELSEWHERE: [&str; 7] = [TAGS, KEYS, UNIQ_KEY, WAIT, CLUSTER, MSG_REGION, TRACE_ON];

/// The body if it is text, else how long it is and how it begins.
fn body_text<'a>(record: &RecordView<'a>) -> Cow<'a, str> {
    match unpacked_body(record) {
        Some(Cow::Borrowed(bytes)) => std::str::from_utf8(bytes).map_or_else(|_| in_hex("", bytes).into(), in_one_line),
        Some(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => in_one_line(&text).into_owned().into(),
            Err(error) => in_hex("", error.as_bytes()).into(),
        },
        None => in_hex(", compressed", record.body()).into(),
    }
}

/// Bytes of a body that is no text of which so many are shown.
const SHOWN: usize = 32;

fn in_hex(how: &str, bytes: &[u8]) -> String {
    let mut text = format!("<{} bytes{how}, hex ", bytes.len());
    for byte in bytes.iter().take(SHOWN) {
        // Writing into a string never fails.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    text.push_str(if bytes.len() > SHOWN { "...>" } else { ">" });
    text
}

/// The text with line breaks and other controls escaped: they end no line and command no terminal. So is the backslash, that what was
/// escaped can be told from what looked like it.
fn in_one_line(text: &str) -> Cow<'_, str> {
    let escaped = |character: char| character.is_control() || character == '\\';
    if !text.chars().any(escaped) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if escaped(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::record;
    use flate2::{Compression as Level, write::ZlibEncoder};
    use proto_core::sys_flag::message;

    fn line(properties: &[u8], body: &[u8], sys_flag: i32) -> String {
        shown(properties, body, sys_flag, false)
    }

    fn shown(properties: &[u8], body: &[u8], sys_flag: i32, as_json: bool) -> String {
        let bytes = record(5, properties, body, sys_flag);
        let queue = Queue { broker: "b".to_owned(), address: String::new(), id: 3 };
        let mut out = Vec::new();
        write(&mut out, &queue, &RecordView::parse(&bytes).unwrap(), as_json).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_of_text_is_shown_with_what_it_is_found_by() {
        let shown = line(b"TAGS\x01A\x02KEYS\x01k1 k2\x02UNIQ_KEY\x010A\x02WAIT\x01true\x02", "grüße".as_bytes(), 0);
        assert_eq!(shown, "queue=b/3 offset=5 id=0A stored=2023-11-14T22:13:20.000Z tags=A keys=k1 k2 body=grüße\n");
    }

    #[test]
    fn other_properties_are_an_object_in_front_of_the_body() {
        let shown = line(b"region\x01eu\x02price\x0142\x02", b"x", 0);
        assert!(
            shown.ends_with(
                r#" properties={"price":"42","region":"eu"} body=x
"#
            ),
            "{shown}"
        );
    }

    #[test]
    fn for_programs_it_is_one_object_with_the_name_of_the_broker() {
        let shown = shown(b"TAGS\x01A\x02", b"a\nb", 0, true);
        assert!(shown.starts_with(r#"{"broker":"b","topic":"T","queueId":3,"#), "{shown}");
        assert!(shown.ends_with("\"properties\":{\"TAGS\":\"A\"},\"body\":\"a\\nb\"}\n"), "{shown}");
    }

    #[test]
    fn controls_neither_break_the_line_nor_reach_the_terminal() {
        assert!(line(b"", b"a\nb\x1b[2J\0", 0).ends_with(" body=a\\nb\\u{1b}[2J\\u{0}\n"));
        assert!(line(b"", b"a\\nb", 0).ends_with(" body=a\\\\nb\n"), "what looks escaped can be told from what is");
    }

    #[test]
    fn what_is_no_text_is_counted_and_its_first_bytes_are_shown() {
        assert!(line(b"", b"\xff\xfe\x00", 0).ends_with(" tags= keys= body=<3 bytes, hex fffe00>\n"));
        assert!(line(b"", &[0xff; 33], 0).ends_with(&format!(" body=<33 bytes, hex {}...>\n", "ff".repeat(32))));
    }

    #[test]
    fn a_compressed_body_is_shown_as_it_was() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(b"hello").unwrap();
        let body = encoder.finish().unwrap();
        assert!(line(b"", &body, message::COMPRESSED).ends_with(" body=hello\n"));
        assert!(line(b"", b"no zlib", message::COMPRESSED).ends_with(" body=<7 bytes, compressed, hex 6e6f207a6c6962>\n"));
        assert!(line(b"", &body, message::COMPRESSED | 0x100).contains(" bytes, compressed, hex "), "LZ4 is not read");
    }
}
