//! Watches the consumer against a real Kafka: `KAFKA_BROKERS=localhost:9092 cargo run --example consume`.
//!
//! Publishes records to a topic of its own, reads them with one member of a group, lets a second member join and leave,
//! and reads on from an offset that does not exist.
#![expect(clippy::print_stdout, reason = "a program for people to run by hand")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sandman::event::{Headers, OutRecord, Record, TopicPartition};
use sandman::kafka::{
    ConsumerHandle, ConsumerOptions, Cursor, Flow, Intake, KafkaHealth, KafkaSettings, Publisher, PublisherOptions,
    Start, TopicSpec, ensure_topics, spawn_consumer,
};
use sandman::store::StoreError;

const PATIENCE: Duration = Duration::from_secs(20);
const RECORDS: u32 = 200_000;

/// Counts; keeps its progress for the whole program, as a store would.
struct Counting {
    name: &'static str,
    seen: Arc<AtomicUsize>,
    next: Arc<Mutex<HashMap<TopicPartition, i64>>>,
    assigned: mpsc::Sender<String>,
}

impl Intake for Counting {
    fn assigned(&self, partitions: &[TopicPartition]) -> Result<Vec<Start>, StoreError> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.assigned.send(format!("{} got {}", self.name, partitions.len()));
        let start = |partition| next.get(partition).map_or(Start::Beginning, |next| Start::At(*next));
        Ok(partitions.iter().map(start).collect())
    }

    fn revoked(&self, partitions: &[TopicPartition]) {
        let _ = self.assigned.send(format!("{} lost {}", self.name, partitions.len()));
    }

    fn record(&self, record: Record) -> Flow {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.insert(record.source, record.offset + 1);
        Flow::Go
    }

    fn resumed(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.iter()
            .map(|(partition, next)| (partition.clone(), *next))
            .collect()
    }

    fn high_watermarks(&self, ends: &[(TopicPartition, i64)]) {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let lag: i64 = ends
            .iter()
            .map(|(partition, end)| end - next.get(partition).copied().unwrap_or(0))
            .sum();
        println!("{} lag {lag}", self.name);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let brokers = std::env::var("KAFKA_BROKERS").map_err(|_| "KAFKA_BROKERS is not set: nothing to watch")?;
    let settings = KafkaSettings::plain(&brokers);
    let health = KafkaHealth::new();
    let topic = format!("sandman-consume-{}", std::process::id());
    fill(&settings, &health, &topic)?;

    let seen = Arc::new(AtomicUsize::new(0));
    let next = Arc::new(Mutex::new(HashMap::new()));
    let (tell, told) = mpsc::channel();
    let member = |name: &'static str, tell: &mpsc::Sender<String>| -> Result<ConsumerHandle, Box<dyn Error>> {
        let intake = Counting {
            name,
            seen: Arc::clone(&seen),
            next: Arc::clone(&next),
            assigned: tell.clone(),
        };
        let tell = tell.clone();
        let options = ConsumerOptions {
            handler: name.into(),
            group: topic.clone(),
            topics: vec![topic.as_str().into()],
            signature: "an example".to_owned(),
            adopt: false,
            on_fatal: Box::new(move |error| drop(tell.send(format!("{name} failed: {error}")))),
        };
        Ok(spawn_consumer(&settings, options, Arc::new(intake), &health)?)
    };
    let started = Instant::now();
    let first = member("first", &tell)?;
    println!("{} after {:?}", told.recv_timeout(PATIENCE)?, started.elapsed());
    let reading = Instant::now();
    while seen.load(Ordering::Relaxed) < RECORDS as usize && reading.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let rate = f64::from(RECORDS) / reading.elapsed().as_secs_f64();
    println!("read {} records, {rate:.0} records/s", seen.load(Ordering::Relaxed));

    let started = Instant::now();
    let second = member("second", &tell)?;
    until(&told, "second got 1", started)?;
    let started = Instant::now();
    println!(
        "second closed: {:?} after {:?}",
        second.join(PATIENCE),
        started.elapsed()
    );
    until(&told, "first got 1", started)?;
    println!("seen in the end: {}", seen.load(Ordering::Relaxed));
    let started = Instant::now();
    println!("first closed: {:?} after {:?}", first.join(PATIENCE), started.elapsed());
    while told.try_recv().is_ok() {}

    for offset in next.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
        *offset += 1_000_000;
    }
    let lost = member("lost", &tell)?;
    until(&told, "lost failed", Instant::now())?;
    println!("lost closed: {:?}", lost.join(PATIENCE).is_err());
    Ok(())
}

/// Prints what the members tell until one says what is wanted.
fn until(told: &mpsc::Receiver<String>, wanted: &str, started: Instant) -> Result<(), mpsc::RecvTimeoutError> {
    loop {
        let line = told.recv_timeout(PATIENCE)?;
        println!("{line} after {:?}", started.elapsed());
        if line.starts_with(wanted) {
            return Ok(());
        }
    }
}

fn fill(settings: &KafkaSettings, health: &Arc<KafkaHealth>, topic: &str) -> Result<(), Box<dyn Error>> {
    let spec = |name: String, partitions, compacted| TopicSpec {
        name,
        partitions,
        compacted,
    };
    let cursor_topic = format!("{topic}.relay");
    let topics = [spec(topic.to_owned(), 3, false), spec(cursor_topic.clone(), 1, true)];
    ensure_topics(settings, &topics, health, PATIENCE)?;
    let options = PublisherOptions {
        transactional_id: topic.to_owned(),
        cursor_topic,
        patience: PATIENCE,
        give_up: Arc::new(AtomicBool::new(false)),
    };
    let mut publisher = Publisher::open(settings, options, health)?;
    let record = |n: u32| OutRecord {
        topic: topic.into(),
        key: Some(format!("user-{n}").into_bytes()),
        value: Some(vec![b'x'; 400]),
        headers: Headers::default(),
    };
    for batch in 0..RECORDS / 5_000 {
        let records: Vec<_> = (batch * 5_000..(batch + 1) * 5_000).map(record).collect();
        let cursor = Cursor {
            store: "example".to_owned(),
            batch: u64::from(batch),
        };
        let _ = publisher.publish(&records, &cursor)?;
    }
    Ok(())
}
