//! The consumer with a fake intake.

mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use parking_lot::Mutex;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::super::{ConsumeError, ConsumerHandle, ConsumerOptions, HandlerTopics, spawn_consumer};
use super::{Kafka, PATIENCE, TOPIC, cursor, out};
use sandman_core::broker::{Flow, Intake, IntakeError, NamedTopic, Start};
use sandman_core::event::{Record, TopicPartition};
use sandman_core::store::StoreError;

#[derive(Debug, PartialEq)]
enum Seen {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Record(Record),
    /// Every three seconds, on the thread that hands records over.
    Asked,
    ReadTo(Vec<(TopicPartition, i64)>),
}

/// Tells the test all it hears, and does what it is told.
struct Fake {
    seen: Mutex<Sender<Seen>>,
    starts: Mutex<HashMap<i32, i64>>,
    broken: bool,
    /// Pause after this offset.
    pause_at: Option<i64>,
    resume: Mutex<Vec<TopicPartition>>,
    offsets: Mutex<Vec<(TopicPartition, i64)>>,
}

impl Intake for Fake {
    fn assigned(&self, partitions: &[TopicPartition], _: &[NamedTopic]) -> Result<Vec<Start>, IntakeError> {
        if self.broken {
            return Err(StoreError::Failed("disk on fire".to_owned()).into());
        }
        self.seen.lock().send(Seen::Assigned(partitions.to_vec())).unwrap();
        let starts = self.starts.lock();
        let start = |p: &TopicPartition| {
            starts
                .get(&p.partition)
                .map_or(Start::Beginning, |offset| Start::At(*offset))
        };
        Ok(partitions.iter().map(start).collect())
    }

    fn revoked(&self, partitions: &[TopicPartition]) {
        // The test may be over.
        let _ = self.seen.lock().send(Seen::Revoked(partitions.to_vec()));
    }

    fn record(&self, record: Record) -> Flow {
        let offset = record.offset;
        self.seen.lock().send(Seen::Record(record)).unwrap();
        if Some(offset) == self.pause_at {
            Flow::Pause
        } else {
            Flow::Go
        }
    }

    fn resumed(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut *self.resume.lock())
    }

    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let _ = self.seen.lock().send(Seen::Asked);
        self.offsets.lock().clone()
    }

    fn read_to(&self, positions: &[(TopicPartition, i64)]) {
        let _ = self.seen.lock().send(Seen::ReadTo(positions.to_vec()));
    }
}

struct Consuming {
    fake: Arc<Fake>,
    seen: Receiver<Seen>,
    handle: ConsumerHandle,
    fatal: Receiver<String>,
}

fn partition(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition,
    }
}

fn consume(kafka: &Kafka, starts: &[(i32, i64)], change: impl FnOnce(&mut Fake)) -> Consuming {
    let (send, seen) = mpsc::channel();
    let mut fake = Fake {
        seen: Mutex::new(send),
        starts: Mutex::new(starts.iter().copied().collect()),
        broken: false,
        pause_at: None,
        resume: Mutex::default(),
        offsets: Mutex::default(),
    };
    change(&mut fake);
    let fake = Arc::new(fake);
    let (fail, fatal) = mpsc::channel();
    let options = ConsumerOptions {
        handlers: vec![HandlerTopics {
            name: "profile".into(),
            topics: vec![TOPIC.into()],
            signature: "sandman a-store".to_owned(),
        }],
        group: "test-profile".to_owned(),
        member: "test-profile".to_owned(),
        adopt: false,
        on_fatal: Box::new(move |_, error| fail.send(error.to_string()).unwrap()),
    };
    let intake: Arc<dyn Intake> = fake.clone();
    let handle = spawn_consumer(&kafka.settings, options, intake, &kafka.health).unwrap();
    Consuming {
        fake,
        seen,
        handle,
        fatal,
    }
}

impl Consuming {
    fn until<T>(&self, mut wanted: impl FnMut(Seen) -> Option<T>) -> T {
        loop {
            let seen = self.seen.recv_timeout(PATIENCE).expect("nothing more is seen");
            if let Some(found) = wanted(seen) {
                return found;
            }
        }
    }

    fn record(&self) -> Record {
        self.until(|seen| match seen {
            Seen::Record(record) => Some(record),
            _ => None,
        })
    }

    fn offsets(&self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.record().offset).collect()
    }
}

