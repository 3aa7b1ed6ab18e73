//! Hands the records of a transaction to the producer, in order, and waits until they are delivered.

use std::time::Duration;

use rdkafka::bindings;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};

use super::super::cursor::SHARD;
use super::super::delivery::Undelivered;
use super::super::publish_error::{TransactionFault, record_fault};
use super::super::wait::Deadline;
use super::TransactionalPublisher;
use super::wave::Wave;
use sandman_core::broker::Cursor;
use sandman_core::event::{Headers, OutRecord};
use sandman_core::faults::{self, Step};

/// How long one call waits for deliveries before failures and the give-up flag are checked again.
const FLUSH: Duration = Duration::from_millis(100);

impl TransactionalPublisher {
    /// The cursor is delivered before the records, so that it reveals a transaction that Kafka does not end. Everything
    /// is delivered before the commit is requested, because the library would wait for deliveries in steps of 100 ms.
    ///
    /// Nothing is sent before a flush (`linger.ms`), which is called after each [`Wave`].
    pub(super) fn fill(
        &self,
        records: &[&OutRecord],
        cursor: &Cursor,
        deadline: Deadline,
    ) -> Result<(), TransactionFault> {
        self.send(&cursor_record(&self.options.cursor_topic, cursor), None, 0, deadline)?;
        self.delivered(deadline)?;
        faults::at(Step::Pointed);
        let mut wave = Wave::new(self.options.batch_bytes, self.leaders.partitions());
        for (index, record) in records.iter().enumerate() {
            if wave.is_over(record) {
                self.delivered(deadline)?;
            }
            self.send(record, None, index, deadline)?;
        }
        self.delivered(deadline)?;
        faults::at(Step::Delivered);
        Ok(())
    }

    /// Hands one record to the producer. If its queue is full, the same record is tried again once it is empty, so that no
    /// later one overtakes it.
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
        let mut is_empty = false;
        loop {
            let (error, refused) = match self.alive()?.send(attempt) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
                RDKafkaErrorCode::QueueFull if !is_empty => {
                    self.delivered(deadline)?;
                    is_empty = true;
                }
                // A queue that is full although it is empty is smaller than the record.
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

    /// Sends everything that was handed over, and waits until it is delivered.
    pub(super) fn delivered(&self, deadline: Deadline) -> Result<(), TransactionFault> {
        loop {
            let is_done = self.flush(deadline.slice(FLUSH))?;
            if let Some(undelivered) = self.deliveries_or_fault()?.failed() {
                return Err(self.explained(self.undelivered(undelivered)?));
            }
            if is_done {
                return Ok(());
            }
            if self.over(deadline) {
                return Err(TransactionFault::Passing(
                    "the brokers did not acknowledge in time".to_owned(),
                ));
            }
        }
    }

    /// Returns whether the producer has nothing left to deliver.
    #[expect(
        unsafe_code,
        reason = "the safe flush tells the library to send only for a moment, every 100 ms"
    )]
    fn flush(&self, patience: Duration) -> Result<bool, TransactionFault> {
        let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the pointer is that of a producer that lives as long as `self`; the call may come from any thread.
        let left = unsafe { bindings::rd_kafka_flush(self.alive()?.client().native_ptr(), millis) };
        Ok(left == bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR)
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
