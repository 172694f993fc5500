//! The loop with real sockets: what peers may do to it, and what it does for machines.

mod rig;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use rig::{Rig, frame, parse};
use route_core::{Millis, Output, PeerId};
use runtime_mio::limits::NetLimits;

/// Requests numbered from 1, all with the same body.
fn requests(count: i32, body: &[u8]) -> Vec<u8> {
    (1..=count).flat_map(|opaque| frame(opaque, body)).collect()
}

#[test]
fn requests_are_answered_however_their_bytes_are_cut() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    let bytes = [frame(1, b"first"), frame(2, &[7; 100_000]), frame(3, b"")].concat();
    // The first bytes come one by one, the rest as it fits.
    for byte in &bytes[..200] {
        peer.write_all(&[*byte]).unwrap();
        rig.turn();
    }
    rig.write(&mut peer, &bytes[200..]);
    let answers = rig.answers(&mut peer, 3);
    assert_eq!(answers, [(1, b"first".to_vec()), (2, vec![7; 100_000]), (3, Vec::new())]);
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    rig.write(&mut peer, &requests(500, &[1; 300]));
    let numbers: Vec<_> = rig.answers(&mut peer, 500).into_iter().map(|(opaque, _)| opaque).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[test]
fn slices_of_the_log_leave_whole_and_in_order() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    rig.write(&mut peer, &requests(20, b"log 70000 300000"));
    for (opaque, body) in rig.answers(&mut peer, 20) {
        assert!(body == rig::log_bytes(70_000, 300_000), "answer {opaque}");
    }
}

#[test]
fn slices_that_are_gone_become_an_error_reply() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    rig.write(&mut peer, &frame(1, b"log 999999999 10"));
    assert_eq!(rig.answer_code(&mut peer), (1, 1));
}

#[test]
fn a_gigabyte_that_is_announced_closes_the_connection_and_no_other() {
    let mut rig = Rig::new(NetLimits::default());
    let (mut bad, mut good) = (rig.connect(), rig.connect());
    bad.write_all(&[0x40, 0, 0, 0]).unwrap();
    assert!(rig.is_closed(&mut bad));
    rig.write(&mut good, &frame(1, b"still here"));
    assert_eq!(rig.answers(&mut good, 1), [(1, b"still here".to_vec())]);
}

#[test]
fn garbage_closes_the_connection() {
    let bad_json: &[u8] = &[0, 0, 0, 20, 0, 0, 0, 16, b'}', b'{', 0xFF];
    let bad_serializer: &[u8] = &[0, 0, 0, 4, 9, 0, 0, 0];
    for garbage in [b"GET / HTTP/1.1\r\n\r\n", bad_json, bad_serializer, &[0xFF; 64]] {
        let mut rig = Rig::new(NetLimits::default());
        let mut peer = rig.connect();
        peer.write_all(&[garbage, &[b'x'; 64]].concat()).unwrap();
        assert!(rig.is_closed(&mut peer), "{garbage:?}");
        assert_eq!(rig.seen().disconnected.len(), 1, "{garbage:?}");
    }
}

#[test]
fn half_a_frame_is_forgotten_with_its_connection() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    rig.write(&mut peer, &frame(1, &[0; 50_000])[..30_000]);
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(rig.is_closed(&mut peer));
    assert_eq!((rig.seen().requests.len(), rig.seen().disconnected.len()), (0, 1));
}

#[test]
fn what_was_asked_before_the_end_is_answered() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    // Both are there before the loop looks: one event tells of them.
    peer.write_all(&frame(1, b"last words")).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.answers(&mut peer, 1), [(1, b"last words".to_vec())]);
    assert!(rig.is_closed(&mut peer));
}

#[test]
fn a_response_goes_to_the_machine_as_a_response() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    let mut bytes = Vec::new();
    route_core::Reply::ok().encode_header(77, &mut bytes);
    rig.write(&mut peer, &bytes);
    rig.until("the response is there", |seen| seen.responses == [77]);
    assert!(rig.seen().requests.is_empty());
}

