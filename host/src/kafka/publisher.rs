//! Publishes batches of the outbox, each in one Kafka transaction together with the relay's cursor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::client::Monitor;
use super::cursor::{Cursor, SHARD};
use super::delivery::{Deliveries, Undelivered};
use super::health::KafkaHealth;
use super::publish_error::{Fault, PublishError, record_fault, transaction_fault};
use super::settings::KafkaSettings;
use super::wait::{Deadline, drop_apart};
use crate::event::OutRecord;

/// How long one call blocks before the give-up flag is looked at again.
const SLICE: Duration = Duration::from_millis(500);
/// A commit or abort that took longer may have left a late request behind, which could end the next transaction.
const SLOW: Duration = Duration::from_secs(5);
/// How long an abort may take before the producer is thrown away instead.
const ABORT: Duration = Duration::from_secs(5);
/// How long closing the producer may take.
const CLOSE: Duration = Duration::from_secs(3);

/// What a publisher is told.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// Names the writer slot: stable over restarts, used by one host at a time.
    pub transactional_id: String,
    /// The topic of the cursor.
    pub cursor_topic: String,
    /// How long opening and each transaction may take.
    pub patience: Duration,
    /// Ends every wait at once when set, so that a shutdown need not wait for a cluster that does not answer.
    pub give_up: Arc<AtomicBool>,
}

/// A batch that is visible.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The next batch can follow.
    Clean,
    /// The connection was troubled or very slow meanwhile. A late request of this transaction could hit the next one, so
    /// the publisher must be opened anew before it.
    Reopen,
}

/// A transactional producer. All its calls block, up to the given patience: it belongs on a thread of its own.
pub struct Publisher {
    /// Polls itself: a producer that nobody polls cannot even abort. `None` only while it is dropped.
    producer: Option<ThreadedProducer<Deliveries>>,
    options: PublisherOptions,
}

impl Publisher {
    /// Opens the writer slot. Whoever had it before is fenced: its transactions fail from here on, and an unfinished one
    /// is aborted. Check the cursor before, so as not to fence a rightful owner, and read it again after.
    ///
    /// # Errors
    /// [`PublishError`] if the cluster cannot be reached in time, or does not allow it.
    pub fn open(
        settings: &KafkaSettings,
        options: PublisherOptions,
        health: &Arc<KafkaHealth>,
    ) -> Result<Self, PublishError> {
        let context = Deliveries::new(Monitor::new(health.client("relay")));
        let producer: ThreadedProducer<Deliveries> = settings
            .producer(&options.transactional_id)
            .create_with_context(context)
            .map_err(|error| PublishError::Settings(error.to_string()))?;
        let publisher = Self {
            producer: Some(producer),
            options,
        };
        publisher.take_over()?;
        publisher.deliveries()?.monitor().health().set_connected(true);
        Ok(publisher)
    }

    fn take_over(&self) -> Result<(), PublishError> {
        let deadline = Deadline::after(self.options.patience);
        loop {
            let Err(error) = self.producer()?.init_transactions(deadline.slice(SLICE)) else {
                return Ok(());
            };
            match transaction_fault(&error, &self.options.transactional_id) {
                Fault::Final(error) => return Err(error),
                Fault::Passing(_) if !self.over(deadline) => {}
                Fault::Passing(reason) | Fault::Broken(reason) => {
                    return Err(PublishError::Aborted { reason, reopen: true });
                }
            }
        }
    }

