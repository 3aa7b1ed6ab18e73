//! Consumer, publisher and cursor against the embedded broker: what it can prove.

mod consuming;
mod extents;
mod publishing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{EmbeddedBroker, KafkaHealth, KafkaSettings, LeaderlessTopics, PublisherOptions, TransactionalPublisher};
use sandman_core::broker::{Cursor, PublishError, TopicSpec};
use sandman_core::event::{Header, Headers, OutRecord};

/// Longer than anything takes on a loaded machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);
const TOPIC: &str = "dreamscape.user.updated";
const CURSORS: &str = "test.relay";

/// A broker with one topic of three partitions and one for the cursor.
struct Kafka {
    broker: EmbeddedBroker,
    settings: KafkaSettings,
    health: Arc<KafkaHealth>,
    leaderless: LeaderlessTopics,
}

impl Kafka {
    fn start() -> Self {
        Self::start_with(3, &[])
    }

    fn start_with(partitions: i32, options: &[(&str, &str)]) -> Self {
        let topic = |name: &str, partitions, compacted| TopicSpec {
            name: name.to_owned(),
            partitions,
            compacted,
        };
        let broker = EmbeddedBroker::start(&[topic(TOPIC, partitions, false), topic(CURSORS, 1, true)]).unwrap();
        let settings = KafkaSettings {
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..KafkaSettings::plain(broker.brokers())
        };
        Self {
            broker,
            settings,
            health: KafkaHealth::new(),
            leaderless: LeaderlessTopics::default(),
        }
    }

    fn publisher(&self) -> TransactionalPublisher {
        self.try_publisher(PATIENCE).unwrap()
    }

    fn try_publisher(&self, patience: Duration) -> Result<TransactionalPublisher, PublishError> {
        let options = PublisherOptions {
            transactional_id: "test-relay-0".to_owned(),
            cursor_topic: CURSORS.to_owned(),
            patience,
            give_up: Arc::new(AtomicBool::new(false)),
            batch_bytes: super::BATCH_BYTES,
            leaderless: self.leaderless.clone(),
        };
        TransactionalPublisher::open(&self.settings, options, &self.health)
    }

    fn cursor(&self) -> Option<Cursor> {
        super::read_cursor(&self.settings, CURSORS, &self.health, PATIENCE).unwrap()
    }
}

fn cursor(batch: u64) -> Cursor {
    Cursor {
        store: "a-store".to_owned(),
        batch,
        held: std::collections::BTreeMap::new(),
    }
}

fn out(key: &str, value: &str) -> OutRecord {
    OutRecord {
        topic: TOPIC.into(),
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: Headers::from_iter([
            Header::text("eventType", "user.updated"),
            Header {
                name: "null",
                value: None,
            },
            Header::text("eventType", ""),
        ]),
        timestamp_millis: None,
    }
}

#[test]
fn a_partition_without_a_leader_does_not_hold_up_the_start() {
    let kafka = Kafka::start();
    kafka
        .broker
        .order(|cluster| cluster.partition_leader(TOPIC, 0, None).unwrap());
    let wanted = TopicSpec {
        name: TOPIC.to_owned(),
        partitions: 3,
        compacted: false,
    };
    let made = super::ensure_topics(&kafka.settings, &[wanted], &kafka.health, PATIENCE).unwrap();
    assert!(made.is_empty(), "{made:?} were made");
}
