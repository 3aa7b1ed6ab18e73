//! Measures the publisher against a real Kafka: `KAFKA_BROKERS=localhost:9092 cargo run --example publish`.
//!
//! Makes two topics of its own, publishes transactions of several sizes, reads the cursor back, and fences itself.
#![expect(clippy::print_stdout, reason = "a program for people to run by hand")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sandman::event::{Header, Headers, OutRecord};
use sandman::kafka::{
    Cursor, KafkaHealth, KafkaSettings, PublishError, Publisher, PublisherOptions, TopicSpec, ensure_topics,
    read_cursor,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let brokers = std::env::var("KAFKA_BROKERS").map_err(|_| "KAFKA_BROKERS is not set: nothing to measure")?;
    let settings = KafkaSettings::plain(&brokers);
    let health = KafkaHealth::new();
    let run = std::process::id();
    let events = format!("sandman-example-{run}");
    let cursor_topic = format!("sandman-example-{run}.relay");
    let spec = |name: &str, partitions, compacted| TopicSpec {
        name: name.to_owned(),
        partitions,
        compacted,
    };
    let topics = [spec(&events, 12, false), spec(&cursor_topic, 1, true)];
    println!("created {:?}", ensure_topics(&settings, &topics, &health, PATIENCE)?);
    println!("again   {:?}", ensure_topics(&settings, &topics, &health, PATIENCE)?);
    println!(
        "cursor  {:?}",
        read_cursor(&settings, &cursor_topic, &health, PATIENCE)?
    );

    let options = PublisherOptions {
        transactional_id: format!("sandman-example-{run}"),
        cursor_topic: cursor_topic.clone(),
        patience: PATIENCE,
        give_up: Arc::new(AtomicBool::new(false)),
    };
    let started = Instant::now();
    let mut publisher = Publisher::open(&settings, options.clone(), &health)?;
    println!("opened in {:?}", started.elapsed());
    let batch = measure(&mut publisher, &events)?;
    let started = Instant::now();
    let found = read_cursor(&settings, &cursor_topic, &health, PATIENCE)?;
    println!("cursor  {found:?} in {:?}", started.elapsed());
    let open = || Publisher::open(&settings, options.clone(), &health);
    quarrel(open, publisher, batch, &events)?;
    println!(
        "cursor  {:?}",
        read_cursor(&settings, &cursor_topic, &health, PATIENCE)?
    );
    println!("{health:?}");
    Ok(())
}

/// Publishes transactions of several sizes; returns the last batch.
fn measure(publisher: &mut Publisher, events: &str) -> Result<u64, Box<dyn Error>> {
    let mut batch = 0;
    for (size, rounds) in [(1, 300), (100, 200), (1_000, 200), (5_000, 50)] {
        let records: Vec<OutRecord> = (0..size).map(|n| record(events, n)).collect();
        let mut times = Vec::with_capacity(rounds);
        let whole = Instant::now();
        for _ in 0..rounds {
            batch += 1;
            let started = Instant::now();
            let published = publisher.publish(&records, &cursor("example", batch))?;
            times.push((started.elapsed(), published));
        }
        let rate = f64::from(size) * f64::from(u32::try_from(rounds)?) / whole.elapsed().as_secs_f64();
        times.sort_by_key(|(time, _)| *time);
        let at = |share: usize| {
            times
                .get((times.len() - 1) * share / 100)
                .map(|(time, _)| *time)
                .unwrap_or_default()
        };
        println!(
            "{size:5} records: p50 {:?} p90 {:?} p99 {:?} max {:?}, {rate:.0} records/s",
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }
    Ok(batch)
}

/// Lets publishers of one slot fence each other, and shows what is refused.
fn quarrel(
    open: impl Fn() -> Result<Publisher, PublishError>,
    mut first: Publisher,
    batch: u64,
    events: &str,
) -> Result<(), Box<dyn Error>> {
    let mut second = open()?;
    let fenced = first.publish(&[record(events, 1)], &cursor("first", batch + 1));
    println!("first after the second opened: {fenced:?}");
    assert!(matches!(fenced, Err(PublishError::Fenced { .. })));
    println!(
        "second: {:?}",
        second.publish(&[record(events, 2)], &cursor("second", batch + 1))?
    );
    let missing = record("sandman-example-no-such-topic", 2);
    println!(
        "missing topic: {:?}",
        second.publish(&[missing], &cursor("second", batch + 2))
    );

    let mut third = open()?;
    let mut large = record(events, 3);
    large.value = Some(vec![b'x'; 2_000_000]);
    println!("large: {:?}", third.publish(&[large], &cursor("second", batch + 2)));
    let started = Instant::now();
    let mut fourth = open()?;
    println!("opened anew in {:?}", started.elapsed());
    println!(
        "after both: {:?}",
        fourth.publish(&[record(events, 2)], &cursor("fourth", batch + 2))?
    );
    let started = Instant::now();
    drop((first, second, third, fourth));
    println!("closed in {:?}", started.elapsed());
    Ok(())
}

fn cursor(store: &str, batch: u64) -> Cursor {
    Cursor {
        store: store.to_owned(),
        batch,
    }
}

fn record(topic: &str, n: u32) -> OutRecord {
    OutRecord {
        topic: topic.into(),
        key: Some(format!("user-{n}").into_bytes()),
        value: Some(vec![b'x'; 400]),
        headers: Headers::from_iter([Header::text("eventType", "user.updated")]),
    }
}
