//! Cuts off what follows the last whole record, durably, and keeps a copy.

use std::path::{Path, PathBuf};

use super::LogFiles;
use crate::{
    disk::{Access, file_path, last_byte},
    error::{OpenError, at},
};

/// What was cut off a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Offset in the log at which it was cut.
    pub at: i64,
    /// How many bytes lie between that place and the last byte that was not zero.
    pub bytes: u64,
    /// Where they are kept: a file for each file of the log.
    pub saved: Vec<PathBuf>,
}

/// Erases all behind `end`. Answers what there was, if there was anything.
///
/// # Errors
/// [`OpenError`]; nothing is erased that was not saved before.
pub(super) fn cut(files: &mut LogFiles, end: i64) -> Result<Option<Cut>, OpenError> {
    let (disk, size) = (files.disk.clone(), i64::from(files.file_size));
    let mut cut = Cut { at: end, bytes: 0, saved: Vec::new() };
    let kept = files.bases.partition_point(|base| *base < end);

    // Whole files first, the last one first: what is left is a log at any moment.
    while files.bases.len() > kept {
        let Some(base) = files.bases.pop() else { break };
        let path = file_path(&files.dir, base);
        let used = last_byte(&disk.open_file(&path, Access::Read).map_err(at(&path))?, 0, size as u64).map_err(at(&path))?;
        match used {
            None => disk.remove_file(&path).map_err(at(&path))?,
            Some(used) => {
                cut.bytes = cut.bytes.max((base - end).unsigned_abs() + used);
                cut.saved.push(save(files, end, base, 0, used, &path)?);
                disk.remove_file(&path).map_err(at(&path))?;
            }
        }
        disk.sync_path(&files.dir).map_err(at(&files.dir))?;
    }
    if let Some(&base) = files.bases.last()
        && base + size > end
    {
        let path = file_path(&files.dir, base);
        let file = disk.open_file(&path, Access::Write).map_err(at(&path))?;
        let from = (end - base).unsigned_abs();
        if let Some(used) = last_byte(&file, from, size as u64).map_err(at(&path))? {
            cut.bytes = cut.bytes.max(used - from);
            cut.saved.push(save(files, end, base, from, used, &path)?);
            file.erase(from..size as u64).map_err(at(&path))?;
            file.sync().map_err(at(&path))?;
        }
    }
    if cut.saved.is_empty() {
        return Ok(None);
    }
    cut.saved.reverse();
    tracing::warn!(
        offset = end,
        bytes = cut.bytes,
        saved = %cut.saved.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        "the log was cut behind its last whole record; what followed is kept"
    );
    Ok(Some(cut))
}

/// Copies `from..to` of a file of the log beside it, under a name that is free.
fn save(files: &LogFiles, end: i64, base: i64, from: u64, to: u64, path: &Path) -> Result<PathBuf, OpenError> {
    let disk = &files.disk;
    let dir = match (files.dir.parent(), files.dir.file_name()) {
        (Some(parent), Some(name)) => parent.join(format!("{}-cut", name.to_string_lossy())),
        _ => files.dir.join("cut"),
    };
    let not_saved = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::CutNotSaved { path, source }
    };
    disk.create_dir_all(&dir).map_err(not_saved(&dir))?;
    let taken = disk.list(&dir).map_err(not_saved(&dir))?;
    let mut name = format!("{end:020}-{:020}", base + from.cast_signed());
    let mut attempt = 1;
    while taken.iter().any(|entry| entry.name == name) {
        attempt += 1;
        name = format!("{end:020}-{:020}.{attempt}", base + from.cast_signed());
    }
    let target = dir.join(name);
    let source = disk.open_file(path, Access::Read).map_err(at(path))?;
    disk.copy_synced(&source, from..to, &target).map_err(not_saved(&target))?;
    disk.sync_path(&dir).map_err(not_saved(&dir))?;
    if let Some(parent) = dir.parent() {
        disk.sync_path(parent).map_err(not_saved(&dir))?;
    }
    Ok(target)
}
