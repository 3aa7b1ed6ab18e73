//! What the group was told of, held against the progress in the store.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

#[test]
fn progress_that_the_group_was_told_of_and_the_store_does_not_have_is_a_loud_stop() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..5);
    let told = consume(&kafka, &[], |fake| *fake.offsets.lock() = vec![(partition(0), 4)]);
    told.record();
    told.handle.join(PATIENCE).unwrap();
    let consuming = consume(&kafka, &[], |_| {});
    let fatal = consuming.fatal.recv_timeout(PATIENCE).unwrap();
    assert!(fatal.contains(&format!("{TOPIC}[0] up to offset 4")), "{fatal}");
    let end = consuming.handle.join(PATIENCE);
    assert!(matches!(end, Err(ConsumeError::ProgressGone(_))), "{end:?}");
    assert!(
        !consuming.seen.try_iter().any(|seen| matches!(seen, Seen::Record(_))),
        "handed over"
    );
}

#[test]
fn what_others_told_the_group_is_none_of_our_progress() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..5);
    tell(&kafka, 4, "another store");
    let consuming = consume(&kafka, &[], |_| {});
    assert_eq!(consuming.offsets(5), [0, 1, 2, 3, 4]);
    consuming.handle.join(PATIENCE).unwrap();
}

#[test]
fn a_group_that_does_not_answer_is_joined_again() {
    let kafka = Kafka::start_with(1, &[]);
    publish(&kafka, 0..3);
    let silent = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN; 2];
    kafka
        .broker
        .order(move |cluster| cluster.request_errors(RDKafkaApiKey::OffsetFetch, &silent));
    let consuming = consume(&kafka, &[], |_| {});
    assert_eq!(consuming.offsets(3), [0, 1, 2]);
    consuming.handle.join(PATIENCE).unwrap();
}

/// Commits an offset of partition 0 for the group.
fn tell(kafka: &Kafka, offset: i64, signature: &str) {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    let member: BaseConsumer = kafka.settings.consumer("test-profile", "another").create().unwrap();
    let mut offsets = rdkafka::TopicPartitionList::new();
    let mut element = offsets.add_partition(TOPIC, 0);
    element.set_metadata(signature);
    element.set_offset(rdkafka::Offset::Offset(offset)).unwrap();
    member.commit(&offsets, CommitMode::Sync).unwrap();
}
