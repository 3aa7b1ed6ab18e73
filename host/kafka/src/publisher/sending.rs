//! Hands the records of a transaction to the producer, in order, and waits until they are delivered.

use std::thread;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::super::cursor::SHARD;
use super::super::delivery::Undelivered;
use super::super::publish_error::{TransactionFault, record_fault};
use super::super::wait::Deadline;
use super::{SLICE, TransactionalPublisher};
use sandman_core::broker::Cursor;
use sandman_core::event::{Headers, OutRecord};
use sandman_core::faults::{self, Step};

/// How long a queue may stay full although nothing is in flight.
const FULL: Duration = Duration::from_secs(1);

impl TransactionalPublisher {
    /// The cursor is delivered before the records, so that it reveals a transaction that Kafka does not end. Everything
    /// is delivered before the commit is requested, because the library would wait for deliveries in steps of 100 ms.
    pub(super) fn fill(
        &self,
        records: &[&OutRecord],
        cursor: &Cursor,
        deadline: Deadline,
    ) -> Result<(), TransactionFault> {
        self.send(&cursor_record(&self.options.cursor_topic, cursor), None, 0, deadline)?;
        self.delivered(1, deadline)?;
        faults::at(Step::Pointed);
        self.deliveries_or_fault()?.reset();
        for (index, record) in records.iter().enumerate() {
            self.send(record, None, index, deadline)?;
        }
        self.delivered(records.len(), deadline)?;
        faults::at(Step::Delivered);
        Ok(())
    }

    /// Hands one record to the producer. If its queue is full, the same record is tried again until there is room, so
    /// that no later one overtakes it.
    pub(super) fn send(
        &self,
        record: &OutRecord,
        partition: Option<i32>,
        index: usize,
        deadline: Deadline,
    ) -> Result<(), TransactionFault> {
        let mut attempt = BaseRecord::with_opaque_to(&record.topic, index);
        attempt.partition = partition;
        attempt.key = record.key.as_deref();
        attempt.payload = record.value.as_deref();
        attempt.headers = headers(record);
        attempt.timestamp = record.timestamp_millis;
        let patient = Deadline::after(FULL);
        loop {
            let (error, refused) = match self.alive()?.send(attempt) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let done = self.deliveries_or_fault()?.done();
            match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
                RDKafkaErrorCode::QueueFull if done < index => {
                    self.delivered(done + (index - done).div_ceil(2), deadline)?;
                }
                // Everything is delivered; the library frees the space a moment later.
                RDKafkaErrorCode::QueueFull if !patient.passed() => thread::park_timeout(Duration::from_millis(1)),
                // A queue that stays full although nothing is in flight is smaller than the record.
                RDKafkaErrorCode::QueueFull => {
                    return Err(self.refused(record, index, RDKafkaErrorCode::MessageSizeTooLarge));
                }
                code => return Err(self.refused(record, index, code)),
            }
            attempt = refused;
        }
    }

    fn refused(&self, record: &OutRecord, index: usize, code: RDKafkaErrorCode) -> TransactionFault {
        self.explained(record_fault(
            &Undelivered {
                topic: record.topic.to_string(),
                index,
                bytes: record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len),
                code,
            },
            &self.options.transactional_id,
        ))
    }

    pub(super) fn delivered(&self, wanted: usize, deadline: Deadline) -> Result<(), TransactionFault> {
        loop {
            match self.deliveries_or_fault()?.wait(wanted, deadline.slice(SLICE)) {
                Ok(true) => return Ok(()),
                Ok(false) if self.over(deadline) => {
                    return Err(TransactionFault::Passing(
                        "the brokers did not acknowledge in time".to_owned(),
                    ));
                }
                Ok(false) => {}
                Err(undelivered) => return Err(self.explained(self.undelivered(undelivered)?)),
            }
        }
    }

    /// A record of any topic fails if the host may not write to another topic of the transaction.
    fn undelivered(&self, mut undelivered: Undelivered) -> Result<TransactionFault, TransactionFault> {
        use RDKafkaErrorCode as Code;
        if matches!(undelivered.code, Code::PurgeQueue | Code::PurgeInflight)
            && let Some(topic) = self.deliveries_or_fault()?.forbidden()
        {
            (undelivered.topic, undelivered.code) = (topic, Code::TopicAuthorizationFailed);
        }
        Ok(record_fault(&undelivered, &self.options.transactional_id))
    }
}

pub(in super::super) fn headers(record: &OutRecord) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    Some(record.headers.iter().fold(empty, |all, header| {
        all.insert(Header {
            key: header.name,
            value: header.value,
        })
    }))
}

pub(super) fn cursor_record(topic: &str, cursor: &Cursor) -> OutRecord {
    OutRecord {
        topic: topic.into(),
        key: Some(SHARD.as_bytes().to_vec()),
        value: Some(cursor.to_json().into_bytes()),
        headers: Headers::default(),
        timestamp_millis: None,
    }
}
