//! Filters alone: a batch of 32 messages, by tag and by SQL92 expressions of 1, 3 and 10 terms; time divided by 32 is time per message.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto_core::{hash::tags_code, record, sql};
use route_core::{
    filter::{Candidate, MessageFilter, Verdicts, sql::SqlFilter, tags::TagFilter},
    plugins::NoPlugins,
};

/// Messages of a batch, as many as one pull gets.
const BATCH: usize = 32;

fn compiled(expression: &str) -> SqlFilter {
    SqlFilter::new(&sql::parse(expression).expect("SQL"), &NoPlugins).expect("no plugin")
}

/// A record with 1 KiB of body and the properties of a message that the Java client sent and the broker stored.
fn stored(n: usize) -> Vec<u8> {
    let color = ["red", "green", "blue"][n % 3];
    let properties = [
        ("MSG_REGION", "DefaultRegion"),
        ("UNIQ_KEY", "C000020279574E0E2F2A704988110000"),
        ("CLUSTER", "DefaultCluster"),
        ("TAGS", ["TagA", "TagB"][n % 2]),
        ("KEYS", "order-1234567"),
        ("WAIT", "true"),
        ("TRACE_ON", "true"),
        ("color", color),
        ("price", &(n * 7).to_string()),
        ("region", "eu-central-1"),
        ("weight", "12.75"),
    ];
    let properties: Vec<u8> = properties.iter().flat_map(|(name, value)| format!("{name}\u{1}{value}\u{2}").into_bytes()).collect();
    let mut bytes = vec![0; 84];
    bytes[4..8].copy_from_slice(&record::MAGIC_V1.to_be_bytes());
    bytes.extend(1024_i32.to_be_bytes());
    bytes.extend([7; 1024]);
    bytes.push(9);
    bytes.extend(b"TopicTest");
    bytes.extend(i16::try_from(properties.len()).expect("they fit").to_be_bytes());
    bytes.extend(properties);
    bytes
}

fn judge(c: &mut Criterion) {
    let records: Vec<Vec<u8>> = (0..BATCH).map(stored).collect();
    let tag_of = |n: usize| tags_code(Some(["TagA", "TagB"][n % 2]));
    let batch: Vec<_> = records.iter().enumerate().map(|(n, record)| Candidate { tags_code: tag_of(n), record: Some(record) }).collect();
    let mut verdicts = Verdicts::default();
    let mut group = c.benchmark_group("judge 32 messages");
    group.throughput(Throughput::Elements(BATCH as u64));
    let ten = "price >= 0 AND price <= 1000 AND weight > 1.5 AND weight < 99.5 AND color IN ('red', 'green', 'blue') AND region = 'eu-central-1' \
        AND TAGS IS NOT NULL AND KEYS STARTSWITH 'order-' AND NOT (color = 'black') AND missing IS NULL";
    let filters: [(&str, Box<dyn MessageFilter>); 5] = [
        ("tag", Box::new(TagFilter::parse("TagA").expect("a tag").expect("not all"))),
        ("sql, 1 term", Box::new(compiled("price > 100"))),
        ("sql, 3 terms", Box::new(compiled("price > 100 AND color = 'red' AND region IN ('eu-central-1', 'eu-west-1')"))),
        ("sql, 10 terms", Box::new(compiled(ten))),
        ("sql, no term that reads", Box::new(compiled("1 = 1 OR price > 100"))),
    ];
    for (name, filter) in &filters {
        group.bench_function(*name, |b| {
            b.iter(|| {
                verdicts.reset(BATCH);
                filter.matches(black_box(&batch), &mut verdicts);
                black_box(verdicts.delivers(31))
            });
        });
    }
    group.finish();
}

fn compile(c: &mut Criterion) {
    c.bench_function("compile 3 terms", |b| {
        b.iter(|| compiled(black_box("price > 100 AND color = 'red' AND region IN ('eu-central-1', 'eu-west-1')")));
    });
}

criterion_group!(benches, judge, compile);
criterion_main!(benches);
