//! Publishes batches of the outbox, each in one Kafka transaction together with the relay's cursor.

mod sending;
mod wave;
mod withdraw;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};

use super::client::Monitor;
use super::delivery::Deliveries;
use super::health::KafkaHealth;
use super::leaders::{LeaderlessTopics, Leaders};
use super::publish_error::{TransactionFault, fatal_fault, transaction_fault};
use super::settings::KafkaSettings;
use super::wait::{Deadline, drop_apart};
use sandman_core::broker::{Cursor, PublishError, Published};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};

pub(super) use sending::headers;

/// How long one call blocks before the give-up flag is checked again.
const SLICE: Duration = Duration::from_millis(500);
/// A commit or abort that took longer may have left a late request, which could end the next transaction.
const SLOW: Duration = Duration::from_secs(5);
/// How long an abort may take before the producer is dropped instead.
const ABORT: Duration = Duration::from_secs(5);
/// How long the library may take to free delivered records.
const MOMENT: Duration = Duration::from_millis(50);
/// How long closing the producer may take.
const CLOSE: Duration = Duration::from_secs(3);

/// The options of a publisher.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The transactional id: stable across restarts, used by one host at a time.
    pub transactional_id: String,
    /// The topic of the cursor.
    pub cursor_topic: String,
    /// How long opening and each transaction may take.
    pub patience: Duration,
    /// Ends every wait at once when set, so that a shutdown need not wait for a cluster that does not answer.
    pub give_up: Arc<AtomicBool>,
    /// The most bytes of one batch of records.
    pub batch_bytes: usize,
    /// Topics that were found without a leader.
    pub leaderless: LeaderlessTopics,
}

/// A transactional producer. All its calls block, up to the given patience: it needs a thread of its own.
pub struct TransactionalPublisher {
    /// Polls on its own thread: a producer that is not polled cannot even abort. `None` only while it is dropped.
    producer: Option<ThreadedProducer<Deliveries>>,
    options: PublisherOptions,
    leaders: Leaders,
    /// A transaction failed, or its end is in doubt: nothing may follow it on this producer.
    spent: bool,
}

