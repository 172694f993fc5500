//! The contract of `wit/`, and which plugins keep it.

use std::fmt;

use crate::failure::LoadError;

/// The contract's version that this host serves: the package's in `wit/`.
pub const CONTRACT_VERSION: &str = "1.0.0";

/// The worlds, as text.
pub(crate) const WIT: [(&str, &str); 2] =
    [("filter.wit", include_str!("../../../wit/filter.wit")), ("allocator.wit", include_str!("../../../wit/allocator.wit"))];

/// Messages of a batch at most: an answer is a bit for each.
pub(crate) const MAX_BATCH: usize = 64;

/// Bits of `wants`.
pub(crate) mod wants {
    /// Bodies are copied into batches.
    pub(crate) const BODY: u32 = 1;
    /// Properties are copied into batches.
    pub(crate) const PROPERTIES: u32 = 2;
    /// All that this host knows.
    pub(crate) const KNOWN: u32 = BODY | PROPERTIES;
}

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It judges messages.
    Filter,
    /// It shares out queues.
    Allocator,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Filter, Self::Allocator];

    /// What exports of it are called, up to the version.
    const fn interface(self) -> &'static str {
        match self {
            Self::Filter => "petrel:plugin/filtering@",
            Self::Allocator => "petrel:plugin/allocating@",
        }
    }

    /// The world's name, which is also how operators call it.
    #[must_use]
    pub const fn world(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Allocator => "allocator",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.world())
    }
}

/// Whether a host of the version `ours` serves a plugin of the version `theirs`: the same major, a minor that is not above.
fn serves(ours: &str, theirs: &str) -> bool {
    let parts = |version: &str| {
        let mut numbers = version.splitn(3, '.').map(|part| part.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    matches!((parts(ours), parts(theirs)), (Some((major, minor)), Some((same, at_most))) if major == same && at_most <= minor)
}

/// What exports of these names say that a plugin is, and the name of the interface that says it.
///
/// # Errors
/// [`LoadError::World`] if it is nothing that this contract knows, [`LoadError::Version`] if it was made for another one.
pub(crate) fn recognize<'a>(exports: impl Iterator<Item = &'a str>) -> Result<(Kind, &'a str), LoadError> {
    let mut others = Vec::new();
    for export in exports {
        let Some((kind, version)) = Kind::ALL.into_iter().find_map(|kind| Some((kind, export.strip_prefix(kind.interface())?))) else {
            others.push(export);
            continue;
        };
        if serves(CONTRACT_VERSION, version) {
            return Ok((kind, export));
        }
        return Err(LoadError::Version { theirs: version.chars().take(32).collect() });
    }
    others.truncate(3);
    let found = if others.is_empty() { "nothing".to_owned() } else { first_names(&others) };
    Err(LoadError::World { found })
}

/// Names in a row, as many as a line shows.
pub(crate) fn first_names(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.join(", ").chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_of_older_minor_versions_are_served_and_no_others() {
        for (ours, theirs, served) in [
            ("1.0.0", "1.0.0", true),
            ("1.0.0", "1.0.7", true),
            ("1.3.0", "1.0.0", true),
            ("1.3.0", "1.4.0", false),
            ("1.0.0", "2.0.0", false),
            ("2.0.0", "1.0.0", false),
            ("1.0.0", "", false),
            ("1.0.0", "1", false),
            ("1.0.0", "-1.0.0", false),
        ] {
            assert_eq!(serves(ours, theirs), served, "{ours} serves {theirs}");
        }
    }

    #[test]
    fn the_contract_has_the_version_that_is_served() {
        assert!(WIT[0].1.contains(&format!("package petrel:plugin@{CONTRACT_VERSION};")));
    }

    #[test]
    fn a_world_is_known_by_what_it_exports() {
        let names = ["memory", "petrel:plugin/allocating@1.0.0"];
        assert_eq!(recognize(names.into_iter()).unwrap(), (Kind::Allocator, names[1]));
        let error = recognize(["wasi:cli/run@0.2.0"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("wasi:cli/run@0.2.0") && error.contains("petrel:plugin/filtering@1.0.0"), "{error}");
        let error = recognize(["petrel:plugin/filtering@2.0.0"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("2.0.0") && error.contains("1.0.0"), "{error}");
    }
}
