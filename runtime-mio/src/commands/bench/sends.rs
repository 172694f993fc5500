//! Sends whose frames are made beforehand; only the request's number and the message's unique key change.

use std::ops::Range;

use proto_core::{
    Command, Flag, Text,
    code::RequestCode,
    encode::{Head, encode_frame},
    headers::SendMessageRequest,
    ids::{UniqueId, UniqueIdGenerator},
    names::AUTO_CREATE_TOPIC,
    properties::{PropertiesWriter, names},
};

use super::load::{FIRST_OPAQUE, Load};
use crate::{client::Connection, clock::Clock, commands::produce::filler};

/// A frame with the places of what changes.
#[derive(Debug)]
struct Template {
    frame: Vec<u8>,
    opaque: Range<usize>,
    key: Range<usize>,
}

/// Sends to the queues of a topic in turn.
#[derive(Debug)]
pub(super) struct SendLoad {
    templates: Vec<Template>,
    next: usize,
    ids: UniqueIdGenerator,
    wall: i64,
    size: u64,
}

impl SendLoad {
    /// Frames for `queues` queues with bodies of `size` bytes. `number` tells the loads of this process apart.
    pub(super) fn new(connection: &Connection, topic: &str, queues: i32, size: u32, number: i32) -> Self {
        let wall = Clock::new().now().wall.0;
        let mut ids = UniqueIdGenerator::new(connection.local_ip(), std::process::id(), number, 0);
        let body = filler(size as usize);
        let templates = (0..queues).map(|queue| template(topic, queue, &body, wall, ids.next_id(wall))).collect();
        let next = usize::try_from(number).unwrap_or_default();
        Self { templates, next, ids, wall, size: size.into() }
    }
}

impl Load for SendLoad {
    fn tick(&mut self, wall: i64) {
        self.wall = wall;
    }

    fn append(&mut self, out: &mut Vec<u8>, opaque: i32) {
        let template = &self.templates[self.next % self.templates.len()];
        self.next = self.next.wrapping_add(1);
        let start = out.len();
        out.extend_from_slice(&template.frame);
        let frame = &mut out[start..];
        let mut rest = opaque;
        for digit in frame[template.opaque.clone()].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        frame[template.key.clone()].copy_from_slice(self.ids.next_id(self.wall).as_str().as_bytes());
    }

    fn count(&self, _: &Command<'_>) -> (u64, u64) {
        (1, self.size)
    }
}

fn template(topic: &str, queue_id: i32, body: &[u8], wall: i64, key: UniqueId) -> Template {
    let mut properties = PropertiesWriter::new();
    properties.append(names::UNIQ_KEY, key.as_str().as_bytes());
    properties.append(names::WAIT, b"true");
    properties.append(names::TAGS, b"bench");
    let header = SendMessageRequest {
        producer_group: Text::plain("petrel_bench"),
        topic: Text::plain(topic),
        default_topic: Text::plain(AUTO_CREATE_TOPIC),
        default_topic_queue_nums: 4,
        queue_id,
        born_timestamp: wall,
        properties: std::str::from_utf8(properties.as_bytes()).ok().map(Text::plain),
        reconsume_times: Some(0),
        ..SendMessageRequest::default()
    };
    let head = Head { code: RequestCode::SendMessageV2.code(), opaque: FIRST_OPAQUE, flag: Flag(0), remark: None };
    let mut frame = Vec::new();
    encode_frame(&mut frame, &head, Some(&header), body.len());
    // A topic can hold neither quotes nor colons, so that each is found once.
    let place = |text: &str, skip: usize| {
        let at = frame.windows(text.len()).position(|window| window == text.as_bytes()).expect("it was just written there");
        at + skip..at + text.len()
    };
    let name = "\"opaque\":";
    let (opaque, key) = (place(&format!("{name}{FIRST_OPAQUE}"), name.len()), place(key.as_str(), 0));
    frame.extend_from_slice(body);
    Template { frame, opaque, key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Incoming, Timeouts, test_server::TestServer};
    use proto_core::properties::find_text;
    use std::collections::BTreeSet;

    #[test]
    fn frames_differ_in_number_key_and_queue_alone() {
        let server = TestServer::start(|_| Vec::new());
        let connection = Connection::connect(server.address(), Timeouts::default()).unwrap();
        let mut load = SendLoad::new(&connection, "T", 2, 5, 0);
        let mut bytes = Vec::new();
        for slot in 0..3 {
            load.append(&mut bytes, FIRST_OPAQUE + slot);
        }
        load.append(&mut bytes, i32::MAX);
        let mut incoming = Incoming::new();
        incoming.fill(&mut &bytes[..]).unwrap();
        let (mut numbers, mut keys, mut queues) = (Vec::new(), BTreeSet::new(), Vec::new());
        while let Some(command) = incoming.take().unwrap() {
            let header = SendMessageRequest::decode(command.code, &command.ext).unwrap();
            let properties = header.properties.unwrap().to_cow().into_owned();
            assert_eq!((find_text(properties.as_bytes(), "TAGS"), command.body), (Some("bench"), &b"abcde"[..]));
            keys.insert(find_text(properties.as_bytes(), "UNIQ_KEY").unwrap().to_owned());
            numbers.push(command.opaque);
            queues.push(header.queue_id);
        }
        assert_eq!(numbers, [FIRST_OPAQUE, FIRST_OPAQUE + 1, FIRST_OPAQUE + 2, i32::MAX]);
        assert_eq!(queues, [0, 1, 0, 1]);
        assert_eq!(keys.len(), 4);
    }
}
