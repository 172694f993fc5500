//! Transactions: a half message is delivered if its producer says so, and only then; a producer that keeps silent is asked.

use std::collections::{BTreeMap, BTreeSet};

use petrel_tests::{
    client::TestClient,
    packet::{Fields, Packet},
    pair::{Pair, TestBroker},
    requests::{Message, Pull},
};
use proptest::prelude::*;
use proto_core::{
    code::{RequestCode, ResponseCode},
    ids::OffsetMessageId,
    record::RecordView,
};
use route_core::{Millis, Storage, Timestamp, storage::LogOffset};

const COMMIT: i64 = 8;
const ROLLBACK: i64 = 12;
const HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";

/// A half message as its producer knows it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    offset: i64,
    place: i64,
}

const fn half_message<'a>(body: &'a str, properties: &'a [(&'a str, &'a str)]) -> Message<'a> {
    Message::new("Orders", body).with(properties)
}

/// Sends a half message of group `payers` with this key.
fn send(pair: &mut Pair, client: TestClient, key: &str) -> Sent {
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", key), ("TAGS", "TagA")];
    let answer = client.send(&mut pair.cluster, pair.broker, &half_message(key, &properties)).expect(ResponseCode::Success);
    assert_eq!(answer.field("transactionId"), key);
    sent(&answer)
}

fn sent(answer: &Packet) -> Sent {
    let id = OffsetMessageId::parse(answer.field("msgId")).expect("a message id");
    Sent { offset: answer.number("queueOffset"), place: id.offset }
}

fn word<'a>(group: &'a str, sent: [&'a str; 2], word: &'a str, from_check: &'a str) -> [(&'a str, &'a str); 6] {
    let [offset, place] = sent;
    [
        ("producerGroup", group),
        ("tranStateTableOffset", offset),
        ("commitLogOffset", place),
        ("commitOrRollback", word),
        ("fromTransactionCheck", from_check),
        ("msgId", "K"),
    ]
}

/// A producer's word, with an answer, which real ones do not want.
fn end(pair: &mut Pair, client: TestClient, sent: Sent, decision: i64) -> Packet {
    end_as(pair, client, "payers", sent, decision)
}

fn end_as(pair: &mut Pair, client: TestClient, group: &str, sent: Sent, decision: i64) -> Packet {
    let (offset, place, decision) = (sent.offset.to_string(), sent.place.to_string(), decision.to_string());
    client.ask(&mut pair.cluster, pair.broker, RequestCode::EndTransaction, &word(group, [&offset, &place], &decision, "false"))
}

/// Makes a client a producer of `payers`.
fn join(pair: &mut Pair, client: TestClient) {
    let body = br#"{"clientID":"p1","consumerDataSet":[],"producerDataSet":[{"groupName":"payers"}]}"#;
    client.call(&mut pair.cluster, pair.broker, RequestCode::HeartBeat.code(), &Fields(&[]), body).expect(ResponseCode::Success);
}

/// What consumers get of `Orders`.
fn delivered(pair: &mut Pair, client: TestClient) -> Vec<String> {
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0));
    if pulled.code == 0 { pulled.bodies() } else { Vec::new() }
}

/// The next question to a producer: the half message's new offset and place, and the message.
fn question(pair: &mut Pair, client: TestClient) -> Option<Packet> {
    std::iter::from_fn(|| client.next_request(&mut pair.cluster)).find(|request| request.code == RequestCode::CheckTransactionState.code())
}

fn copy_of(question: &Packet) -> Sent {
    Sent { offset: question.number("tranStateTableOffset"), place: question.number("commitLogOffset") }
}

#[test]
fn a_message_is_delivered_when_its_producer_commits_it_and_not_before() {
    let mut pair = Pair::new();
    let client = pair.client();
    let one = send(&mut pair, client, "one");
    let two = send(&mut pair, client, "two");
    assert_eq!((one.offset, two.offset), (0, 1));
    assert!(delivered(&mut pair, client).is_empty());
    end(&mut pair, client, two, COMMIT).expect(ResponseCode::Success);
    end(&mut pair, client, one, ROLLBACK).expect(ResponseCode::Success);
    assert_eq!(delivered(&mut pair, client), ["two"]);
}

