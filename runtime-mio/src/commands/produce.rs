//! `petrel produce`: messages from arguments or from lines of standard input.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process,
    sync::atomic::{AtomicBool, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use proto_core::{
    names::validate_topic,
    properties::names::{KEYS, TAGS},
};

use super::{
    ClusterArgs, CommandError,
    stop::{self, Stoppable},
};
use crate::client::{ClientError, Message, NameServers, Producer, Sent, Timeouts};

/// Send messages to a topic
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The topic; brokers make it with the first message unless they are told not to
    pub topic: String,
    /// The message, or - for one message per line of standard input; empty lines are left out
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
    /// Send the message this many times; each message gets a line of output, more than 100 together one closing line with their number
    #[arg(long, default_value_t = 1, value_parser = super::count, allow_negative_numbers = true)]
    pub count: u64,
    /// Send a body of this many bytes instead of BODY
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=MAX_SIZE as i64))]
    pub size: Option<u32>,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Up to so many messages each get a line; of more only their number is told.
const LINES: u64 = 100;

/// A larger body than any broker takes, as it does not fit a frame.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Sends what the arguments say and prints where it went.
///
/// # Errors
/// [`CommandError`] of the first message that could not be sent, or that a signal came; those before it are stored, and told.
pub fn run(args: Args) -> Result<(), CommandError> {
    let stop = stop::on_signals()?;
    let input = Stoppable::standard_input(&stop).map_err(|source| CommandError::Input { what: STANDARD_INPUT, source })?;
    let streams = Streams { input: BufReader::new(input), out: io::stdout().lock(), notes: io::stderr() };
    send_all(&args, any_number(), &stop, streams)
}

/// What a message is read from and told to.
struct Streams<I, O, N> {
    input: I,
    out: O,
    notes: N,
}

const STANDARD_INPUT: &str = "standard input";

/// A number that differs from one run to the next.
fn any_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(process::id()).wrapping_mul(31).wrapping_add(since.subsec_micros().into())
}

fn send_all(
    args: &Args,
    first_queue: u64,
    stop: &AtomicBool,
    mut streams: Streams<impl BufRead, impl Write, impl Write>,
) -> Result<(), CommandError> {
    validate_topic(&args.topic).map_err(|error| CommandError::Usage(error.to_string()))?;
    let message = message(args)?;
    let body = match (&args.body, args.size) {
        (_, Some(size)) => Some(filler(size as usize)),
        (Some(text), None) if text.is_empty() => {
            return Err(CommandError::Usage("BODY is empty: brokers take no message without a body".to_owned()));
        }
        (Some(text), None) if text != "-" => Some(text.clone().into_bytes()),
        _ => None,
    };
    let mut name_servers = NameServers::new(&args.cluster.list(), Timeouts::default())?;
    let producer = Producer::new(&mut name_servers, &args.topic, Timeouts::default())?.beginning_at(first_queue);
    let lines = body.is_none() || args.count <= LINES;
    let out = &mut streams.out;
    let mut work =
        Work { args, producer, message, stop, report: Report { topic: &args.topic, lines, sent: 0, started: Instant::now(), out } };
    let done = match body {
        Some(body) => work.send(&body).map_err(|failure| failure.at(None)),
        None => work.send_lines(&mut streams.input, &mut streams.notes),
    };
    let told = work.report.finish();
    done.and(told)
}

/// Why sending ends before all is sent.
enum Failure {
    Client(ClientError),
    Output(io::Error),
    /// A signal came after so many messages.
    Stopped(u64),
}

impl Failure {
    /// As it is told, of a message that stood in this line of standard input.
    fn at(self, line: Option<u64>) -> CommandError {
        match (self, line) {
            (Self::Client(source), Some(number)) => CommandError::Line { number, source },
            (Self::Client(source), None) => CommandError::Client(source),
            (Self::Output(source), _) => CommandError::Output(source),
            (Self::Stopped(sent), _) => CommandError::Interrupted(format!("{sent} message(s) were sent")),
        }
    }
}

struct Work<'a, W> {
    args: &'a Args,
    producer: Producer,
    message: Message,
    stop: &'a AtomicBool,
    report: Report<'a, W>,
}

