//! Files of properties, read as Java reads them, with line numbers.

use std::{fs, path::Path};

use java_properties::{LineContent, PropertiesIter};

use super::error::ConfigError;

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// What editors write in front of text in UTF-8.
const UTF_8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// What stands in front of text in UTF-16, in either order of its bytes.
const UTF_16_MARKS: [&[u8]; 2] = [&[0xFE, 0xFF], &[0xFF, 0xFE]];

/// Reads a file. White space around values is left out: it is never meant.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let bytes = fs::read(path).map_err(|error| ConfigError::Unreadable { file: path.to_owned(), why: error.to_string() })?;
    parse(path, bytes)
}

/// Reads the bytes of the file at `path`.
pub(super) fn parse(path: &Path, mut bytes: Vec<u8>) -> Result<Vec<Entry>, ConfigError> {
    let unreadable = |why: &str| ConfigError::Unreadable { file: path.to_owned(), why: why.to_owned() };
    if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(unreadable("it is text in UTF-16; save it as UTF-8"));
    }
    // The reader of properties takes a mark that is cut by the end of the file amiss.
    bytes.push(b'\n');
    let text = bytes.strip_prefix(UTF_8_MARK).unwrap_or(&bytes);
    let mut entries = Vec::new();
    for line in PropertiesIter::new(text) {
        let line = line.map_err(|error| match error.line_number() {
            Some(line) => ConfigError::Malformed { file: path.to_owned(), line },
            None => unreadable("it cannot be read to its end"),
        })?;
        let number = line.line_number();
        if let LineContent::KVPair(key, value) = line.consume_content() {
            entries.push(Entry { line: number, key, value: value.trim().to_owned() });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_bytes(bytes: &[u8]) -> Result<Vec<Entry>, ConfigError> {
        parse(Path::new("broker.conf"), bytes.to_owned())
    }

    #[test]
    fn whatever_a_file_begins_or_ends_with_it_is_read_or_refused() {
        let pieces: [&[u8]; 12] = [b"", b"a", b"=", b"\\", b"\\u", b"\n", b"\r", b"#", b"\xef", b"\xbb", b"\xbf\xff", b"\xc3\xfe"];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    for fourth in pieces {
                        let bytes = [first, second, third, fourth].concat();
                        let entries = parse_bytes(&bytes).map_or(0, |entries| entries.len());
                        assert!(entries <= bytes.len(), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn comments_and_continued_lines_count() {
        let entries = parse_bytes(b"# a comment\n\nbrokerName = a \nnamesrvAddr=x:1;\\\n  y:2\nlast=1").expect("properties");
        let found: Vec<_> = entries.iter().map(|entry| (entry.line, &*entry.key, &*entry.value)).collect();
        assert_eq!(found, [(3, "brokerName", "a"), (4, "namesrvAddr", "x:1;y:2"), (6, "last", "1")]);
    }

    #[test]
    fn a_broken_escape_is_told_with_its_line() {
        let error = parse_bytes(b"a=1\nb=\\u00zz").unwrap_err();
        assert!(matches!(error, ConfigError::Malformed { line: 2, .. }), "{error}");
    }

    #[test]
    fn marks_of_encodings_are_no_part_of_the_first_key() {
        let entries = parse_bytes("\u{feff}brokerName=a".as_bytes()).expect("properties");
        assert_eq!(entries, [Entry { line: 1, key: "brokerName".to_owned(), value: "a".to_owned() }]);
    }

    #[test]
    fn a_file_in_utf_16_is_refused_and_says_so() {
        for bytes in [&b"\xff\xfea\0=\0"[..], b"\xfe\xff\0a\0"] {
            let error = parse_bytes(bytes).unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(matches!(read(dir.path()), Err(ConfigError::Unreadable { .. })));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nonexistent/broker.conf")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/broker.conf"), "{error}");
    }
}