#[test]
fn a_committed_message_is_what_was_sent_and_names_its_half_message() {
    let mut pair = Pair::new();
    let client = pair.client();
    let half = send(&mut pair, client, "one");
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::Success);
    let pulled = client.pull(&mut pair.cluster, pair.broker, &Pull::new("readers", "Orders", 0).tagged("TagA"));
    let record = RecordView::parse(&pulled.body).unwrap();
    assert_eq!((record.topic(), record.queue_id(), record.prepared_transaction_offset()), ("Orders", 0, half.place));
    assert_eq!(record.sys_flag() & 0xC, 8);
    assert_eq!((record.property("TRAN_MSG"), record.property("__transactionId__")), (Some("true"), Some("one")));
    assert_eq!((record.property("REAL_TOPIC"), record.property("REAL_QID")), (None, None));
}

#[test]
fn a_second_word_on_a_decided_transaction_changes_nothing() {
    let mut pair = Pair::new();
    let client = pair.client();
    let half = send(&mut pair, client, "one");
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::Success);
    for decision in [COMMIT, ROLLBACK] {
        let answer = end(&mut pair, client, half, decision).expect(ResponseCode::SystemError);
        assert_eq!(answer.remark.as_deref(), Some("Find prepared transaction message failed"));
    }
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn a_word_on_somebody_elses_half_message_is_refused() {
    let mut pair = Pair::new();
    let client = pair.client();
    let half = send(&mut pair, client, "one");
    let plain = client.send(&mut pair.cluster, pair.broker, &Message::new("Orders", "plain")).expect(ResponseCode::Success);
    let cases = [
        ("thieves", half, "The producer group wrong"),
        ("payers", Sent { offset: 7, ..half }, "The transaction state table offset wrong"),
        ("payers", Sent { place: half.place + 4, ..half }, "Find prepared transaction message failed"),
        ("payers", sent(&plain), "Find prepared transaction message failed"),
        ("payers", Sent { place: -1, ..half }, "Find prepared transaction message failed"),
    ];
    for (group, half, remark) in cases {
        let answer = end_as(&mut pair, client, group, half, COMMIT).expect(ResponseCode::SystemError);
        assert_eq!(answer.remark.as_deref(), Some(remark));
    }
    let answer = end(&mut pair, client, half, 5).expect(ResponseCode::SystemError);
    assert_eq!(answer.remark.as_deref(), Some("commitOrRollback field wrong"));
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("thieves") && text.contains("The producer group wrong")));
    assert_eq!(delivered(&mut pair, client), ["plain"]);
}

#[test]
fn a_producer_that_does_not_know_yet_is_not_answered() {
    let mut pair = Pair::new();
    let client = pair.client();
    let half = send(&mut pair, client, "one");
    let (offset, place) = (half.offset.to_string(), half.place.to_string());
    let fields = word("payers", [&offset, &place], "0", "false");
    let waiting = client.post(&mut pair.cluster, pair.broker, RequestCode::EndTransaction.code(), &Fields(&fields), b"");
    pair.cluster.drive();
    assert!(client.peek(&mut pair.cluster, waiting).is_none());
}

#[test]
fn a_silent_producer_is_asked_after_the_time_out_and_again_after_each_interval() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let half = send(&mut pair, client, "one");
    pair.cluster.advance(Millis(5_900));
    assert!(question(&mut pair, client).is_none());
    pair.cluster.advance(Millis(200));
    let first = question(&mut pair, client).expect("a question");
    assert!(first.flag.is_oneway());
    assert_eq!((first.field("topic"), first.field("msgId"), first.field("transactionId")), (HALF, "one", "one"));
    let copy = copy_of(&first);
    assert!(copy.offset > half.offset && copy.place > half.place);
    assert_eq!(OffsetMessageId::parse(first.field("offsetMsgId")).unwrap().offset, copy.place);
    let message = RecordView::parse(&first.body).unwrap();
    assert_eq!((message.topic(), message.queue_id(), message.queue_offset()), ("Orders", 0, copy.offset));
    assert_eq!((message.body(), message.property("TRANSACTION_CHECK_TIMES")), (&b"one"[..], Some("1")));
    pair.cluster.advance(Millis(29_000));
    assert!(question(&mut pair, client).is_none());
    pair.cluster.advance(Millis(1_100));
    let second = question(&mut pair, client).expect("a second question");
    assert_eq!(RecordView::parse(&second.body).unwrap().property("TRANSACTION_CHECK_TIMES"), Some("2"));
    end(&mut pair, client, copy_of(&second), COMMIT).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(120_000));
    assert!(question(&mut pair, client).is_none());
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn a_late_word_and_an_answer_to_a_question_commit_once() {
    for late_first in [true, false] {
        let mut pair = Pair::new();
        let client = pair.client();
        join(&mut pair, client);
        let half = send(&mut pair, client, "one");
        pair.cluster.advance(Millis(7_000));
        let copy = copy_of(&question(&mut pair, client).expect("a question"));
        let words = if late_first { [half, copy] } else { [copy, half] };
        end(&mut pair, client, words[0], COMMIT).expect(ResponseCode::Success);
        end(&mut pair, client, words[1], COMMIT).expect(ResponseCode::SystemError);
        pair.cluster.advance(Millis(60_000));
        assert!(question(&mut pair, client).is_none());
        assert_eq!(delivered(&mut pair, client), ["one"], "late_first={late_first}");
    }
}

