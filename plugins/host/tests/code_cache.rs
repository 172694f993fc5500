//! Compiled code on disk: found again, and never run when it is not what was written.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use petrel_plugin_host::{Limits, PluginEngine, PluginSet};
use route_core::plugins::Plugins;
use support::{FilterText, delivered, messages};

/// Loads the same plugin with an engine of its own, uses it, and tells how often code was found and not found.
fn load_and_use(folder: &Path) -> (usize, usize) {
    let engine = PluginEngine::new(Limits::default(), Some(folder)).unwrap();
    let set = PluginSet::new();
    set.install("it", engine.load(&FilterText::default().wasm()).unwrap(), "withhold".parse().unwrap(), true).unwrap();
    assert_eq!(delivered(&*set.filter("it", "").unwrap(), &messages(4)), [0, 2]);
    engine.cache_hits_and_misses()
}

/// The file of compiled code.
fn code_in(folder: &Path) -> PathBuf {
    let compiler = fs::read_dir(folder.join("code/modules")).unwrap().next().unwrap().unwrap().path();
    let files = fs::read_dir(compiler).unwrap().map(|file| file.unwrap().path());
    files.into_iter().find(|path| path.extension().is_none()).unwrap()
}

#[test]
fn what_was_compiled_once_is_found_by_the_next_engine() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load_and_use(folder.path()), (0, 1));
    assert_eq!(load_and_use(folder.path()), (1, 0));
}

#[test]
fn damaged_code_is_compiled_anew_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    load_and_use(folder.path());
    let path = code_in(folder.path());
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x10;
    for damaged in [flipped, good[..good.len() / 2].to_vec(), Vec::new(), vec![0; good.len()]] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(load_and_use(folder.path()), (0, 1));
        assert_eq!(load_and_use(folder.path()), (1, 0));
    }
}

#[test]
fn code_without_a_seal_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    load_and_use(folder.path());
    for seal in [None, Some(&b"\xff\xfe nonsense"[..])] {
        match seal {
            None => fs::remove_file(folder.path().join("seal")).unwrap(),
            Some(bytes) => fs::write(folder.path().join("seal"), bytes).unwrap(),
        }
        assert_eq!(load_and_use(folder.path()), (0, 1));
    }
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = PluginEngine::new(Limits::default(), Some(&file)).unwrap_err().to_string();
    assert!(error.contains("file"), "{error}");
}
