//! Files of properties, read as Java reads them, with line numbers.

use std::{fs::File, io::BufReader, path::Path};

use java_properties::{LineContent, PropertiesIter};

use super::error::ConfigError;

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// Reads a file. White space around values is left out: it is never meant.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let unreadable = |why: String| ConfigError::Unreadable { file: path.to_owned(), why };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut entries = Vec::new();
    for line in PropertiesIter::new(BufReader::new(file)) {
        let line = line.map_err(|error| match error.line_number() {
            Some(line) => ConfigError::Malformed { file: path.to_owned(), line },
            None => unreadable("it cannot be read to its end".to_owned()),
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
    use std::fs;

    use super::*;

    fn read_text(text: &str) -> Result<Vec<Entry>, ConfigError> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("broker.conf");
        fs::write(&path, text).expect("a file");
        read(&path)
    }

    #[test]
    fn comments_and_continued_lines_count() {
        let entries = read_text("# a comment\n\nbrokerName = a \nnamesrvAddr=x:1;\\\n  y:2\nlast=1").expect("properties");
        let found: Vec<_> = entries.iter().map(|entry| (entry.line, &*entry.key, &*entry.value)).collect();
        assert_eq!(found, [(3, "brokerName", "a"), (4, "namesrvAddr", "x:1;y:2"), (6, "last", "1")]);
    }

    #[test]
    fn a_broken_escape_is_told_with_its_line() {
        let error = read_text("a=1\nb=\\u00zz").unwrap_err();
        assert!(matches!(error, ConfigError::Malformed { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nonexistent/broker.conf")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/broker.conf"), "{error}");
    }
}