#[test]
fn a_peer_that_asks_for_much_and_takes_nothing_is_not_read() {
    let limits = NetLimits { high_water: 256 << 10, low_water: 64 << 10, ..NetLimits::default() };
    let mut rig = Rig::new(limits);
    let mut peer = rig.connect();
    let asked = requests(2000, b"make 10000");
    let written = rig.write(&mut peer, &asked);
    rig.settle();
    let taken = rig.seen().requests.len();
    assert!(taken < 1500, "{taken} of 2000 requests were taken although no answer was");
    // When it reads at last, it gets everything.
    let (mut answers, mut rest) = (rig.answers(&mut peer, taken), &asked[written..]);
    while answers.len() < 2000 {
        rest = &rest[rig.write(&mut peer, rest)..];
        answers.extend(rig.some_answers(&mut peer));
    }
    assert!(answers.iter().zip(1..).all(|((opaque, body), number)| *opaque == number && body.len() == 10_000));
}

#[test]
fn a_peer_for_whom_too_much_memory_is_kept_is_cut_off() {
    let mut rig = Rig::new(NetLimits { high_water: 1 << 30, outbound: 8 << 20, ..NetLimits::default() });
    let (mut peer, mut other) = (rig.connect(), rig.connect());
    // Nobody reads: what does not fit the system's buffers waits here.
    rig.write(&mut peer, &requests(2000, b"make 100000"));
    rig.until("it is cut off", |seen| seen.disconnected.len() == 1);
    rig.write(&mut other, &frame(1, b"undisturbed"));
    assert_eq!(rig.answers(&mut other, 1), [(1, b"undisturbed".to_vec())]);
}

#[test]
fn a_peer_that_takes_nothing_for_too_long_is_cut_off() {
    let mut rig = Rig::new(NetLimits { stalled: Millis(300), ..NetLimits::default() });
    let mut peer = rig.connect();
    rig.write(&mut peer, &requests(200, b"make 100000"));
    rig.until("it is cut off", |seen| seen.disconnected.len() == 1);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut rig = Rig::new(NetLimits { idle: Millis(1200), ..NetLimits::default() });
    let (mut idle, mut busy) = (rig.connect(), rig.connect());
    let start = Instant::now();
    for opaque in 1.. {
        rig.write(&mut busy, &frame(opaque, b"alive"));
        rig.answers(&mut busy, 1);
        if start.elapsed() > Duration::from_millis(2500) {
            break;
        }
    }
    assert!(rig.is_closed(&mut idle));
    assert_eq!(rig.seen().disconnected.len(), 1);
}

#[test]
fn the_largest_unfinished_frame_makes_room_when_memory_is_short() {
    let mut rig = Rig::new(NetLimits { inbound: 1 << 20, ..NetLimits::default() });
    let (mut large, mut small) = (rig.connect(), rig.connect());
    let half = frame(2, &[5; 40_000]);
    rig.write(&mut small, &half[..20_000]);
    rig.write(&mut large, &frame(1, &vec![0; 8 << 20])[..4 << 20]);
    assert!(rig.is_closed(&mut large));
    rig.write(&mut small, &half[20_000..]);
    assert_eq!(rig.answers(&mut small, 1), [(2, vec![5; 40_000])]);
}

#[test]
fn who_comes_when_the_house_is_full_is_turned_away_and_may_come_later() {
    let mut rig = Rig::new(NetLimits { connections: 2, ..NetLimits::default() });
    let (first, _second) = (rig.connect(), rig.connect());
    rig.settle();
    let mut third = rig.connect();
    assert!(rig.is_closed(&mut third));
    drop(first);
    rig.until("the first has left", |seen| seen.disconnected.len() == 1);
    let mut fourth = rig.connect();
    rig.write(&mut fourth, &frame(1, b"in"));
    assert_eq!(rig.answers(&mut fourth, 1), [(1, b"in".to_vec())]);
}

