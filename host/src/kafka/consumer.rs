//! The consumer of one handler: a thread that polls, hands records over, and never skips.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use thiserror::Error;

use super::assignment::{Assignment, Topics, list};
use super::client::Monitor;
use super::health::KafkaHealth;
use super::rebalance::Member;
use super::record::owned;
use super::settings::KafkaSettings;
use super::wait::Deadline;
use crate::event::{Record, TopicPartition};
use crate::store::StoreError;

/// How long a poll blocks at most.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// The same while a partition is paused and may want to go on.
const POLL_PAUSED: Duration = Duration::from_millis(5);
/// How often the intake is asked for partitions to resume while records keep coming.
const RECORDS_PER_LOOK: u32 = 64;
/// How often the group is told our progress.
const TELL: Duration = Duration::from_secs(3);
/// How long a clean stop waits for the group to hear it.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long the search for the partition with a lost offset may take.
const SEARCH: Duration = Duration::from_secs(5);

/// Where to start reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its oldest record: the handler never committed anything of it.
    Beginning,
    /// At this offset.
    At(i64),
}

/// Whether a partition may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More records of this partition may come.
    Go,
    /// Pause the partition after this record, until [`Intake::resumed`] names it. Records that are under way already may
    /// still come: up to the next poll.
    Pause,
}

/// Takes what a consumer reads. All calls come from the consumer's thread, one after the other; none may block for long,
/// or the group throws the consumer out.
pub trait Intake: Send + Sync + 'static {
    /// Partitions were assigned: says where each starts, in the same order.
    ///
    /// # Errors
    /// [`StoreError`] if progress cannot be read; it ends the consumer.
    fn assigned(&self, partitions: &[TopicPartition]) -> Result<Vec<Start>, StoreError>;

    /// Partitions are taken away: returns, soon, when nothing of them can commit any more.
    fn revoked(&self, partitions: &[TopicPartition]);

    /// Takes a record of an assigned partition; offsets of a partition only grow while it is assigned.
    fn record(&self, record: Record) -> Flow;

    /// Paused partitions that may go on; each is named once.
    fn resumed(&self) -> Vec<TopicPartition>;

    /// The committed progress of each partition, for the group's offsets. Asked every few seconds, right after
    /// [`Intake::revoked`] (of the partitions just revoked, where they are still known), and at the end.
    fn offsets(&self) -> Vec<(TopicPartition, i64)>;

    /// The ends of the assigned partitions, as of up to two seconds ago: the offset after the last record.
    fn high_watermarks(&self, ends: &[(TopicPartition, i64)]);
}

/// What a consumer is told.
pub struct ConsumerOptions {
    /// The handler, for names and logs.
    pub handler: Arc<str>,
    /// The consumer group.
    pub group: String,
    /// The topics.
    pub topics: Vec<Arc<str>>,
    /// Who commits the group's offsets: goes with them as their metadata, for people who look. At most 200 bytes.
    pub signature: String,
    /// Called once, on the consumer's thread, before it closes, if the consumer ends by itself.
    pub on_fatal: Box<dyn FnOnce(&ConsumeError) + Send>,
}

/// Why a consumer cannot go on.
#[derive(Debug, Error)]
pub enum ConsumeError {
    /// The settings make no consumer.
    #[error("kafka consumer cannot be made: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// The thread cannot be started.
    #[error("thread of the consumer cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The next record is not there any more.
    #[error("{0}")]
    OffsetGone(String),
    /// The cluster does not allow it.
    #[error("not allowed to {what}: {reason}; grant it to the user of the host")]
    NotAllowed {
        /// What was tried.
        what: String,
        /// What Kafka said.
        reason: String,
    },
    /// Partitions could not be taken or given back.
    #[error("rebalance failed: {0}")]
    Rebalance(String),
    /// Progress could not be read.
    #[error("start of the partitions cannot be read: {0}")]
    Store(#[source] StoreError),
    /// The library gave up.
    #[error("kafka consumer failed: {0}")]
    Failed(String),
    /// The consumer was told to stop but did not within the given time; it is left behind.
    #[error("consumer of handler `{0}` did not leave its group in time; kafka will notice after `session.timeout.ms`")]
    NotClosed(Arc<str>),
}

#[derive(Default)]
struct Orders {
    quiesce: AtomicBool,
    stop: AtomicBool,
}

/// A running consumer.
pub struct ConsumerHandle {
    handler: Arc<str>,
    orders: Arc<Orders>,
    ended: Mutex<mpsc::Receiver<Result<(), ConsumeError>>>,
    thread: thread::JoinHandle<()>,
}

impl ConsumerHandle {
    /// Hands nothing over any more, but stays in the group, so that what is under way can be finished and committed.
    pub fn quiesce(&self) {
        self.orders.quiesce.store(true, Ordering::Relaxed);
    }