impl<W: Write> Work<'_, W> {
    /// Sends a body as often as it is wanted.
    fn send(&mut self, body: &[u8]) -> Result<(), Failure> {
        for _ in 0..self.args.count {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped(self.report.sent));
            }
            let sent = self.producer.send(&self.message, body).map_err(Failure::Client)?;
            self.report.note(&sent).map_err(Failure::Output)?;
        }
        Ok(())
    }

    /// Sends each line but the empty ones.
    fn send_lines(&mut self, input: &mut impl BufRead, notes: &mut impl Write) -> Result<(), CommandError> {
        let (mut line, mut number, mut told) = (Vec::new(), 0, false);
        loop {
            line.clear();
            let read = input.take(MAX_SIZE + 2).read_until(b'\n', &mut line);
            if read.map_err(|source| CommandError::Input { what: STANDARD_INPUT, source })? == 0 {
                return if self.stop.load(Ordering::Relaxed) { Err(Failure::Stopped(self.report.sent).at(None)) } else { Ok(()) };
            }
            number += 1;
            for end in [b'\n', b'\r'] {
                line.pop_if(|last| *last == end);
            }
            if line.len() as u64 > MAX_SIZE {
                let text = format!("line {number} of {STANDARD_INPUT} is too long: a message has at most {MAX_SIZE} bytes");
                return Err(CommandError::Usage(text));
            }
            if !line.is_empty() {
                self.send(&line).map_err(|failure| failure.at(Some(number)))?;
            } else if !told {
                told = true;
                // Nothing is lost if nobody can read the note.
                let _ = writeln!(notes, "line {number} of {STANDARD_INPUT} is empty: empty lines are left out, as a message needs a body");
            }
        }
    }
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
    fn note(&mut self, sent: &Sent) -> io::Result<()> {
        self.sent += 1;
        if !self.lines {
            return Ok(());
        }
        let (topic, queue) = (self.topic, &sent.queue);
        writeln!(self.out, "topic={topic} queue={queue} offset={} id={} offset_id={}", sent.offset, sent.unique_id, sent.offset_id)
    }

    /// The closing line, also if not all could be sent.
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

    struct Run {
        result: Result<(), String>,
        out: String,
        notes: String,
    }

    fn produce(server: &TestServer, line: &str, input: &str) -> Run {
        let args = parse(&format!("{line} -n {}", server.address())).unwrap();
        produce_until(&args, &AtomicBool::new(false), input)
    }

    fn produce_until(args: &Args, stop: &AtomicBool, input: &str) -> Run {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let streams = Streams { input: input.as_bytes(), out: &mut out, notes: &mut notes };
        let result = send_all(args, 4, stop, streams).map_err(|error| error.to_string());
        Run { result, out: String::from_utf8(out).unwrap(), notes: String::from_utf8(notes).unwrap() }
    }

    #[test]
    fn a_message_carries_what_the_arguments_say() {
        let (server, seen) = cluster();
        let run = produce(&server, "T hello --key k --tag A --property a=b=c", "");
        run.result.unwrap();
        let (queue, properties, body) = seen.recv().unwrap();
        assert_eq!((queue, &*body), (0, "hello"));
        let property = |name| find_text(properties.as_bytes(), name);
        assert_eq!(
            [property("KEYS"), property("TAGS"), property("a"), property("WAIT")],
            [Some("k"), Some("A"), Some("b=c"), Some("true")]
        );
        let id = property("UNIQ_KEY").unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(run.out, format!("topic=T queue=b/0 offset=7 id={id} offset_id=0A\n"));
    }

    #[test]
    fn lines_become_messages_round_robin_until_one_fails_which_is_named() {
        let (server, seen) = cluster();
        let run = produce(&server, "T -", "one\r\ntwo\nthree\nfour");
        assert_eq!(
            run.result.unwrap_err(),
            "line 3 of standard input: SEND_MESSAGE_V2 failed with SYSTEM_BUSY (2): [TIMEOUT_CLEAN_QUEUE]broker busy"
        );
        assert_eq!((run.out.lines().count(), &*run.notes), (2, ""));
        let seen: Vec<(i32, String)> = seen.try_iter().map(|(queue, _, body)| (queue, body)).collect();
        assert_eq!(seen, [(0, "one".to_owned()), (1, "two".to_owned()), (0, "three".to_owned())]);
    }

    #[test]
    fn empty_lines_are_left_out_and_the_first_is_named() {
        let (server, seen) = cluster();
        let run = produce(&server, "T -", "one\n\n\r\ntwo\n");
        run.result.unwrap();
        assert_eq!(seen.try_iter().map(|(_, _, body)| body).collect::<Vec<_>>(), ["one", "two"]);
        assert!(run.notes.starts_with("line 2 of standard input is empty") && run.notes.lines().count() == 1, "{}", run.notes);
    }

    #[test]
    fn an_empty_message_is_refused_before_anyone_is_asked() {
        let mut args = parse("T x -n 127.0.0.1:1").unwrap();
        args.body = Some(String::new());
        let error = produce_until(&args, &AtomicBool::new(false), "").result.unwrap_err();
        assert!(error.starts_with("BODY is empty"), "{error}");
    }

    #[test]
    fn what_was_sent_is_told_also_where_the_rest_cannot_be() {
        let (server, _seen) = cluster();
        let run = produce(&server, "T hello --count 101", "");
        assert!(run.result.unwrap_err().contains("SYSTEM_BUSY"));
        assert!(run.out.starts_with("topic=T sent=2 seconds="), "{}", run.out);
    }

    #[test]
    fn a_signal_ends_it_between_two_messages() {
        let (server, seen) = cluster();
        let args = parse(&format!("T - -n {}", server.address())).unwrap();
        let run = produce_until(&args, &AtomicBool::new(true), "half a li");
        assert_eq!(run.result.unwrap_err(), "interrupted: 0 message(s) were sent");
        assert_eq!(seen.try_iter().count(), 0);
    }

    #[test]
    fn the_first_message_goes_to_the_queue_that_is_drawn() {
        let (server, seen) = cluster();
        let mut name_servers = NameServers::new(server.address(), Timeouts::default()).unwrap();
        let mut producer = Producer::new(&mut name_servers, "T", Timeouts::default()).unwrap().beginning_at(u64::MAX);
        producer.send(&Message::new(), b"x").unwrap();
        assert_eq!(seen.recv().unwrap().0, 1);
    }

    #[test]
    fn a_wrong_topic_is_refused_before_anyone_is_asked() {
        let args = parse("a.b hello -n 127.0.0.1:1").unwrap();
        let error = produce_until(&args, &AtomicBool::new(false), "").result.unwrap_err();
        assert!(error.contains("contains illegal characters"), "{error}");
    }

    #[test]
    fn arguments_that_do_not_fit_together_are_refused() {
        assert!(parse("T --size 10").is_ok());
        for (line, part) in [
            ("T", "BODY"),
            ("T hello --size 10", "--size"),
            ("T hello --property x", "NAME=VALUE is needed"),
            ("T hello --count 0", "--count <COUNT>': a whole number from 1 on is needed"),
            ("T --size 0", "--size"),
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
