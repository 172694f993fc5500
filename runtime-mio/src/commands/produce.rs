//! `petrel produce`: messages from arguments or from lines of standard input.

use std::{
    io::{self, BufRead, Write},
    time::Instant,
};

use proto_core::{
    names::validate_topic,
    properties::names::{KEYS, TAGS},
};

use super::{ClusterArgs, CommandError};
use crate::client::{Message, NameServers, Producer, Timeouts};

/// Send messages to a topic
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The topic; brokers make it with the first message unless they are told not to
    pub topic: String,
    /// The message, or - for one message per line of standard input
    #[arg(required_unless_present = "size", conflicts_with = "size")]
    pub body: Option<String>,
    /// Keys by which the message can be found; several with spaces between them
    #[arg(long, value_name = "KEYS")]
    pub key: Option<String>,
    /// The tag by which consumers choose
    #[arg(long)]
    pub tag: Option<String>,
    /// A property, as often as needed
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub properties: Vec<(String, String)>,
    /// Send the message this many times
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// Send a body of this many bytes instead of BODY
    #[arg(long, value_name = "BYTES")]
    pub size: Option<usize>,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Up to so many messages each get a line; of more only their number is told.
const LINES: u64 = 100;

/// A larger body than any broker takes, as it does not fit a frame.
const MAX_SIZE: usize = 16 * 1024 * 1024;

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Sends what the arguments say and prints where it went.
///
/// # Errors
/// [`CommandError`] of the first message that could not be sent; those before it are stored.
pub fn run(args: Args) -> Result<(), CommandError> {
    send_all(&args, io::stdin().lock(), &mut io::stdout().lock())
}

fn send_all(args: &Args, input: impl BufRead, out: &mut impl Write) -> Result<(), CommandError> {
    validate_topic(&args.topic).map_err(|error| CommandError::Usage(error.to_string()))?;
    let message = message(args)?;
    let body = match (&args.body, args.size) {
        (_, Some(size)) if size > MAX_SIZE => {
            return Err(CommandError::Usage(format!("--size {size}: a message has at most {MAX_SIZE} bytes")));
        }
        (_, Some(size)) => Some(filler(size)),
        (Some(text), None) if text != "-" => Some(text.clone().into_bytes()),
        _ => None,
    };
    let mut name_servers = NameServers::new(&args.cluster.list(), Timeouts::default())?;
    let mut producer = Producer::new(&mut name_servers, &args.topic, Timeouts::default())?;
    let mut report = Report { topic: &args.topic, lines: body.is_none() || args.count <= LINES, sent: 0, started: Instant::now(), out };
    match body {
        Some(body) => (0..args.count).try_for_each(|_| report.send(&mut producer, &message, &body))?,
        None => {
            for line in input.split(b'\n') {
                let mut line = line.map_err(|source| CommandError::Input { what: "standard input", source })?;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                (0..args.count).try_for_each(|_| report.send(&mut producer, &message, &line))?;
            }
        }
    }
    report.finish()
}

fn message(args: &Args) -> Result<Message, CommandError> {
    let mut message = Message::new();
    for (name, value) in &args.properties {
        message.set(name, value)?;
    }
    for (name, value) in [(KEYS, &args.key), (TAGS, &args.tag)] {
        if let Some(value) = value {
            message.set(name, value)?;
        }
    }
    Ok(message)
}

/// A body that is text, so that consumers can show it.
pub(super) fn filler(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}

struct Report<'a, W> {
    topic: &'a str,
    lines: bool,
    sent: u64,
    started: Instant,
    out: &'a mut W,
}

