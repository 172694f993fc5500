//! What is bound in the folder of a broker that is down.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use ::store::examine::{Examination, ExamineConfig};
use proto_core::json::{self, Dialect};
use route_core::broker::{
    admin::plugins::{BindPluginRequest, BindingPlace},
    bindings::{BindingsFile, BoundFilter, Target},
};

use crate::commands::CommandError;

/// The file, in the folder of a store.
const FILE: &str = "config/plugins.json";

/// What is bound there.
pub(super) fn read(root: &Path) -> Result<BindingsFile, CommandError> {
    let failed = |source| CommandError::System { what: FILE, source };
    match fs::read(root.join(FILE)) {
        Ok(content) => json::from_table(&content).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BindingsFile::default()),
        Err(error) => Err(failed(error)),
    }
}

/// Binds or unbinds something. Whether the plugin is there and takes its argument shows when the broker starts.
pub(super) fn change(root: &Path, request: &BindPluginRequest) -> Result<(), CommandError> {
    let usage = |text: String| CommandError::Usage(text);
    // A broker at work would write its own over it, so that nobody may be there, and nobody can come.
    let config = ExamineConfig { root: root.to_owned(), ..ExamineConfig::default() };
    let held =
        Examination::open(config).map_err(|error| usage(format!("{error}; of a broker that runs, bindings are changed with --broker")))?;
    let mut file = read(root)?;
    apply(&mut file, request).map_err(usage)?;
    write(root, &file).map_err(|source| CommandError::System { what: FILE, source })?;
    drop(held);
    Ok(())
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

/// The file is there whole, or as it was.
fn write(root: &Path, bindings: &BindingsFile) -> io::Result<()> {
    let path = root.join(FILE);
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    let partial = folder.join("plugins.json.partial");
    let mut file = File::create(&partial)?;
    file.write_all(&json::to_vec(bindings, Dialect::Pretty))?;
    file.sync_all()?;
    fs::rename(partial, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
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
        write(folder.path(), &file).unwrap();
        assert_eq!(read(folder.path()).unwrap(), file);
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
