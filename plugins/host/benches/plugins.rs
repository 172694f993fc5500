//! What a plugin costs beside filters that are built in. Times are of whole batches of 1, 32 and 128 messages; the table in `plugins/README.md`
//! has them by message. A message has 1 KiB of body and eleven properties, as the Java client and the broker make them.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{fs, hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use petrel_plugin_host::{Limits, PluginEngine, PluginSet, Policy};
use proto_core::{
    bloom::BloomFilter,
    bodies::SubscriptionData,
    hash::tags_code,
    record::{RecordView, peek},
    sql,
    subscription::WASM,
};
use route_core::{
    Millis, Timestamp,
    broker::filters::{FilterLimits, FilterTable},
    filter::{Candidate, MessageFilter, Verdicts, sql::SqlFilter, tags::TagFilter},
    plugins::{NoPlugins, Plugins},
};
use support::{EVERY_SECOND, FilterText, built, message};

/// What [`FilterText`] does, natively, over all that a plugin gets.
#[derive(Debug)]
struct Native;

impl MessageFilter for Native {
    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        for (index, candidate) in batch.iter().enumerate() {
            if let Some(record) = candidate.record.and_then(|record| RecordView::parse(record).ok())
                && record.queue_offset() % 2 == 0
                && !record.properties().is_empty()
            {
                verdicts.deliver(index);
            }
        }
    }
}

/// One property is one value.
#[derive(Debug)]
struct NativeProperty;

impl MessageFilter for NativeProperty {
    fn needs_record(&self) -> bool {
        true
    }

    fn matches(&self, batch: &[Candidate<'_>], verdicts: &mut Verdicts) {
        for (index, candidate) in batch.iter().enumerate() {
            let properties = candidate.record.and_then(peek::properties).unwrap_or_default();
            let equal = |property: &[u8]| property == b"color\x01red";
            if properties.split(|&byte| byte == 2).any(equal) {
                verdicts.deliver(index);
            }
        }
    }
}

fn stored(n: usize) -> Vec<u8> {
    let properties = [
        ("MSG_REGION", "DefaultRegion"),
        ("UNIQ_KEY", "C000020279574E0E2F2A704988110000"),
        ("CLUSTER", "DefaultCluster"),
        ("TAGS", ["TagA", "TagB"][n % 2]),
        ("KEYS", "order-1234567"),
        ("WAIT", "true"),
        ("TRACE_ON", "true"),
        ("color", ["red", "green", "blue"][n % 3]),
        ("price", &(n * 7).to_string()),
        ("region", "eu-central-1"),
        ("weight", "12.75"),
    ];
    let properties: String = properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect();
    message(n as i64, &[b'7'; 1024], &properties)
}

fn installed(file: &[u8]) -> PluginSet {
    let engine = PluginEngine::new(Limits::default(), None).expect("an engine");
    let set = PluginSet::new();
    set.install("it", engine.load(file).expect("a plugin"), Policy::default(), true).expect("room");
    set
}

fn plugin(file: &[u8], argument: &str) -> Arc<dyn MessageFilter> {
    installed(file).filter("it", argument).expect("a filter")
}

fn sample() -> Vec<u8> {
    fs::read(built().join("key_sample.wasm")).expect("the example is built")
}

fn judge(c: &mut Criterion) {
    let wanting = |wants| FilterText { wants, matches: EVERY_SECOND, ..FilterText::default() }.wasm();
    let sql = |text: &str| Arc::new(SqlFilter::new(&sql::parse(text).expect("SQL"), &NoPlugins).expect("no plugin"));
    let filters: [(&str, Arc<dyn MessageFilter>); 8] = [
        ("tag", Arc::new(TagFilter::parse("TagA").expect("a tag").expect("not all"))),
        ("native", Arc::new(Native)),
        ("native, one property", Arc::new(NativeProperty)),
        ("sql, one property", sql("color = 'red'")),
        ("plugin without work", plugin(&wanting("(i32.const 0)"), "")),
        ("plugin without work, properties", plugin(&wanting("(i32.const 2)"), "")),
        ("plugin without work, bodies too", plugin(&wanting("(i32.const 3)"), "")),
        ("plugin, hash of key", plugin(&sample(), "10")),
    ];
    let mut group = c.benchmark_group("judge");
    for count in [1, 32, 128] {
        let records: Vec<Vec<u8>> = (0..count).map(stored).collect();
        let tags = |n: usize| tags_code(Some(["TagA", "TagB"][n % 2]));
        let batch: Vec<_> = records.iter().enumerate().map(|(n, record)| Candidate { tags_code: tags(n), record: Some(record) }).collect();
        let mut verdicts = Verdicts::default();
        group.throughput(Throughput::Elements(count as u64));
        for (name, filter) in &filters {
            group.bench_function(BenchmarkId::new(*name, count), |b| {
                b.iter(|| {
                    verdicts.reset(batch.len());
                    filter.matches(black_box(&batch), &mut verdicts);
                    black_box(verdicts.delivers(0))
                });
            });
        }
    }
    group.finish();
}

fn load(c: &mut Criterion) {
    let file = sample();
    let folder = tempfile::tempdir().expect("a folder");
    let cached = PluginEngine::new(Limits::default(), Some(folder.path())).expect("an engine");
    cached.load(&file).expect("a plugin");
    c.bench_function("load from the cache", |b| b.iter(|| cached.load(black_box(&file)).expect("a plugin")));
    let bare = PluginEngine::new(Limits::default(), None).expect("an engine");
    c.bench_function("load and compile", |b| b.iter(|| bare.load(black_box(&file)).expect("a plugin")));
    let set = installed(&file);
    c.bench_function("swap", |b| {
        b.iter_batched(
            || cached.load(&file).expect("a plugin"),
            |plugin| set.install("it", plugin, Policy::default(), true),
            criterion::BatchSize::SmallInput,
        );
    });
}

/// What a swap costs the broker's loop in one turn: ten thousand subscriptions depend on the plugin, and eight are looked up.
fn recheck(c: &mut Criterion) {
    let set = installed(&sample());
    let limits = FilterLimits { filters: 10_000, bytes: 1 << 20 };
    let mut table = FilterTable::new(limits, BloomFilter::new(20, 32), Millis(0), Arc::new(set));
    for n in 0..10_000 {
        let data = SubscriptionData {
            topic: "Orders".to_owned(),
            sub_string: Some(format!("it:{}", n % 100 + 1)),
            expression_type: Some(WASM.to_owned()),
            ..SubscriptionData::default()
        };
        assert!(table.register(Timestamp(0), &format!("group-{n}"), &[data]).is_empty());
    }
    c.bench_function("a turn after a swap", |b| {
        b.iter(|| {
            if table.is_rechecked() {
                table.handle_plugins_changed();
            }
            table.recheck(&mut 8).len()
        });
    });
}

/// What 100 plugins take, each with an instance that has answered.
fn memory() {
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
    };
    let file = sample();
    let engine = PluginEngine::new(Limits::default(), None).expect("an engine");
    let set = PluginSet::new();
    let records: Vec<Vec<u8>> = (0..32).map(stored).collect();
    let install = |n: usize| {
        let name = format!("plugin-{n}");
        set.install(&name, engine.load(&file).expect("a plugin"), Policy::default(), true).expect("room");
        support::delivered(&*set.filter(&name, "10").expect("a filter"), &records)
    };
    install(0);
    let before = resident();
    (1..=100).for_each(|n| drop(install(n)));
    println!("100 plugins take {} KiB", resident().saturating_sub(before));
}

criterion_group!(benches, judge, load, recheck);

fn main() {
    memory();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
