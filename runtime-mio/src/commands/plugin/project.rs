//! `petrel plugin new`: a project that builds with one command. The SDK is put into it, so that it needs nothing from elsewhere.

use std::{fs, io, path::Path};

/// What a new plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Filter,
    Allocator,
}

/// The files of the SDK, by their paths in the project.
const SDK: [(&str, &str); 5] = [
    ("sdk/src/lib.rs", include_str!("../../../../plugins/sdk/src/lib.rs")),
    ("sdk/src/abi.rs", include_str!("../../../../plugins/sdk/src/abi.rs")),
    ("sdk/src/allocator.rs", include_str!("../../../../plugins/sdk/src/allocator.rs")),
    ("sdk/src/batch.rs", include_str!("../../../../plugins/sdk/src/batch.rs")),
    ("sdk/src/filter.rs", include_str!("../../../../plugins/sdk/src/filter.rs")),
];

const FILTER: &str = include_str!("../../../../plugins/examples/big-orders/src/lib.rs");
const ALLOCATOR: &str = include_str!("../../../../plugins/examples/in-turn/src/lib.rs");

/// So that `cargo build` alone builds what the broker runs.
const CARGO_CONFIG: &str = "[build]\ntarget = \"wasm32-unknown-unknown\"\n";

fn manifest(name: &str) -> String {
    format!(
        "[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"

[lib]
crate-type = [\"cdylib\"]

[dependencies]
petrel-plugin-sdk = {{ path = \"sdk\" }}

[profile.release]
lto = true
codegen-units = 1
panic = \"abort\"
strip = true

[workspace]
"
    )
}

fn sdk_manifest() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("[package]\nname = \"petrel-plugin-sdk\"\nversion = \"{version}\"\nedition = \"2024\"\nlicense = \"Apache-2.0\"\n")
}

/// Writes the project into a folder of its name, which must not be there.
///
/// # Errors
/// The folder is there, or the system refuses.
pub(super) fn write(parent: &Path, name: &str, template: Template) -> io::Result<()> {
    let folder = parent.join(name);
    fs::create_dir(&folder)?;
    let (manifest, sdk_manifest) = (manifest(name), sdk_manifest());
    let code = match template {
        Template::Filter => FILTER,
        Template::Allocator => ALLOCATOR,
    };
    let own = [
        ("Cargo.toml", manifest.as_str()),
        (".cargo/config.toml", CARGO_CONFIG),
        (".gitignore", "/target\n"),
        ("src/lib.rs", code),
        ("sdk/Cargo.toml", &sdk_manifest),
    ];
    for (path, content) in own.into_iter().chain(SDK) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_the_whole_sdk_and_a_crate_of_its_name() {
        let parent = tempfile::tempdir().unwrap();
        write(parent.path(), "big-orders", Template::Filter).unwrap();
        let read = |path: &str| fs::read_to_string(parent.path().join("big-orders").join(path)).unwrap();
        assert!(read("Cargo.toml").starts_with("[package]\nname = \"big-orders\"\n"));
        assert!(read("src/lib.rs").contains("petrel_plugin_sdk::filter!"));
        for module in
            read("sdk/src/lib.rs").lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        {
            assert!(!read(&format!("sdk/src/{module}.rs")).is_empty(), "{module}");
        }
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let parent = tempfile::tempdir().unwrap();
        write(parent.path(), "p", Template::Allocator).unwrap();
        assert_eq!(write(parent.path(), "p", Template::Filter).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(fs::read_to_string(parent.path().join("p/src/lib.rs")).unwrap().contains("allocator!"));
    }
}