impl TransactionalPublisher {
    /// Opens the producer. The previous one with the same transactional id is fenced: its transactions fail from now
    /// on, and an unfinished one is aborted. Check the cursor before, in order not to fence a rightful owner, and read
    /// it again afterwards.
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
            .set("batch.size", options.batch_bytes.to_string())
            .create_with_context(context)
            .map_err(|error| PublishError::Settings(error.to_string()))?;
        let publisher = Self {
            producer: Some(producer),
            leaders: Leaders::new(&options.leaderless),
            options,
            spent: false,
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
            match self.fault(&error) {
                TransactionFault::Final(error) => return Err(error),
                TransactionFault::Passing(_) if !self.over(deadline) => {}
                TransactionFault::Passing(reason) | TransactionFault::Broken(reason) => {
                    return Err(PublishError::Aborted { reason });
                }
            }
        }
    }

    /// Publishes the records in order, and the cursor, in one transaction. `Ok` means that they are visible.
    ///
    /// # Errors
    /// [`PublishError`]; it says whether anything may be visible. The publisher cannot be used again after one.
    pub fn publish<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a OutRecord>,
        cursor: &Cursor,
    ) -> Result<Published, PublishError> {
        let deadline = Deadline::after(self.options.patience);
        let records: Vec<&OutRecord> = records.into_iter().collect();
        let topics = topics(&records);
        self.led(&topics)?;
        let troubles = self.troubles()?;
        self.begin()?;
        if let Err(fault) = self.fill(&records, cursor, deadline) {
            self.abort();
            // A leader that is gone in the meantime appears as a timeout.
            self.leaders.doubt();
            if matches!(fault, TransactionFault::Passing(_)) {
                self.led(&topics)?;
            }
            return Err(not_committed(fault));
        }
        let slow = Deadline::after(SLOW);
        self.commit(deadline)?;
        faults::at(Step::Visible);
        self.served()?;
        self.spent = self.troubles()? != troubles || slow.passed();
        Ok(if self.spent {
            Published::Reopen
        } else {
            Published::Clean
        })
    }

    /// Whether all of these topics have leaders.
    fn led(&mut self, topics: &[Arc<str>]) -> Result<(), PublishError> {
        let producer = self.producer.as_ref();
        let lacking = producer.and_then(|producer| self.leaders.lacking(producer.client(), topics));
        match lacking {
            Some((topic, reason)) => Err(PublishError::Leaderless {
                topic: topic.to_string(),
                reason,
            }),
            None => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), PublishError> {
        if self.spent {
            return Err(PublishError::Aborted {
                reason: "the publisher failed before and was not reopened".to_owned(),
            });
        }
        self.spent = true;
        self.deliveries()?.reset();
        self.producer()?
            .begin_transaction()
            .map_err(|error| not_committed(self.fault(&error)))?;
        faults::at(Step::Begun);
        Ok(())
    }

    /// Whether it must be reopened before anything is published.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    fn fault(&self, error: &KafkaError) -> TransactionFault {
        self.explained(transaction_fault(error, &self.options.transactional_id))
    }

    /// A producer that failed for good purges its records; the reason of the failure is kept separately.
    fn explained(&self, fault: TransactionFault) -> TransactionFault {
        match self
            .producer()
            .ok()
            .and_then(|producer| producer.client().fatal_error())
        {
            Some((code, reason)) => fatal_fault(code, &reason, &self.options.transactional_id),
            None => fault,
        }
    }

    fn commit(&self, deadline: Deadline) -> Result<(), PublishError> {
        loop {
            let Err(error) = self.producer()?.commit_transaction(deadline.slice(SLICE)) else {
                return Ok(());
            };
            match &error {
                KafkaError::Transaction(answer) if answer.txn_requires_abort() => {
                    self.abort();
                    return Err(not_committed(self.fault(&error)));
                }
                // The same call with the same arguments continues where the last one stopped.
                KafkaError::Transaction(answer) if answer.is_retriable() && !self.over(deadline) => {}
                KafkaError::Flush(_) if !self.over(deadline) => {}
                _ => {
                    return Err(match self.fault(&error) {
                        TransactionFault::Final(error) => error,
                        TransactionFault::Passing(reason) | TransactionFault::Broken(reason) => {
                            PublishError::Unknown { reason }
                        }
                    });
                }
            }
        }
    }

    /// Waits briefly until all events of the library have been handled.
    fn served(&self) -> Result<(), PublishError> {
        let moment = Deadline::after(MOMENT);
        while self.producer()?.in_flight_count() > 0 && !moment.passed() {
            thread::park_timeout(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Aborts the transaction if possible, so that readers need not wait for the broker to do it. Opening the next
    /// publisher does it in any case. Returns whether it worked.
    fn abort(&self) -> bool {
        let deadline = Deadline::after(ABORT);
        let Ok(producer) = self.producer() else {
            return false;
        };
        while let Err(error) = producer.abort_transaction(deadline.slice(SLICE)) {
            let again = matches!(&error, KafkaError::Transaction(answer) if answer.is_retriable());
            if !again || self.over(deadline) {
                tracing::debug!(%error, "transaction left for the next publisher to abort");
                return false;
            }
        }
        true
    }

    fn troubles(&self) -> Result<u64, PublishError> {
        Ok(self.deliveries()?.monitor().health().troubles())
    }

    fn over(&self, deadline: Deadline) -> bool {
        deadline.passed() || self.options.give_up.load(Ordering::Relaxed)
    }

    fn producer(&self) -> Result<&ThreadedProducer<Deliveries>, PublishError> {
        self.producer
            .as_ref()
            .ok_or_else(|| PublishError::Settings("the producer is closed".to_owned()))
    }

    fn alive(&self) -> Result<&ThreadedProducer<Deliveries>, TransactionFault> {
        self.producer().map_err(TransactionFault::Final)
    }

    fn deliveries(&self) -> Result<&Deliveries, PublishError> {
        Ok(self.producer()?.context())
    }

    fn deliveries_or_fault(&self) -> Result<&Deliveries, TransactionFault> {
        self.deliveries().map_err(TransactionFault::Final)
    }
}

impl Drop for TransactionalPublisher {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            drop_apart("relay", producer, CLOSE);
        }
    }
}

/// A fault before the commit was asked for: nothing of the transaction is visible or ever will be.
fn not_committed(fault: TransactionFault) -> PublishError {
    match fault {
        TransactionFault::Final(error) => error,
        TransactionFault::Passing(reason) | TransactionFault::Broken(reason) => PublishError::Aborted { reason },
    }
}

/// The topics of the records, each once: there are few, and usually a record has the topic of the previous one.
fn topics(records: &[&OutRecord]) -> Vec<Arc<str>> {
    let mut topics: Vec<Arc<str>> = Vec::new();
    for record in records {
        if !topics.iter().any(|topic| Arc::ptr_eq(topic, &record.topic)) && !topics.contains(&record.topic) {
            topics.push(Arc::clone(&record.topic));
        }
    }
    topics
}
