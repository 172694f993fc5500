//! The group table as `subscriptionGroup.json`.

use std::sync::Arc;

use proto_core::{
    bodies::{DataVersion, SubscriptionGroupConfig, SubscriptionGroupWrapper},
    json::{self, Dialect},
};

use super::{Forbidden, GroupTable};

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
            self.groups.insert(name.into(), Arc::new(config));
        }
        let forbidden: Forbidden = saved.forbidden_table.into_iter().map(|(group, topics)| (group.into(), topics)).collect();
        self.forbidden = Arc::new(forbidden);
        Ok(())
    }

    /// The table as it is now, to be saved.
    #[must_use]
    pub fn snapshot(&self) -> GroupsSnapshot {
        let groups = self.groups.values().map(Arc::clone).collect();
        GroupsSnapshot { version: self.version, forbidden: Arc::clone(&self.forbidden), groups }
    }

    /// The table, with these of its groups, as it travels.
    pub(crate) fn wrapper<'a>(&self, groups: impl Iterator<Item = &'a SubscriptionGroupConfig>) -> SubscriptionGroupWrapper {
        wrapper(self.version, &self.forbidden, groups)
    }
}

/// All groups as they were at one moment.
#[derive(Clone, Debug)]
pub struct GroupsSnapshot {
    version: DataVersion,
    forbidden: Arc<Forbidden>,
    groups: Vec<Arc<SubscriptionGroupConfig>>,
}

impl GroupsSnapshot {
    /// The file; Java's broker and its tools read it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_vec(&wrapper(self.version, &self.forbidden, self.groups.iter().map(|config| &**config)), Dialect::Pretty)
    }
}

fn wrapper<'a>(
    data_version: DataVersion,
    forbidden: &Forbidden,
    groups: impl Iterator<Item = &'a SubscriptionGroupConfig>,
) -> SubscriptionGroupWrapper {
    SubscriptionGroupWrapper {
        data_version,
        forbidden_table: forbidden.iter().map(|(group, topics)| (group.to_string(), topics.clone())).collect(),
        subscription_group_table: groups.map(|config| (config.group_name.clone(), config.clone())).collect(),
    }
}
