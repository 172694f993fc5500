//! The KV configuration: namespaces of keys and values that tools keep in the name server. Only it survives a restart.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto_core::{
    bodies::KvConfigSerializeWrapper,
    json::{self, Dialect},
};
use thiserror::Error;

/// The namespace that says which topics keep their order: topic to `brokerA:4;brokerB:4`.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// One namespace.
pub type Namespace = BTreeMap<String, String>;

/// Namespaces, ordered, with a limit on what they hold together.
#[derive(Debug)]
pub struct KvConfig {
    namespaces: BTreeMap<String, Namespace>,
    bytes: usize,
    max_bytes: usize,
}

/// The table is full; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the KV configuration is full: it holds {bytes} bytes, the limit is {limit}")]
pub struct KvFull {
    /// Bytes that it would have held.
    pub bytes: usize,
    /// The limit in force.
    pub limit: usize,
}

/// `kvConfig.json` is not what it should be.
#[derive(Debug, Error)]
#[error("kvConfig.json cannot be read: {0}")]
pub struct KvConfigError(#[from] json::JsonError);

impl KvConfig {
    /// The table of a file's content; empty without one.
    ///
    /// # Errors
    /// [`KvConfigError`] if it is not JSON of the right shape.
    pub fn from_file(content: Option<&[u8]>, max_bytes: usize) -> Result<Self, KvConfigError> {
        let wrapper: KvConfigSerializeWrapper = match content {
            Some(content) if !content.is_empty() => json::from_table(content)?,
            _ => KvConfigSerializeWrapper::default(),
        };
        let namespaces = wrapper.config_table.into_iter().map(|(name, keys)| (name, keys.into_iter().collect()));
        Ok(Self::new(namespaces.collect(), max_bytes))
    }

    /// The content of the file that holds this table.
    #[must_use]
    pub fn to_file(&self) -> Bytes {
        let keys = |keys: &Namespace| keys.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let config_table = self.namespaces.iter().map(|(name, table)| (name.clone(), keys(table))).collect();
        json::to_vec(&KvConfigSerializeWrapper { config_table }, Dialect::Default).into()
    }

    /// A table with the content of a file. What was written once is kept even if the limit has shrunk since.
    #[must_use]
    pub fn new(namespaces: BTreeMap<String, Namespace>, max_bytes: usize) -> Self {
        let bytes =
            namespaces.iter().map(|(name, keys)| name.len() + keys.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()).sum();
        Self { namespaces, bytes, max_bytes }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`KvFull`] if it does not fit.
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), KvFull> {
        let old = self.namespaces.get(namespace);
        let name = if old.is_some() { 0 } else { namespace.len() };
        let replaced = old.and_then(|keys| keys.get(key)).map_or(0, |value| key.len() + value.len());
        let bytes = self.bytes + name + key.len() + value.len() - replaced;
        if bytes > self.max_bytes && bytes > self.bytes {
            return Err(KvFull { bytes, limit: self.max_bytes });
        }
        self.bytes = bytes;
        match self.namespaces.get_mut(namespace) {
            Some(keys) => keys.insert(key.to_owned(), value.to_owned()),
            None => self.namespaces.entry(namespace.to_owned()).or_default().insert(key.to_owned(), value.to_owned()),
        };
        Ok(())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.namespaces.get(namespace)?.get(key).map(String::as_str)
    }

    /// Takes a key away. Its namespace stays even if it is empty then, as Java keeps it. Whether the key was there.
    pub fn delete(&mut self, namespace: &str, key: &str) -> bool {
        let removed = self.namespaces.get_mut(namespace).and_then(|keys| keys.remove(key));
        if let Some(value) = &removed {
            self.bytes -= key.len() + value.len();
        }
        removed.is_some()
    }

    /// All keys of a namespace.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<&Namespace> {
        self.namespaces.get(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_namespace_only() {
        let mut kv = KvConfig::new(BTreeMap::new(), 1000);
        kv.put("ns", "k", "v").unwrap();
        assert_eq!(kv.get("ns", "k"), Some("v"));
        assert_eq!(kv.get("other", "k"), None);
    }

    #[test]
    fn a_namespace_that_lost_its_last_key_is_still_there() {
        let mut kv = KvConfig::new(BTreeMap::new(), 1000);
        kv.put("ns", "k", "v").unwrap();
        assert!(kv.delete("ns", "k"));
        assert!(!kv.delete("ns", "k"));
        assert_eq!(kv.namespace("ns").map(BTreeMap::len), Some(0));
        assert_eq!(kv.namespace("other"), None);
    }

    #[test]
    fn a_full_table_refuses_a_key_but_replaces_and_deletes() {
        let mut kv = KvConfig::new(BTreeMap::new(), 8);
        kv.put("ns", "key", "abc").unwrap();
        assert_eq!(kv.put("ns", "x", ""), Err(KvFull { bytes: 9, limit: 8 }));
        kv.put("ns", "key", "xyz").unwrap();
        assert!(kv.delete("ns", "key"));
        kv.put("ns", "k", "12345").unwrap();
        assert_eq!(kv.get("ns", "k"), Some("12345"));
    }
}
