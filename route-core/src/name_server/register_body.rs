//! The body of a registration in its three shapes.

use proto_core::{
    bodies::{
        CompressedBodyError, RegisterBrokerBody, TopicConfigAndMappingSerializeWrapper, TopicConfigSerializeWrapper,
        decode_compressed_register_body,
    },
    json,
};
use thiserror::Error;

/// Brokers from this version (3.0.11) on send more than the bare topic table.
const REGISTER_BODY_VERSION: i32 = 37;

/// What a compressed body may grow to, in bytes: topic lines of a table that would fill a frame as JSON fit many times.
const MAX_DECOMPRESSED: usize = 32 << 20;

/// Why a body cannot be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// It is not the JSON that it should be.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// Its compressed form is broken, or too long.
    #[error(transparent)]
    Compressed(#[from] CompressedBodyError),
}

/// Reads the body of a broker of that version. An empty one is a table without topics at the first of all versions.
///
/// # Errors
/// [`BodyError`] names the first thing that is wrong.
pub fn read(body: &[u8], version: i32, compressed: bool) -> Result<RegisterBrokerBody, BodyError> {
    if body.is_empty() {
        return Ok(RegisterBrokerBody::default());
    }
    if version < REGISTER_BODY_VERSION {
        let TopicConfigSerializeWrapper { data_version, log_end: _, topic_config_table } = json::from_slice(body)?;
        let wrapper = TopicConfigAndMappingSerializeWrapper { data_version, topic_config_table, ..Default::default() };
        return Ok(RegisterBrokerBody { filter_server_list: None, topic_config_serialize_wrapper: wrapper });
    }
    if compressed {
        return Ok(decode_compressed_register_body(body, MAX_DECOMPRESSED)?);
    }
    Ok(json::from_slice(body)?)
}
