//! Prints all that a broker serves of the topics that were filled, as JSON lines in an order of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use petrel_tests::{
    packet::{Fields, Packet},
    requests::Pull,
    socket::Connection,
};
use proto_core::{
    bodies::{SubscriptionGroupWrapper, TopicConfigSerializeWrapper},
    code::RequestCode,
    json,
    names::SCHEDULE_TOPIC,
    record::{RecordView, body_crc},
};
use serde_json::{Value, json};

use crate::{
    names::{GROUPS, MARK, PLAIN, own_key, shared_key, unique_key},
    succeeded,
};

/// The group that reads.
const READER: &str = "TOOLS_CONSUMER";

/// Queues of the topic of delayed messages: one for each level.
const LEVELS: i32 = 18;

pub(crate) fn tell(connection: &mut Connection, parts: u32, out: &mut dyn Write) -> io::Result<()> {
    let mut times = BTreeSet::new();
    let topics = topics(connection, out)?;
    for (topic, queues) in topics.iter().map(|(topic, queues)| (topic.as_str(), *queues)).chain([(SCHEDULE_TOPIC, LEVELS)]) {
        for queue in 0..queues {
            tell_queue(connection, topic, queue, &mut times, out)?;
        }
    }
    groups(connection, out)?;
    for group in GROUPS {
        for (topic, queues) in &topics {
            for queue in 0..*queues {
                let number = queue.to_string();
                let header = [("consumerGroup", group), ("topic", topic), ("queueId", &number)];
                let answer = connection.call(RequestCode::QueryConsumerOffset.code(), &Fields(&header), b"")?;
                let offset = (answer.code == 0).then(|| answer.number("offset"));
                line(out, &json!({"type": "offset", "group": group, "topic": topic, "queueId": queue, "offset": offset}))?;
            }
        }
    }
    let times: Vec<i64> = times.into_iter().collect();
    for (topic, queues) in &topics {
        for queue in 0..*queues {
            // Around the first, the last and some times in between.
            for time in times.iter().step_by((times.len() / 16).max(1)).chain(times.last()).flat_map(|time| [time - 1, *time, time + 1]) {
                for boundary in ["LOWER", "UPPER"] {
                    let (number, timestamp) = (queue.to_string(), time.to_string());
                    let header = [("topic", topic.as_str()), ("queueId", &number), ("timestamp", &timestamp), ("boundaryType", boundary)];
                    let offset = ask(connection, RequestCode::SearchOffsetByTimestamp, &header)?.number("offset");
                    line(
                        out,
                        &json!({"type": "search", "topic": topic, "queueId": queue, "time": time, "boundary": boundary, "offset": offset}),
                    )?;
                }
            }
        }
    }
    let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
    for part in 1..=parts {
        let own = (0..PLAIN).step_by(7).map(|number| own_key(part, number));
        let unique = (0..PLAIN).step_by(11).map(|number| unique_key(part, number));
        let batches = (0..5).map(|number| format!("batch-{part}-{number}"));
        for key in own.chain(unique).chain(batches).chain([shared_key(part), format!("nothing-{part}")]) {
            look_up(connection, &topics[0].0, &key, (first - 1, last + 1), out)?;
        }
    }
    Ok(())
}

fn ask(connection: &mut Connection, code: RequestCode, header: &[(&str, &str)]) -> io::Result<Packet> {
    succeeded(connection.call(code.code(), &Fields(header), b"")?)
}

