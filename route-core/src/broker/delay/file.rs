//! The cursors of the delay levels as `delayOffset.json`.

use proto_core::{
    bodies::DelayOffsetSerializeWrapper,
    json::{self, Dialect},
};

use super::DelaySchedule;
use crate::time::Timestamp;

impl DelaySchedule {
    /// Takes in a saved table. Levels that do not exist any more are left out.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<(), json::JsonError> {
        let saved: DelayOffsetSerializeWrapper = json::from_table(content)?;
        self.version = saved.data_version;
        for (level, offset) in saved.offset_table {
            if let Some(cursor) = self.cursor(level) {
                cursor.offset = offset;
            }
        }
        Ok(())
    }

    /// The table as it is saved; Java's broker reads it. Each save is a version of its own.
    #[must_use]
    pub fn to_file(&mut self, now: Timestamp) -> Vec<u8> {
        self.version = self.version.next(0, now.0);
        json::to_vec(&self.wrapper(), Dialect::Pretty)
    }

    /// The table as slaves are told it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::to_vec(&self.wrapper(), Dialect::Default)
    }

    fn wrapper(&self) -> DelayOffsetSerializeWrapper {
        let offset_table = (1..).zip(&self.cursors).map(|(level, cursor)| (level, cursor.offset)).collect();
        DelayOffsetSerializeWrapper { data_version: self.version, offset_table }
    }
}
