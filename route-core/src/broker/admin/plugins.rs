//! Operators look at plugins, change and bind them.

use bytes::Bytes;
use proto_core::{
    Command,
    code::ResponseCode,
    headers::{InstallPluginRequest, PluginRequest, SwitchPluginRequest},
    names,
};
use serde::{Deserialize, Serialize};

use super::{Answer, Handled, body, header};
use crate::{
    broker::{
        Asked, Broker,
        bindings::{BindingsFile, BoundFilter, Target},
        refusal::Refusal,
    },
    output::{Output, PeerId, PluginChange, Reply, Table},
    plugins::{PluginInfo, name, shelf::PluginShelf},
    storage::Storage,
    time::Now,
};

/// The answer to `PETREL_LIST_PLUGINS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PluginList {
    /// What is bound.
    pub bindings: BindingsFile,
    /// What is installed.
    pub plugins: Vec<PluginInfo>,
}

/// The body of `PETREL_BIND_PLUGIN`: a filter with a group or a topic, or an allocation with a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BindPluginRequest {
    /// Whether it is to share out the queues of the group, and not to filter.
    pub allocator: bool,
    /// What the plugin is given.
    pub argument: String,
    /// The group, if it is bound to one.
    pub group: Option<String>,
    /// Name of the plugin, or of a built-in strategy; left out, what is bound is unbound.
    pub plugin: Option<String>,
    /// The topic, if it is bound to one.
    pub topic: Option<String>,
}

/// What a [`BindPluginRequest`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingPlace<'a> {
    /// A filter of a group or a topic.
    Filter(Target<'a>),
    /// The allocation of a group.
    Allocator(&'a str),
}

impl BindPluginRequest {
    /// What is to be bound or unbound.
    ///
    /// # Errors
    /// It names nothing, too much, or something that cannot be there.
    pub fn place(&self) -> Result<BindingPlace<'_>, Refusal> {
        match (self.group.as_deref(), self.topic.as_deref()) {
            (Some(group), None) => {
                names::validate_group(group).map_err(|error| Refusal::invalid(error.to_string()))?;
                Ok(if self.allocator { BindingPlace::Allocator(group) } else { BindingPlace::Filter(Target::Group(group)) })
            }
            (None, Some(topic)) if !self.allocator => {
                names::validate_topic(topic).map_err(|error| Refusal::invalid(error.to_string()))?;
                Ok(BindingPlace::Filter(Target::Topic(topic)))
            }
            (None, Some(_)) => Err(Refusal::invalid("queues are shared out by group: name a group, no topic")),
            _ => Err(Refusal::invalid("name a group or a topic, and not both")),
        }
    }

    /// What is to share out queues, as a client would name it: the plugin, with its argument behind a `:`.
    #[must_use]
    pub fn strategy(&self) -> Option<String> {
        let plugin = self.plugin.as_deref()?;
        Some(if self.argument.is_empty() { plugin.to_owned() } else { format!("{plugin}:{}", self.argument) })
    }
}

impl<S: Storage> Broker<S> {
    /// `PETREL_LIST_PLUGINS`
    pub(super) fn list_plugins(&self) -> Handled {
        Answer::body(&PluginList { bindings: self.bindings.file().clone(), plugins: self.plugins.list() })
    }

    /// `PETREL_BIND_PLUGIN`
    pub(super) fn bind_plugin(&mut self, asked: Asked, command: &Command<'_>) -> Handled {
        self.check_same_machine(asked)?;
        let request: BindPluginRequest = body(command)?;
        match request.place()? {
            BindingPlace::Filter(target) => self.bind_filter(target, request.plugin.clone(), request.argument.clone())?,
            BindingPlace::Allocator(group) => match request.strategy() {
                Some(strategy) => self.bindings.bind_allocator(group, &strategy)?,
                None => drop(self.bindings.unbind_allocator(group)),
            },
        }
        Answer::saved(&[Table::Bindings])
    }

    /// `PETREL_INSTALL_PLUGIN`: a new plugin, or a new version of one. The body is its file.
    pub(super) fn install_plugin(&mut self, asked: Asked, command: &Command<'_>) -> Handled {
        let len = u64::try_from(command.body.len()).unwrap_or(u64::MAX);
        if len == 0 || len > PluginShelf::MAX_LEN {
            let remark = format!("a plugin has 1 to {} bytes, not {len}", PluginShelf::MAX_LEN);
            return Err(Refusal::invalid(remark));
        }
        let request: InstallPluginRequest<'_> = header(command)?;
        let policy = request.policy.map(|policy| policy.to_cow().into()).unwrap_or_default();
        self.change_plugin(asked, command, PluginChange::Install { file: Bytes::copy_from_slice(command.body), policy })
    }

    /// `PETREL_SWITCH_PLUGIN`
    pub(super) fn switch_plugin(&mut self, asked: Asked, command: &Command<'_>) -> Handled {
        let request: SwitchPluginRequest<'_> = header(command)?;
        self.change_plugin(asked, command, if request.enable { PluginChange::Enable } else { PluginChange::Disable })
    }

    /// `PETREL_REMOVE_PLUGIN`
    pub(super) fn remove_plugin(&mut self, asked: Asked, command: &Command<'_>) -> Handled {
        self.change_plugin(asked, command, PluginChange::Remove)
    }

    fn change_plugin(&mut self, asked: Asked, command: &Command<'_>, change: PluginChange) -> Handled {
        self.check_same_machine(asked)?;
        let request: PluginRequest<'_> = header(command)?;
        let name = request.name.to_cow();
        name::validate(&name).map_err(|error| Refusal::invalid(error.to_string()))?;
        let asked = (!asked.oneway).then_some((asked.peer.id, asked.opaque));
        self.outputs.push_back(Output::ChangePlugin { asked, name: (*name).into(), change });
        Ok(Answer::WhenChanged)
    }

    /// What has come of an [`Output::ChangePlugin`]: the plugin as it is now, `None` if it is gone; or why nothing was changed.
    pub fn handle_plugin_changed(&mut self, now: Now, asked: Option<(PeerId, i32)>, outcome: Result<Option<PluginInfo>, Refusal>) {
        self.begin(now);
        let Some((to, opaque)) = asked else { return };
        let reply = match outcome {
            Ok(plugin) => plugin.map_or_else(Reply::ok, |plugin| Reply::with_body(super::encode(&plugin))),
            Err(refusal) => refusal.into(),
        };
        self.outputs.push_back(Output::Reply { to, opaque, reply });
    }

    fn bind_filter(&mut self, target: Target<'_>, plugin: Option<String>, argument: String) -> Result<(), Refusal> {
        match plugin {
            Some(plugin) => self.bindings.bind_filter(target, BoundFilter { argument, plugin })?,
            None => drop(self.bindings.unbind_filter(target)),
        }
        self.filters_epoch += 1;
        Ok(())
    }

    /// What is installed and bound decides what all consumers get: only who sits at the broker's own machine may change it, unless the
    /// operator says otherwise.
    fn check_same_machine(&self, asked: Asked) -> Result<(), Refusal> {
        if self.config.remote_plugin_admin || asked.peer.from_here {
            return Ok(());
        }
        let from = asked.peer.addr.ip().to_canonical();
        let remark =
            format!("plugins are changed from the broker's own machine, not from {from}, unless pluginAdminRemoteEnable is set there");
        Err(Refusal::new(ResponseCode::NoPermission, remark))
    }
}