#[test]
fn a_half_message_that_the_client_sent_twice_is_one_transaction() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let lost = send(&mut pair, client, "one");
    let half = send(&mut pair, client, "one");
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::Success);
    end(&mut pair, client, lost, COMMIT).expect(ResponseCode::SystemError);
    pair.cluster.advance(Millis(60_000));
    assert!(question(&mut pair, client).is_none());
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn a_producer_may_ask_not_to_be_asked_for_a_while_and_then_only_its_answer_counts() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", "one"), ("CHECK_IMMUNITY_TIME_IN_SECONDS", "60")];
    // Test producers say that they made their messages at this moment.
    pair.cluster.set_wall_clock(Timestamp(1_700_000_000_000));
    let answer = client.send(&mut pair.cluster, pair.broker, &half_message("one", &properties)).expect(ResponseCode::Success);
    let half = sent(&answer);
    pair.cluster.advance(Millis(59_000));
    assert!(question(&mut pair, client).is_none());
    pair.cluster.advance(Millis(2_000));
    let asked = question(&mut pair, client).expect("a question");
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::IllegalOperation);
    let copy = copy_of(&asked);
    let (offset, place) = (copy.offset.to_string(), copy.place.to_string());
    let fields = word("payers", [&offset, &place], "8", "true");
    client.ask(&mut pair.cluster, pair.broker, RequestCode::EndTransaction, &fields).expect(ResponseCode::Success);
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn after_the_maximum_of_questions_a_half_message_is_put_aside_and_an_operator_may_bring_it_back() {
    let mut pair = Pair::with(|config| config.transaction_check_max = 2);
    let client = pair.client();
    join(&mut pair, client);
    send(&mut pair, client, "one");
    let mut questions = 0;
    for _ in 0..10 {
        pair.cluster.advance(Millis(30_000));
        join(&mut pair, client);
        while question(&mut pair, client).is_some() {
            questions += 1;
        }
    }
    assert_eq!(questions, 2);
    let aside = client.pull(&mut pair.cluster, pair.broker, &Pull::new("operators", "TRANS_CHECK_MAX_TIME_TOPIC", 0));
    assert_eq!(aside.bodies(), ["one"]);
    assert!(pair.cluster.notices(pair.broker).iter().any(|text| text.contains("payers") && text.contains("after 2 questions")));

    let id = RecordView::parse(&aside.body).unwrap().offset_message_id();
    let mut text = Vec::new();
    id.write(&mut text);
    let text = String::from_utf8(text).unwrap();
    let fields = [("topic", "Orders"), ("msgId", text.as_str())];
    client.ask(&mut pair.cluster, pair.broker, RequestCode::ResumeCheckHalfMessage, &fields).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(7_000));
    let asked = question(&mut pair, client).expect("a question again");
    end(&mut pair, client, copy_of(&asked), COMMIT).expect(ResponseCode::Success);
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn questions_that_could_not_be_asked_do_not_count_and_the_producer_that_comes_back_is_asked() {
    let mut pair = Pair::with(|config| config.transaction_check_max = 2);
    let client = pair.client();
    send(&mut pair, client, "one");
    for _ in 0..20 {
        pair.cluster.advance(Millis(30_000));
    }
    join(&mut pair, client);
    pair.cluster.advance(Millis(31_000));
    let asked = question(&mut pair, client).expect("a question");
    assert_eq!(RecordView::parse(&asked.body).unwrap().property("TRANSACTION_CHECK_TIMES"), Some("1"));
    end(&mut pair, client, copy_of(&asked), COMMIT).expect(ResponseCode::Success);
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn what_became_of_transactions_is_told_to_operators() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let [first, second, ..] = ["one", "two", "three", "four", "five"].map(|key| send(&mut pair, client, key));
    end(&mut pair, client, first, COMMIT).expect(ResponseCode::Success);
    end(&mut pair, client, second, ROLLBACK).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(7_000));
    let figures = client.ask(&mut pair.cluster, pair.broker, RequestCode::GetBrokerRuntimeInfo, &[]).expect(ResponseCode::Success);
    let told = ["Undecided", "Begun", "Committed", "RolledBack", "Asked", "GivenUp"].map(|name| {
        let (_, rest) = figures.text().split_once(&format!("\"transactions{name}\":\"")).expect("the figure is told");
        rest.split('"').next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
    });
    assert_eq!(told, [3, 5, 1, 1, 3, 0]);
}

