//! The pipeline with its real threads, a handler in Rust and a store that fails now and then.

mod assignments;
mod careful;
mod conflicts;
mod duplicates;
mod files;
mod flaky;
mod ordered;
mod patience;
mod recreated;
mod requests;
mod stopping;
mod swap;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::meters::Meters;
use crate::registry::Handler;
use sandman_core::broker::{Flow, Intake, Recreation, Start};
use sandman_core::contract::{Consumes, Contract, Emits, Grant, Terms};
use sandman_core::event::{DeadLetterTopic, Headers, Record, TopicPartition};
use sandman_core::limits::{Limits, RecordingPolicy, Retry, Tombstones};
use sandman_core::outcome::{Context, EmittedEvent, Fault, Guest, Outcome, StateChange, Trigger};
use sandman_core::store::{Attempts, Epoch, Shard, ShardPublished};
use sandman_core::version::{ServesSince, Version};

use flaky::{Flaky, name};

/// A handler whose state is the list of the payloads it saw; payload 13 is rejected, 7 fails at its first try.
struct Lister;

impl Guest for Lister {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Event(event) = trigger else {
            panic!("events only")
        };
        match (event.payload, context.attempt) {
            ("13", _) => return Err(Fault::Rejected("unlucky".into())),
            ("7", 1) => return Err(Fault::Retry("not yet".into())),
            _ => {}
        }
        let document: Arc<str> = format!("{} {}", state.unwrap_or_default(), event.payload).trim().into();
        Ok(Outcome {
            state: StateChange::Put(Arc::clone(&document)),
            events: vec![EmittedEvent {
                event_type: "listed".into(),
                version: "1.0".into(),
                payload: format!("\"{document}\""),
                key: None,
                metadata: None,
            }],
            reply: None,
        })
    }
}

fn registry() -> Arc<Registry> {
    registry_of(Box::new(Lister), 0)
}

/// Remembers no events by itself: an input that counts twice must show.
fn registry_of(guest: Box<dyn Guest>, dedupe: usize) -> Arc<Registry> {
    let contract = Contract {
        consumes: vec![Consumes {
            event_type: "happened".into(),
            versions: vec!["1.0".into()],
            schema: None,
        }],
        emits: vec![Emits {
            event_type: "listed".into(),
            version: "1.0".into(),
            schema: None,
        }],
        ..Contract::default()
    };
    let grant = Grant {
        emits: ["listed".to_owned()].into(),
        has_topics: true,
        ..Grant::default()
    };
    let terms = Terms::new(&contract, &grant, |name| Arc::from(name)).unwrap();
    let version = Version {
        dedupe,
        ..version(1, terms, guest)
    };
    Arc::new(Registry::new(vec![handler("lister", version)]))
}

fn version(number: u64, terms: Terms, guest: Box<dyn Guest>) -> Version {
    Version {
        number,
        digest: format!("d{number}").into(),
        terms,
        guest,
        settings: "{}".into(),
        retry: Retry {
            first: Duration::from_millis(5),
            ..Retry::default()
        },
        tombstones: Tombstones::default(),
        dedupe: 0,
        limits: Limits::default(),
        recordings: RecordingPolicy::default(),
        since: ServesSince::default(),
    }
}

fn handler(name: &str, version: Version) -> Handler {
    Handler::new(&name.into(), Meters::new().handler(name, &["t"]), version)
}

fn record(key: u8, payload: u32, partition: i32, offset: i64) -> Record {
    let envelope = format!(
        r#"{{"eventId":"{key}-{payload}","eventType":"happened","timestamp":"t","version":"1.0","source":"s","payload":{payload}}}"#
    );
    Record {
        source: TopicPartition {
            topic: "t".into(),
            partition,
        },
        offset,
        key: Some(key.to_string().into_bytes()),
        value: Some(envelope.into_bytes()),
        headers: Headers::default(),
        timestamp_millis: None,
    }
}

struct Running {
    pipeline: Arc<Pipeline>,
    intake: HandlerIntake,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(store: &Arc<Flaky>, options: Options) -> Self {
        Self::start_with(store, options, registry())
    }

