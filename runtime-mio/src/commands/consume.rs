//! `petrel consume`: the messages of a topic, one per line.

mod line;

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use proto_core::names::{validate_group, validate_topic};

use super::{
    ClusterArgs, CommandError,
    stop::{self, PAUSE},
};
use crate::client::{Consumer, NameServers, Reading, Start, Timeouts};

/// Print the messages of a topic as they come
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The topic; one that is not there yet is waited for
    pub topic: String,
    /// Go on where this group stopped, and keep how far it comes. All queues are read, even if the group has other members. Without a
    /// group nothing is kept
    #[arg(long)]
    pub group: Option<String>,
    /// Only messages with this tag; several with || between them
    #[arg(long = "tag", value_name = "EXPR")]
    pub tags: Option<String>,
    /// Where to begin: first, last (only what comes from now on), an offset in every queue, or a time in ms since 1970 (a number from
    /// 100000000000 on) [default: where the group stopped, else first]
    #[arg(long = "from", value_name = "WHERE", value_parser = start)]
    pub start: Option<Start>,
    /// Stop after this many messages
    #[arg(long, value_parser = super::count)]
    pub count: Option<u64>,
    /// Stop when nothing has come for this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub timeout: Option<Duration>,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Numbers from here on are times: as an offset it is out of reach, as a time it is in 1973.
const FIRST_TIME: i64 = 100_000_000_000;

/// How often the group's offsets are kept.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

fn start(text: &str) -> Result<Start, String> {
    match text {
        "first" => Ok(Start::First),
        "last" => Ok(Start::Last),
        number => match number.parse::<i64>() {
            Ok(time) if time >= FIRST_TIME => Ok(Start::Timestamp(time)),
            Ok(offset) if offset >= 0 => Ok(Start::Offset(offset)),
            _ => Err("first, last, an offset or a time in ms is needed".to_owned()),
        },
    }
}

/// Prints messages until the count, the time-out, SIGINT, SIGTERM, or the end of whoever reads the output; then the group's offsets
/// are kept and the group is left.
///
/// # Errors
/// [`CommandError`]; what has been printed is not printed again to the same group if the brokers can still be reached.
pub fn run(args: Args) -> Result<(), CommandError> {
    let stop = stop::on_signals()?;
    read_all(&args, &stop, &mut BufWriter::new(io::stdout().lock()), &mut io::stderr())
}

fn read_all(args: &Args, stop: &AtomicBool, out: &mut impl Write, notes: &mut impl Write) -> Result<(), CommandError> {
    validate_topic(&args.topic).map_err(|error| CommandError::Usage(error.to_string()))?;
    if let Some(group) = &args.group {
        validate_group(group).map_err(|error| CommandError::Usage(error.to_string()))?;
    }
    let Some(mut consumer) = join(args, stop, notes)? else { return Ok(()) };
    let result = print_messages(args, stop, &mut consumer, out, notes);
    let closed = consumer.close();
    result?;
    Ok(closed?)
}

/// The consumer, once the topic is there; `None` if nobody waits for it any longer.
fn join(args: &Args, stop: &AtomicBool, notes: &mut impl Write) -> Result<Option<Consumer>, CommandError> {
    let mut name_servers = NameServers::new(&args.cluster.list(), Timeouts::default())?;
    let started = Instant::now();
    let mut told = false;
    loop {
        let reading = Reading { group: args.group.clone(), tags: args.tags.clone(), start: args.start };
        match Consumer::new(&mut name_servers, &args.topic, reading, Timeouts::default()) {
            Err(error) if error.is_unknown_topic() => {}
            joined => return Ok(Some(joined?)),
        }
        if stop.load(Ordering::Relaxed) || args.timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            return Ok(None);
        }
        if !told {
            told = true;
            // Nothing is lost if nobody can read the note.
            let _ = writeln!(notes, "waiting for topic {}, which no name server knows yet", args.topic);
        }
        thread::sleep(args.timeout.map_or(PAUSE, |timeout| timeout.min(PAUSE)));
    }
}