#[test]
fn undecided_transactions_survive_a_restart_and_decided_ones_stay_decided() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let committed = send(&mut pair, client, "committed");
    let dropped = send(&mut pair, client, "dropped");
    send(&mut pair, client, "open");
    send(&mut pair, client, "asked");
    end(&mut pair, client, committed, COMMIT).expect(ResponseCode::Success);
    end(&mut pair, client, dropped, ROLLBACK).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(7_000));
    assert!(question(&mut pair, client).is_some() && question(&mut pair, client).is_some());
    pair.restart_broker();
    let client = pair.client();
    join(&mut pair, client);
    end(&mut pair, client, committed, COMMIT).expect(ResponseCode::SystemError);
    pair.cluster.advance(Millis(31_000));
    let mut asked: Vec<Packet> = std::iter::from_fn(|| question(&mut pair, client)).collect();
    assert_eq!(asked.iter().map(|question| question.field("msgId")).collect::<Vec<_>>(), ["open", "asked"]);
    let again = asked.remove(0);
    assert_eq!(RecordView::parse(&again.body).unwrap().property("TRANSACTION_CHECK_TIMES"), Some("2"));
    end(&mut pair, client, copy_of(&again), COMMIT).expect(ResponseCode::Success);
    end(&mut pair, client, copy_of(&asked[0]), ROLLBACK).expect(ResponseCode::Success);
    assert_eq!(delivered(&mut pair, client), ["committed", "open"]);
    let broker: &mut TestBroker = pair.cluster.machine(pair.broker);
    assert_eq!(broker.transactions().len(), 0);
}

#[test]
fn a_word_on_any_copy_of_an_undecided_transaction_counts_after_a_restart_and_on_one_decided_before_with_the_same_key_never() {
    for copy in 0..3 {
        let mut pair = Pair::new();
        let client = pair.client();
        join(&mut pair, client);
        let decided = send(&mut pair, client, "one");
        end(&mut pair, client, decided, ROLLBACK).expect(ResponseCode::Success);
        let mut copies = vec![send(&mut pair, client, "one")];
        for wait in [7_000, 31_000] {
            pair.cluster.advance(Millis(wait));
            join(&mut pair, client);
            copies.push(copy_of(&question(&mut pair, client).expect("a question")));
        }
        // What is saved from time to time must not leave the older copies out.
        pair.cluster.advance(Millis(6_000));
        pair.restart_broker();
        let client = pair.client();
        end(&mut pair, client, decided, COMMIT).expect(ResponseCode::SystemError);
        end(&mut pair, client, copies[copy], COMMIT).expect(ResponseCode::Success);
        for &again in &copies {
            end(&mut pair, client, again, COMMIT).expect(ResponseCode::SystemError);
        }
        assert_eq!(delivered(&mut pair, client), ["one"], "copy {copy}");
    }
}

#[test]
fn half_messages_of_a_producer_that_is_away_are_not_copied_at_each_check_but_before_their_file_is_too_old() {
    let mut pair = Pair::with(|config| config.transaction_max_age = Millis(600_000));
    let client = pair.client();
    pair.cluster.set_wall_clock(Timestamp(1_700_000_000_000));
    send(&mut pair, client, "one");
    let end_of_log = pair.log_end();
    pair.cluster.advance(Millis(290_000));
    assert_eq!(pair.log_end(), end_of_log);
    pair.cluster.advance(Millis(60_000));
    let copied = pair.log_end();
    assert!(copied > end_of_log, "half of its time is over");
    pair.cluster.advance(Millis(200_000));
    assert_eq!(pair.log_end(), copied);
    pair.cluster.advance(Millis(120_000));
    let aside = client.pull(&mut pair.cluster, pair.broker, &Pull::new("operators", "TRANS_CHECK_MAX_TIME_TOPIC", 0));
    assert_eq!(aside.bodies(), ["one"]);
}