#[test]
fn a_connection_that_its_machine_closes_gets_what_was_written_before() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    rig.write(&mut peer, &[frame(1, b"make 3000000"), frame(2, b"close")].concat());
    assert_eq!(rig.answers(&mut peer, 1)[0].1.len(), 3_000_000);
    assert!(rig.is_closed(&mut peer));
    rig.until("the machine is told", |seen| seen.disconnected.len() == 1);
}

#[test]
fn numbers_of_connections_are_never_used_twice() {
    let mut rig = Rig::new(NetLimits::default());
    for round in 1..=20 {
        drop(rig.connect());
        rig.until("it has left", |seen| seen.disconnected.len() == round);
    }
    let numbers: BTreeSet<PeerId> = rig.seen().disconnected.iter().copied().collect();
    assert_eq!(numbers.len(), 20);
}

#[test]
fn a_dial_brings_a_connection_that_works_both_ways() {
    let mut rig = Rig::new(NetLimits::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A name, so that the lookup beside the loop is part of it.
    rig.put_out(Output::Dial { address: format!("localhost:{port}").into() });
    rig.until("the dial has ended", |seen| seen.dialed.len() == 1);
    let peer = *rig.seen().dialed[0].as_ref().expect("a connection");
    let (mut other, _) = listener.accept().unwrap();
    rig.put_out(rig::request(peer, 9, b"hello"));
    rig.settle();
    let mut bytes = vec![0; 4096];
    let len = other.read(&mut bytes).unwrap();
    assert_eq!(parse(&bytes[..len]).map(|(opaque, body, _)| (opaque, body)), Some((9, b"hello".to_vec())));
    other.write_all(&frame(5, b"back")).unwrap();
    rig.until("its request is there", |seen| seen.requests == [5]);
    drop(other);
    rig.until("it is gone", |seen| seen.disconnected == [peer]);
}

#[test]
fn dials_that_cannot_succeed_fail_in_time() {
    let mut rig = Rig::new(NetLimits { dial: Millis(300), ..NetLimits::default() });
    let unused: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [unused.to_string(), "no-such-name.invalid:9876".to_owned(), "nonsense".to_owned()] {
        rig.put_out(Output::Dial { address: address.into() });
    }
    rig.until("all have ended", |seen| seen.dialed.len() == 3);
    assert!(rig.seen().dialed.iter().all(Result::is_err));
}

#[test]
fn a_timer_of_a_machine_wakes_the_loop() {
    let mut rig = Rig::new(NetLimits::default());
    let due = rig.now().mono + Millis(50);
    rig.set_timeout(due);
    rig.until("it has rung", |seen| seen.timeouts == 1);
    let rung = rig.seen().last_timeout;
    assert!(rung >= due, "{rung:?} is before {due:?}");
}

#[test]
fn one_flush_covers_all_requests_of_a_turn() {
    let mut rig = Rig::new(NetLimits::default());
    let mut peer = rig.connect();
    peer.write_all(&requests(100, b"x")).unwrap();
    rig.answers(&mut peer, 100);
    let flushes = rig.seen().turns_with_requests;
    assert!(flushes <= 3, "{flushes} flushes for one run of requests");
}

#[test]
fn a_flood_does_not_starve_others() {
    let limits = NetLimits { read_share: 32 << 10, ..NetLimits::default() };
    let mut rig = Rig::new(limits);
    let (mut flood, mut quiet) = (rig.connect(), rig.connect());
    rig.settle();
    flood.set_nonblocking(true).unwrap();
    let bytes = requests(50_000, b"drop");
    let mut written = 0;
    while let Ok(len) = flood.write(&bytes[written..]) {
        written += len;
    }
    quiet.write_all(&frame(1, b"me too")).unwrap();
    rig.until("the quiet one was heard", |seen| seen.echoed == 1);
    let before = rig.seen().requests.len() * frame(1, b"drop").len();
    assert!(before <= 3 * limits.read_share, "{before} of {written} bytes of the flood came first");
}
