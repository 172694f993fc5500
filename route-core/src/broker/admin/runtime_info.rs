//! The figures of a running broker.

use proto_core::{bodies::KvTable, delay, encode::VERSION_NAME, names::SCHEDULE_TOPIC, record::RecordView};

use super::{Answer, Handled};
use crate::{
    broker::{Broker, traffic::Daily},
    meter::TenMinuteMeter,
    storage::Storage,
    time::{Millis, Now},
};

/// Requests that wait, of kinds that wait in Java. Here they are all handled in the turn in which they come, so the queues are empty; tools
/// want their numbers all the same.
const QUEUES: [&str; 5] = ["send", "pull", "litePull", "query", "ack"];

/// Figures of parts that a broker here does not have, or that say what could go slowly and cannot: an append is memory, and what is appended
/// is in its queue at once.
const AT_REST: [(&str, &str); 16] = [
    ("startAcceptSendRequestTimeStamp", "0"),
    ("putMessageEntireTimeMax", "0"),
    ("getMessageEntireTimeMax", "0"),
    ("putLatency99", "0.00"),
    ("putLatency999", "0.00"),
    ("dispatchMaxBuffer", "0"),
    ("dispatchBehindBytes", "0"),
    ("pageCacheLockTimeMills", "0"),
    ("remainTransientStoreBufferNumbs", "0"),
    ("timerReadBehind", "0"),
    ("timerOffsetBehind", "0"),
    ("timerCongestNum", "0"),
    ("timerEnqueueTps", "0.0"),
    ("timerDequeueTps", "0.0"),
    ("EndTransactionQueueSize", "0"),
    ("EndTransactionThreadPoolQueueCapacity", "0"),
];

impl<S: Storage> Broker<S> {
    /// 28: what `clusterList`, `brokerStatus` and the dashboard show, by Java's keys; the transactions since the start, which Java tells
    /// with its metrics; and what plugins have done, as `plugin_<name>_<figure>`.
    pub(super) fn runtime_info(&self, now: Now) -> Handled {
        let mut info = KvTable::default();
        let mut tell = |key: &str, value: String| drop(info.table.insert(key.to_owned(), value));
        let traffic = &self.traffic;
        tell("brokerActive", "true".to_owned());
        tell("brokerVersionDesc", VERSION_NAME.to_owned());
        tell("bootTimestamp", self.started.wall.0.to_string());
        tell("runtime", uptime(now.mono.saturating_sub(self.started.mono)));

        let put = traffic.put.total();
        tell("putMessageTimesTotal", put.to_string());
        tell("putMessageFailedTimes", traffic.put_failed.to_string());
        tell("putMessageSizeTotal", traffic.put_bytes.to_string());
        tell("putMessageAverageSize", format!("{:?}", if put == 0 { 0.0 } else { traffic.put_bytes as f64 / put as f64 }));
        tell("putMessageDistributeTime", distribution(put));
        tell("putTps", rates(now, &[&traffic.put]));
        tell("getFoundTps", rates(now, &[&traffic.found]));
        tell("getMissTps", rates(now, &[&traffic.missed]));
        tell("getTotalTps", rates(now, &[&traffic.found, &traffic.missed]));
        tell("getTransferredTps", rates(now, &[&traffic.transferred]));
        for (name, Daily { yesterday_morning, today_morning, now }) in [("msgPut", traffic.received), ("msgGet", traffic.delivered)] {
            tell(&format!("{name}TotalYesterdayMorning"), yesterday_morning.to_string());
            tell(&format!("{name}TotalTodayMorning"), today_morning.to_string());
            tell(&format!("{name}TotalTodayNow"), now.to_string());
        }

        let ends = self.transactions.counts();
        for (name, count) in [
            ("Undecided", self.transactions.len() as u64),
            ("Begun", ends.begun),
            ("Committed", ends.committed),
            ("RolledBack", ends.rolled_back),
            ("Asked", ends.asked),
            ("GivenUp", ends.given_up),
        ] {
            tell(&format!("transactions{name}"), count.to_string());
        }

        for plugin in self.plugins.list() {
            tell(&format!("plugin_{}_state", plugin.name), plugin.state);
            for (figure, count) in [
                ("calls", plugin.calls),
                ("messages", plugin.messages),
                ("byPolicy", plugin.by_policy),
                ("failures", plugin.failures),
                ("traps", plugin.traps),
                ("limits", plugin.limits),
                ("fuel", plugin.fuel),
                ("nanosPerCall", plugin.nanos_per_call),
                ("nanosPerMessage", plugin.nanos_per_message),
            ] {
                tell(&format!("plugin_{}_{figure}", plugin.name), count.to_string());
            }
        }

        let (start, end) = self.storage.log_bounds();
        tell("commitLogMinOffset", start.0.to_string());
        tell("commitLogMaxOffset", end.0.to_string());
        tell("remainHowManyDataToFlush", readable(end.0.abs_diff(self.storage.durable().0.min(end.0))));
        let earliest = self.storage.record(start).and_then(|record| RecordView::parse(record).ok());
        tell("earliestMessageTimeStamp", earliest.map_or(-1, |record| record.store_timestamp()).to_string());
        for level in 1.. {
            let Some(delivered) = self.delay.offset(level) else { break };
            let queue = self.storage.find_queue(SCHEDULE_TOPIC, delay::queue_id(level));
            let end = queue.map_or(0, |queue| self.storage.bounds(queue).max);
            if end > 0 {
                tell(&format!("scheduleMessageOffset_{level}"), format!("{delivered},{end}"));
            }
        }
        if let Some(space) = self.storage.disk_space() {
            let ratio = space.used as f64 / (space.used + space.available).max(1) as f64;
            tell("commitLogDiskRatio", format!("{ratio:?}"));
            tell("consumeQueueDiskRatio", format!("{ratio:?}"));
            let total = readable(space.used.saturating_add(space.available));
            tell("commitLogDirCapacity", format!("Total : {total}, Free : {}.", readable(space.available)));
        }

        for queue in QUEUES {
            for figure in ["Size", "Capacity", "HeadWaitTimeMills"] {
                tell(&format!("{queue}ThreadPoolQueue{figure}"), "0".to_owned());
            }
        }
        AT_REST.iter().for_each(|(key, value)| tell(key, (*value).to_owned()));
        Answer::body(&info)
    }
}

