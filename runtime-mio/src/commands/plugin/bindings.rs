//! What is bound in the folder of a broker that is down.

use std::{
    io,
    path::Path,
    sync::{Arc, mpsc},
};

use ::store::{
    TablePaths, Tables,
    examine::{Examination, ExamineConfig},
};
use proto_core::json::{self, Dialect};
use route_core::{
    broker::{
        admin::plugins::{BindPluginRequest, BindingPlace},
        bindings::{BindingsFile, BoundFilter, Target},
    },
    output::{Table, Ticket},
};

use crate::commands::CommandError;

/// The folder of tables, in that of a store.
const CONFIG: &str = "config";

/// What is bound there.
pub(super) fn read(root: &Path) -> Result<BindingsFile, CommandError> {
    if !root.join(CONFIG).is_dir() {
        return Ok(BindingsFile::default());
    }
    load(&open(root, || {})?)
}

/// Binds or unbinds something. Whether the plugin is there and takes its argument shows when the broker starts.
pub(super) fn change(root: &Path, request: &BindPluginRequest) -> Result<(), CommandError> {
    let usage = |text: String| CommandError::Usage(text);
    // A broker at work would write its own over it, so that nobody may be there, and nobody can come.
    let config = ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() };
    let held =
        Examination::open(config).map_err(|error| usage(format!("{error}; of a broker that runs, bindings are changed with --broker")))?;
    let (tell, told) = mpsc::channel();
    let mut tables = open(root, move || tell.send(()).unwrap_or_default())?;
    let mut file = load(&tables)?;
    apply(&mut file, request).map_err(usage)?;
    save(&mut tables, &told, &file).map_err(failed)?;
    tables.close();
    drop(held);
    Ok(())
}

fn failed(error: impl ToString) -> CommandError {
    CommandError::System { what: "the table of bindings", source: io::Error::other(error.to_string()) }
}

fn open(root: &Path, notify: impl Fn() + Send + Sync + 'static) -> Result<Tables, CommandError> {
    Tables::open(TablePaths::in_dir(&root.join(CONFIG)), Arc::new(notify)).map_err(failed)
}

fn load(tables: &Tables) -> Result<BindingsFile, CommandError> {
    let parse = |content: &[u8]| json::from_table(content).map_err(|error| error.to_string());
    Ok(tables.load(Table::Bindings, parse).map_err(failed)?.unwrap_or_default())
}

fn save(tables: &mut Tables, told: &mpsc::Receiver<()>, file: &BindingsFile) -> Result<(), String> {
    tables.save(Ticket(0), Table::Bindings, json::to_vec(file, Dialect::Pretty).into());
    told.recv().map_err(|error| error.to_string())?;
    tables.poll_saved().map_or(Ok(()), |(_, saved)| saved)
}

fn apply(file: &mut BindingsFile, request: &BindPluginRequest) -> Result<(), String> {
    let filter = |plugin: &String| BoundFilter { argument: request.argument.clone(), plugin: plugin.clone() };
    match request.place().map_err(|refusal| refusal.remark.into_owned())? {
        BindingPlace::Allocator(group) => set(&mut file.group_allocators, group, request.strategy()),
        BindingPlace::Filter(Target::Group(group)) => set(&mut file.group_filters, group, request.plugin.as_ref().map(filter)),
        BindingPlace::Filter(Target::Topic(topic)) => set(&mut file.topic_filters, topic, request.plugin.as_ref().map(filter)),
    }
    Ok(())
}

fn set<T>(bound: &mut std::collections::BTreeMap<String, T>, name: &str, value: Option<T>) {
    match value {
        Some(value) => drop(bound.insert(name.to_owned(), value)),
        None => drop(bound.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn request(plugin: Option<&str>, group: Option<&str>, topic: Option<&str>, allocator: bool) -> BindPluginRequest {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        BindPluginRequest { allocator, argument: "x".to_owned(), group: owned(group), plugin: owned(plugin), topic: owned(topic) }
    }

    #[test]
    fn what_is_bound_is_there_until_it_is_taken_back_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = BindingsFile::default();
        apply(&mut file, &request(Some("json"), Some("G"), None, false)).unwrap();
        apply(&mut file, &request(Some("json"), None, Some("T"), false)).unwrap();
        apply(&mut file, &request(Some("AVG"), Some("G"), None, true)).unwrap();
        let (tell, told) = mpsc::channel();
        let mut tables = open(folder.path(), move || tell.send(()).unwrap_or_default()).unwrap();
        save(&mut tables, &told, &BindingsFile::default()).unwrap();
        save(&mut tables, &told, &file).unwrap();
        assert_eq!(read(folder.path()).unwrap(), file);
        assert!(folder.path().join("config/plugins.json.bak").is_file(), "what was there before is kept as of any table");
        apply(&mut file, &request(None, Some("G"), None, false)).unwrap();
        assert!(file.group_filters.is_empty() && file.topic_filters.contains_key("T") && file.group_allocators.contains_key("G"));
    }

    #[test]
    fn nothing_and_two_things_are_no_place() {
        let mut file = BindingsFile::default();
        assert!(apply(&mut file, &request(Some("json"), None, None, false)).is_err());
        assert!(apply(&mut file, &request(Some("json"), Some("G"), Some("T"), false)).is_err());
        assert!(apply(&mut file, &request(Some("json"), None, Some("T"), true)).is_err());
        assert_eq!(file, BindingsFile::default());
    }

    #[test]
    fn a_folder_without_a_store_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(change(&folder.path().join("nowhere"), &request(Some("json"), Some("G"), None, false)).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