fn publish(kafka: &Kafka, values: std::ops::Range<usize>) {
    let records: Vec<_> = values.map(|n| out("one-key", &n.to_string())).collect();
    let _ = kafka.publisher().publish(&records, &cursor(1)).unwrap();
}

#[test]
fn a_record_arrives_byte_for_byte() {
    let kafka = Kafka::start();
    let mut sent = out("user-1", "{\"any\": \"bytes \u{1f600}\"}");
    sent.headers.push(sandman_core::event::Header {
        name: "bytes",
        value: Some(&[0, 255, 10]),
    });
    let mut tombstone = sent.clone();
    tombstone.value = None;
    let _ = kafka
        .publisher()
        .publish(&[sent.clone(), tombstone], &cursor(1))
        .unwrap();
    let consuming = consume(&kafka, &[], |_| {});
    let record = consuming.record();
    assert_eq!(record.key, sent.key);
    assert_eq!(record.value, sent.value);
    assert_eq!(record.headers, sent.headers);
    assert_eq!(consuming.record().value, None);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn reading_starts_where_the_intake_says() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..10);
    let consuming = consume(&kafka, &[(0, 7)], |_| {});
    assert_eq!(
        consuming.until(|seen| match seen {
            Seen::Assigned(partitions) => Some(partitions),
            _ => None,
        }),
        [partition(0)]
    );
    assert_eq!(consuming.offsets(3), [7, 8, 9]);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_paused_partition_waits_and_goes_on_without_a_gap() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..10);
    let consuming = consume(&kafka, &[], |fake| fake.pause_at = Some(3));
    assert_eq!(consuming.offsets(4), [0, 1, 2, 3]);
    let late = consuming.until(|seen| match seen {
        Seen::Record(record) => Some(Some(record.offset)),
        Seen::Asked => Some(None),
        _ => None,
    });
    assert_eq!(late, None, "a record came although the partition was paused");
    consuming.fake.resume.lock().push(partition(0));
    assert_eq!(consuming.offsets(6), [4, 5, 6, 7, 8, 9]);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn it_is_told_up_to_where_a_partition_was_read() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..5);
    let consuming = consume(&kafka, &[], |_| {});
    consuming.until(|seen| matches!(seen, Seen::ReadTo(to) if to == [(partition(0), 5)]).then_some(()));
    assert!(kafka.health.connected(), "{:?}", kafka.health);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_clean_stop_gives_everything_back_and_tells_the_group() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..5);
    let consuming = consume(&kafka, &[], |fake| *fake.offsets.lock() = vec![(partition(0), 4)]);
    consuming.record();
    consuming.handle.join(PATIENCE).unwrap();
    let mut rest = Vec::new();
    while let Ok(seen) = consuming.seen.try_recv() {
        rest.push(seen);
    }
    assert!(rest.contains(&Seen::Revoked(vec![partition(0)])), "{rest:?}");
    assert_eq!(committed(&kafka), 4);
}

/// The group's offset of partition 0.
fn committed(kafka: &Kafka) -> i64 {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let reader: BaseConsumer = kafka.settings.consumer("test-profile", "reader").create().unwrap();
    let mut asked = rdkafka::TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let answer = reader.committed_offsets(asked, PATIENCE).unwrap();
    answer.find_partition(TOPIC, 0).unwrap().offset().to_raw().unwrap()
}

#[test]
fn after_quiesce_nothing_is_handed_over_but_the_partitions_stay() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..3);
    let consuming = consume(&kafka, &[], |_| {});
    assert_eq!(consuming.offsets(3), [0, 1, 2]);
    consuming.handle.quiesce();
    publish(&kafka, 3..6);
    let asked = |seen| match seen {
        Seen::Asked => Some(()),
        Seen::ReadTo(to) if to == [(partition(0), 3)] => None,
        other => panic!("{other:?}"),
    };
    consuming.until(asked);
    consuming.until(asked);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_lost_offset_is_a_loud_stop() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..3);
    let consuming = consume(&kafka, &[(0, 77)], |_| {});
    let fatal = consuming.fatal.recv_timeout(PATIENCE).unwrap();
    assert!(fatal.contains(&format!("{TOPIC}[0] offset 77")), "{fatal}");
    assert!(fatal.contains("has 0 to 3"), "{fatal}");
    let end = consuming.handle.join(PATIENCE);
    assert!(matches!(end, Err(ConsumeError::OffsetGone { .. })), "{end:?}");
}

