//! Changes in a file of properties that leave everything else in it as it is, comments included.

use std::{fmt::Write, path::Path};

use super::{ConfigError, file};

/// The file `present` with the properties of `changed` in it: each takes the place of the last line that sets its key, or stands at the end.
///
/// # Errors
/// `present` cannot be read as properties.
pub(super) fn merge(path: &Path, present: Vec<u8>, changed: &[u8]) -> Result<Vec<u8>, ConfigError> {
    let known = file::parse(path, present.clone())?;
    let mut lines: Vec<Vec<u8>> = present.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for entry in file::parse(path, changed.to_vec())? {
        let line = format!("{}={}\n", entry.key, escaped(&entry.value)).into_bytes();
        match known.iter().rev().find(|known| known.key == entry.key) {
            Some(known) => {
                let first = known.line - 1;
                // A line that ends with a backslash goes on in the next one.
                let last = (first..lines.len()).find(|at| !goes_on(&lines[*at])).unwrap_or(first);
                lines[first] = line;
                lines[first + 1..=last].iter_mut().for_each(Vec::clear);
            }
            None => {
                if let Some(last) = lines.last_mut().filter(|last| !last.ends_with(b"\n")) {
                    last.push(b'\n');
                }
                lines.push(line);
            }
        }
    }
    Ok(lines.concat())
}

fn goes_on(line: &[u8]) -> bool {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// A value as it has to stand in a file of properties to be read the same.
pub(super) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if at == 0 => out.push_str("\\ "),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing into a string never fails.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(present: &str, changed: &str) -> String {
        let merged = merge(Path::new("broker.conf"), present.into(), changed.as_bytes()).expect("properties");
        String::from_utf8(merged).expect("text")
    }

    #[test]
    fn a_changed_key_keeps_its_place_and_comments_stay() {
        let present = "# ours\nbrokerName=a\nfileReservedTime=72\n\n# the end";
        let expected = "# ours\nbrokerName=a\nfileReservedTime=48\n\n# the end\ntraceOn=false\n";
        assert_eq!(merged(present, "fileReservedTime=48\ntraceOn=false\n"), expected);
    }

    #[test]
    fn the_last_of_several_lines_with_a_key_is_the_one_that_changes() {
        assert_eq!(merged("a=1\nb=2\na=3\n", "a=4\n"), "a=1\nb=2\na=4\n");
    }

    #[test]
    fn a_value_over_several_lines_is_replaced_whole() {
        assert_eq!(merged("a=1;\\\n  2;\\\n  3\nb=1\n", "a=4\n"), "a=4\nb=1\n");
        assert_eq!(merged("a=C:\\\\\nb=1\n", "a=4\n"), "a=4\nb=1\n");
    }

    #[test]
    fn what_is_written_is_read() {
        for value in ["C:\\data", " a b ", "wörter", "—", "line\nline", "#no comment", "a=b:c!"] {
            let text = merged("", &format!("key={}\n", escaped(value)));
            let entries = file::parse(Path::new("broker.conf"), text.clone().into_bytes()).expect("properties");
            assert_eq!((entries.len(), &*entries[0].value), (1, value.trim()), "{text}");
        }
    }
}
