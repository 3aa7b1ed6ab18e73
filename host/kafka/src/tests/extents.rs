//! Where partitions begin and end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::{ExtentReader, PartitionExtent};
use super::{Kafka, KafkaSettings, PATIENCE, TOPIC, cursor, out};
use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;

fn told(reader: &mut ExtentReader) -> Vec<PartitionExtent> {
    let topic = Arc::from(TOPIC);
    let mut read = reader.read(&BTreeSet::from([&topic]), PATIENCE);
    let mut told = read.topics.remove(&topic).unwrap().unwrap();
    told.sort_by_key(|told| told.partition.partition);
    told
}

fn partition(partition: i32, end: i64) -> PartitionExtent {
    PartitionExtent {
        partition: TopicPartition {
            topic: TOPIC.into(),
            partition,
        },
        extent: Some(Extent { first: 0, end }),
    }
}

#[test]
fn every_partition_has_its_extent_whoever_reads_it() {
    let kafka = Kafka::start();
    let mut reader = ExtentReader::open(&kafka.settings, &kafka.health).unwrap();
    assert_eq!(told(&mut reader), [partition(0, 0), partition(1, 0), partition(2, 0)]);
    let records: Vec<_> = (0..5).map(|n| out("one-key", &n.to_string())).collect();
    let _ = kafka.publisher().publish(&records, &cursor(1)).unwrap();
    let ends: Vec<_> = told(&mut reader).iter().map(|told| told.extent.unwrap().end).collect();
    assert_eq!((ends.len(), ends.iter().sum::<i64>()), (3, 5), "{ends:?}");
}

#[test]
fn a_topic_that_is_not_there_hides_no_other() {
    let kafka = Kafka::start();
    let mut reader = ExtentReader::open(&kafka.settings, &kafka.health).unwrap();
    let (there, missing): (Arc<str>, Arc<str>) = (TOPIC.into(), "missing".into());
    for _ in 0..2 {
        let read = reader.read(&BTreeSet::from([&there, &missing]), PATIENCE);
        assert!(!read.silent);
        assert_eq!(read.topics[&there].as_ref().unwrap().len(), 3);
        let error = read.topics[&missing].as_ref().unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
    }
}

#[test]
fn a_broker_that_is_away_is_said_in_time() {
    let kafka = Kafka::start();
    let nobody = KafkaSettings::plain("127.0.0.1:1");
    let mut nobody = ExtentReader::open(&nobody, &kafka.health).unwrap();
    let topic = Arc::from(TOPIC);
    let read = nobody.read(&BTreeSet::from([&topic]), Duration::from_millis(50));
    assert!(read.silent);
    let error = read.topics[&topic].as_ref().unwrap_err().to_string();
    assert!(error.contains(TOPIC), "{error}");
}
