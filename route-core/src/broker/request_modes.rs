//! How groups read topics, as an operator has set it: Java's `messageRequestMode.json`.
//!
//! This broker serves pulls alone. What a Java broker has noted of POP is kept for it, and counts as PULL here.

use proto_core::{
    bodies::{MessageRequestMode, MessageRequestModeSerializeWrapper, SetMessageRequestModeRequestBody},
    json::{self, Dialect, JsonError},
};

use super::refusal::Refusal;

/// The modes of pairs of topic and group.
#[derive(Debug, Default)]
pub struct RequestModes {
    file: MessageRequestModeSerializeWrapper,
    len: usize,
    limit: usize,
    dirty: bool,
}

impl RequestModes {
    /// A table for at most `limit` pairs.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Sets how a group reads a topic.
    ///
    /// # Errors
    /// The table is full.
    pub fn set(&mut self, mode: SetMessageRequestModeRequestBody) -> Result<(), Refusal> {
        let known = self.file.message_request_mode_map.get(&mode.topic).and_then(|groups| groups.get(&mode.consumer_group));
        if known == Some(&mode) {
            return Ok(());
        }
        if known.is_none() {
            if self.len >= self.limit {
                return Err(Refusal::system(format!("the broker has its limit of {} message request modes", self.limit)));
            }
            self.len += 1;
        }
        let groups = self.file.message_request_mode_map.entry(mode.topic.clone()).or_default();
        groups.insert(mode.consumer_group.clone(), mode);
        self.dirty = true;
        Ok(())
    }

    /// How a group is set to read a topic, if it is.
    #[must_use]
    pub fn get(&self, topic: &str, group: &str) -> Option<MessageRequestMode> {
        self.file.message_request_mode_map.get(topic)?.get(group)?.mode
    }

    /// All of them.
    #[must_use]
    pub const fn wrapper(&self) -> &MessageRequestModeSerializeWrapper {
        &self.file
    }

    /// Takes in a saved table.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<(), JsonError> {
        self.file = json::from_table(content)?;
        self.len = self.file.message_request_mode_map.values().map(indexmap::IndexMap::len).sum();
        Ok(())
    }

    /// The table as it is saved.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        json::to_vec(&self.file, Dialect::Pretty)
    }

    /// Whether something has changed since the last call.
    #[must_use]
    pub const fn take_dirty(&mut self) -> bool {
        std::mem::replace(&mut self.dirty, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(topic: &str, group: &str, mode: MessageRequestMode) -> SetMessageRequestModeRequestBody {
        SetMessageRequestModeRequestBody {
            consumer_group: group.to_owned(),
            mode: Some(mode),
            pop_share_queue_num: -1,
            topic: topic.to_owned(),
        }
    }

    #[test]
    fn what_is_set_is_saved_as_java_saves_it_and_read_again() {
        let mut modes = RequestModes::new(10);
        modes.set(mode("T", "G", MessageRequestMode::Pull)).unwrap();
        assert!(modes.take_dirty());
        let file = modes.to_file();
        let text: String = String::from_utf8(file.clone()).unwrap().split_whitespace().collect();
        let entry = r#"{"consumerGroup":"G","mode":"PULL","popShareQueueNum":-1,"topic":"T"}"#;
        assert_eq!(text, format!(r#"{{"messageRequestModeMap":{{"T":{{"G":{entry}}}}}}}"#));
        let mut again = RequestModes::new(10);
        again.load(&file).unwrap();
        assert_eq!((again.get("T", "G"), again.get("T", "H")), (Some(MessageRequestMode::Pull), None));
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let mut modes = RequestModes::new(10);
        modes.set(mode("T", "G", MessageRequestMode::Pull)).unwrap();
        assert!(modes.take_dirty());
        modes.set(mode("T", "G", MessageRequestMode::Pull)).unwrap();
        assert!(!modes.take_dirty());
    }

    #[test]
    fn a_full_table_takes_no_more_pairs_but_changes_those_it_has() {
        let mut modes = RequestModes::new(1);
        modes.set(mode("T", "G", MessageRequestMode::Pop)).unwrap();
        assert!(modes.set(mode("T", "H", MessageRequestMode::Pull)).is_err());
        modes.set(mode("T", "G", MessageRequestMode::Pull)).unwrap();
        assert_eq!(modes.get("T", "G"), Some(MessageRequestMode::Pull));
    }
}
