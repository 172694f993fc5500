//! Commands as a test holds them: owned, decoded from the bytes that crossed the network.

use std::collections::BTreeMap;

use proto_core::{
    Command, SerializeType,
    command::Flag,
    encode::{EncodeExt, ExtWriter, Head, encode_frame},
};

/// A command that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Request or response code.
    pub code: i32,
    /// The request's number.
    pub opaque: i32,
    /// Request or response, oneway or not.
    pub flag: Flag,
    /// The text.
    pub remark: Option<String>,
    /// The ext fields; a null is left out.
    pub fields: BTreeMap<String, String>,
    /// Whether the header has ext fields at all, be they none.
    pub has_fields: bool,
    /// Whether its header is JSON.
    pub is_json: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Packet {
    /// Takes a decoded command out of its buffer.
    #[must_use]
    pub fn own(command: &Command<'_>) -> Self {
        let text = |text: proto_core::text::Text<'_>| text.to_cow().into_owned();
        Self {
            code: command.code,
            opaque: command.opaque,
            flag: command.flag,
            remark: command.remark.map(text),
            fields: command.ext.iter().filter_map(|(name, value)| Some((text(name), text(value?)))).collect(),
            has_fields: command.ext.is_present(),
            is_json: command.serialize == SerializeType::Json,
            body: command.body.to_vec(),
        }
    }

    /// A field; the test fails with the whole packet if it is not there.
    #[must_use]
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("no field {name} in {self:?}"))
    }

    /// A field that holds a number.
    #[must_use]
    #[track_caller]
    pub fn number(&self, name: &str) -> i64 {
        self.field(name).parse().unwrap_or_else(|_| panic!("{name} is no number in {self:?}"))
    }

    /// The packet itself if its code is this one; the test fails with its remark otherwise.
    #[track_caller]
    pub fn expect(self, code: proto_core::code::ResponseCode) -> Self {
        assert_eq!(self.code, code.code(), "the answer was {self:?}");
        self
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or("<not text>")
    }
}

/// Ext fields given as pairs.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [(&'a str, &'a str)]);

impl EncodeExt for Fields<'_> {
    fn encode_ext(&self, out: &mut ExtWriter<'_>) {
        self.0.iter().for_each(|(name, value)| out.text(name, value));
    }
}

/// The bytes of a request.
#[must_use]
pub fn request(code: i32, opaque: i32, flag: Flag, header: &impl EncodeExt, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&mut frame, &Head { code, opaque, flag, remark: None }, Some(header), body.len());
    frame.extend_from_slice(body);
    frame
}

/// The bytes of a client's answer to a request of a broker.
#[must_use]
pub fn response(code: i32, opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&mut frame, &Head { code, opaque, flag: Flag(Flag::RESPONSE), remark: None }, None::<&Fields<'_>>, body.len());
    frame.extend_from_slice(body);
    frame
}