fn print_messages(
    args: &Args,
    stop: &AtomicBool,
    consumer: &mut Consumer,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Result<(), CommandError> {
    let others = consumer.other_members()?;
    if others > 0 {
        let group = args.group.as_deref().unwrap_or_default();
        let _ = writeln!(notes, "group {group} has {others} other member(s): messages of their queues are read here too");
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    let (mut last_message, mut last_commit) = (Instant::now(), Instant::now());
    while left > 0 && !stop.load(Ordering::Relaxed) {
        let idle = last_message.elapsed();
        let patience = args.timeout.map_or(PAUSE, |timeout| timeout.saturating_sub(idle));
        if patience.is_zero() {
            break;
        }
        let mut failed = None;
        let count = consumer.poll(patience.min(PAUSE), |queue, record| {
            if let Err(error) = line::write(out, queue, record) {
                failed = Some(error);
            }
            left -= 1;
            if left == 0 || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if count > 0 {
            last_message = Instant::now();
        }
        match failed.map_or_else(|| out.flush(), Err) {
            // Whoever reads the output has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written.map_err(CommandError::Output)?,
        }
        if last_commit.elapsed() >= COMMIT_INTERVAL {
            last_commit = Instant::now();
            consumer.commit()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::{Reply, TestServer, record, route_to};
    use clap::Parser;
    use proto_core::{
        Command,
        bodies::{GetConsumerListByGroupResponseBody, HeartbeatData},
        code::RequestCode,
        headers::{
            DecodeExt, GetMinOffsetResponse, PullMessageRequest, PullMessageResponse, QueryConsumerOffsetRequest,
            QueryConsumerOffsetResponse, UpdateConsumerOffsetRequest,
        },
        json::{self, Dialect},
        sys_flag::pull,
    };
    use std::sync::mpsc;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, String> {
        Cli::try_parse_from(["consume"].into_iter().chain(line.split_whitespace())).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    /// Name server and broker in one. Its two queues hold three messages each, tagged A, B, A; group `known` stands at offset 2 in both,
    /// other groups nowhere. Requests other than pulls are told to the test, in short.
    fn cluster() -> (TestServer, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        let server = TestServer::start_with_address(move |address, request| {
            let told = |text: String| sender.send(text).unwrap();
            let reply = Reply::to(request);
            vec![match RequestCode::from_code(request.code).unwrap() {
                RequestCode::GetRouteinfoByTopic => reply.body(route_to(address, 2)),
                RequestCode::PullMessage => pulled(request),
                RequestCode::GetMinOffset => reply.header(&GetMinOffsetResponse { offset: 0 }),
                RequestCode::QueryConsumerOffset => {
                    let header = QueryConsumerOffsetRequest::decode_ext(&request.ext).unwrap();
                    assert_eq!(header.set_zero_if_not_found, Some(false));
                    let found = header.consumer_group == "known";
                    if found { reply.header(&QueryConsumerOffsetResponse { offset: Some(2) }) } else { reply.code(22) }
                }
                RequestCode::UpdateConsumerOffset => {
                    let header = UpdateConsumerOffsetRequest::decode_ext(&request.ext).unwrap();
                    told(format!("commit {} {}", header.queue_id.unwrap(), header.commit_offset.unwrap()));
                    reply
                }
                RequestCode::HeartBeat => {
                    let body: HeartbeatData = json::from_slice(request.body).unwrap();
                    let group = &body.consumer_data_set[0];
                    told(format!("join {} {}", group.group_name, group.subscription_data_set[0].sub_string.as_deref().unwrap()));
                    reply
                }
                RequestCode::GetConsumerListByGroup => {
                    let list = GetConsumerListByGroupResponseBody { consumer_id_list: vec!["other".to_owned()] };
                    reply.body(json::to_vec(&list, Dialect::Default))
                }
                RequestCode::UnregisterClient => {
                    told("leave".to_owned());
                    reply
                }
                other => panic!("{other:?} is not awaited"),
            }]
        });
        (server, receiver)
    }

    fn pulled(request: &Command<'_>) -> Reply {
        let header = PullMessageRequest::decode_ext(&request.ext).unwrap();
        assert_eq!(header.sys_flag, pull::SUSPEND | pull::SUBSCRIPTION);
        let reply = Reply::to(request);
        if header.topic == "forbidden" {
            return reply.code(16).remark("the topic[forbidden] pulling message is forbidden");
        }
        let tags = ["A", "B", "A"];
        let body: Vec<u8> = (header.queue_offset..3)
            .flat_map(|at| {
                let tag = tags[usize::try_from(at).unwrap()];
                record(at, format!("TAGS\u{1}{tag}\u{2}").as_bytes(), format!("{}-{at}", header.queue_id).as_bytes(), 0)
            })
            .collect();
        let code = if body.is_empty() { 19 } else { 0 };
        let header = PullMessageResponse { next_begin_offset: 3, min_offset: 0, max_offset: 3, ..PullMessageResponse::default() };
        reply.code(code).header(&header).body(body)
    }

    struct Run {
        result: Result<(), String>,
        out: String,
        notes: String,
    }

    fn consume(server: &TestServer, line: &str) -> Run {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let args = parse(&format!("{line} -n {}", server.address())).unwrap();
        let result = read_all(&args, &AtomicBool::new(false), &mut out, &mut notes).map_err(|error| error.to_string());
        Run { result, out: String::from_utf8(out).unwrap(), notes: String::from_utf8(notes).unwrap() }
    }

    fn bodies(out: &str) -> Vec<&str> {
        let mut bodies: Vec<&str> = out.lines().map(|line| line.split_once("body=").unwrap().1).collect();
        bodies.sort_unstable();
        bodies
    }

    #[test]
    fn without_a_group_everything_is_read_and_nothing_is_left_behind() {
        let (server, told) = cluster();
        let run = consume(&server, "T --count 6");
        run.result.unwrap();
        assert_eq!(bodies(&run.out), ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]);
        assert_eq!(told.try_iter().count(), 0);
    }

    #[test]
    fn a_group_goes_on_where_it_was_and_keeps_how_far_it_came() {
        let (server, told) = cluster();
        let run = consume(&server, "T --group known --count 2");
        run.result.unwrap();
        assert_eq!(bodies(&run.out), ["0-2", "1-2"]);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["join known *", "commit 0 3", "commit 1 3", "leave"]);
        assert_eq!(run.notes, "group known has 1 other member(s): messages of their queues are read here too\n");
    }

    #[test]
    fn what_was_not_printed_is_not_committed() {
        let (server, told) = cluster();
        consume(&server, "T --group new --count 1").result.unwrap();
        let commits: Vec<String> = told.try_iter().filter(|text| text.starts_with("commit")).collect();
        assert!(commits == ["commit 0 1", "commit 1 0"] || commits == ["commit 0 0", "commit 1 1"], "{commits:?}");
    }

    #[test]
    fn a_start_that_is_given_counts_more_than_the_groups() {
        let (server, _told) = cluster();
        let run = consume(&server, "T --group known --from 1 --count 4");
        assert_eq!(bodies(&run.out), ["0-1", "0-2", "1-1", "1-2"]);
    }

    #[test]
    fn other_tags_are_not_shown_even_if_the_broker_sends_them() {
        let (server, _told) = cluster();
        assert_eq!(bodies(&consume(&server, "T --tag B --count 2").out), ["0-1", "1-1"]);
    }

    #[test]
    fn an_idle_topic_ends_with_the_time_out() {
        let (server, _told) = cluster();
        let run = consume(&server, "T --from 3 --timeout 0.02");
        run.result.unwrap();
        assert_eq!(run.out, "");
    }

    #[test]
    fn a_refused_pull_is_told_in_one_line() {
        let (server, _told) = cluster();
        let error = consume(&server, "forbidden").result.unwrap_err();
        assert_eq!(error, "PULL_MESSAGE failed with NO_PERMISSION (16): the topic[forbidden] pulling message is forbidden");
    }

    #[test]
    fn an_unknown_topic_is_waited_for_until_the_time_out() {
        let server = TestServer::start(|request| vec![Reply::to(request).code(17)]);
        let run = consume(&server, "T --timeout 0");
        run.result.unwrap();
        assert_eq!(run.notes, "");
        assert_eq!(consume(&server, "T --timeout 0.01").notes, "waiting for topic T, which no name server knows yet\n");
    }

    #[test]
    fn whoever_stops_reading_the_output_ends_it_in_peace() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (server, told) = cluster();
        let args = parse(&format!("T --group known -n {}", server.address())).unwrap();
        read_all(&args, &AtomicBool::new(false), &mut Closed, &mut Vec::new()).unwrap();
        assert_eq!(told.try_iter().last().unwrap(), "leave");
    }

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        let from = |text: &str| parse(&format!("T --from {text}")).map(|args| args.start.unwrap());
        assert_eq!(from("first"), Ok(Start::First));
        assert_eq!(from("last"), Ok(Start::Last));
        assert_eq!(from("17"), Ok(Start::Offset(17)));
        assert_eq!(from("1700000000000"), Ok(Start::Timestamp(1_700_000_000_000)));
        assert!(from("middle").unwrap_err().contains("first, last, an offset or a time in ms is needed"));
        assert!(parse("T --from=-1").is_err());
        assert!(parse("T --timeout=-1").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn an_expression_without_a_tag_is_refused() {
        let (server, _told) = cluster();
        assert_eq!(
            consume(&server, "T --tag ||").result.unwrap_err(),
            "\"||\" names no tag: a tag is needed, or several with || between them"
        );
    }
}
