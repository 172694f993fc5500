//! The group table as `subscriptionGroup.json`.

use proto_core::{
    bodies::SubscriptionGroupWrapper,
    json::{self, Dialect},
};

use super::GroupTable;

impl GroupTable {
    /// Takes in a saved table: what it says of a group counts before the broker's defaults.
    ///
    /// # Errors
    /// The content is no such table; nothing was taken in.
    pub fn load(&mut self, content: &[u8]) -> Result<(), json::JsonError> {
        let saved: SubscriptionGroupWrapper = json::from_table(content)?;
        self.version = saved.data_version;
        for (name, mut config) in saved.subscription_group_table {
            config.group_name.clone_from(&name);
            self.groups.insert(name.into(), config);
        }
        self.forbidden = saved.forbidden_table.into_iter().map(|(group, topics)| (group.into(), topics)).collect();
        Ok(())
    }

    /// The table as it is saved; Java's broker and its tools read it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        json::to_vec(&self.wrapper(self.configs()), Dialect::Pretty)
    }

    /// The table, with these of its groups, as it travels.
    pub(crate) fn wrapper<'a>(
        &self,
        groups: impl Iterator<Item = &'a proto_core::bodies::SubscriptionGroupConfig>,
    ) -> SubscriptionGroupWrapper {
        SubscriptionGroupWrapper {
            data_version: self.version,
            forbidden_table: self.forbidden.iter().map(|(group, topics)| (group.to_string(), topics.clone())).collect(),
            subscription_group_table: groups.map(|config| (config.group_name.clone(), config.clone())).collect(),
        }
    }
}