fn line(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

/// The topics that were filled, and those of retries and dead letters, with the number of their queues.
fn topics(connection: &mut Connection, out: &mut dyn Write) -> io::Result<Vec<(String, i32)>> {
    let answer = ask(connection, RequestCode::GetAllTopicConfig, &[])?;
    let table: TopicConfigSerializeWrapper = json::from_slice(&answer.body).map_err(io::Error::other)?;
    let ours: BTreeMap<_, _> = table.topic_config_table.iter().filter(|(name, _)| name.contains(MARK)).collect();
    let mut topics = Vec::new();
    for (name, config) in ours {
        let (read, write, perm) = (config.read_queue_nums, config.write_queue_nums, config.perm);
        line(out, &json!({"type": "topic", "topic": name, "read": read, "write": write, "perm": perm}))?;
        topics.push((name.clone(), read.max(write)));
    }
    // The one with keys comes first.
    topics.sort_by_key(|(name, queues)| (!name.starts_with(MARK), -queues));
    Ok(topics)
}

fn groups(connection: &mut Connection, out: &mut dyn Write) -> io::Result<()> {
    let answer = ask(connection, RequestCode::GetAllSubscriptiongroupConfig, &[])?;
    let table: SubscriptionGroupWrapper = json::from_slice(&answer.body).map_err(io::Error::other)?;
    let ours: BTreeMap<_, _> = table.subscription_group_table.iter().filter(|(name, _)| name.contains(MARK)).collect();
    for (name, config) in ours {
        let (retries, timeout) = (config.retry_max_times, config.consume_timeout_minute);
        line(out, &json!({"type": "group", "group": name, "retryMaxTimes": retries, "consumeTimeoutMinute": timeout}))?;
    }
    Ok(())
}

fn tell_queue(connection: &mut Connection, topic: &str, queue: i32, times: &mut BTreeSet<i64>, out: &mut dyn Write) -> io::Result<()> {
    let number = queue.to_string();
    let header = [("topic", topic), ("queueId", number.as_str())];
    let min = ask(connection, RequestCode::GetMinOffset, &header)?.number("offset");
    let max = ask(connection, RequestCode::GetMaxOffset, &header)?.number("offset");
    line(out, &json!({"type": "queue", "topic": topic, "queueId": queue, "min": min, "max": max}))?;
    let mut next = min;
    while next < max {
        let pull = Pull::new(READER, topic, next).in_queue(queue);
        let answer = succeeded(connection.call(RequestCode::PullMessage.code(), &pull, b"")?)?;
        let mut rest = answer.body.as_slice();
        while !rest.is_empty() {
            let record = RecordView::parse(rest).map_err(io::Error::other)?;
            record.verify_crc().map_err(io::Error::other)?;
            times.insert(record.store_timestamp());
            line(out, &message(&record, topic, queue))?;
            rest = &rest[record.total_size()..];
        }
        let after = answer.number("nextBeginOffset");
        if after <= next {
            return Err(io::Error::other(format!("{topic} {queue}: the pull at {next} goes on at {after}")));
        }
        next = after;
    }
    Ok(())
}

fn message(record: &RecordView<'_>, topic: &str, queue: i32) -> Value {
    json!({
        "type": "message",
        "topic": topic,
        "queueId": queue,
        "queueOffset": record.queue_offset(),
        "commitLogOffset": record.physical_offset(),
        "size": record.total_size(),
        "properties": String::from_utf8_lossy(record.properties()),
        "stored": record.store_timestamp(),
        "crc": body_crc(record.bytes()),
    })
}

fn look_up(connection: &mut Connection, topic: &str, key: &str, times: (i64, i64), out: &mut dyn Write) -> io::Result<()> {
    let (begin, end) = (times.0.to_string(), times.1.to_string());
    let header = [("topic", topic), ("key", key), ("maxNum", "64"), ("beginTimestamp", &begin), ("endTimestamp", &end)];
    let answer = connection.call(RequestCode::QueryMessage.code(), &Fields(&header), b"")?;
    let mut offsets = Vec::new();
    let mut rest = answer.body.as_slice();
    while !rest.is_empty() {
        let record = RecordView::parse(rest).map_err(io::Error::other)?;
        offsets.push(record.physical_offset());
        rest = &rest[record.total_size()..];
    }
    // After a crash Java shows the last message of its index twice.
    offsets.dedup();
    line(out, &json!({"type": "key", "topic": topic, "key": key, "code": answer.code, "commitLogOffsets": offsets}))
}