    /// Tells the group our progress once more, gives the partitions back and leaves; does not wait for it.
    pub fn stop(&self) {
        self.orders.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the consumer has ended.
    pub fn finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the consumer and waits until it has left its group.
    ///
    /// # Errors
    /// [`ConsumeError`] if it had ended by itself, or does not end within `patience`.
    pub fn join(self, patience: Duration) -> Result<(), ConsumeError> {
        self.stop();
        match self.ended.lock().recv_timeout(patience) {
            Ok(end) => end,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(ConsumeError::NotClosed(Arc::clone(&self.handler))),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ConsumeError::Failed(format!(
                "the thread of the consumer of `{}` panicked",
                self.handler
            ))),
        }
    }
}

/// Starts the consumer of a handler on a thread of its own.
///
/// # Errors
/// [`ConsumeError::Settings`] and [`ConsumeError::Thread`]. Whether Kafka can be reached is not known yet:
/// [`KafkaHealth`] will tell.
pub fn spawn_consumer(
    settings: &KafkaSettings,
    options: ConsumerOptions,
    intake: Arc<dyn Intake>,
    health: &Arc<KafkaHealth>,
) -> Result<ConsumerHandle, ConsumeError> {
    let member = Member {
        monitor: Monitor::new(health.client(&format!("consumer of {}", options.handler))),
        intake,
        topics: Topics::new(&options.topics),
        assignment: Mutex::new(Assignment::default()),
        fault: Mutex::new(None),
        last_reason: Mutex::default(),
        commits: Mutex::new(0),
        quiet: AtomicBool::new(false),
        signature: options.signature,
    };
    let consumer: BaseConsumer<Member> = settings
        .consumer(&options.group)
        .create_with_context(member)
        .map_err(|error| ConsumeError::Settings(error.to_string()))?;
    consumer
        .subscribe(&consumer.context().topics.names())
        .map_err(|error| ConsumeError::Settings(error.to_string()))?;
    let orders = Arc::new(Orders::default());
    let (end, ended) = mpsc::channel();
    let polling = Polling {
        consumer,
        orders: Arc::clone(&orders),
        group: options.group,
        told: Instant::now(),
        unlooked: 0,
    };
    let on_fatal = options.on_fatal;
    let thread = thread::Builder::new()
        .name(format!("consume {}", options.handler))
        .spawn(move || {
            let outcome = polling.run(on_fatal);
            // Nobody may be waiting any more.
            drop(end.send(outcome));
        })?;
    Ok(ConsumerHandle {
        handler: options.handler,
        orders,
        ended: Mutex::new(ended),
        thread,
    })
}

struct Polling {
    consumer: BaseConsumer<Member>,
    orders: Arc<Orders>,
    group: String,
    told: Instant,
    unlooked: u32,
}

impl Polling {
    /// Closing the consumer can hang for as long as the cluster is silent; it happens on this thread, which nobody but
    /// [`ConsumerHandle::join`] waits for.
    fn run(mut self, on_fatal: Box<dyn FnOnce(&ConsumeError) + Send>) -> Result<(), ConsumeError> {
        let outcome = self.poll_until_stopped();
        match &outcome {
            Ok(()) => self.last_word(),
            Err(error) => on_fatal(error),
        }
        drop(self.consumer);
        outcome
    }

    fn member(&self) -> &Member {
        self.consumer.context()
    }

