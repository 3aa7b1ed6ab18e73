//! The steps of an event's path by themselves: `just micro`, or `just micro attempt` for one of them.
//!
//! What these give is no figure to quote, for nothing stands beside it; it shows which step a change has made cheaper.

use std::sync::{Arc, LazyLock};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sandman_core::attempt::{Origin, Surroundings, attempt};
use sandman_core::broker::{Cursor, TopicSpec};
use sandman_core::contract::{Grant, Terms};
use sandman_core::event::{
    Headers, NewEnvelope, OutRecord, Outgoing, Provenance, TopicPartition, TriggerSource, decode, encode, put_revision,
};
use sandman_core::lanes::{Change, LaneKey, Lanes, PartitionIx, Work};
use sandman_core::limits::{Instances, Limits, RecordingPolicy, Retry, Tombstones};
use sandman_core::outcome::{EventView, StateChange, Trigger};
use sandman_core::store::{Commit, CommitResult, StateWrite, Store};
use sandman_core::version::Version;
use sandman_kafka::{EmbeddedBroker, KafkaHealth, KafkaSettings, PublisherOptions, TransactionalPublisher};
use sandman_sandbox::{Label, Sandbox, SandboxOptions};
use sandman_store::SqliteStore;
use sandman_tests::guest_in;
use uuid::Uuid;

/// Events of one batch where a step takes many at once.
const BATCH: usize = 500;

const EVENT: &str = r#"{"eventId":"7f9c24e8-3b12-4fef-91e0-5616ad5afb3d","eventType":"user.profile.update.requested","timestamp":"2025-12-12T10:30:00.000Z","version":"1.0","source":"bench-gateway","correlationId":"00000000-0000-4000-8000-00000000002a","payload":{"userId":"user-00042","seq":42,"profile":{"firstName":"Ada","lastName":"Lovelace","phone":"+33 612345678","nationality":"British"}}}"#;
const PAYLOAD: &str = r#"{"userId":"user-00042","seq":42,"profile":{"firstName":"Ada","lastName":"Lovelace","phone":"+33 612345678","nationality":"British"}}"#;
const STATE: &str = r#"{"profile":{"firstName":"Grace","lastName":"Lovelace","phone":"+33 612345678","nationality":"American"},"count":7,"lastSeq":41}"#;
const TIME: &str = "2025-12-12T10:30:00.000Z";

fn main() {
    divan::main();
}

#[divan::bench]
fn decode_event(bencher: Bencher) {
    bencher.bench(|| decode(black_box(Some(EVENT.as_bytes()))).unwrap());
}

struct Item;

impl Work for Item {
    fn partition(&self) -> Option<PartitionIx> {
        Some(0)
    }
}

#[divan::bench]
fn hand_over(bencher: Bencher) {
    let keys: Vec<Arc<str>> = (0..BATCH).map(|user| format!("user-{user:05}").into()).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let mut lanes = Lanes::new(1 << 20);
        for key in &keys {
            let key = Arc::clone(key);
            lanes.offer(LaneKey { handler: 0, key }, Arc::new(Item), 0, None);
        }
        while let Some(job) = lanes.take(0) {
            let change = Change {
                seen: Some(sandman_core::lanes::Known::default()),
                change: StateChange::Keep,
            };
            lanes.ran(job, [change]);
        }
        for key in &keys {
            let key = Arc::clone(key);
            lanes.committed(&LaneKey { handler: 0, key });
        }
        lanes
    });
}

static SANDBOX: LazyLock<Arc<Sandbox>> =
    LazyLock::new(|| Sandbox::new(SandboxOptions::new(None, 4, 16 << 20)).unwrap());

#[divan::bench(args = ["fresh", "reused"])]
fn attempt_event(bencher: Bencher, instances: &str) {
    let label = Label {
        handler: "bench".into(),
        version: 1,
    };
    let wasm = std::fs::read(guest_in("tests/bench/stateful").unwrap()).unwrap();
    let kind = if instances == "fresh" {
        Instances::Fresh
    } else {
        Instances::Reused
    };
    let guest = SANDBOX.load(label, &wasm, Limits::default(), kind).unwrap();
    let contract = guest.contract().clone();
    let terms = Terms::new(&contract, &Grant::all(&contract), |name| name.into()).unwrap();
    let version = Version {
        number: 1,
        digest: "d".into(),
        terms,
        guest: Box::new(guest),
        settings: "{}".into(),
        retry: Retry::default(),
        tombstones: Tombstones::default(),
        dedupe: 0,
        limits: Limits::default(),
        recordings: RecordingPolicy::default(),
        since: sandman_core::version::ServesSince::default(),
    };
    let trigger = Trigger::Event(EventView {
        key: "user-00042",
        event_id: "7f9c24e8-3b12-4fef-91e0-5616ad5afb3d",
        event_type: "user.profile.update.requested",
        version: "1.0",
        timestamp: TIME,
        source: "bench-gateway",
        correlation_id: Some("00000000-0000-4000-8000-00000000002a"),
        causation_id: None,
        metadata: None,
        payload: PAYLOAD,
    });
    let surroundings = Surroundings {
        source: "bench",
        now_millis: 1_765_535_400_000,
        attempt: 1,
        trace: None,
        origin: Origin {
            handler: "bench",
            record: None,
        },
        settings: None,
        id: Uuid::new_v4,
    };
    bencher.bench_local(|| attempt(&version, black_box(trigger), Some(STATE), &surroundings).unwrap());
}