#[test]
fn a_transaction_that_was_committed_but_not_noted_when_the_process_died_is_not_committed_again() {
    let mut pair = Pair::new();
    let client = pair.client();
    join(&mut pair, client);
    let half = send(&mut pair, client, "one");
    let before = pair.log_end();
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::Success);
    let committed = pair.cluster.machine::<TestBroker>(pair.broker).storage().record(before).expect("the committed message").len();
    // The log is cut between the committed message and the note of it.
    let note = LogOffset(before.0 + i64::try_from(committed).unwrap());
    pair.crash_broker_at(note);
    let client = pair.client();
    join(&mut pair, client);
    pair.cluster.advance(Millis(60_000));
    assert!(question(&mut pair, client).is_none());
    end(&mut pair, client, half, COMMIT).expect(ResponseCode::SystemError);
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn a_committed_message_with_a_delay_waits_from_the_commit_on() {
    let mut pair = Pair::new();
    let client = pair.client();
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", "one"), ("DELAY", "2")];
    let answer = client.send(&mut pair.cluster, pair.broker, &half_message("one", &properties)).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(5_500));
    assert!(delivered(&mut pair, client).is_empty());
    end(&mut pair, client, sent(&answer), COMMIT).expect(ResponseCode::Success);
    pair.cluster.advance(Millis(4_900));
    assert!(delivered(&mut pair, client).is_empty());
    pair.cluster.advance(Millis(200));
    assert_eq!(delivered(&mut pair, client), ["one"]);
}

#[test]
fn a_committed_message_with_a_time_waits_for_it_in_the_timer_and_one_that_came_late_does_not() {
    for (pause, early) in [(1_000, 4_000), (9_000, 0)] {
        let mut pair = Pair::new();
        let client = pair.client();
        let at = (pair.cluster.now().wall.0 + 8_000).to_string();
        let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", "one"), ("TIMER_DELIVER_MS", at.as_str())];
        let answer = client.send(&mut pair.cluster, pair.broker, &half_message("one", &properties)).expect(ResponseCode::Success);
        pair.cluster.advance(Millis(pause));
        assert!(delivered(&mut pair, client).is_empty());
        end(&mut pair, client, sent(&answer), COMMIT).expect(ResponseCode::Success);
        if early > 0 {
            pair.cluster.advance(Millis(early));
            assert!(delivered(&mut pair, client).is_empty());
            pair.cluster.advance(Millis(6_000));
        }
        assert_eq!(delivered(&mut pair, client), ["one"], "committed after {pause} ms");
    }
}

#[test]
fn a_half_message_with_a_time_that_it_cannot_have_is_refused_at_once() {
    let mut pair = Pair::new();
    let client = pair.client();
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", "one"), ("TIMER_DELAY_SEC", "99999999")];
    client.send(&mut pair.cluster, pair.broker, &half_message("one", &properties)).expect(ResponseCode::MessageIllegal);
}

#[test]
fn a_broker_that_is_told_so_takes_no_half_messages_and_a_full_one_says_so() {
    let mut pair = Pair::with(|config| config.reject_transactions = true);
    let client = pair.client();
    let properties = [("TRAN_MSG", "true"), ("PGROUP", "payers"), ("UNIQ_KEY", "one")];
    let refused = client.send(&mut pair.cluster, pair.broker, &half_message("one", &properties)).expect(ResponseCode::NoPermission);
    assert!(refused.remark.unwrap().ends_with("sending transaction message is forbidden"));

    let mut pair = Pair::with(|config| config.limits.transactions = 1);
    let client = pair.client();
    let half = send(&mut pair, client, "one");
    client.send(&mut pair.cluster, pair.broker, &half_message("two", &properties)).expect(ResponseCode::SystemBusy);
    end(&mut pair, client, half, ROLLBACK).expect(ResponseCode::Success);
    send(&mut pair, client, "three");
}

