//! A message as one line of text.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use proto_core::{
    properties::names::{KEYS, TAGS},
    record::RecordView,
};

use crate::{client::Queue, commands::unpacked::unpacked_body};

/// Writes queue, offset, store time, tag, keys and body; the body comes last, as it may hold anything.
pub(super) fn write(out: &mut impl Write, queue: &Queue, record: &RecordView<'_>) -> io::Result<()> {
    let property = |name| record.property(name).map_or(Cow::Borrowed(""), in_one_line);
    writeln!(
        out,
        "queue={queue} offset={} stored={} tags={} keys={} body={}",
        record.queue_offset(),
        record.store_timestamp(),
        property(TAGS),
        property(KEYS),
        body_text(record)
    )
}

/// The body if it is text, else how long it is.
fn body_text<'a>(record: &RecordView<'a>) -> Cow<'a, str> {
    match unpacked_body(record) {
        Some(Cow::Borrowed(bytes)) => std::str::from_utf8(bytes).map_or_else(|_| size_of(bytes), in_one_line),
        Some(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => in_one_line(&text).into_owned().into(),
            Err(error) => size_of(error.as_bytes()),
        },
        None => format!("<{} bytes, compressed>", record.body().len()).into(),
    }
}

fn size_of(bytes: &[u8]) -> Cow<'static, str> {
    format!("<{} bytes>", bytes.len()).into()
}

/// The text with line breaks and other controls escaped: they end no line and command no terminal.
fn in_one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_control() {
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
        let bytes = record(5, properties, body, sys_flag);
        let queue = Queue { broker: "b".to_owned(), address: String::new(), id: 3 };
        let mut out = Vec::new();
        write(&mut out, &queue, &RecordView::parse(&bytes).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_of_text_is_shown_with_what_it_is_found_by() {
        let shown = line(b"TAGS\x01A\x02KEYS\x01k1 k2\x02", "grüße".as_bytes(), 0);
        assert_eq!(shown, "queue=b/3 offset=5 stored=1700000000000 tags=A keys=k1 k2 body=grüße\n");
    }

    #[test]
    fn controls_neither_break_the_line_nor_reach_the_terminal() {
        assert!(line(b"", b"a\nb\x1b[2J\0", 0).ends_with(" body=a\\nb\\u{1b}[2J\\u{0}\n"));
    }

    #[test]
    fn what_is_no_text_is_counted() {
        assert!(line(b"", b"\xff\xfe\x00", 0).ends_with(" tags= keys= body=<3 bytes>\n"));
    }

    #[test]
    fn a_compressed_body_is_shown_as_it_was() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(b"hello").unwrap();
        let body = encoder.finish().unwrap();
        assert!(line(b"", &body, message::COMPRESSED).ends_with(" body=hello\n"));
        assert!(line(b"", b"no zlib", message::COMPRESSED).ends_with(" body=<7 bytes, compressed>\n"));
        assert!(line(b"", &body, message::COMPRESSED | 0x100).ends_with(" bytes, compressed>\n"), "LZ4 is not read");
    }
}
