//! Messages that are delivered at a time of their own, and those that are taken back before.

use petrel_tests::{
    TestClient,
    packet::Packet,
    pair::Pair,
    requests::{Message, Pull, Stored},
};
use proto_core::{
    code::{RequestCode, ResponseCode},
    recall::RecallHandle,
};
use route_core::{
    Millis, Timestamp,
    broker::{
        config::BrokerConfig,
        timer::{TimerConfig, TimerRules},
    },
    output::Table,
};

const HOUR: u64 = 3_600_000;

struct Scene {
    pair: Pair,
    client: TestClient,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut pair = Pair::with(change);
        let client = pair.client();
        Self { pair, client }
    }

    #[track_caller]
    fn send(&mut self, body: &str, properties: &[(&str, &str)]) -> Packet {
        self.client.send(&mut self.pair.cluster, self.pair.broker, &Message::new("Orders", body).with(properties))
    }

    /// All that has come so far.
    #[track_caller]
    fn came(&mut self) -> Vec<Stored> {
        let mut all = Vec::new();
        loop {
            let pull = Pull::new("readers", "Orders", all.len() as i64);
            let more = self.client.pull(&mut self.pair.cluster, self.pair.broker, &pull).records();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    #[track_caller]
    fn bodies(&mut self) -> Vec<String> {
        self.came().into_iter().map(|message| message.body).collect()
    }

    fn advance(&mut self, millis: u64) {
        self.pair.cluster.advance(Millis(millis));
    }

    /// What the wall clock shows.
    fn wall(&self) -> i64 {
        self.pair.cluster.now().wall.0
    }

    #[track_caller]
    fn recall(&mut self, handle: &str) -> Packet {
        let fields = [("producerGroup", "producers"), ("topic", "Orders"), ("recallHandle", handle), ("bname", "broker-a")];
        self.client.ask(&mut self.pair.cluster, self.pair.broker, RequestCode::RecallMessage, &fields)
    }
}

/// Code and remark of a refusal.
fn refusal(answer: &Packet) -> (i32, &str) {
    (answer.code, answer.remark.as_deref().unwrap_or_default())
}

#[test]
fn a_timed_message_is_out_of_sight_until_its_time_and_comes_then() {
    let mut scene = Scene::new();
    let asked = [("delay", "TIMER_DELAY_MS", "3500"), ("seconds", "TIMER_DELAY_SEC", "6"), ("past", "TIMER_DELIVER_MS", "1000")];
    let start = scene.wall();
    let at = (start + 8_000).to_string();
    for (body, name, value) in asked {
        scene.send(body, &[(name, value)]).expect(ResponseCode::Success);
    }
    scene.send("at", &[("TIMER_DELIVER_MS", &at)]).expect(ResponseCode::Success);
    assert_eq!(scene.bodies(), ["past"]);
    scene.advance(10_000);
    let came: Vec<_> = scene.came().into_iter().map(|message| (message.body, message.stored_at - start)).collect();
    let late = |place: usize, due: i64| came[place].1 - due;
    assert_eq!(came.iter().map(|(body, _)| body.as_str()).collect::<Vec<_>>(), ["past", "delay", "seconds", "at"]);
    for (place, due) in [(1, 3_500), (2, 6_000), (3, 8_000)] {
        assert!((0..20).contains(&late(place, due)), "{came:?}");
    }
}

#[test]
fn many_messages_at_any_ms_of_some_seconds_come_never_early_and_never_a_second_late() {
    let mut scene = Scene::new();
    let start = scene.wall();
    for number in 0..3_000_i64 {
        let due = start + 20_001 + number * 7 % 5_000;
        scene.send(&due.to_string(), &[("TIMER_DELIVER_MS", &due.to_string())]).expect(ResponseCode::Success);
    }
    scene.advance(40_000);
    let late: Vec<_> = scene.came().iter().map(|message| message.stored_at - message.body.parse::<i64>().expect("a moment")).collect();
    assert_eq!(late.len(), 3_000);
    assert!(late.iter().all(|late| (0..100).contains(late)), "{:?}", (late.iter().min(), late.iter().max()));
}

#[test]
fn a_delivered_message_is_what_was_sent_with_the_traces_of_the_timer() {
    let mut scene = Scene::new();
    let start = scene.wall();
    let message =
        Message::new("Orders", "later").in_queue(2).with(&[("KEYS", "k"), ("TAGS", "t"), ("TIMER_DELAY_SEC", "5"), ("mine", "yes")]);
    let answer = scene.client.send(&mut scene.pair.cluster, scene.pair.broker, &message).expect(ResponseCode::Success);
    assert_eq!(answer.number("queueId"), 2);
    scene.advance(7_000);
    let pull = Pull { queue: 2, tags: Some("t"), ..Pull::new("readers", "Orders", 0) };
    let came = scene.client.pull(&mut scene.pair.cluster, scene.pair.broker, &pull).records();
    let [came] = came.as_slice() else { panic!("{came:?}") };
    assert_eq!((came.topic.as_str(), came.queue, came.body.as_str()), ("Orders", 2, "later"));
    let property = |name: &str| came.properties.get(name).map_or("", String::as_str);
    assert_eq!((property("KEYS"), property("mine"), property("TIMER_DELAY_SEC")), ("k", "yes", "5"));
    assert_eq!((property("REAL_TOPIC"), property("REAL_QID")), ("Orders", "2"));
    assert_eq!(property("UNIQ_KEY"), answer.field("transactionId"));
    let out: i64 = property("TIMER_OUT_MS").parse().unwrap();
    assert!(out % 1_000 == 0 && (start + 4_000..start + 5_000).contains(&out));
    let dequeued: i64 = property("TIMER_DEQUEUE_MS").parse().unwrap();
    assert_eq!((dequeued, property("TIMER_ENQUEUE_MS").ends_with("000")), (came.stored_at, true));
}

#[test]
fn a_time_that_cannot_be_served_is_refused_as_java_refuses_it() {
    let mut scene = Scene::new();
    let illegal = "timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if set del msg, the delay \
                   time should be bigger than the current time";
    for (name, value) in [("TIMER_DELAY_SEC", "259201"), ("TIMER_DELAY_SEC", "9223372036854775807"), ("TIMER_DELIVER_MS", "tomorrow")] {
        let answer = scene.send("never", &[(name, value)]);
        assert_eq!(refusal(&answer), (13, illegal), "{name}={value}");
    }
    scene.advance(10_000);
    assert_eq!(scene.bodies(), [""; 0]);
}

#[test]
fn without_a_timer_a_time_is_refused_and_delay_levels_work() {
    let mut scene = Scene::with(|config| config.timer.enabled = false);
    let answer = scene.send("never", &[("TIMER_DELAY_SEC", "1")]);
    assert_eq!(refusal(&answer), (1, "accurate timer message is not enabled, timerWheelEnable is false"));
    scene.send("level", &[("DELAY", "1"), ("TIMER_DELAY_SEC", "500")]).expect(ResponseCode::Success);
    scene.advance(3_000);
    assert_eq!(scene.bodies(), ["level"]);
}

#[test]
fn a_message_that_is_taken_back_never_comes() {
    let mut scene = Scene::with(|config| config.recall = true);
    let handles: Vec<_> =
        ["kept", "taken"].map(|body| scene.send(body, &[("TIMER_DELAY_SEC", "10")]).field("recallHandle").to_owned()).into();
    let key = RecallHandle::decode(&handles[1]).unwrap().unique_key;
    scene.advance(1_000);
    let answer = scene.recall(&handles[1]).expect(ResponseCode::Success);
    assert_eq!((answer.field("msgId"), answer.field("MSG_REGION")), (key.as_str(), "DefaultRegion"));
    scene.advance(20_000);
    assert_eq!(scene.bodies(), ["kept"]);
}

#[test]
fn a_message_that_waits_long_is_stored_anew_on_its_way_and_can_be_taken_back_all_the_time() {
    let rules = TimerRules::new(Millis(1_000), Millis::from_secs(259_200), 200, Millis(72 * HOUR));
    let mut scene = Scene::with(|config| {
        config.recall = true;
        config.timer.rules = rules;
    });
    let delay = [("TIMER_DELAY_SEC", "300")];
    scene.send("kept", &delay).expect(ResponseCode::Success);
    let early = scene.send("early", &delay).field("recallHandle").to_owned();
    let late = scene.send("late", &delay).field("recallHandle").to_owned();
    scene.recall(&early).expect(ResponseCode::Success);
    scene.advance(220_000);
    scene.recall(&late).expect(ResponseCode::Success);
    scene.advance(78_000);
    assert_eq!(scene.bodies(), [""; 0]);
    scene.advance(4_000);
    let came = scene.came();
    assert_eq!(came.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(came[0].properties["TIMER_ROLL_TIMES"], "1");
}

#[test]
fn who_may_not_take_a_message_back_is_told_as_java_tells_it() {
    let mut scene = Scene::new();
    assert_eq!(refusal(&scene.recall("")), (16, "recall failed, operation is forbidden"));
    let mut scene = Scene::with(|config| config.recall = true);
    assert_eq!(refusal(&scene.recall("")), (17, "recall failed, the topic[Orders] not exist"));
    let handle = scene.send("later", &[("TIMER_DELAY_SEC", "10")]).field("recallHandle").to_owned();
    assert_eq!(refusal(&scene.recall("no handle")), (604, "recall handle is invalid"));
    let of = |change: fn(&mut RecallHandle)| {
        let mut changed = RecallHandle::decode(&handle).unwrap();
        change(&mut changed);
        changed.encode()
    };
    for (handle, remark) in [
        (of(|handle| handle.topic = "Payments".into()), "recall failed, topic not match"),
        (of(|handle| handle.broker = "broker-b".into()), "recall failed, broker service not available"),
        (of(|handle| handle.timestamp = "1000".into()), "recall failed, timestamp invalid"),
        (of(|handle| handle.timestamp = "soon".into()), "recall failed, timestamp invalid"),
        (of(|handle| handle.timestamp = i64::MAX.to_string()), "recall failed, timestamp invalid"),
    ] {
        assert_eq!(refusal(&scene.recall(&handle)), (604, remark));
    }
    scene.advance(20_000);
    assert_eq!(scene.bodies(), ["later"]);
}

#[test]
fn thousands_at_the_same_time_all_come_while_others_are_served() {
    let mut scene = Scene::with(|config| config.timer.in_memory = 500);
    let at = (scene.wall() / 1_000 * 1_000 + 60_000).to_string();
    let sent: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
    for body in &sent {
        scene.send(body, &[("TIMER_DELIVER_MS", &at)]).expect(ResponseCode::Success);
    }
    scene.advance(70_000);
    assert_eq!(scene.bodies(), sent);
}

#[test]
fn a_killed_broker_delivers_what_waits_at_its_time_and_what_is_overdue_at_once() {
    let mut scene = Scene::new();
    for (body, seconds) in [("first", "5"), ("second", "20"), ("third", "40")] {
        scene.send(body, &[("TIMER_DELAY_SEC", seconds)]).expect(ResponseCode::Success);
    }
    scene.advance(10_000);
    assert_eq!(scene.bodies(), ["first"]);
    scene.pair.restart_broker();
    scene.advance(12_000);
    assert_eq!(scene.bodies(), ["first", "second"]);
    scene.pair.restart_broker();
    scene.advance(30_000);
    assert_eq!(scene.bodies(), ["first", "second", "third"]);
}

#[test]
fn a_wall_clock_that_is_set_moves_times_with_it_and_loses_none() {
    let mut scene = Scene::new();
    scene.send("before", &[("TIMER_DELAY_SEC", "60")]).expect(ResponseCode::Success);
    let back = Timestamp(scene.wall() - HOUR as i64);
    scene.pair.cluster.set_wall_clock(back);
    scene.send("after", &[("TIMER_DELAY_SEC", "60")]).expect(ResponseCode::Success);
    scene.advance(62_000);
    assert_eq!(scene.bodies(), ["after"]);
    let forward = Timestamp(scene.wall() + HOUR as i64);
    scene.pair.cluster.set_wall_clock(forward);
    scene.advance(2_000);
    assert_eq!(scene.bodies(), ["after", "before"]);
}

#[test]
fn progress_is_saved_only_when_there_is_some() {
    let mut scene = Scene::new();
    scene.advance(30_000);
    let saved = |scene: &Scene| scene.pair.cluster.saved(scene.pair.broker, Table::TimerCheckpoint).cloned();
    assert_eq!(saved(&scene), None);
    scene.send("later", &[("TIMER_DELAY_SEC", "5")]).expect(ResponseCode::Success);
    scene.advance(3_000);
    let read = saved(&scene).expect("a message has come into the timer");
    scene.advance(10_000);
    assert_ne!(saved(&scene).as_ref(), Some(&read), "the message has been delivered");
}

#[test]
fn a_finer_precision_and_a_shorter_limit_are_kept() {
    let rules = TimerRules::new(Millis(100), Millis::from_secs(60), 172_800, Millis(72 * HOUR));
    let mut scene = Scene::with(|config| config.timer = TimerConfig { rules, ..TimerConfig::default() });
    let start = scene.wall();
    scene.send("soon", &[("TIMER_DELAY_MS", "250")]).expect(ResponseCode::Success);
    assert_eq!(scene.send("never", &[("TIMER_DELAY_SEC", "61")]).code, 13);
    scene.advance(2_000);
    let came = scene.came();
    assert!((250..360).contains(&(came[0].stored_at - start)), "{came:?}");
}
