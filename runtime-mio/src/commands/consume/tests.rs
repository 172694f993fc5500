use super::*;
use crate::client::test_server::{Reply, TestServer, record, route_to};
use clap::Parser;
use proto_core::{
    Command,
    bodies::{GetConsumerListByGroupResponseBody, HeartbeatData},
    code::RequestCode,
    headers::{
        DecodeExt, GetMinOffsetResponse, PullMessageRequest, PullMessageResponse, QueryConsumerOffsetRequest, QueryConsumerOffsetResponse,
        UpdateConsumerOffsetRequest,
    },
    json::{self, Dialect},
    sys_flag::pull,
};
use std::sync::{atomic::Ordering, mpsc};

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
    assert_eq!(from("2023-11-14T22:13:20"), Ok(Start::Timestamp(1_700_000_000_000)));
    assert!(from("middle").unwrap_err().contains("first, last, an offset, ms since 1970 or a time like"));
    assert!(parse("T --from -1").unwrap_err().contains("an offset is 0 or more"));
    assert!(parse("T --timeout=-1").is_err());
    assert!(parse("").is_err());
}

/// A cluster that hangs up on the first pull from offset 2, which comes after two messages of one queue.
fn cluster_that_restarts() -> (TestServer, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let restarts = AtomicBool::new(true);
    let server = TestServer::start_with_address(move |address, request| {
        let reply = Reply::to(request);
        vec![match RequestCode::from_code(request.code).unwrap() {
            RequestCode::GetRouteinfoByTopic => reply.body(route_to(address, 1)),
            RequestCode::PullMessage => {
                let header = PullMessageRequest::decode_ext(&request.ext).unwrap();
                if header.queue_offset == 2 && restarts.swap(false, Ordering::Relaxed) {
                    reply.hang_up()
                } else {
                    let body = record(header.queue_offset, b"", format!("{}", header.queue_offset).as_bytes(), 0);
                    let next_begin_offset = header.queue_offset + 1;
                    reply.header(&PullMessageResponse { next_begin_offset, ..PullMessageResponse::default() }).body(body)
                }
            }
            RequestCode::GetMinOffset => reply.header(&GetMinOffsetResponse { offset: 0 }),
            RequestCode::QueryConsumerOffset => reply.code(22),
            RequestCode::UpdateConsumerOffset => {
                let header = UpdateConsumerOffsetRequest::decode_ext(&request.ext).unwrap();
                sender.send(format!("commit {}", header.commit_offset.unwrap())).unwrap();
                reply
            }
            RequestCode::GetConsumerListByGroup => reply.body(b"{}".to_vec()),
            _ => reply,
        }]
    });
    (server, receiver)
}

#[test]
fn a_broker_that_comes_back_is_read_on_where_it_was() {
    for line in ["T --count 4", "T --group new --count 4"] {
        let (server, told) = cluster_that_restarts();
        let run = consume(&server, line);
        run.result.unwrap();
        assert_eq!(bodies(&run.out), ["0", "1", "2", "3"]);
        let notes: Vec<&str> = run.notes.lines().collect();
        assert!(notes[0].contains(" closed the connection; trying again until it is back"), "{notes:?}");
        assert_eq!(notes[1..], ["it is back, reading goes on"]);
        assert!(told.try_iter().all(|commit| commit == "commit 4"));
    }
}

#[test]
fn a_broker_that_does_not_come_back_is_waited_for_until_the_time_out() {
    let gone = AtomicBool::new(false);
    let server = TestServer::start_with_address(move |address, request| {
        let reply = Reply::to(request);
        vec![match RequestCode::from_code(request.code).unwrap() {
            _ if gone.load(Ordering::Relaxed) => reply.hang_up(),
            RequestCode::GetRouteinfoByTopic => reply.body(route_to(address, 1)),
            RequestCode::GetMinOffset => reply.header(&GetMinOffsetResponse { offset: 0 }),
            RequestCode::PullMessage => {
                gone.store(true, Ordering::Relaxed);
                reply.hang_up()
            }
            other => panic!("{other:?} is not awaited"),
        }]
    });
    let run = consume(&server, "T --timeout 0.05");
    run.result.unwrap();
    assert!(run.notes.contains("trying again until it is back") && !run.notes.contains("it is back,"), "{}", run.notes);
}

#[test]
fn a_cluster_that_never_was_there_is_not_waited_for() {
    let args = parse("T -n 127.0.0.1:1").unwrap();
    let error = read_all(&args, &AtomicBool::new(false), &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("cannot connect to 127.0.0.1:1: "), "{error}");
}

#[test]
fn an_sql_expression_is_judged_by_the_broker() {
    let (sender, seen) = mpsc::channel();
    let server = TestServer::start_with_address(move |address, request| {
        let reply = Reply::to(request);
        vec![match RequestCode::from_code(request.code).unwrap() {
            RequestCode::GetRouteinfoByTopic => reply.body(route_to(address, 1)),
            RequestCode::GetMinOffset => reply.header(&GetMinOffsetResponse { offset: 0 }),
            _ => {
                let header = PullMessageRequest::decode_ext(&request.ext).unwrap();
                let text = |text: Option<proto_core::Text<'_>>| text.unwrap().to_cow().into_owned();
                sender.send((text(header.expression_type), text(header.subscription))).unwrap();
                pulled(request)
            }
        }]
    });
    let mut args = parse("T --count 3").unwrap();
    (args.sql, args.cluster.name_servers) = (Some("a > 1".to_owned()), Some(server.address().to_owned()));
    read_all(&args, &AtomicBool::new(false), &mut Vec::new(), &mut Vec::new()).unwrap();
    assert_eq!(seen.recv().unwrap(), ("SQL92".to_owned(), "a > 1".to_owned()));
    assert!(parse("T --sql a>").unwrap_err().contains("'--sql <EXPR>': Encountered "), "{:?}", parse("T --sql a>"));
    assert!(parse("T --sql a>1 --tag A").is_err());
}

#[test]
fn an_expression_without_a_tag_is_refused() {
    let (server, _told) = cluster();
    assert_eq!(consume(&server, "T --tag ||").result.unwrap_err(), "\"||\" names no tag: a tag is needed, or several with || between them");
}
