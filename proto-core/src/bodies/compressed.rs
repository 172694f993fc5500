//! The compressed form of a registration, which brokers before 5.1 may send: zlib around
//!
//! ```text
//! i32 + DataVersion | i32 count, each i32 + topic line | i32 + filter servers | i32 count, each i32 + mapping   (last part from 5.0 on)
//! ```

use std::io::Read;

use nom::{
    IResult, Parser,
    combinator::{map_res, opt},
    multi::{length_count, length_data},
    number::complete::be_u32,
};
use thiserror::Error;

use super::{
    DataVersion, RegisterBrokerBody, TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicLineError,
    topic_mapping::TopicQueueMappingInfo,
};
use crate::json::{self, JsonError};

/// Why a body is no compressed registration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompressedBodyError {
    /// Not a zlib stream.
    #[error("the registration cannot be decompressed: {0}")]
    Zlib(String),
    /// More bytes come out than the caller allows.
    #[error("the registration has more than {0} bytes when decompressed")]
    TooLong(usize),
    /// A length leads out of the text.
    #[error("the parts of the registration do not add up")]
    BadParts,
    /// A part is no JSON.
    #[error("a part of the registration is wrong: {0}")]
    Json(#[from] JsonError),
    /// A topic's line is none.
    #[error(transparent)]
    Topic(#[from] TopicLineError),
}

/// Reads a registration of at most `limit` bytes when decompressed. Orders and system flags of topics are lost in this form.
///
/// # Errors
/// [`CompressedBodyError`].
pub fn decode_compressed_register_body(body: &[u8], limit: usize) -> Result<RegisterBrokerBody, CompressedBodyError> {
    let mut text = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::ZlibDecoder::new(body)
        .take(bound)
        .read_to_end(&mut text)
        .map_err(|error| CompressedBodyError::Zlib(error.to_string()))?;
    if text.len() > limit {
        return Err(CompressedBodyError::TooLong(limit));
    }
    let (_, (version, topics, filter_servers, mappings)) = grammar(&text).map_err(|_| CompressedBodyError::BadParts)?;

    let mut wrapper = TopicConfigAndMappingSerializeWrapper {
        data_version: json::from_slice::<DataVersion>(version)?,
        ..TopicConfigAndMappingSerializeWrapper::default()
    };
    for line in topics {
        let topic = TopicConfig::from_line(line)?;
        wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
    }
    for mapping in mappings.unwrap_or_default() {
        let mapping: TopicQueueMappingInfo = json::from_slice(mapping)?;
        wrapper.topic_queue_mapping_info_map.insert(mapping.topic.clone().unwrap_or_default(), mapping);
    }
    Ok(RegisterBrokerBody { filter_server_list: json::from_slice(filter_servers)?, topic_config_serialize_wrapper: wrapper })
}

type Parts<'a> = (&'a [u8], Vec<&'a str>, &'a [u8], Option<Vec<&'a [u8]>>);

fn grammar(text: &[u8]) -> IResult<&[u8], Parts<'_>> {
    let part = || length_data(be_u32::<&[u8], nom::error::Error<&[u8]>>);
    (part(), length_count(be_u32, map_res(part(), std::str::from_utf8)), part(), opt(length_count(be_u32, part()))).parse(text)
}
