//! Whose plugins a command works on: those of a broker that is asked, or those that lie in a folder.

use std::{io, path::PathBuf, time::Duration};

use proto_core::{
    code::RequestCode,
    headers::{InstallPluginRequest, PluginRequest, SwitchPluginRequest},
    json::{self, Dialect},
    text::Text,
};
use route_core::{
    broker::admin::plugins::{BindPluginRequest, PluginList},
    plugins::{PluginInfo, shelf::Lying},
};
use serde::de::DeserializeOwned;

use super::{CommandError, PlaceArgs, bindings};
use crate::{
    client::{ClientError, Connection, Timeouts},
    data_folder,
    plugins::{self, PluginFolder},
};

/// A new plugin has to be compiled before a broker answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where plugins are changed.
pub(super) enum Target {
    Broker(Box<Connection>),
    /// The folder of plugins, in that of a store.
    Folder(PluginFolder, PathBuf),
}

impl Target {
    pub(super) fn open(place: PlaceArgs) -> Result<Self, CommandError> {
        match place.data {
            Some(data) => {
                let store = store_of(data)?;
                Ok(Self::Folder(PluginFolder::new(store.join(PluginFolder::NAME)), store))
            }
            None => Self::broker(&place.broker),
        }
    }

    fn broker(address: &str) -> Result<Self, CommandError> {
        let timeouts = Timeouts { answer: PATIENCE, ..Timeouts::default() };
        Ok(Self::Broker(Box::new(Connection::connect(address, timeouts)?)))
    }

    pub(super) fn list(&mut self) -> Result<PluginList, CommandError> {
        match self {
            Self::Broker(connection) => {
                let none = PluginRequest { name: Text::plain("") };
                Ok(connection
                    .call(RequestCode::PetrelListPlugins, &none, b"", |answer| read(RequestCode::PetrelListPlugins, answer.body))?)
            }
            Self::Folder(folder, store) => {
                let info = |lying: Lying| PluginInfo {
                    digest: folder.digest(&lying).unwrap_or_default(),
                    policy: folder.policy(&lying.name),
                    name: lying.name.to_string(),
                    size: lying.stamp.len,
                    state: if lying.disabled { "disabled" } else { "enabled" }.to_owned(),
                    ..PluginInfo::default()
                };
                Ok(PluginList { plugins: folder.list().into_iter().map(info).collect(), bindings: bindings::read(store)? })
            }
        }
    }

    pub(super) fn install(&mut self, name: &str, file: &[u8], policy: &str) -> Result<Option<PluginInfo>, CommandError> {
        match self {
            Self::Broker(connection) => {
                let header =
                    InstallPluginRequest { name: Text::plain(name), policy: Some(Text::plain(policy)).filter(|policy| !policy.is_empty()) };
                Ok(connection.call(RequestCode::PetrelInstallPlugin, &header, file, |answer| {
                    read(RequestCode::PetrelInstallPlugin, answer.body).map(Some)
                })?)
            }
            Self::Folder(folder, _) => {
                let before = folder.policy(name);
                // What the broker would refuse at its start is better refused to who is here.
                plugins::try_file(file, if policy.is_empty() { &before } else { policy })
                    .map_err(|why| CommandError::Usage(format!("the plugin '{name}' is refused: {why}")))?;
                folder.write(name, file, policy).map_err(failed)?;
                let (digest, size) = (route_core::plugins::digest(file), file.len() as u64);
                Ok(Some(PluginInfo { digest, size, ..PluginInfo::default() }))
            }
        }
    }

    pub(super) fn switch(&mut self, name: &str, enable: bool) -> Result<(), CommandError> {
        match self {
            Self::Broker(connection) => {
                let header = SwitchPluginRequest { name: Text::plain(name), enable };
                Ok(connection.call(RequestCode::PetrelSwitchPlugin, &header, b"", |_| Ok(()))?)
            }
            Self::Folder(folder, _) if enable => folder.enable(name).map_err(failed),
            Self::Folder(folder, _) => folder.disable(name).map_err(failed),
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), CommandError> {
        match self {
            Self::Broker(connection) => {
                let header = PluginRequest { name: Text::plain(name) };
                Ok(connection.call(RequestCode::PetrelRemovePlugin, &header, b"", |_| Ok(()))?)
            }
            Self::Folder(folder, _) => folder.remove(name).map_err(failed),
        }
    }

    pub(super) fn bind(&mut self, request: &BindPluginRequest) -> Result<(), CommandError> {
        match self {
            Self::Broker(connection) => {
                let none = PluginRequest { name: Text::plain("") };
                let body = json::to_vec(request, Dialect::Default);
                Ok(connection.call(RequestCode::PetrelBindPlugin, &none, &body, |_| Ok(()))?)
            }
            Self::Folder(_, store) => bindings::change(store, request),
        }
    }
}

/// The folder of the store in a data folder: that of `--data`, or a store's own.
fn store_of(data: PathBuf) -> Result<PathBuf, CommandError> {
    let missing = |source| CommandError::System { what: "there is no such data folder", source };
    if !data.is_dir() {
        return Err(missing(io::Error::new(io::ErrorKind::NotFound, data.display().to_string())));
    }
    Ok(data_folder::store_in(data))
}

fn failed(source: io::Error) -> CommandError {
    CommandError::System { what: "the folder of plugins", source }
}

fn read<T: DeserializeOwned>(request: RequestCode, body: &[u8]) -> Result<T, ClientError> {
    json::from_slice(body).map_err(|source| ClientError::Body { request, source })
}
