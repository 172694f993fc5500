//! What stands for a message's keys in an index: `hash(topic#key)`, and `hash(topic#T#tag)` for its tag.

use proto_core::{hash::JavaStringHash, record::RecordView};
use route_core::storage::keys::{self, KeyKind, MessageNames};

/// Stands between a topic and a key.
const KEY_MARK: &str = "#";
/// Stands between a topic and a tag.
const TAG_MARK: &str = "#T#";

/// The hash of one key of a topic's messages; never negative.
pub(super) fn key_hash(topic: &str, kind: KeyKind, key: &str) -> i32 {
    let mark = match kind {
        KeyKind::Key => KEY_MARK,
        KeyKind::Tag => TAG_MARK,
    };
    finish(begin(topic, mark), key)
}

/// Puts the hashes of all that a message can be looked up by into `hashes`: the unique key, the keys, the tag.
pub(crate) fn hashes_of(record: &RecordView<'_>, hashes: &mut Vec<i32>) {
    hashes.clear();
    if !keys::is_indexed(record) {
        return;
    }
    let names = MessageNames::of(record.properties());
    let key_begin = begin(record.topic(), KEY_MARK);
    let hash_of = |begin: JavaStringHash, value: &[u8]| finish(begin, &keys::text_of(value));
    hashes.extend(names.unique_key.into_iter().chain(names.keys()).map(|key| hash_of(key_begin, key)));
    hashes.extend(names.tags.map(|tags| hash_of(begin(record.topic(), TAG_MARK), tags)));
}

fn begin(topic: &str, mark: &str) -> JavaStringHash {
    let mut hash = JavaStringHash::default();
    hash.write(topic);
    hash.write(mark);
    hash
}

fn finish(mut hash: JavaStringHash, key: &str) -> i32 {
    hash.write(key);
    // The one number without an absolute value counts as 0.
    hash.finish().checked_abs().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(key_hash("TopicTest", KeyKind::Key, "KEY1"), 1_656_969_516);
        assert_eq!(key_hash("GT_tags1", KeyKind::Tag, "Aa"), 1_318_335_540);
    }

    #[test]
    fn the_number_without_an_absolute_value_is_zero() {
        // The text "polygenelubricants" hashes to it; here as what follows an empty topic whose mark is undone.
        let mut hash = JavaStringHash::default();
        hash.write("polygene");
        assert_eq!(finish(hash, "lubricants"), 0);
    }
}
