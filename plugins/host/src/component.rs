//! Modules, as compilers write them, to components, as they are run.

use std::borrow::Cow;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{Resolve, SourceMap};

use crate::{
    contract::{self, Kind, WIT},
    failure::LoadError,
};

/// What WebAssembly begins with.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a module.
const MODULE: &[u8] = &[1, 0, 0, 0];
/// The section in which a module tells its own contract.
const CONTRACT_SECTION: &[u8] = b"component-type";

/// The component in a file: the file itself, or what its module becomes by the contract. A module that does not carry its contract is known by
/// the names of its exports, `petrel:plugin/filtering@1.0.0#matches` and the like.
///
/// # Errors
/// [`LoadError::NotWasm`], [`LoadError::Module`], [`LoadError::World`], [`LoadError::Version`].
pub fn component_of(file: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    let layer = file.strip_prefix(MAGIC).and_then(|rest| rest.get(..4)).ok_or(LoadError::NotWasm)?;
    if layer != MODULE {
        return Ok(Cow::Borrowed(file));
    }
    let words = |error: &dyn std::fmt::Display| LoadError::Module(crate::failure::first_words(&format!("{error:#}"), 1024));
    let mut module = Cow::Borrowed(file);
    if !contains(file, CONTRACT_SECTION) {
        let names: Vec<&str> = Kind::ALL.into_iter().filter_map(|kind| export_of(file, kind)).collect();
        let (kind, _) = contract::recognize(names.into_iter())?;
        let (resolve, package) = contract_texts().map_err(|error| words(&error))?;
        let world = resolve.select_world(&[package], Some(kind.world())).map_err(|error| words(&error))?;
        wit_component::embed_component_metadata(module.to_mut(), &resolve, world, StringEncoding::UTF8).map_err(|error| words(&error))?;
    }
    let mut encoder = ComponentEncoder::default().module(&module).map_err(|error| words(&error))?.validate(true);
    encoder.encode().map(Cow::Owned).map_err(|error| words(&error))
}

/// The contract, read.
fn contract_texts() -> Result<(Resolve, wit_parser::PackageId), String> {
    let mut texts = SourceMap::default();
    for (name, text) in WIT {
        texts.push_str(name, text);
    }
    let group = texts.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    Ok((resolve, package))
}

/// The interface of this kind that the module's exports name, with its version.
fn export_of(module: &[u8], kind: Kind) -> Option<&str> {
    let name = kind.interface().as_bytes();
    let at = module.windows(name.len()).position(|window| window == name)?;
    let end = module[at..].iter().position(|&byte| byte == b'#')?;
    std::str::from_utf8(&module[at..at + end]).ok()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