impl<W: Write> Report<'_, W> {
    fn send(&mut self, producer: &mut Producer, message: &Message, body: &[u8]) -> Result<(), CommandError> {
        let sent = producer.send(message, body)?;
        self.sent += 1;
        if self.lines {
            let (topic, queue) = (self.topic, &sent.queue);
            writeln!(self.out, "topic={topic} queue={queue} offset={} id={} offset_id={}", sent.offset, sent.unique_id, sent.offset_id)
                .map_err(CommandError::Output)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CommandError> {
        if self.lines {
            return Ok(());
        }
        let (count, seconds) = (self.sent, self.started.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = count as f64 / seconds;
        writeln!(self.out, "topic={} sent={count} seconds={seconds:.1} rate={rate:.0}/s", self.topic).map_err(CommandError::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::{Reply, TestServer, route_to};
    use clap::Parser;
    use proto_core::{
        Command, Text,
        code::RequestCode,
        headers::{SendMessageRequest, SendMessageResponse},
        properties::find_text,
    };
    use std::sync::mpsc;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, String> {
        Cli::try_parse_from(["produce"].into_iter().chain(line.split_whitespace())).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    /// What a broker saw of a message: queue, properties, body.
    type Seen = (i32, String, String);

    /// Name server and broker in one, with two queues; from the third message on the answer is no.
    fn cluster() -> (TestServer, mpsc::Receiver<Seen>) {
        let (sender, receiver) = mpsc::channel();
        let server = TestServer::start_with_address(move |address, request| match RequestCode::from_code(request.code) {
            Some(RequestCode::GetRouteinfoByTopic) => vec![Reply::to(request).body(route_to(address, 2))],
            _ => vec![store(request, &sender)],
        });
        (server, receiver)
    }

    fn store(request: &Command<'_>, sender: &mpsc::Sender<Seen>) -> Reply {
        let header = SendMessageRequest::decode(request.code, &request.ext).unwrap();
        let properties = header.properties.unwrap().to_cow().into_owned();
        sender.send((header.queue_id, properties, String::from_utf8(request.body.to_vec()).unwrap())).unwrap();
        if request.opaque >= 2 {
            return Reply::to(request).code(2).remark("[TIMEOUT_CLEAN_QUEUE]broker busy");
        }
        let id = Text::plain("0A");
        Reply::to(request).header(&SendMessageResponse {
            queue_id: header.queue_id,
            queue_offset: 7,
            msg_id: id,
            ..SendMessageResponse::default()
        })
    }

    fn produce(server: &TestServer, line: &str, input: &str) -> (Result<(), String>, String) {
        let mut out = Vec::new();
        let args = parse(&format!("{line} -n {}", server.address())).unwrap();
        let result = send_all(&args, input.as_bytes(), &mut out).map_err(|error| error.to_string());
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_message_carries_what_the_arguments_say() {
        let (server, seen) = cluster();
        let (result, out) = produce(&server, "T hello --key k --tag A --property a=b=c", "");
        result.unwrap();
        let (queue, properties, body) = seen.recv().unwrap();
        assert_eq!((queue, &*body), (0, "hello"));
        let property = |name| find_text(properties.as_bytes(), name);
        assert_eq!(
            [property("KEYS"), property("TAGS"), property("a"), property("WAIT")],
            [Some("k"), Some("A"), Some("b=c"), Some("true")]
        );
        let id = property("UNIQ_KEY").unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(out, format!("topic=T queue=b/0 offset=7 id={id} offset_id=0A\n"));
    }

    #[test]
    fn lines_become_messages_round_robin_until_one_fails() {
        let (server, seen) = cluster();
        let (result, out) = produce(&server, "T -", "one\r\ntwo\n\nfour");
        assert_eq!(result.unwrap_err(), "SEND_MESSAGE_V2 failed with SYSTEM_BUSY (2): [TIMEOUT_CLEAN_QUEUE]broker busy");
        assert_eq!(out.lines().count(), 2);
        let seen: Vec<(i32, String)> = seen.try_iter().map(|(queue, _, body)| (queue, body)).collect();
        assert_eq!(seen, [(0, "one".to_owned()), (1, "two".to_owned()), (0, String::new())]);
    }

    #[test]
    fn a_wrong_topic_is_refused_before_anyone_is_asked() {
        let args = parse("a.b hello -n 127.0.0.1:1").unwrap();
        let error = send_all(&args, &b""[..], &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("contains illegal characters"), "{error}");
    }

    #[test]
    fn arguments_that_do_not_fit_together_are_refused() {
        assert!(parse("T --size 10").is_ok());
        for (line, part) in [
            ("T", "BODY"),
            ("T hello --size 10", "--size"),
            ("T hello --property x", "NAME=VALUE is needed"),
            ("T hello --count 0", "--count"),
        ] {
            assert!(parse(line).unwrap_err().contains(part), "{line}: {:?}", parse(line));
        }
    }

    #[test]
    fn a_property_that_would_break_the_others_is_refused() {
        let mut message = Message::new();
        for (name, value) in [("", "v"), ("n", ""), ("n", "a\u{2}b"), ("a\u{1}", "v"), ("n", &*"x".repeat(40_000))] {
            assert!(message.set(name, value).is_err(), "{name:?}");
        }
        assert_eq!(message, Message::new());
    }
}