#[test]
fn a_store_that_cannot_be_read_ends_the_consumer() {
    let kafka = Kafka::start_with(1, &[]);
    let consuming = consume(&kafka, &[], |fake| fake.broken = true);
    assert!(consuming.fatal.recv_timeout(PATIENCE).unwrap().contains("disk on fire"));
    let end = consuming.handle.join(PATIENCE);
    assert!(matches!(end, Err(ConsumeError::Store(_))), "{end:?}");
}

#[test]
fn a_group_that_is_not_allowed_is_named_and_joined_when_it_is() {
    let kafka = Kafka::start_with(1, &[]);
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 4];
    kafka
        .broker
        .order(move |cluster| cluster.request_errors(RDKafkaApiKey::JoinGroup, &denied));
    let consuming = consume(&kafka, &[], |_| {});
    let until = std::time::Instant::now() + PATIENCE;
    let fault = loop {
        if let Some(fault) = kafka.health.faults().remove("profile") {
            break fault;
        }
        assert!(std::time::Instant::now() < until, "nobody is told");
        std::thread::yield_now();
    };
    assert!(fault.reason.contains("test-profile") && !fault.stopped, "{fault:?}");
    publish(&kafka, 0..1);
    consuming.record();
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_stop_without_a_broker_does_not_hang() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..3);
    let consuming = consume(&kafka, &[], |fake| *fake.offsets.lock() = vec![(partition(0), 3)]);
    consuming.record();
    kafka.broker.order(|cluster| cluster.broker_down(1).unwrap());
    // It may be left behind, but never waited for beyond the patience: the test's end is the proof.
    drop(consuming.handle.join(std::time::Duration::from_secs(5)));
}

#[test]
fn a_broker_that_comes_back_is_found_again() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..2);
    let consuming = consume(&kafka, &[], |_| {});
    assert_eq!(consuming.offsets(2), [0, 1]);
    kafka.broker.order(|cluster| cluster.broker_down(1).unwrap());
    kafka.broker.order(|cluster| cluster.broker_up(1).unwrap());
    publish(&kafka, 2..4);
    assert_eq!(consuming.offsets(2), [2, 3]);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_partition_that_was_paused_when_it_was_lost_is_read_when_it_comes_back() {
    let session = [("session.timeout.ms", "1000"), ("heartbeat.interval.ms", "100")];
    let kafka = Kafka::start_with(1, &session);
    publish(&kafka, 0..5);
    let consuming = consume(&kafka, &[], |fake| fake.pause_at = Some(3));
    assert_eq!(consuming.offsets(4), [0, 1, 2, 3]);
    kafka.broker.stop();
    consuming.until(|seen| matches!(seen, Seen::Revoked(_)).then_some(()));
    kafka.broker.resume();
    // The intake says again that reading starts at the beginning.
    assert_eq!(consuming.offsets(1), [0]);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
#[expect(unsafe_code, reason = "no safe call sends such a name")]
fn a_header_name_that_is_no_text_harms_nobody() {
    use rdkafka::bindings::{rd_kafka_header_add, rd_kafka_headers_t};
    use rdkafka::message::{BorrowedHeaders, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let kafka = Kafka::start_with(1, &[]);
    let headers = OwnedHeaders::new();
    let list = std::ptr::from_ref::<BorrowedHeaders>(headers.as_borrowed()) as *mut rd_kafka_headers_t;
    let name = [b'n', 0xff];
    // SAFETY: the list is owned by `headers`; name and value are copied.
    let added = unsafe { rd_kafka_header_add(list, name.as_ptr().cast(), 2, b"v".as_ptr().cast(), 1) };
    assert_eq!(added, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    let producer: BaseProducer = kafka.settings.admin().create().unwrap();
    producer
        .send(BaseRecord::to(TOPIC).key("k").payload("p").headers(headers))
        .unwrap();
    producer.flush(PATIENCE).unwrap();
    let consuming = consume(&kafka, &[], |_| {});
    let record = consuming.record();
    let header = record.headers.iter().next().unwrap();
    assert_eq!((header.name, header.value), ("n\u{fffd}", Some(&b"v"[..])));
    consuming.handle.join(PATIENCE).unwrap();
}