    fn start_with(store: &Arc<Flaky>, options: Options, registry: Arc<Registry>) -> Self {
        let (alarm, _) = Alarm::new();
        let store = Arc::clone(store) as Arc<dyn Store>;
        let pipeline = Pipeline::new(options, registry, store, (alarm, Meters::new().host)).unwrap();
        let mut threads = Vec::new();
        for _ in 0..4 {
            let pipeline = Arc::clone(&pipeline);
            threads.push(std::thread::spawn(move || pipeline.work()));
        }
        let committer = Arc::clone(&pipeline);
        threads.push(std::thread::spawn(move || committer.commit()));
        Self {
            intake: HandlerIntake::new(Arc::clone(&pipeline), 0, Recreation::Stop),
            pipeline,
            threads,
        }
    }

    fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(self.pipeline.drain(deadline), "the pipeline does not come to rest");
            if self.pipeline.state.lock().scheduler.lanes().count(0) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn stop(self) {
        self.pipeline.stop();
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn options() -> Options {
    Options {
        source: "test".into(),
        cache_bytes: 2_000,
        in_flight: 100_000,
        in_flight_bytes: usize::MAX,
        parked: 100_000,
        parked_bytes: usize::MAX,
        batch: 7,
        outbox_bytes: u64::MAX,
        store_pause: Duration::from_millis(1),
        patience: Duration::ZERO,
        dead_letter_topic: DeadLetterTopic::default(),
        dead_letters: u64::MAX,
        held_bytes: u64::MAX,
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: "t".into(),
        partition: number,
    }
}

const KEYS: u8 = 10;
const EACH: u32 = 30;

/// Feeds every record from where the pipeline wants to start, as the consumer would.
fn feed(running: &Running, log: &BTreeMap<i32, Vec<Record>>) {
    let names: Vec<_> = log.keys().map(|number| partition(*number)).collect();
    let starts = running.intake.assigned(&names, &[]).unwrap();
    for ((_, records), start) in log.iter().zip(starts) {
        let from = match start {
            Start::Beginning => 0,
            Start::At(offset) => offset,
        };
        for record in records.iter().filter(|record| record.offset >= from) {
            assert_eq!(running.intake.record(record.clone()), Flow::Go);
        }
    }
    running.intake.caught_up();
}

/// A log of three partitions with gaps between the offsets, as transactions and compaction leave them.
fn log() -> BTreeMap<i32, Vec<Record>> {
    let mut log: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for payload in 0..EACH {
        for key in 0..KEYS {
            let number = i32::from(key % 3);
            let records = log.entry(number).or_default();
            let offset = records
                .last()
                .map_or(3, |last| last.offset + 1 + i64::from(payload % 2));
            let record = match payload {
                // Bytes that are no event: a dead letter that stands in no lane.
                21 => Record {
                    value: Some(b"{".to_vec()),
                    ..record(key, payload, number, offset)
                },
                _ => record(key, payload, number, offset),
            };
            records.push(record);
        }
    }
    log
}

fn check(store: &Flaky, log: &BTreeMap<i32, Vec<Record>>) {
    let tables = store.tables.lock();
    let expected: Vec<String> = (0..EACH)
        .filter(|payload| ![13, 21].contains(payload))
        .map(|payload| payload.to_string())
        .collect();
    for key in 0..KEYS {
        let document = tables.states[&name("lister", &key.to_string())].document.as_deref();
        assert_eq!(document, Some(&*expected.join(" ")), "state of key {key}");
        let published = tables
            .outbox
            .iter()
            .filter(|record| record.key.as_deref() == Some(key.to_string().as_bytes()));
        let (letters, events): (Vec<_>, Vec<_>) = published.partition(|record| &*record.topic == "t.dlq");
        assert_eq!(letters.len(), 2, "dead letters of key {key}");
        assert_eq!(events.len(), expected.len(), "events of key {key}");
        let lengths: Vec<_> = events.iter().map(|event| event.value.as_ref().unwrap().len()).collect();
        assert!(lengths.is_sorted(), "events of key {key} out of order");
    }
    for (number, records) in log {
        let progress = &tables.progress[&partition(*number)];
        assert_eq!(
            (progress.next(), progress.gaps()),
            (records.last().unwrap().offset + 1, 0)
        );
    }
    assert!(tables.attempts.is_empty(), "attempts of records that are done");
    assert!(store.is_shared() || tables.conflicts == 0, "nobody else writes here");
}

#[test]
fn every_event_counts_once_and_in_order_although_commits_fail() {
    let (store, log) = (Flaky::new(), log());
    let running = Running::start(&store, options());
    feed(&running, &log);
    running.settle();
    running.stop();
    check(&store, &log);
}

#[test]
fn partitions_taken_away_and_given_back_lose_and_repeat_nothing() {
    let (store, log) = (Flaky::new(), log());
    let running = Running::start(&store, options());
    let names: Vec<_> = log.keys().map(|number| partition(*number)).collect();
    for _ in 0..5 {
        feed(&running, &log);
        running.intake.revoked(&names);
        let state = running.pipeline.state.lock();
        assert!(state.admission.of(0).all(|(_, partition)| partition.in_flight == 0));
    }
    feed(&running, &log);
    running.settle();
    running.stop();
    check(&store, &log);
}

#[test]
fn a_host_that_stops_anywhere_goes_on_where_it_was() {
    let (store, log) = (Flaky::new(), log());
    for _ in 0..4 {
        let running = Running::start(&store, options());
        feed(&running, &log);
        running.stop();
    }
    let running = Running::start(&store, options());
    feed(&running, &log);
    running.settle();
    running.stop();
    check(&store, &log);
}

#[test]
fn reading_is_held_at_the_bound_and_goes_on_below_it() {
    let store = Flaky::new();
    let running = Running::start(
        &store,
        Options {
            in_flight: 4,
            ..options()
        },
    );
    running.intake.assigned(&[partition(0)], &[]).unwrap();
    let held = (0..1000).any(|offset| running.intake.record(record(1, 1, 0, offset)) == Flow::Pause);
    assert!(held, "a thousand records at once were never too many");
    running.intake.caught_up();
    running.settle();
    assert_eq!(running.intake.resumed(), [partition(0)]);
    assert!(running.intake.resumed().is_empty(), "resumed once per hold");
    running.stop();
}

#[test]
fn a_partition_that_is_held_goes_on_when_another_is_taken_away() {
    let store = Flaky::new();
    let options = Options {
        in_flight: 5,
        ..options()
    };
    let (alarm, _) = Alarm::new();
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    // No worker runs: what is in memory stays there until it is taken away.
    let pipeline = Pipeline::new(options, registry(), shared, (alarm, Meters::new().host)).unwrap();
    let intake = HandlerIntake::new(pipeline, 0, Recreation::Stop);
    intake.assigned(&[partition(0), partition(1)], &[]).unwrap();
    for offset in 0..4 {
        assert_eq!(intake.record(record(1, 1, 0, offset)), Flow::Go);
    }
    assert_eq!(intake.record(record(2, 1, 1, 0)), Flow::Pause);
    assert!(intake.resumed().is_empty());
    intake.revoked(&[partition(0)]);
    assert_eq!(intake.resumed(), [partition(1)]);
}

#[test]
fn work_behind_a_back_off_holds_its_own_partition_alone() {
    let store = Flaky::new();
    let options = Options {
        in_flight: 5,
        parked: 8,
        ..options()
    };
    let running = Running::start(&store, options);
    running.intake.assigned(&[partition(0), partition(1)], &[]).unwrap();
    // The attempt is not due for as long as the policy waits at most.
    let key = TopicPartition {
        topic: "t".into(),
        partition: 0,
    };
    let far = Attempts {
        offset: 0,
        failed: 1,
        due_millis: i64::MAX,
    };
    running.intake.revoked(std::slice::from_ref(&key));
    store.tables.lock().attempts.insert((key.clone(), 0), far);
    running.intake.assigned(&[key], &[]).unwrap();
    let held = (0..8).find(|offset| running.intake.record(record(1, 1, 0, *offset)) == Flow::Pause);
    assert_eq!(held, Some(7), "at the bound of parked work");
    assert_eq!(running.intake.record(record(2, 1, 1, 0)), Flow::Go, "another partition");
    running.pipeline.stop();
}

#[test]
fn what_a_relay_has_published_is_committed_although_nothing_else_is() {
    let store = Flaky::steady();
    let running = Running::start(&store, options());
    let published = |batch| ShardPublished {
        shard: Shard::default(),
        epoch: Epoch::default(),
        batch,
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    for batch in 1..20 {
        // The committer waits without a time limit now.
        while !running.pipeline.committable.notify_one() {
            std::thread::yield_now();
        }
        running.pipeline.outbox().published(published(batch));
        while store.tables.lock().published.last() != Some(&published(batch)) {
            assert!(Instant::now() < deadline, "nobody committed batch {batch}");
            std::thread::yield_now();
        }
    }
    running.stop();
}
