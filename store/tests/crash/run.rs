//! Random work with a store.

use std::{net::SocketAddr, time::Duration};

use route_core::{
    Storage, Timestamp,
    output::{Table, Ticket},
    random::Random,
    storage::{NewMessage, OffsetTableKind, TagsCode},
};
use store::{
    FlushDiskType, Store, StoreEvent,
    simulation::{SimulatedDisk, Work},
};

use super::{
    Start,
    model::{Model, Offsets, QUEUES, Sent, TOPICS, key, table_text, unmade_table},
    open,
};

/// A store that is worked with, and what is known about it.
pub(crate) struct Run {
    disk: SimulatedDisk,
    start: Start,
    /// `None` only while it is being closed and opened.
    store: Option<Store>,
    model: Model,
    random: Random,
    now: Duration,
    /// What each save that is under way holds.
    saves: Vec<(Ticket, Offsets)>,
    tickets: u64,
    trace: Vec<String>,
}

impl Run {
    pub(crate) fn begin(disk: &SimulatedDisk, start: Start, seed: u64) -> Result<Self, String> {
        let store = open(disk, start)?;
        Ok(Self::go_on(disk, start, store, Model::default(), seed))
    }

    /// Works on with a store that was opened.
    pub(crate) fn go_on(disk: &SimulatedDisk, start: Start, mut store: Store, model: Model, seed: u64) -> Self {
        // Notes count from what was loaded.
        let _ = store.load_offsets(OffsetTableKind::Consumer, |_| Ok(()));
        Self {
            disk: disk.clone(),
            start,
            store: Some(store),
            model,
            random: Random::new(seed),
            now: Duration::ZERO,
            saves: Vec::new(),
            tickets: 0,
            trace: Vec::new(),
        }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn trace(&self) -> &[String] {
        &self.trace
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("the store is open between two steps")
    }

    fn chance(&mut self, bound: u32) -> u32 {
        self.random.below(bound)
    }

    /// One thing to do, and what comes of it.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.chance(100) {
            0..45 => self.send(1)?,
            45..52 => {
                let count = 2 + self.chance(4);
                self.send(count)?;
            }
            52..70 => {
                let later = self.chance(700);
                self.now += Duration::from_millis(u64::from(later));
                self.store().request_flush();
                let now = self.now;
                self.trace.push(format!("flush at {now:?}"));
                self.store().step(Work::Flush(now));
            }
            70..73 => {
                self.trace.push("make the next bytes ready".into());
                self.store().step(Work::Ahead);
            }
            73..76 => {
                let now = self.now;
                self.trace.push(format!("index at {now:?}"));
                self.store().step(Work::Index(now));
            }
            76..85 => self.note(),
            85..90 => self.save(),
            90..97 => {
                self.trace.push("save or remove".into());
                self.store().step(Work::Tables);
            }
            97 => self.remove_topic(),
            98 => self.look_at_queues(),
            _ => self.close_and_open()?,
        }
        self.take_events();
        self.look()
    }

    /// Some queues are looked at that the start has put off.
    pub(crate) fn look_at_queues(&mut self) {
        self.trace.push("look at queues".into());
        self.store().step(Work::Queues);
    }

    /// Sends some messages to one queue.
    pub(crate) fn send(&mut self, count: u32) -> Result<(), String> {
        let topic = TOPICS[self.random.below(3) as usize];
        let queue_id = self.random.below(QUEUES.unsigned_abs()) as i32;
        let bodies: Vec<_> = (0..count)
            .map(|at| {
                // A batch has to fit into one file.
                let longest = if self.random.below(10) == 0 { 6000 / count } else { 300 };
                let len = self.random.below(longest) as usize;
                format!("{}+{at} {}", self.model.sent.len(), "x".repeat(len))
            })
            .collect();
        let first = self.model.sent.len();
        let properties: Vec<_> = (first..first + bodies.len()).map(|number| self.properties(number, 1500 / count)).collect();
        let messages: Vec<_> =
            bodies.iter().zip(&properties).map(|(body, properties)| message(topic, queue_id, body, properties)).collect();
        self.trace.push(format!("send {count} to {topic}-{queue_id}"));
        let now = Timestamp(1_700_000_000_000 + self.model.sent.len() as i64);
        let store = self.store();
        let queue = store.open_queue(topic, queue_id);
        let mut placed = Vec::new();
        let appended = if let [message] = &messages[..] {
            store.append(now, queue, message).map(|place| placed.push(place))
        } else {
            store.append_batch(now, queue, &messages, &mut placed)
        };
        appended.map_err(|error| format!("an append is refused: {error}"))?;
        if self.chance(3) > 0 {
            self.commit()?;
        }
        let generation = self.model.generation(topic);
        self.model.sent.extend(placed.iter().zip(bodies).zip(properties).map(|((place, body), properties)| Sent {
            topic,
            queue_id,
            generation,
            queue_offset: place.queue_offset,
            offset: place.offset.0,
            end: place.end.0,
            body,
            properties,
        }));
        Ok(())
    }

    /// Ends a turn of the loop. What was appended may be looked at before; it is promised only after.
    fn commit(&mut self) -> Result<(), String> {
        self.trace.push("commit".into());
        self.store().commit().map_err(|error| error.to_string())?;
        self.model.committed = self.model.end();
        Ok(())
    }

    /// Short or long ones, with a key that no other message has.
    fn properties(&mut self, number: usize, long: u32) -> String {
        let longest = if self.random.below(4) == 0 { long } else { 50 };
        let len = self.random.below(longest) as usize;
        format!("TAGS\x01TagA\x02KEYS\x01{}\x02more\x01{}\x02", key(number), "y".repeat(len))
    }

    fn note(&mut self) {
        let key = format!("{}@group", TOPICS[self.chance(3) as usize]);
        let queue_id = self.chance(QUEUES.unsigned_abs()) as i32;
        self.model.notes += 1;
        let offset = self.model.notes;
        self.trace.push(format!("note {key} {queue_id} {offset}"));
        self.store().note_offset(OffsetTableKind::Consumer, &key, queue_id, offset);
        self.model.noted.insert((key, queue_id), offset);
    }

    fn save(&mut self) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.trace.push(format!("save as {ticket:?}"));
        let noted = &self.model.noted;
        let made = self.random.below(2) == 0;
        let content = if made { table_text(noted).into_bytes().into() } else { unmade_table(noted) };
        self.saves.push((ticket, self.model.noted.clone()));
        self.store().save(ticket, Table::ConsumerOffsets, content);
    }

    fn remove_topic(&mut self) {
        let topic = TOPICS[self.chance(3) as usize];
        self.trace.push(format!("remove {topic}"));
        self.store().remove_topic(topic);
        *self.model.generations.entry(topic).or_default() += 1;
    }

    /// Stops in order and starts again.
    pub(crate) fn close_and_open(&mut self) -> Result<(), String> {
        self.trace.push("close and open".into());
        if let Some(store) = self.store.take() {
            store.close().map_err(|why| format!("closing fails: {why}"))?;
        }
        self.model.durable = self.model.end();
        self.model.committed = self.model.end();
        if let Some((_, content)) = self.saves.pop() {
            self.model.saved = content;
        }
        self.saves.clear();
        let mut store = open(&self.disk, self.start)?;
        let _ = store.load_offsets(OffsetTableKind::Consumer, |_| Ok(()));
        self.store = Some(store);
        self.now = Duration::ZERO;
        Ok(())
    }

    fn take_events(&mut self) {
        while let Some(event) = self.store().poll_event() {
            match event {
                StoreEvent::Durable(up_to) => {
                    self.store().set_durable(up_to);
                    self.model.durable = self.model.durable.max(up_to.0);
                }
                StoreEvent::Persisted(ticket, Ok(())) => {
                    if let Some(at) = self.saves.iter().position(|(saved, _)| *saved == ticket) {
                        self.model.saved = self.saves.drain(..=at).next_back().map(|(_, content)| content).unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
    }

    /// Readers never see what is not on disk, where that was promised.
    fn look(&mut self) -> Result<(), String> {
        if self.start.flush != FlushDiskType::SyncFlush {
            return Ok(());
        }
        let Some(store) = &self.store else { return Ok(()) };
        for topic in TOPICS {
            for queue_id in 0..QUEUES {
                let Some(queue) = store.find_queue(topic, queue_id) else { continue };
                let max = store.bounds(queue).max;
                if let Some(unit) = store.units(queue, max - 1).next()
                    && unit.offset.0 + i64::from(unit.size) > self.model.durable
                {
                    return Err(format!("{topic}-{queue_id} shows {max} messages, the last of which is not on disk"));
                }
            }
        }
        Ok(())
    }
}

fn message<'a>(topic: &'a str, queue_id: i32, body: &'a str, properties: &'a str) -> NewMessage<'a> {
    NewMessage {
        topic,
        queue_id,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1_699_999_999_000,
        born_host: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        store_host: SocketAddr::from(([127, 0, 0, 1], 10_911)),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_bytes(),
        properties: properties.as_bytes(),
        tags_code: TagsCode::Hash(2_598_919),
    }
}
