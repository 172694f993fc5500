//! Modules, as compilers write them, to components, as they are run.

use std::borrow::Cow;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{PackageId, Resolve, SourceMap};

use crate::{
    contract::{self, WIT},
    failure::LoadError,
};

/// What WebAssembly begins with.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a module.
const MODULE: &[u8] = &[1, 0, 0, 0];
/// What modules may use: WebAssembly 2 and what compilers write beside it.
const FEATURES: WasmFeatures = WasmFeatures::WASM2.union(WasmFeatures::TAIL_CALL).union(WasmFeatures::EXTENDED_CONST);

/// The component in a file: the file itself, or what its module becomes by the contract. A module is known by the names of its exports,
/// `petrel:plugin/filtering@1.0.0#matches` and the like. What it says of its contract otherwise is not read, since what makes components of modules
/// trusts that, and a damaged file would end the process.
///
/// # Errors
/// [`LoadError::NotWasm`], [`LoadError::Module`], [`LoadError::Imports`], [`LoadError::World`], [`LoadError::Version`].
pub fn component_of(file: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    let layer = file.strip_prefix(MAGIC).and_then(|rest| rest.get(..4)).ok_or(LoadError::NotWasm)?;
    if layer != MODULE {
        return Ok(Cow::Borrowed(file));
    }
    Validator::new_with_features(FEATURES).validate_all(file).map_err(|error| refused(&error))?;
    let Module { mut bytes, imports, exports } = Module::read(file).map_err(|error| refused(&error))?;
    if !imports.is_empty() {
        return Err(LoadError::Imports(contract::first_names(&imports)));
    }
    let (kind, _) = contract::recognize(exports.iter().map(|export| export.split('#').next().unwrap_or_default()))?;
    let (resolve, package) = contract_texts().map_err(|error| refused(&error))?;
    let world = resolve.select_world(&[package], Some(kind.world())).map_err(|error| refused(&error))?;
    wit_component::embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).map_err(|error| refused(&error))?;
    let mut encoder = ComponentEncoder::default().module(&bytes).map_err(|error| refused(&error))?.validate(true);
    encoder.encode().map(Cow::Owned).map_err(|error| refused(&error))
}

fn refused(error: &dyn std::fmt::Display) -> LoadError {
    LoadError::Module(crate::failure::first_words(&format!("{error:#}"), 1024))
}

/// A module without what only tools read.
struct Module<'a> {
    bytes: Vec<u8>,
    /// The first of them.
    imports: Vec<String>,
    exports: Vec<&'a str>,
}

impl<'a> Module<'a> {
    /// Reads a module that is valid.
    fn read(file: &'a [u8]) -> wasmparser::Result<Self> {
        let (mut bytes, mut imports, mut exports) = ([MAGIC, MODULE].concat(), Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(file) {
            let payload = payload?;
            match &payload {
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports().take(3) {
                        let import = import?;
                        imports.push(format!("{}.{}", import.module, import.name));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section.clone() {
                        exports.push(export?.name);
                    }
                }
                Payload::CustomSection(_) => continue,
                _ => {}
            }
            if let Some((id, range)) = payload.as_section() {
                let content = file.get(range).unwrap_or_default();
                bytes.push(id);
                put_len(&mut bytes, content.len());
                bytes.extend_from_slice(content);
            }
        }
        Ok(Self { bytes, imports, exports })
    }
}

/// Appends a length as WebAssembly writes numbers: seven bits in a byte, the lowest first.
fn put_len(bytes: &mut Vec<u8>, mut len: usize) {
    while len > 0x7f {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
}

/// The contract, read.
fn contract_texts() -> Result<(Resolve, PackageId), String> {
    let mut texts = SourceMap::default();
    for (name, text) in WIT {
        texts.push_str(name, text);
    }
    let group = texts.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    Ok((resolve, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_sevens() {
        for (len, written) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (624_485, &[0xe5, 0x8e, 0x26])] {
            let mut bytes = Vec::new();
            put_len(&mut bytes, len);
            assert_eq!(bytes, written);
        }
    }
}
