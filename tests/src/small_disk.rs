//! A small file system for a test that fills it: one in memory, in a mount namespace of its own, so that nothing of it outlives the test.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Says where the small file system of a test lies that runs on one.
const INSIDE: &str = "PETREL_SMALL_DISK";

/// Leaves such tests out if it is set; otherwise they fail where nothing can be mounted.
const LEAVE_OUT: &str = "PETREL_WITHOUT_SMALL_DISK";

/// Where the small file system is, if this is the run of the test that has one. Otherwise runs the test of this name once more, on a file
/// system of so many MiB, and answers `None` when that run has passed.
///
/// # Panics
/// If that run fails, or if no file system can be mounted: that takes root, or a kernel that gives users namespaces of their own.
#[must_use]
pub fn small_disk(test: &str, mebibytes: u32) -> Option<PathBuf> {
    if let Some(inside) = env::var_os(INSIDE) {
        return Some(inside.into());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let Some(unshare) = [&["-m"][..], &["-r", "-m"]].into_iter().find(|flags| can_mount(flags)) else {
        assert!(
            env::var_os(LEAVE_OUT).is_some(),
            "no small file system can be mounted here, neither as this user nor in a user namespace; with {LEAVE_OUT}=1 this test is left out"
        );
        eprintln!("{test} is left out: {LEAVE_OUT} is set");
        return None;
    };
    // The binary is built outside, where there is space.
    let _ = crate::process::petrel();
    let exe = env::current_exe().expect("a test has a path");
    let script = format!("mount -t tmpfs -o size={mebibytes}m petrel \"$1\" && exec \"$2\" --exact \"$3\" --nocapture");
    let output = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", &script, "sh"])
        .arg(folder.path())
        .arg(exe)
        .arg(test)
        .env(INSIDE, folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("unshare starts");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && printed.contains("1 passed"), "on a file system of {mebibytes} MiB:\n{printed}");
    None
}

fn can_mount(unshare: &[&str]) -> bool {
    let status = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", "mount -t tmpfs -o size=1m petrel /tmp"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
