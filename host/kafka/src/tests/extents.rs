//! Where partitions begin and end.

use std::sync::Arc;
use std::time::Duration;

use super::super::{ExtentReader, PartitionExtent};
use super::{Kafka, KafkaSettings, PATIENCE, TOPIC, cursor, out};
use sandman_core::broker::Extent;
use sandman_core::event::TopicPartition;

fn told(reader: &ExtentReader) -> Vec<PartitionExtent> {
    let mut told = reader.read(&Arc::from(TOPIC), PATIENCE).unwrap();
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
    let reader = ExtentReader::open(&kafka.settings, &kafka.health).unwrap();
    assert_eq!(told(&reader), [partition(0, 0), partition(1, 0), partition(2, 0)]);
    let records: Vec<_> = (0..5).map(|n| out("one-key", &n.to_string())).collect();
    let _ = kafka.publisher().publish(&records, &cursor(1)).unwrap();
    let ends: Vec<_> = told(&reader).iter().map(|told| told.extent.unwrap().end).collect();
    assert_eq!((ends.len(), ends.iter().sum::<i64>()), (3, 5), "{ends:?}");
}

#[test]
fn a_broker_that_is_away_is_said_in_time() {
    let kafka = Kafka::start();
    let nobody = KafkaSettings::plain("127.0.0.1:1");
    let nobody = ExtentReader::open(&nobody, &kafka.health).unwrap();
    let silent = nobody.read(&Arc::from(TOPIC), Duration::from_millis(50));
    assert!(silent.unwrap_err().to_string().contains(TOPIC));
}