    fn poll_until_stopped(&mut self) -> Result<(), ConsumeError> {
        while !self.orders.stop.load(Ordering::Relaxed) {
            if self.orders.quiesce.load(Ordering::Relaxed) {
                self.quiesce();
            }
            let wait = if self.member().assignment.lock().any_paused() {
                POLL_PAUSED
            } else {
                POLL
            };
            let idle = match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    self.take(&message)?;
                    false
                }
                Some(Err(error)) => {
                    self.judge(&error)?;
                    true
                }
                None => true,
            };
            if let Some(fault) = self.member().fault.lock().take() {
                return Err(fault);
            }
            self.unlooked += 1;
            if idle || self.unlooked >= RECORDS_PER_LOOK {
                self.unlooked = 0;
                self.look_around()?;
            }
        }
        Ok(())
    }

    fn take(&self, message: &BorrowedMessage<'_>) -> Result<(), ConsumeError> {
        let member = self.member();
        if member.quiet.load(Ordering::Relaxed) {
            return Ok(());
        }
        let source = {
            let mut assignment = member.assignment.lock();
            let slot = assignment.find(message.topic(), message.partition());
            let Some(slot) = slot.filter(|slot| message.offset() >= slot.next) else {
                // Of a partition that was taken away, or handed over before: progress accounts for it elsewhere.
                tracing::debug!(
                    topic = message.topic(),
                    partition = message.partition(),
                    offset = message.offset(),
                    "late record dropped"
                );
                return Ok(());
            };
            slot.next = message.offset() + 1;
            slot.partition.clone()
        };
        if member.intake.record(owned(message, source)) == Flow::Go {
            return Ok(());
        }
        let mut assignment = member.assignment.lock();
        match assignment.find(message.topic(), message.partition()) {
            // Pausing throws the prefetched records away, so it is done once and not for each late record.
            Some(slot) if !slot.paused => {
                slot.paused = true;
                let partition = list([&slot.partition]);
                self.consumer
                    .pause(&partition)
                    .map_err(|error| ConsumeError::Failed(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Everything that need not happen at each record.
    fn look_around(&mut self) -> Result<(), ConsumeError> {
        self.member().monitor.health().polled();
        let resumed = self.member().intake.resumed();
        if !resumed.is_empty() && !self.member().quiet.load(Ordering::Relaxed) {
            self.resume(&resumed)?;
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell_group();
        }
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        let mut assignment = self.member().assignment.lock();
        let mut going = Vec::new();
        for partition in partitions {
            // A partition that was revoked meanwhile is not ours to resume.
            if let Some(slot) = assignment.find(&partition.topic, partition.partition)
                && slot.paused
            {
                slot.paused = false;
                going.push(partition);
            }
        }
        if going.is_empty() {
            return Ok(());
        }
        self.consumer
            .resume(&list(going))
            .map_err(|error| ConsumeError::Failed(error.to_string()))
    }

    fn quiesce(&self) {
        let member = self.member();
        if member.quiet.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut assignment = member.assignment.lock();
        let all: Vec<_> = assignment
            .slots()
            .filter(|slot| !slot.paused)
            .map(|slot| slot.partition.clone())
            .collect();
        if let Err(error) = self.consumer.pause(&list(&all)) {
            // What still comes is dropped unseen.
            tracing::debug!(%error, "partitions cannot be paused");
        }
    }

    fn tell_group(&self) {
        let member = self.member();
        member.tell_group(&self.consumer, |partition| {
            member
                .assignment
                .lock()
                .find(&partition.topic, partition.partition)
                .is_some()
        });
    }

    /// The group's offsets at the end of a clean stop. Not the library's own waiting commit, which has no deadline.
    fn last_word(&self) {
        self.quiesce();
        self.tell_group();
        let deadline = Deadline::after(LAST_WORD);
        while *self.member().commits.lock() > 0 && !deadline.passed() {
            drop(self.consumer.poll(deadline.slice(POLL)));
        }
    }

    /// Ends the consumer for what will not pass; everything else the library retries by itself, and health shows it.
    fn judge(&self, error: &KafkaError) -> Result<(), ConsumeError> {
        use RDKafkaErrorCode as Code;
        let reason = self.member().last_reason.lock().clone();
        let refused = |what: String| {
            Err(ConsumeError::NotAllowed {
                what,
                reason: reason.clone(),
            })
        };
        match (error, error.rdkafka_error_code()) {
            (_, Some(Code::AutoOffsetReset | Code::LogTruncation | Code::OffsetOutOfRange)) => {
                Err(ConsumeError::OffsetGone(self.lost_offset(&reason)))
            }
            (_, Some(Code::TopicAuthorizationFailed)) => refused("read the topics of the handler".to_owned()),
            (_, Some(Code::GroupAuthorizationFailed)) => refused(format!("join the group `{}`", self.group)),
            (KafkaError::MessageConsumptionFatal(code), _) => Err(ConsumeError::Failed(format!(
                "{code}: {reason} (group `{}`)",
                self.group
            ))),
            (_, Some(Code::PollExceeded | Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {
                tracing::warn!(group = %self.group, "{reason}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The library says that an offset is gone, but not of which partition.
    fn lost_offset(&self, reason: &str) -> String {
        let deadline = Deadline::after(SEARCH);
        let slots: Vec<(TopicPartition, i64, Start)> = {
            let mut assignment = self.member().assignment.lock();
            assignment
                .slots()
                .map(|slot| (slot.partition.clone(), slot.next, slot.start))
                .collect()
        };
        let mut lost = Vec::new();
        for (partition, next, start) in slots {
            let ends = self
                .consumer
                .fetch_watermarks(&partition.topic, partition.partition, deadline.left());
            if let Ok((low, high)) = ends
                && (next < low || next > high)
                && (start != Start::Beginning || next > 0)
            {
                lost.push(format!("{partition} offset {next} (it has {low} to {high})"));
            }
        }
        let lost = if lost.is_empty() {
            reason.to_owned()
        } else {
            lost.join(", ")
        };
        format!(
            "the next record to read is gone: {lost}. Retention deleted it, or the topic was made anew; going on would \
             lose events silently. Restore the topic, or, if the loss is accepted, start the handler over under a new \
             group and state"
        )
    }
}