/// Events per second over the last 10 s, minute and ten minutes.
fn rates(now: Now, meters: &[&TenMinuteMeter]) -> String {
    let rate = |span: u64| meters.iter().map(|meter| meter.per_second(now.mono, Millis::from_secs(span))).sum::<f64>();
    format!("{:?} {:?} {:?}", rate(10), rate(60), rate(600))
}

/// How many puts took how long.
fn distribution(put: u64) -> String {
    let slower = ["0~10ms", "10~50ms", "50~100ms", "100~200ms", "200~500ms", "500ms~1s", "1~2s", "2~3s", "3~4s", "4~5s", "5~10s", "10s~"];
    slower.iter().fold(format!("[<=0ms]:{put} "), |text, span| text + &format!("[{span}]:0 "))
}

fn uptime(span: Millis) -> String {
    let (seconds, minutes, hours) = (span.0 / 1_000, span.0 / 60_000, span.0 / 3_600_000);
    format!("[ {} days, {} hours, {} minutes, {} seconds ]", hours / 24, hours % 24, minutes % 60, seconds % 60)
}

/// A number of bytes as people read it.
fn readable(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut units = "KMGTPE".chars();
    let mut unit = units.next();
    while amount >= 1024.0 {
        amount /= 1024.0;
        unit = units.next();
    }
    format!("{amount:.1} {}iB", unit.unwrap_or('E'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_as_javas() {
        assert_eq!(uptime(Millis(90_061_999)), "[ 1 days, 1 hours, 1 minutes, 1 seconds ]");
        let sizes = [0, 1023, 1024, 1536, 270_582_939_648, u64::MAX].map(readable);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "252.0 GiB", "16.0 EiB"]);
        assert!(distribution(3).starts_with("[<=0ms]:3 [0~10ms]:0 [10~50ms]:0 "));
    }
}
