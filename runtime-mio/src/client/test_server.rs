//! A peer for tests: one thread per connection, each request answered by a function.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use proto_core::{
    Command, ExtFields, Flag,
    bodies::{BrokerData, QueueData, TopicRouteData},
    code::RequestCode,
    encode::{EncodeExt, Head, encode_frame},
    json::{self, Dialect},
    perm,
    record::{RecordFields, encoded_len},
};

use super::Incoming;

/// What the server sends.
pub(crate) struct Reply {
    code: i32,
    opaque: i32,
    flag: Flag,
    remark: Option<String>,
    header: Option<Vec<(String, String)>>,
    body: Vec<u8>,
    hang_up: bool,
}

impl Reply {
    /// Success without fields.
    pub(crate) fn to(request: &Command<'_>) -> Self {
        let flag = Flag(Flag::RESPONSE);
        Self { code: 0, opaque: request.opaque, flag, remark: None, header: None, body: Vec::new(), hang_up: false }
    }

    /// A oneway request of the server.
    pub(crate) fn request(code: RequestCode) -> Self {
        let flag = Flag(Flag::ONEWAY);
        Self { code: code.code(), opaque: 0, flag, remark: None, header: None, body: Vec::new(), hang_up: false }
    }

    pub(crate) fn opaque(self, opaque: i32) -> Self {
        Self { opaque, ..self }
    }

    pub(crate) fn code(self, code: i32) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn remark(self, remark: &str) -> Self {
        Self { remark: Some(remark.to_owned()), ..self }
    }

    pub(crate) fn body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn hang_up(self) -> Self {
        Self { hang_up: true, ..self }
    }

    /// The typed header, kept as the fields that it writes.
    pub(crate) fn header(self, header: &impl EncodeExt) -> Self {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, &Head { code: 0, opaque: 0, flag: Flag(0), remark: None }, Some(header), 0);
        let mut incoming = Incoming::new();
        incoming.fill(&mut &bytes[..]).unwrap();
        let command = incoming.take().unwrap().unwrap();
        let text = |text: proto_core::Text<'_>| text.to_cow().into_owned();
        let fields = command.ext.iter().map(|(name, value)| (text(name), value.map(text).unwrap_or_default())).collect();
        Self { header: Some(fields), ..self }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut ext = ExtFields::present();
        for (name, value) in self.header.iter().flatten() {
            assert!(ext.push(proto_core::Text::plain(name), Some(proto_core::Text::plain(value))));
        }
        let head = Head { code: self.code, opaque: self.opaque, flag: self.flag, remark: self.remark.as_deref() };
        encode_frame(out, &head, Some(&ext), self.body.len());
        out.extend_from_slice(&self.body);
    }
}

/// A listener on a port of the system's choice. Its threads end with their connections.
pub(crate) struct TestServer {
    address: String,
}

impl TestServer {
    pub(crate) fn start(answer: impl Fn(&Command<'_>) -> Vec<Reply> + Send + Sync + 'static) -> Self {
        Self::start_with_address(move |_, request| answer(request))
    }

    /// As [`Self::start`]; the function also learns where the server listens.
    pub(crate) fn start_with_address(answer: impl Fn(&str, &Command<'_>) -> Vec<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (own, answer) = (address.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, own, answer) = (stream.unwrap(), own.clone(), Arc::clone(&answer));
                thread::spawn(move || serve(stream, |request| answer(&own, request)));
            }
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

fn serve(mut stream: TcpStream, answer: impl Fn(&Command<'_>) -> Vec<Reply>) {
    let (mut incoming, mut out) = (Incoming::new(), Vec::new());
    while incoming.fill(&mut stream).is_ok_and(|count| count > 0) {
        while let Some(request) = incoming.take().unwrap() {
            for reply in answer(&request) {
                if reply.hang_up {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                reply.write(&mut out);
            }
        }
        if stream.write_all(&out).is_err() {
            return;
        }
        out.clear();
    }
}

/// The body of a route: one broker `b` at `address` with some queues for reading and writing.
pub(crate) fn route_to(address: &str, queues: i32) -> Vec<u8> {
    let route = TopicRouteData {
        broker_datas: vec![BrokerData {
            broker_name: "b".to_owned(),
            broker_addrs: [(0, address.to_owned())].into(),
            ..BrokerData::default()
        }],
        queue_datas: vec![QueueData {
            broker_name: "b".to_owned(),
            perm: perm::READ | perm::WRITE,
            read_queue_nums: queues,
            write_queue_nums: queues,
            topic_sys_flag: 0,
        }],
        ..TopicRouteData::default()
    };
    json::to_vec(&route, Dialect::Standard)
}

/// A record as a broker stores it, of topic `T` in queue 3.
pub(crate) fn record(offset: i64, properties: &[u8], body: &[u8], sys_flag: i32) -> Vec<u8> {
    let host = "127.0.0.1:10911".parse().unwrap();
    let fields = RecordFields {
        topic: "T",
        queue_id: 3,
        flag: 0,
        queue_offset: offset,
        physical_offset: 0,
        sys_flag,
        born_timestamp: 0,
        born_host: host,
        store_timestamp: 1_700_000_000_000,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties,
    };
    let mut bytes = vec![0; encoded_len(&host, &host, 1, body.len(), properties.len())];
    fields.encode_into(&mut bytes).unwrap();
    bytes
}
