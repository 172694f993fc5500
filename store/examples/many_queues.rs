//! A store with very many queues, and what it costs to open it:
//! `many_queues fill DIR [TOPICS]` makes 8 queues with a few messages in each of 10,000 topics and closes the store;
//! `many_queues kill DIR [TOPICS]` adds as many messages and dies without closing it; `many_queues open DIR` opens it, and tells how long
//! that took and what the process then holds; `many_queues use DIR` also reads one message of each queue.

use std::{
    error::Error,
    fs,
    path::Path,
    process::{self, ExitCode},
    sync::Arc,
    time::Instant,
};

use route_core::{
    Now, Storage, Timestamp,
    storage::{NewMessage, TagsCode},
    time::Millis,
};
use store::{Store, StoreConfig};

const QUEUES: i32 = 8;
const ROUNDS: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, dir, rest @ ..] = arguments.as_slice() else {
        eprintln!("many_queues fill|kill|open|use DIR [TOPICS]");
        return ExitCode::FAILURE;
    };
    let topics = rest.first().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    match run(what, Path::new(dir), topics) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("many_queues: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: &str, dir: &Path, topics: usize) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let (mut store, recovered) = Store::open(StoreConfig::new(dir), Arc::new(|| {}))?;
    let took = started.elapsed();
    println!("opened in {took:.3?}: {recovered:?}");
    tell(&store)?;
    match what {
        "fill" | "kill" => {
            let started = Instant::now();
            for _ in 0..ROUNDS {
                for topic in 0..topics {
                    append(&mut store, &format!("Topic{topic:05}"))?;
                    turn(&mut store, started);
                }
            }
            println!("{} messages in {:.3?}", ROUNDS * topics * QUEUES as usize, started.elapsed());
            tell(&store)?;
            if what == "kill" {
                // As a kill does: nothing more is brought to disk, no thread ends in order.
                process::abort();
            }
        }
        "use" => {
            let started = Instant::now();
            let mut found = 0;
            for (topic, queues) in store.topics() {
                let queues = queues.iter().filter_map(|queue_id| store.find_queue(&topic, *queue_id));
                found += queues.filter(|queue| store.units(*queue, store.bounds(*queue).min).next().is_some()).count();
                turn(&mut store, started);
            }
            println!("a message of each of {found} queues in {:.3?}", started.elapsed());
            tell(&store)?;
        }
        _ => {}
    }
    let started = Instant::now();
    store.close()?;
    println!("closed in {:.3?}", started.elapsed());
    Ok(())
}

fn append(store: &mut Store, topic: &str) -> Result<(), Box<dyn Error>> {
    for queue_id in 0..QUEUES {
        let queue = store.open_queue(topic, queue_id);
        let message = NewMessage {
            topic,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            born_host: ([127, 0, 0, 1], 50_000).into(),
            store_host: ([127, 0, 0, 1], 10_911).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &[b'x'; 200],
            properties: b"TAGS\x01TagA\x02",
            tags_code: TagsCode::Hash(2_598_919),
        };
        store.append(Timestamp(1_700_000_000_000), queue, &message)?;
        while store.poll_arrival().is_some() {}
    }
    Ok(())
}

/// What a loop does at the end of its turn.
fn turn(store: &mut Store, started: Instant) {
    store.commit().expect("the log can be written");
    let now = Now { mono: Millis(started.elapsed().as_millis() as u64 + 1), wall: Timestamp(1_700_000_000_000) };
    store.handle_wake(now);
    if store.poll_timeout().is_some_and(|at| at <= now.mono) {
        store.handle_timeout(now);
    }
    while store.poll_event().is_some() {}
    store.clean();
}

/// What the process holds.
fn tell(store: &Store) -> Result<(), Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: unknown");
    let (maps, descriptors) = (fs::read_to_string("/proc/self/maps")?.lines().count(), fs::read_dir("/proc/self/fd")?.count());
    println!("{resident}, {maps} maps, {} of them files of the store, {descriptors} descriptors", store.mapped_files());
    Ok(())
}
