//! Sends messages of every kind.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use petrel_tests::{
    packet::{Fields, Packet},
    requests::{Message, Pull},
    socket::Connection,
};
use proto_core::{
    batch::{self, BatchMessage},
    code::RequestCode,
};

use crate::{
    names::{GROUPS, PLAIN, TOPICS, own_key, shared_key, unique_key},
    succeeded,
};

const TAGS: [&str; 5] = ["TagA", "Aa", "BB", "täg-日本", ""];

/// Makes topics and groups, sends, commits offsets, and waits until the messages with a short delay have come.
pub(crate) fn fill(connection: &mut Connection, part: u32) -> io::Result<()> {
    for (topic, queues) in TOPICS {
        let queues = queues.to_string();
        let header = [
            ("topic", topic),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", queues.as_str()),
            ("writeQueueNums", &queues),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("topicSysFlag", "0"),
            ("order", "false"),
        ];
        ask(connection, RequestCode::UpdateAndCreateTopic, &header, b"")?;
    }
    for group in GROUPS {
        let config = format!(
            r#"{{"attributes":{{}},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":{part},"groupName":"{group}","groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":5,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}"#
        );
        ask(connection, RequestCode::UpdateAndCreateSubscriptiongroup, &[], config.as_bytes())?;
    }
    plain_messages(connection, part)?;
    batches(connection, part)?;
    delayed_messages(connection, part)?;
    send_back(connection, part)?;
    for (index, group) in GROUPS.iter().enumerate() {
        for queue in 0..TOPICS[0].1 {
            let offset = (i64::from(part) * 10 + i64::from(queue) + index as i64).to_string();
            let queue = queue.to_string();
            let header = [("consumerGroup", *group), ("topic", TOPICS[0].0), ("queueId", &queue), ("commitOffset", &offset)];
            ask(connection, RequestCode::UpdateConsumerOffset, &header, b"")?;
        }
    }
    Ok(())
}

fn ask(connection: &mut Connection, code: RequestCode, header: &[(&str, &str)], body: &[u8]) -> io::Result<Packet> {
    succeeded(connection.call(code.code(), &Fields(header), body)?)
}

fn send(connection: &mut Connection, message: &Message<'_>, body: &[u8]) -> io::Result<Packet> {
    let code = if message.batch { RequestCode::SendBatchMessage } else { RequestCode::SendMessageV2 };
    succeeded(connection.call(code.code(), message, body)?)
}

fn plain_messages(connection: &mut Connection, part: u32) -> io::Result<()> {
    for number in 0..PLAIN {
        let keys = if number % 10 == 0 { format!("{} {}", own_key(part, number), shared_key(part)) } else { own_key(part, number) };
        let (unique, length) = (unique_key(part, number), number.to_string());
        let mut properties = vec![("UNIQ_KEY", unique.as_str()), ("KEYS", &keys), ("length", &length), ("emoji", "🐦"), ("WAIT", "true")];
        let tag = TAGS[number % TAGS.len()];
        if !tag.is_empty() {
            properties.push(("TAGS", tag));
        }
        let queue = i32::try_from(number).unwrap_or(0) % TOPICS[0].1;
        let message = Message::new(TOPICS[0].0, "").in_queue(queue).with(&properties);
        // Bodies of many lengths, and bytes that are no text.
        let body: Vec<u8> = (0..1 + number * 37 % 2500).map(|at| (at * 7 + number) as u8).collect();
        send(connection, &message, &body)?;
    }
    for number in 0..40 {
        send(connection, &Message::new(TOPICS[1].0, ""), format!("one after the other {part}-{number}").as_bytes())?;
    }
    Ok(())
}

fn batches(connection: &mut Connection, part: u32) -> io::Result<()> {
    for batch_number in 0..5 {
        let mut body = Vec::new();
        for number in 0..7 {
            let properties = format!("KEYS\u{1}batch-{part}-{batch_number}\u{2}TAGS\u{1}TagB\u{2}");
            let text = format!("batch {part} {batch_number} {number}");
            let message = BatchMessage { flag: number, body: text.as_bytes(), properties: properties.as_bytes() };
            batch::encode(&message, &mut body).map_err(io::Error::other)?;
        }
        let message = Message { batch: true, ..Message::new(TOPICS[0].0, "").in_queue(batch_number % TOPICS[0].1) };
        send(connection, &message, &body)?;
    }
    Ok(())
}

/// Some that come within seconds, some that wait for hours.
fn delayed_messages(connection: &mut Connection, part: u32) -> io::Result<()> {
    let (topic, queues) = TOPICS[2];
    let ends = |connection: &mut Connection| (0..queues).map(|queue| max_offset(connection, topic, queue)).sum::<io::Result<i64>>();
    let before = ends(connection)?;
    for (level, count) in [("1", 5), ("2", 3), ("18", 4)] {
        for number in 0..count {
            let text = format!("delayed {part} {level} {number}");
            let properties = [("DELAY", level), ("TAGS", "late")];
            let message = Message::new(topic, "").in_queue(number % queues).with(&properties);
            send(connection, &message, text.as_bytes())?;
        }
    }
    let limit = Instant::now() + Duration::from_secs(30);
    while ends(connection)? < before + 8 {
        if Instant::now() > limit {
            return Err(io::Error::other("delayed messages do not come"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn max_offset(connection: &mut Connection, topic: &str, queue: i32) -> io::Result<i64> {
    let queue = queue.to_string();
    Ok(ask(connection, RequestCode::GetMaxOffset, &[("topic", topic), ("queueId", &queue)], b"")?.number("offset"))
}

/// A message that a consumer could not handle goes to the retry topic by way of a delay level, one that has failed too often to the
/// dead letters.
fn send_back(connection: &mut Connection, part: u32) -> io::Result<()> {
    let pull = Pull { max: 2, ..Pull::new(GROUPS[0], TOPICS[1].0, i64::from(part - 1) * 40) };
    let pulled = succeeded(connection.call(RequestCode::PullMessage.code(), &pull, b"")?)?;
    let record = proto_core::record::RecordView::parse(&pulled.body).map_err(io::Error::other)?;
    let offset = record.physical_offset().to_string();
    for level in ["18", "-1"] {
        let header = [
            ("offset", offset.as_str()),
            ("group", GROUPS[0]),
            ("delayLevel", level),
            ("originMsgId", ""),
            ("originTopic", TOPICS[1].0),
            ("unitMode", "false"),
            ("maxReconsumeTimes", "5"),
        ];
        ask(connection, RequestCode::ConsumerSendMsgBack, &header, b"")?;
    }
    Ok(())
}
