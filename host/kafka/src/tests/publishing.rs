//! The publisher, its cursor, and the topics.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use super::super::{KafkaHealth, KafkaSettings};
use super::{CURSORS, Kafka, PATIENCE, TOPIC, cursor, out};
use sandman_core::broker::{CursorError, PublishError, Published, TopicSpec, TopicsError};
use sandman_core::event::OutRecord;

/// Every record of the topic: partition, key and value, in the order of each partition.
fn read_all(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<(i32, String, String)> {
    let reader: BaseConsumer = kafka.settings.reader().create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&list).unwrap();
    let mut open = partitions;
    let mut records = Vec::new();
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    while open > 0 {
        match reader.poll(PATIENCE).expect("the end of the topic") {
            Ok(message) => records.push((message.partition(), text(message.key()), text(message.payload()))),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    records
}

#[test]
fn order_per_key_holds_under_a_tiny_queue() {
    let kafka = Kafka::start_with(3, &[("queue.buffering.max.messages", "7")]);
    let mut publisher = kafka.publisher();
    let mut batch = 0;
    for round in 0..4 {
        let records: Vec<_> = (0..200)
            .map(|n| out(&format!("k{}", n % 5), &format!("{:05}", round * 200 + n)))
            .collect();
        batch += 1;
        let _ = publisher.publish(&records, &cursor(batch)).unwrap();
    }
    let records = read_all(&kafka, TOPIC, 3);
    assert_eq!(records.len(), 800);
    let mut last: HashMap<&str, &str> = HashMap::new();
    for (_, key, value) in &records {
        let before = last.insert(key, value).unwrap_or("");
        assert!(before < value.as_str(), "{key}: {before} before {value}");
    }
    assert_eq!(kafka.cursor(), Some(cursor(4)));
}

#[test]
fn keys_go_where_the_java_client_puts_them() {
    // The values of org.apache.kafka.common.utils.Utils.murmur2, as its own tests give them.
    let hashes: [(&str, i32); 5] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ];
    let kafka = Kafka::start_with(7, &[]);
    let records: Vec<_> = hashes.iter().map(|(key, _)| out(key, "v")).collect();
    let _ = kafka.publisher().publish(&records, &cursor(1)).unwrap();
    let found: HashMap<String, i32> = read_all(&kafka, TOPIC, 7)
        .into_iter()
        .map(|(p, key, _)| (key, p))
        .collect();
    for (key, hash) in hashes {
        assert_eq!(found[key], (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[test]
fn the_cursor_is_the_last_one_published() {
    let kafka = Kafka::start();
    assert_eq!(kafka.cursor(), None);
    let mut publisher = kafka.publisher();
    assert_eq!(
        publisher.publish(&[out("k", "1")], &cursor(1)).unwrap(),
        Published::Clean
    );
    let none: [OutRecord; 0] = [];
    let _ = publisher.publish(&none, &cursor(9)).unwrap();
    drop(publisher);
    assert_eq!(kafka.cursor(), Some(cursor(9)));
    let cursors = read_all(&kafka, CURSORS, 1);
    assert_eq!(
        cursors[0],
        (0, "0".to_owned(), r#"{"store":"a-store","batch":1}"#.to_owned())
    );
}

#[test]
fn what_is_no_cursor_is_named() {
    let kafka = Kafka::start();
    let mut foreign = out("0", "hello");
    foreign.topic = CURSORS.into();
    // The publisher's own cursor comes before it.
    let _ = kafka.publisher().publish(&[foreign], &cursor(1)).unwrap();
    let error = super::super::read_cursor(&kafka.settings, CURSORS, &kafka.health, PATIENCE).unwrap_err();
    assert!(matches!(&error, CursorError::Malformed { offset: 1, .. }), "{error}");
    assert!(error.to_string().contains("test.relay[0] offset 1"), "{error}");
}

/// The embedded broker lets two producers share a transactional id; that the second fences the first is shown on a real
/// Kafka. Here: what the first makes of Kafka's answer.
#[test]
fn a_fenced_publisher_says_so() {
    for fence in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
    ] {
        let kafka = Kafka::start();
        let mut publisher = kafka.publisher();
        kafka
            .broker
            .order(move |cluster| cluster.request_errors(RDKafkaApiKey::EndTxn, &[fence]));
        let error = publisher.publish(&[out("k", "2")], &cursor(2)).unwrap_err();
        assert!(matches!(error, PublishError::Fenced { .. }), "{error:?}");
        assert!(!error.passes());
    }
}

#[test]
fn a_record_that_is_too_large_is_named_and_harms_no_other() {
    let kafka = Kafka::start();
    let mut publisher = kafka.publisher();
    let large = out("k", &"x".repeat(2_000_000));
    let error = publisher.publish(&[out("k", "1"), large], &cursor(1)).unwrap_err();
    assert!(
        matches!(
            &error,
            PublishError::TooLarge {
                index: 1,
                bytes: 2_000_001,
                ..
            }
        ),
        "{error:?}"
    );
    let _ = kafka.publisher().publish(&[out("k", "2")], &cursor(1)).unwrap();
}

#[test]
fn a_topic_that_may_not_be_written_is_named() {
    let kafka = Kafka::start();
    let mut publisher = kafka.publisher();
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    kafka
        .broker
        .order(move |cluster| cluster.request_errors(RDKafkaApiKey::Produce, &denied));
    let error = publisher.publish(&[out("k", "1")], &cursor(1)).unwrap_err();
    assert!(
        matches!(&error, PublishError::NotAllowed { what, .. } if what.contains(CURSORS)),
        "{error:?}"
    );
}

#[test]
fn a_topic_without_a_leader_is_named_before_anything_is_written_to_it() {
    const OTHER: &str = "dreamscape.user.created";
    let kafka = Kafka::start();
    let led = |leader| {
        move |cluster: &rdkafka::mocking::MockCluster<'_, _>| cluster.partition_leader(TOPIC, 1, leader).unwrap()
    };
    kafka.broker.order(|cluster| cluster.create_topic(OTHER, 1, 1).unwrap());
    kafka.broker.order(led(None));
    let mut elsewhere = out("k", "1");
    elsewhere.topic = OTHER.into();
    let mixed = [elsewhere.clone(), out("k", "2")];
    for _ in 0..2 {
        let error = kafka.publisher().publish(&mixed, &cursor(1)).unwrap_err();
        assert_eq!(error.refused_by().as_deref(), Some(TOPIC), "{error:?}");
        assert!(error.to_string().contains("user.updated[1]"), "{error}");
    }
    // What goes elsewhere goes on.
    let _ = kafka.publisher().publish(&[elsewhere], &cursor(1)).unwrap();
    assert_eq!(read_all(&kafka, OTHER, 1).len(), 1);
    kafka.broker.order(led(Some(1)));
    let _ = kafka.publisher().publish(&[out("k", "2")], &cursor(2)).unwrap();
    assert_eq!(read_all(&kafka, TOPIC, 3).len(), 1);
}

#[test]
fn a_failing_record_takes_the_transaction_back_and_the_next_goes_through() {
    let kafka = Kafka::start();
    let mut publisher = kafka.publisher();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE];
    kafka
        .broker
        .order(move |cluster| cluster.request_errors(RDKafkaApiKey::Produce, &refused));
    let error = publisher.publish(&[out("k", "1")], &cursor(1)).unwrap_err();
    assert!(matches!(error, PublishError::Aborted { .. }), "{error:?}");
    assert!(error.passes());
    let again = publisher.publish(&[out("k", "1")], &cursor(1)).unwrap_err();
    assert!(again.to_string().contains("reopened"), "{again}");
    drop(publisher);
    let _ = kafka.publisher().publish(&[out("k", "1")], &cursor(1)).unwrap();
    assert_eq!(kafka.cursor(), Some(cursor(1)));
}

#[test]
fn without_a_broker_every_call_ends_in_time() {
    let kafka = Kafka::start();
    let mut publisher = kafka.try_publisher(Duration::from_secs(2)).unwrap();
    kafka.broker.order(|cluster| cluster.broker_down(1).unwrap());
    let error = publisher.publish(&[out("k", "1")], &cursor(1)).unwrap_err();
    assert!(error.passes(), "{error:?}");
    drop(publisher);
    let error = kafka
        .try_publisher(Duration::from_millis(500))
        .err()
        .expect("there is no broker");
    assert!(error.passes(), "{error:?}");
    let read = super::super::read_cursor(&kafka.settings, CURSORS, &kafka.health, Duration::from_millis(500));
    assert!(matches!(read, Err(CursorError::Unreachable { .. })), "{read:?}");
    kafka.broker.order(|cluster| cluster.broker_up(1).unwrap());
    let _ = kafka.publisher().publish(&[out("k", "1")], &cursor(1)).unwrap();
}

#[test]
fn a_connection_lost_at_the_commit_asks_for_a_new_publisher() {
    let kafka = Kafka::start();
    let mut publisher = kafka.publisher();
    // On a busy machine the first may be so slow that it asks for a new one by itself.
    while publisher.publish(&[out("k", "1")], &cursor(1)).unwrap() == Published::Reopen {
        drop(publisher);
        publisher = kafka.publisher();
    }
    let lost = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT];
    kafka
        .broker
        .order(move |cluster| cluster.request_errors(RDKafkaApiKey::EndTxn, &lost));
    assert_eq!(
        publisher.publish(&[out("k", "2")], &cursor(2)).unwrap(),
        Published::Reopen
    );
}

#[test]
fn topics_that_exist_are_left_alone() {
    let kafka = Kafka::start();
    let topic = TopicSpec {
        name: TOPIC.to_owned(),
        partitions: 12,
        compacted: false,
    };
    let made = super::super::ensure_topics(&kafka.settings, &[topic], &kafka.health, PATIENCE).unwrap();
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    // Bound and let go: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let settings = KafkaSettings::plain(&format!("127.0.0.1:{port}"));
    let topic = TopicSpec {
        name: TOPIC.to_owned(),
        partitions: 1,
        compacted: false,
    };
    let patience = Duration::from_millis(500);
    let error = super::super::ensure_topics(&settings, &[topic], &KafkaHealth::new(), patience).unwrap_err();
    assert!(matches!(error, TopicsError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