    /// Publishes the records in order, and the cursor after them, in one transaction. `Ok` means that they are visible.
    ///
    /// # Errors
    /// [`PublishError`]; it says whether anything may be visible and whether the publisher can be used again.
    pub fn publish<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a OutRecord>,
        cursor: &Cursor,
    ) -> Result<Published, PublishError> {
        let deadline = Deadline::after(self.options.patience);
        let troubles = self.deliveries()?.monitor().health().errors();
        self.deliveries()?.reset();
        if let Err(error) = self.producer()?.begin_transaction() {
            return Err(match transaction_fault(&error, &self.options.transactional_id) {
                Fault::Final(error) => error,
                Fault::Passing(reason) | Fault::Broken(reason) => PublishError::Aborted { reason, reopen: true },
            });
        }
        let mut sent = 0;
        if let Err(fault) = self.fill(records, cursor, &mut sent, deadline) {
            return Err(self.abort(fault, sent));
        }
        let slow = Deadline::after(SLOW);
        self.commit(deadline, sent)?;
        let troubled = self.deliveries()?.monitor().health().errors() != troubles;
        Ok(if troubled || slow.passed() {
            Published::Reopen
        } else {
            Published::Clean
        })
    }

    /// Everything is delivered before the commit is asked for: the library would wait for it in steps of 100 ms.
    fn fill<'a>(
        &self,
        records: impl IntoIterator<Item = &'a OutRecord>,
        cursor: &Cursor,
        sent: &mut usize,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        for record in records {
            self.send(record, *sent, deadline)?;
            *sent += 1;
        }
        self.delivered(*sent, deadline)?;
        self.send(&cursor_record(&self.options.cursor_topic, cursor), *sent, deadline)?;
        *sent += 1;
        self.delivered(*sent, deadline)
    }

    /// Hands one record to the producer. Where its queue is full, the same record is tried again until there is room,
    /// so that no later one overtakes it.
    fn send(&self, record: &OutRecord, index: usize, deadline: Deadline) -> Result<(), Fault> {
        let mut attempt = BaseRecord::with_opaque_to(&record.topic, index);
        attempt.key = record.key.as_deref();
        attempt.payload = record.value.as_deref();
        attempt.headers = headers(record);
        loop {
            let (error, refused) = match self.alive()?.send(attempt) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            let done = self.deliveries_or_fault()?.done();
            if code != RDKafkaErrorCode::QueueFull || done == index {
                // A queue that is full although nothing is under way is smaller than the record.
                let full = code == RDKafkaErrorCode::QueueFull;
                let undelivered = Undelivered {
                    topic: record.topic.to_string(),
                    index,
                    bytes: record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len),
                    code: if full {
                        RDKafkaErrorCode::MessageSizeTooLarge
                    } else {
                        code
                    },
                };
                return Err(record_fault(&undelivered, &self.options.transactional_id));
            }
            attempt = refused;
            let room = done + (index - done).div_ceil(2);
            self.delivered(room, deadline)?;
        }
    }

    fn delivered(&self, wanted: usize, deadline: Deadline) -> Result<(), Fault> {
        loop {
            match self.deliveries_or_fault()?.wait(wanted, deadline.slice(SLICE)) {
                Ok(true) => return Ok(()),
                Ok(false) if self.over(deadline) => {
                    return Err(Fault::Passing("the brokers did not acknowledge in time".to_owned()));
                }
                Ok(false) => {}
                Err(undelivered) => return Err(record_fault(&undelivered, &self.options.transactional_id)),
            }
        }
    }

    fn commit(&self, deadline: Deadline, sent: usize) -> Result<(), PublishError> {
        loop {
            let Err(error) = self.producer()?.commit_transaction(deadline.slice(SLICE)) else {
                return Ok(());
            };
            match &error {
                KafkaError::Transaction(answer) if answer.txn_requires_abort() => {
                    let fault = transaction_fault(&error, &self.options.transactional_id);
                    return Err(self.abort(fault, sent));
                }
                // The same call with the same arguments goes on where the last one stopped.
                KafkaError::Transaction(answer) if answer.is_retriable() && !self.over(deadline) => {}
                KafkaError::Flush(_) if !self.over(deadline) => {}
                _ => {
                    return Err(match transaction_fault(&error, &self.options.transactional_id) {
                        Fault::Final(error) => error,
                        Fault::Passing(reason) | Fault::Broken(reason) => PublishError::Unknown { reason },
                    });
                }
            }
        }
    }

    /// Takes back what was sent, and turns the fault into what the relay needs to know.
    fn abort(&self, fault: Fault, sent: usize) -> PublishError {
        if let Fault::Final(error @ (PublishError::Fenced { .. } | PublishError::NotAllowed { .. })) = fault {
            return error;
        }
        let clean = !matches!(fault, Fault::Broken(_)) && self.aborted(sent);
        match fault {
            Fault::Passing(reason) | Fault::Broken(reason) => PublishError::Aborted { reason, reopen: !clean },
            Fault::Final(error) if clean => error,
            // The publisher must be opened anew, which `error` would not say; the next attempt will meet it again.
            Fault::Final(error) => PublishError::Aborted {
                reason: error.to_string(),
                reopen: true,
            },
        }
    }

    fn aborted(&self, sent: usize) -> bool {
        let deadline = Deadline::after(ABORT);
        let (Ok(producer), Ok(deliveries)) = (self.producer(), self.deliveries()) else {
            return false;
        };
        loop {
            match producer.abort_transaction(deadline.slice(SLICE)) {
                Ok(()) => return deliveries.settle(sent, deadline.left()) && !deadline.passed(),
                Err(KafkaError::Transaction(answer)) if answer.is_retriable() && !self.over(deadline) => {}
                Err(_) => return false,
            }
        }
    }

    fn over(&self, deadline: Deadline) -> bool {
        deadline.passed() || self.options.give_up.load(Ordering::Relaxed)
    }

    fn producer(&self) -> Result<&ThreadedProducer<Deliveries>, PublishError> {
        self.producer
            .as_ref()
            .ok_or_else(|| PublishError::Settings("the producer is closed".to_owned()))
    }

    fn alive(&self) -> Result<&ThreadedProducer<Deliveries>, Fault> {
        self.producer().map_err(Fault::Final)
    }

    fn deliveries(&self) -> Result<&Deliveries, PublishError> {
        Ok(self.producer()?.context())
    }

    fn deliveries_or_fault(&self) -> Result<&Deliveries, Fault> {
        self.deliveries().map_err(Fault::Final)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            drop_apart("relay", producer, CLOSE);
        }
    }
}

fn headers(record: &OutRecord) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    Some(record.headers.iter().fold(empty, |all, header| {
        all.insert(Header {
            key: &header.name,
            value: header.value.as_ref(),
        })
    }))
}

fn cursor_record(topic: &str, cursor: &Cursor) -> OutRecord {
    OutRecord {
        topic: topic.into(),
        key: Some(SHARD.as_bytes().to_vec()),
        value: Some(cursor.to_json().into_bytes()),
        headers: Vec::new(),
    }
}
