//! Files of properties, with the line of each of them.

use std::{path::Path, sync::Arc};

use java_properties::{LineContent, PropertiesIter};

use super::{ConfigError, Origin};

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its place.
    pub origin: Origin,
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped and without spaces around it.
    pub value: String,
}

/// Reads a file.
///
/// # Errors
/// [`ConfigError::Unreadable`] or [`ConfigError::Syntax`].
pub fn read(path: &Path) -> Result<Vec<Property>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &bytes)
}

/// Reads properties as Java does: ISO 8859-1 with `\uXXXX`, continued lines, `=`, `:` or space between key and value.
///
/// # Errors
/// [`ConfigError::Syntax`].
pub fn parse(name: &str, bytes: &[u8]) -> Result<Vec<Property>, ConfigError> {
    let file: Arc<str> = name.into();
    let mut properties = Vec::new();
    for line in PropertiesIter::new(bytes) {
        let line = line.map_err(|error| ConfigError::Syntax {
            file: file.clone(),
            line: error.line_number().unwrap_or(0),
            what: error.to_string(),
        })?;
        let origin = Origin::Line { file: file.clone(), line: line.line_number() };
        if let LineContent::KVPair(key, value) = line.consume_content() {
            properties.push(Property { origin, key, value: value.trim().to_owned() });
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_through_comments_and_continuations() {
        let text = b"# a comment\nbrokerName = broker-a \n\nmessageDelayLevel=1s \\\n  5s\nnamesrvAddr:127.0.0.1\\:9876\n";
        let seen: Vec<_> = parse("broker.conf", text).unwrap().into_iter().map(|p| (p.origin.to_string(), p.key, p.value)).collect();
        let expected = [
            ("broker.conf:2", "brokerName", "broker-a"),
            ("broker.conf:4", "messageDelayLevel", "1s 5s"),
            ("broker.conf:6", "namesrvAddr", "127.0.0.1:9876"),
        ];
        assert_eq!(seen, expected.map(|(at, key, value)| (at.to_owned(), key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_broken_escape_is_named_with_its_line() {
        let error = parse("broker.conf", b"brokerName=a\nregionId=\\u12\n").unwrap_err();
        assert!(error.to_string().starts_with("broker.conf:2: "), "{error}");
    }
}
