//! Attributes of topics and groups: which there are, and how a change is written (`+key=value,-key`).

use proto_core::bodies::Table;
use thiserror::Error;

/// Attributes as they are stored, without signs.
pub type Attributes = Table<String, String>;

/// What an attribute may be.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Whether it may change after creation.
    pub changeable: bool,
    /// The values that it may have.
    pub values: &'static [&'static str],
}

/// The attributes of a topic. Java also knows `BatchCQ` queues and `COMPACTION`: they change how a queue is stored, and are refused
/// here rather than accepted and not kept.
pub const TOPIC_ATTRIBUTES: &[Attribute] = &[
    Attribute { name: "queue.type", changeable: false, values: &["SimpleCQ"] },
    Attribute { name: "cleanup.policy", changeable: false, values: &["DELETE"] },
    Attribute { name: "message.type", changeable: true, values: &["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"] },
];

/// The attributes of a subscription group: none yet.
pub const GROUP_ATTRIBUTES: &[Attribute] = &[];

/// Why a change of attributes is refused; the texts are Java's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// A key with a value but without a plus.
    #[error("add/alter attribute format is wrong: {0}")]
    AddFormat(String),
    /// A key without a value and without a minus.
    #[error("delete attribute format is wrong: {0}")]
    DeleteFormat(String),
    /// The same key twice, sign included.
    #[error("key duplication: {0}")]
    KeyDuplication(String),
    /// An empty key, or a sign inside of it.
    #[error("kv string format wrong.")]
    KeyFormat,
    /// The same key with two signs.
    #[error("alter duplication key. key: {0}")]
    AlterDuplication(String),
    /// A minus while creating.
    #[error("only add attribute is supported while creating topic. key: {0}")]
    OnlyAdd(String),
    /// A minus for what is not there.
    #[error("attempt to delete a nonexistent key: {0}")]
    Nonexistent(String),
    /// No sign.
    #[error("wrong format key: {0}")]
    NoSign(String),
    /// An attribute that does not exist.
    #[error("unsupported key: {0}")]
    Unsupported(String),
    /// An attribute that is fixed at creation.
    #[error("attempt to update an unchangeable attribute. key: {0}")]
    Unchangeable(String),
    /// A value that the attribute cannot have.
    #[error("value is not in set: [{}]", .0.join(", "))]
    Value(&'static [&'static str]),
}

/// Reads `+key1=value1,-key2`; the keys keep their signs.
///
/// # Errors
/// A piece that is neither, or a key that comes twice.
pub fn parse(changes: &str) -> Result<Attributes, AttributeError> {
    let mut parsed = Attributes::default();
    for piece in changes.split(',').filter(|piece| !piece.is_empty()) {
        let (key, value) = match piece.split_once('=') {
            Some((key, _)) if !key.contains('+') => return Err(AttributeError::AddFormat(key.to_owned())),
            Some(pair) => pair,
            None if !piece.contains('-') => return Err(AttributeError::DeleteFormat(piece.to_owned())),
            None => (piece, ""),
        };
        if parsed.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(AttributeError::KeyDuplication(key.to_owned()));
        }
    }
    Ok(parsed)
}

/// Applies changes, whose keys carry signs, to `current`; `None` while creating.
///
/// # Errors
/// Any change that is not allowed; then nothing changes.
pub fn alter(known: &[Attribute], current: Option<&Attributes>, changes: &Attributes) -> Result<Attributes, AttributeError> {
    let mut altered = current.cloned().unwrap_or_default();
    let mut seen: Vec<&str> = Vec::with_capacity(changes.len());
    for (signed, value) in changes {
        let mut chars = signed.chars();
        let sign = chars.next();
        let key = chars.as_str();
        if key.is_empty() || key.contains(['+', '-']) {
            return Err(AttributeError::KeyFormat);
        }
        if seen.contains(&key) {
            return Err(AttributeError::AlterDuplication(key.to_owned()));
        }
        seen.push(key);
        let add = match (sign, current) {
            (Some('+'), _) => true,
            (_, None) => return Err(AttributeError::OnlyAdd(key.to_owned())),
            (Some('-'), Some(current)) if current.contains_key(key) => false,
            (Some('-'), Some(_)) => return Err(AttributeError::Nonexistent(key.to_owned())),
            _ => return Err(AttributeError::NoSign(key.to_owned())),
        };
        let attribute = known.iter().find(|attribute| attribute.name == key).ok_or_else(|| AttributeError::Unsupported(key.to_owned()))?;
        if current.is_some() && !attribute.changeable {
            return Err(AttributeError::Unchangeable(key.to_owned()));
        }
        if add {
            if !attribute.values.contains(&value.as_str()) {
                return Err(AttributeError::Value(attribute.values));
            }
            altered.insert(key.to_owned(), value.clone());
        } else {
            altered.shift_remove(key);
        }
    }
    Ok(altered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(changes: &str) -> Result<Attributes, AttributeError> {
        alter(TOPIC_ATTRIBUTES, None, &parse(changes)?)
    }

    fn altered(current: &str, changes: &str) -> Result<Attributes, AttributeError> {
        alter(TOPIC_ATTRIBUTES, Some(&created(current)?), &parse(changes)?)
    }

    fn text(result: Result<Attributes, AttributeError>) -> String {
        result.map_or_else(|error| error.to_string(), |attributes| format!("{attributes:?}"))
    }

    #[test]
    fn creation_stores_attributes_without_their_signs() {
        assert_eq!(text(created("+message.type=FIFO")), r#"{"message.type": "FIFO"}"#);
        assert_eq!(text(created("")), "{}");
    }

    #[test]
    fn creation_takes_nothing_away() {
        assert_eq!(text(created("-message.type")), "only add attribute is supported while creating topic. key: message.type");
    }

    #[test]
    fn a_changeable_attribute_changes_and_goes() {
        assert_eq!(text(altered("+message.type=FIFO", "+message.type=DELAY")), r#"{"message.type": "DELAY"}"#);
        assert_eq!(text(altered("+message.type=FIFO", "-message.type")), "{}");
        assert_eq!(text(altered("", "-message.type")), "attempt to delete a nonexistent key: message.type");
    }

    #[test]
    fn an_attribute_that_is_fixed_at_creation_stays() {
        assert_eq!(
            text(altered("+queue.type=SimpleCQ", "+queue.type=SimpleCQ")),
            "attempt to update an unchangeable attribute. key: queue.type"
        );
    }

    #[test]
    fn wrong_keys_and_values_are_refused_with_javas_texts() {
        assert_eq!(text(created("+colour=red")), "unsupported key: colour");
        assert_eq!(text(created("message.type=FIFO")), "add/alter attribute format is wrong: message.type");
        assert_eq!(text(created("message.type")), "delete attribute format is wrong: message.type");
        assert_eq!(text(created("+message.type=FIFO,+message.type=DELAY")), "key duplication: +message.type");
        assert_eq!(text(altered("+message.type=FIFO", "+message.type=DELAY,-message.type")), "alter duplication key. key: message.type");
        assert_eq!(text(created("+=x")), "kv string format wrong.");
        assert_eq!(text(created("+queue.type=BatchCQ")), "value is not in set: [SimpleCQ]");
    }
}