#[test]
fn offsets_of_the_two_queues_move_on_so_that_a_restart_reads_little() {
    let mut pair = Pair::new();
    let client = pair.client();
    for number in 0..20 {
        let half = send(&mut pair, client, &number.to_string());
        end(&mut pair, client, half, if number % 2 == 0 { COMMIT } else { ROLLBACK }).expect(ResponseCode::Success);
    }
    pair.cluster.advance(Millis(6_000));
    assert_eq!(pair.stored_offset(client, "CID_RMQ_SYS_TRANS", HALF, 0), Some(20));
    assert_eq!(pair.stored_offset(client, "CID_RMQ_SYS_TRANS", "RMQ_SYS_TRANS_OP_HALF_TOPIC", 0), Some(20));
    let notes = client.pull(&mut pair.cluster, pair.broker, &Pull::new("operators", "RMQ_SYS_TRANS_OP_HALF_TOPIC", 0).tagged("d"));
    assert_eq!(notes.bodies().first().map(String::as_str), Some("0,"));
}

/// Something that happens to a broker with transactions. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    /// The client heard no answer and sends its last message again.
    SendAgain,
    /// A word on one of the copies that the producer knows of.
    Word {
        transaction: usize,
        copy: usize,
        commit: bool,
    },
    /// The producer is there, and answers questions or not.
    Listen {
        commit: Option<bool>,
    },
    Wait {
        seconds: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Send),
        1 => Just(Step::SendAgain),
        4 => (any::<usize>(), any::<usize>(), any::<bool>()).prop_map(|(transaction, copy, commit)| Step::Word { transaction, copy, commit }),
        3 => any::<Option<bool>>().prop_map(|commit| Step::Listen { commit }),
        3 => (1_u64..40).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// What a producer knows of its transactions.
#[derive(Default)]
struct Producer {
    /// Copies of the half message of each.
    copies: Vec<Vec<Sent>>,
    /// What was acknowledged.
    decided: BTreeMap<usize, bool>,
}

impl Producer {
    fn say(&mut self, pair: &mut Pair, client: TestClient, transaction: usize, copy: Sent, commit: bool) {
        let answer = end(pair, client, copy, if commit { COMMIT } else { ROLLBACK });
        if answer.code == 0 {
            assert_eq!(self.decided.insert(transaction, commit), None, "transaction {transaction} was decided twice");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_a_message_is_delivered_once_if_its_commit_was_acknowledged_and_never_else(steps in prop::collection::vec(step(), 1..40)) {
        let mut pair = Pair::new();
        let mut client = pair.client();
        let mut producer = Producer::default();
        for step in steps {
            match step {
                Step::Send => {
                    let half = send(&mut pair, client, &producer.copies.len().to_string());
                    producer.copies.push(vec![half]);
                }
                Step::SendAgain => {
                    let last = producer.copies.len().wrapping_sub(1);
                    if producer.copies.get(last).is_some() && !producer.decided.contains_key(&last) {
                        let half = send(&mut pair, client, &last.to_string());
                        producer.copies[last].push(half);
                    }
                }
                Step::Word { transaction, copy, commit } if !producer.copies.is_empty() => {
                    let transaction = transaction % producer.copies.len();
                    let copy = producer.copies[transaction][copy % producer.copies[transaction].len()];
                    producer.say(&mut pair, client, transaction, copy, commit);
                }
                Step::Word { .. } => {}
                Step::Listen { commit } => {
                    join(&mut pair, client);
                    while let Some(asked) = question(&mut pair, client) {
                        let transaction: usize = asked.field("msgId").parse().unwrap();
                        producer.copies[transaction].push(copy_of(&asked));
                        if let Some(commit) = commit {
                            producer.say(&mut pair, client, transaction, copy_of(&asked), commit);
                        }
                    }
                }
                Step::Wait { seconds } => pair.cluster.advance(Millis::from_secs(seconds)),
                Step::Restart => {
                    pair.restart_broker();
                    client = pair.client();
                }
            }
            let mut found = delivered(&mut pair, client);
            found.sort_unstable();
            let mut expected: Vec<String> = producer.decided.iter().filter(|(_, commit)| **commit).map(|(key, _)| key.to_string()).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected, "after {:?}", step);
        }
        // Whatever is left is asked about, again and again.
        let undecided = producer.copies.len() - producer.decided.len();
        prop_assert_eq!(pair.cluster.machine::<TestBroker>(pair.broker).transactions().len(), undecided);
        pair.cluster.advance(Millis::from_secs(31));
        join(&mut pair, client);
        while question(&mut pair, client).is_some() {}
        pair.cluster.advance(Millis::from_secs(31));
        let asked: BTreeSet<String> =
            std::iter::from_fn(|| question(&mut pair, client)).map(|question| question.field("msgId").to_owned()).collect();
        prop_assert_eq!(asked.len(), undecided);
    }
}
