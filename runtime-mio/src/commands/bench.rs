//! `petrel bench`: how many messages a broker takes or gives, and how long each request waits.

mod load;
mod pulls;
mod report;
mod sends;
mod topic;

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use proto_core::names::validate_topic;

use super::{ClusterArgs, CommandError, stop};
use crate::client::{ClientError, Connection, NameServers, Timeouts, writable_queues};
use load::{Load, Tally};
use pulls::PullLoad;
use report::Report;
use sends::SendLoad;

/// Measure how fast a broker takes or gives messages
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// produce sends messages; consume reads a topic from its start, over and over
    #[arg(hide_possible_values = true)]
    pub what: What,
    /// The broker; without it that of the topic is used, or the first one where the topic can be made
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
    /// The topic; produce makes it if it is not there
    #[arg(long, default_value = "bench")]
    pub topic: String,
    /// Connections, each with a thread of its own
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,
    /// Requests on their way at once on each connection
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub window: u16,
    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(0..=16 * 1024 * 1024))]
    pub size: u32,
    /// Most messages of a pull
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(i32).range(1..))]
    pub batch: i32,
    /// How long to go on; Ctrl-C ends it earlier, with the figures so far
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::seconds)]
    pub duration: Duration,
    /// Queues to use, and to make the topic with
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub queues: i32,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the cluster is.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Sending.
    Produce,
    /// Pulling.
    Consume,
}

impl What {
    /// As the argument is written.
    const fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
        }
    }
}

/// Runs the load and prints what came of it, also of one that a lost connection or a signal ends early.
///
/// # Errors
/// [`CommandError`]; [`CommandError::Nothing`] if not one request succeeded, after the report has been printed.
pub fn run(args: Args) -> Result<(), CommandError> {
    measure(&args, &*stop::on_signals()?, &mut io::stdout().lock())
}

fn measure(args: &Args, stop: &AtomicBool, out: &mut impl Write) -> Result<(), CommandError> {
    validate_topic(&args.topic).map_err(|error| CommandError::Usage(error.to_string()))?;
    let broker = match &args.broker {
        Some(address) => address.clone(),
        None => find_broker(args)?,
    };
    let mut connections =
        (0..args.connections).map(|_| Connection::connect(&broker, Timeouts::default())).collect::<Result<Vec<_>, _>>()?;
    let (tally, ended) = match args.what {
        What::Produce => {
            let queues = topic::ensure(&mut connections[0], &args.topic, args.queues)?;
            let loads =
                (0..).zip(&connections).map(|(at, connection)| SendLoad::new(connection, &args.topic, queues, args.size, at)).collect();
            run_loads(args, stop, connections, loads)
        }
        What::Consume => {
            let backlog = pulls::backlog(&mut connections[0], &args.topic, args.queues)?;
            if backlog.is_empty() {
                let hint = format!("topic {} holds no messages here: petrel bench produce --topic {0} makes some", args.topic);
                return Err(CommandError::Nothing(hint));
            }
            let loads = (0..connections.len()).map(|at| PullLoad::new(&args.topic, &backlog, args.batch, at)).collect();
            run_loads(args, stop, connections, loads)
        }
    };
    if ended.is_ok() || !tally.latency.is_empty() {
        let report = Report::new(args, &tally);
        writeln!(out, "{report}").map_err(CommandError::Output)?;
    }
    ended?;
    if stop.load(Ordering::Relaxed) {
        return Err(CommandError::Interrupted("the figures are those of the time until then".to_owned()));
    }
    if tally.messages == 0 {
        return Err(CommandError::Nothing("not one message came through".to_owned()));
    }
    Ok(())
}

/// The master of the first broker on which the topic is, or would be made.
fn find_broker(args: &Args) -> Result<String, CommandError> {
    let mut name_servers = NameServers::new(&args.cluster.list(), Timeouts::default())?;
    let queues = writable_queues(&name_servers.route_to_send(&args.topic)?);
    let first = queues.into_iter().next().ok_or_else(|| ClientError::NoQueue { topic: args.topic.clone(), wanted: "written" })?;
    Ok(first.address)
}