fn record() -> OutRecord {
    record_from(&Headers::default())
}

fn record_from(provenance: &Headers) -> OutRecord {
    encode(&Outgoing {
        topic: "user.profile.updated".into(),
        key: "user-00042",
        envelope: NewEnvelope {
            event_id: "7f9c24e8-3b12-4fef-91e0-5616ad5afb3d",
            event_type: "user.profile.updated",
            timestamp: TIME,
            version: "1.0",
            source: "bench",
            correlation_id: Some("00000000-0000-4000-8000-00000000002a"),
            causation_id: Some("7f9c24e8-3b12-4fef-91e0-5616ad5afb3d"),
            metadata: None,
            payload: PAYLOAD,
        },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate: None,
        provenance,
    })
    .unwrap()
}

#[divan::bench]
fn encode_event(bencher: Bencher) {
    bencher.bench(record);
}

/// The same with the headers that say where it comes from, which are made for each invocation and are on each of its events.
#[divan::bench]
fn encode_event_with_provenance(bencher: Bencher) {
    let source = TopicPartition {
        topic: "user.profile.update.requested".into(),
        partition: 7,
    };
    bencher.bench(|| {
        let provenance = Provenance {
            handler: "bench",
            version: 3,
            digest: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            trigger: TriggerSource::Record(&source, black_box(123_456)),
            attempt: 1,
        };
        let mut record = record_from(&provenance.headers());
        put_revision(&mut record.headers, black_box(42));
        record
    });
}

#[divan::bench(sample_count = 50)]
fn commit_batch(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sandman.db")).unwrap();
    let mut bases = vec![None; BATCH];
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let states = bases.iter().enumerate().map(|(user, base)| StateWrite {
            handler: "bench".into(),
            key: format!("user-{user:05}").into(),
            base: *base,
            change: StateChange::Put(STATE.into()),
            recent: None,
        });
        let commit = Commit {
            states: states.collect(),
            outbox: (0..2 * BATCH).map(|_| record()).collect(),
            ..Commit::default()
        };
        let CommitResult::Committed(committed) = store.commit(&commit, 1_765_535_400_000).unwrap() else {
            panic!("nobody else writes")
        };
        bases = committed.revisions;
    });
}

#[divan::bench(sample_count = 20)]
fn publish_batch(bencher: Bencher) {
    let topics = [("bench.relay", 1), ("user.profile.updated", 12)].map(|(name, partitions)| TopicSpec {
        name: name.to_owned(),
        partitions,
        compacted: false,
    });
    let broker = EmbeddedBroker::start(&topics).unwrap();
    let settings = KafkaSettings {
        ..KafkaSettings::plain(broker.brokers())
    };
    let options = PublisherOptions {
        transactional_id: "bench".to_owned(),
        cursor_topic: "bench.relay".to_owned(),
        patience: std::time::Duration::from_secs(30),
        give_up: Arc::default(),
        batch_bytes: sandman_kafka::BATCH_BYTES,
        leaderless: Default::default(),
    };
    let mut publisher = TransactionalPublisher::open(&settings, options, &KafkaHealth::new()).unwrap();
    let records: Vec<_> = (0..2 * BATCH).map(|_| record()).collect();
    let mut batch = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        batch += 1;
        let cursor = Cursor {
            store: "bench".to_owned(),
            batch,
            held: std::collections::BTreeMap::new(),
        };
        publisher.publish(&records, &cursor).unwrap()
    });
}

/// Headers are read back where the outbox is read from the store.
#[divan::bench]
fn read_headers(bencher: Bencher) {
    let bytes = record().headers.as_bytes().to_vec();
    bencher.bench(|| Headers::from_bytes(black_box(&bytes)).unwrap());
}