/// Runs each load on its connection, all at once, and adds up what came of them; with the first error that ended one of them early.
fn run_loads<L: Load + Send>(
    args: &Args,
    stop: &AtomicBool,
    connections: Vec<Connection>,
    loads: Vec<L>,
) -> (Tally, Result<(), ClientError>) {
    let started = Instant::now();
    let end = started + args.duration;
    let (mut sum, mut ended) = (Tally::new(), Ok(()));
    thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .zip(loads)
            .map(|(connection, load)| {
                scope.spawn(move || {
                    let mut tally = Tally::new();
                    let ended = load::run(connection, load, args.window, end, stop, &mut tally);
                    (tally, ended)
                })
            })
            .collect();
        for thread in threads {
            let (tally, outcome) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.add(&tally);
            ended = std::mem::replace(&mut ended, Ok(())).and(outcome);
        }
    });
    sum.elapsed = started.elapsed();
    (sum, ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::{Reply, TestServer, record, route_to};
    use clap::Parser;
    use proto_core::{
        code::RequestCode,
        headers::{CreateTopicRequest, DecodeExt, GetMaxOffsetResponse, GetMinOffsetResponse, PullMessageRequest, SendMessageRequest},
    };
    use std::sync::{atomic::AtomicI32, mpsc};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, String> {
        Cli::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    /// A broker that tells the queues it is asked for. Topic `there` has two queues, no other topic is there before it is made. Queue 1
    /// of every topic holds 5 messages, the others none. Messages for `busy` are refused.
    fn broker() -> (TestServer, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        let server = TestServer::start_with_address(move |address, request| {
            let told = |text: String| sender.send(text).unwrap();
            let reply = Reply::to(request);
            let queue = request.ext.get("queueId").and_then(|text| text.parse_i32()).unwrap_or_default();
            vec![match RequestCode::from_code(request.code).unwrap() {
                RequestCode::GetRouteinfoByTopic => reply.body(route_to(address, 2)),
                RequestCode::GetTopicConfig if request.ext.get("topic").unwrap() == "there" => {
                    reply.body(br#"{"readQueueNums":2,"topicName":"there","writeQueueNums":2}"#.to_vec())
                }
                RequestCode::GetTopicConfig => reply.code(17),
                RequestCode::UpdateAndCreateTopic => {
                    let header = CreateTopicRequest::decode_ext(&request.ext).unwrap();
                    told(format!("make {} {} {}", header.topic.to_cow(), header.read_queue_nums, header.write_queue_nums));
                    reply
                }
                RequestCode::SendMessageV2 => {
                    let header = SendMessageRequest::decode(request.code, &request.ext).unwrap();
                    told(format!("queue {}", header.queue_id));
                    if header.topic == "busy" { reply.code(2).remark("busy\nSee") } else { reply }
                }
                RequestCode::GetMinOffset => reply.header(&GetMinOffsetResponse { offset: if queue == 1 { 3 } else { 0 } }),
                RequestCode::GetMaxOffset => reply.header(&GetMaxOffsetResponse { offset: if queue == 1 { 8 } else { 0 } }),
                RequestCode::PullMessage => {
                    let header = PullMessageRequest::decode_ext(&request.ext).unwrap();
                    told(format!("{}@{}", header.queue_id, header.queue_offset));
                    reply.body([record(3, b"", b"x", 0), record(4, b"", b"y", 0)].concat())
                }
                other => panic!("{other:?} is not awaited"),
            }]
        });
        (server, receiver)
    }

    fn bench(server: &TestServer, line: &str) -> (Result<(), String>, String) {
        let mut out = Vec::new();
        let args = parse(&format!("{line} --duration 0.01 --connections 2 --window 4 --broker {}", server.address())).unwrap();
        let result = measure(&args, &AtomicBool::new(false), &mut out).map_err(|error| error.to_string());
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn sends_make_the_topic_and_go_to_all_its_queues() {
        let (server, told) = broker();
        let (result, out) = bench(&server, "produce --queues 3 --size 100");
        result.unwrap();
        let told: Vec<String> = told.try_iter().collect();
        assert_eq!(told[0], "make bench 3 3");
        let sent = told.len() - 1;
        assert!(out.starts_with("produce: 2 connections, window 4, 100 bytes, "), "{out}");
        assert!(out.contains(&format!(" {sent} messages in ")), "{sent}: {out}");
        for queue in ["queue 0", "queue 1", "queue 2"] {
            assert!(told.iter().any(|text| text == queue), "{queue}");
        }
        assert!(!out.contains("failed"), "{out}");
    }

    #[test]
    fn a_topic_that_is_there_is_left_as_it_is() {
        let (server, told) = broker();
        bench(&server, "produce --topic there").0.unwrap();
        assert!(told.try_iter().all(|text| text == "queue 0" || text == "queue 1"));
    }

    #[test]
    fn refusals_are_counted_by_code_and_end_in_failure_if_there_is_nothing_else() {
        let (server, told) = broker();
        let (result, out) = bench(&server, "produce --topic busy");
        assert_eq!(result.unwrap_err(), "not one message came through");
        let refused = told.try_iter().count() - 1;
        assert!(out.contains(&format!("\nfailed:  {refused} with SYSTEM_BUSY (2): busy\n")), "{out}");
    }

    #[test]
    fn pulls_go_over_the_queues_that_hold_messages_and_begin_again_at_their_end() {
        let (server, told) = broker();
        let (result, out) = bench(&server, "consume --batch 2 --queues 4");
        result.unwrap();
        let pulls: Vec<String> = told.try_iter().collect();
        assert!(["1@3", "1@5", "1@7"].iter().all(|place| pulls.iter().any(|pull| pull == place)));
        assert!(pulls.iter().all(|pull| ["1@3", "1@5", "1@7"].contains(&&**pull)), "{pulls:?}");
        assert!(out.starts_with("consume: 2 connections, window 4, batch 2, "), "{out}");
        assert!(out.contains(&format!(" {} messages in ", pulls.len() * 2)), "{out}");
    }

    #[test]
    fn a_broker_that_goes_away_leaves_the_figures_so_far() {
        let left = AtomicI32::new(40);
        let server = TestServer::start(move |request| {
            let is_send = request.code == RequestCode::SendMessageV2.code();
            let reply = Reply::to(request);
            let body = br#"{"readQueueNums":2,"topicName":"there","writeQueueNums":2}"#.to_vec();
            vec![if !is_send {
                reply.body(body)
            } else if left.fetch_sub(1, Ordering::Relaxed) > 0 {
                reply
            } else {
                reply.hang_up()
            }]
        });
        let line = "produce --topic there --duration 60 --connections 1 --window 1";
        let args = parse(&format!("{line} --broker {}", server.address())).unwrap();
        let mut out = Vec::new();
        let error = measure(&args, &AtomicBool::new(false), &mut out).unwrap_err().to_string();
        assert!(error.contains(server.address()), "{error}");
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("produce: 1 connections, window 1, 1024 bytes, 40 messages in "), "{out}");
    }

    #[test]
    fn a_signal_ends_it_early_with_the_figures_so_far() {
        let (server, _told) = broker();
        let args = parse(&format!("produce --topic there --duration 60 --broker {}", server.address())).unwrap();
        let mut out = Vec::new();
        let error = measure(&args, &AtomicBool::new(true), &mut out).unwrap_err().to_string();
        assert_eq!(error, "interrupted: the figures are those of the time until then");
        assert!(String::from_utf8(out).unwrap().contains(", 256 messages in "), "each connection awaits its window");
    }

    #[test]
    fn a_topic_without_messages_cannot_be_measured() {
        let (server, _told) = broker();
        let error = bench(&server, "consume --queues 1").0.unwrap_err();
        assert_eq!(error, "topic bench holds no messages here: petrel bench produce --topic bench makes some");
    }

    #[test]
    fn json_is_one_object_in_one_line() {
        let (server, _told) = broker();
        let (_, out) = bench(&server, "produce --topic busy --json");
        let start = r#"{"command":"produce","connections":2,"window":4,"size":1024,"seconds":"#;
        assert!(
            out.starts_with(start) && out.contains(r#","messages":0,"messages_per_second":0,"megabytes_per_second":0.0,"p50_us":"#),
            "{out}"
        );
        assert!(out.contains(r#","failures":{"SYSTEM_BUSY (2)":"#) && out.ends_with("}}\n"), "{out}");
    }

    #[test]
    fn without_a_broker_the_topics_own_is_used() {
        let (server, _told) = broker();
        let args = parse(&format!("produce -n {}", server.address())).unwrap();
        assert_eq!(find_broker(&args).unwrap(), server.address());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for line in ["", "both", "produce --window 0", "produce --connections 0", "produce --size 99999999", "produce --duration x"] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
