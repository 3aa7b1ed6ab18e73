//! The consumer of one handler: a member of its group on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::assignment::{Assignment, SubscribedTopics};
use super::client::Monitor;
use super::consume_error::ConsumeError;
use super::doubt::Doubts;
use super::health::KafkaHealth;
use super::orders::Orders;
use super::polling::{ConsumerHistory, OnFatal, Polling, PollingEnd};
use super::rebalance::Member;
use super::renewal::Renewals;
use super::settings::KafkaSettings;
use sandman_core::broker::Intake;

/// The options of a consumer.
pub struct ConsumerOptions {
    /// The handler, for names and logs.
    pub handler: Arc<str>,
    /// The consumer group.
    pub group: String,
    /// The name of this static member of the group, which stays the same across restarts: a member that joins under it
    /// gets the partitions of the previous one at once, and the previous one is fenced. At most 249 characters, those
    /// of a topic's name.
    pub member: String,
    /// The topics.
    pub topics: Vec<Arc<str>>,
    /// Identifies the store in the metadata of the group's offsets, so that a store that has lost its progress is
    /// detected. At most 200 bytes.
    pub signature: String,
    /// Begin at the start where the store has no progress, even if the group has offsets of this store.
    pub adopt: bool,
    /// Called once, on the consumer's thread, before it closes, if the consumer ends on its own.
    pub on_fatal: Box<dyn FnOnce(&ConsumeError) + Send>,
}

/// A running consumer.
pub struct ConsumerHandle {
    handler: Arc<str>,
    orders: Arc<Orders>,
    ended: Mutex<mpsc::Receiver<Result<(), ConsumeError>>>,
    thread: thread::JoinHandle<()>,
}

impl ConsumerHandle {
    /// Stops handing over records, but stays in the group, so that work in progress can be finished and committed.
    pub fn quiesce(&self) {
        self.orders.quiesce.store(true, Ordering::Relaxed);
    }

    /// Leaves the group and rejoins, so that it assigns its partitions again.
    pub fn rejoin(&self) {
        self.orders.rejoin.store(true, Ordering::Relaxed);
    }

    /// Stops and leaves the group for good: the group does not wait for this member's return. Returns at once.
    pub fn leave(&self) {
        self.orders.leave.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Commits our progress to the group once more and closes; does not wait for it. The group keeps the partitions for
    /// the next member of the same name until `session.timeout.ms` is over.
    pub fn stop(&self) {
        self.orders.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the consumer has ended.
    pub fn finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the consumer and waits until it has ended.
    ///
    /// # Errors
    /// [`ConsumeError`] if it has ended on its own, or does not end within `patience`.
    pub fn join(self, patience: Duration) -> Result<(), ConsumeError> {
        self.stop();
        match self.ended.lock().recv_timeout(patience) {
            Ok(end) => end,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(ConsumeError::NotClosed(self.handler.clone())),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ConsumeError::Failed(format!(
                "the thread of the consumer of `{}` panicked",
                self.handler
            ))),
        }
    }
}

impl Drop for ConsumerHandle {
    /// The consumer ends when its handle is dropped.
    fn drop(&mut self) {
        self.stop();
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
    let ConsumerOptions { handler, on_fatal, .. } = options;
    let make = ConsumerParts {
        handler: Arc::clone(&handler),
        group: options.group,
        name: options.member,
        topics: options.topics,
        signature: options.signature,
        adopt: options.adopt,
        settings: settings.clone(),
        intake,
        health: Arc::clone(health),
    };
    let orders = Arc::new(Orders::default());
    let kept = ConsumerHistory {
        doubts: Doubts::new(Arc::clone(&handler), settings.clone(), Arc::clone(health)),
        renewals: Renewals::new(),
    };
    let first = make.polling(&orders, (kept, false))?;
    let (end, ended) = mpsc::channel();
    let told = Arc::clone(&orders);
    let thread = thread::Builder::new()
        .name(format!("consume {handler}"))
        .spawn(move || {
            let outcome = make.run(first, &told, Some(on_fatal));
            // The receiver may be gone.
            drop(end.send(outcome));
        })?;
    Ok(ConsumerHandle {
        handler,
        orders,
        ended: Mutex::new(ended),
        thread,
    })
}

/// Everything that is needed to create a consumer, and to create it again.
struct ConsumerParts {
    handler: Arc<str>,
    group: String,
    name: String,
    topics: Vec<Arc<str>>,
    signature: String,
    adopt: bool,
    settings: KafkaSettings,
    intake: Arc<dyn Intake>,
    health: Arc<KafkaHealth>,
}

impl ConsumerParts {
    fn run(&self, first: Polling, orders: &Arc<Orders>, mut on_fatal: Option<OnFatal>) -> Result<(), ConsumeError> {
        let mut polling = first;
        loop {
            let kept = match polling.run(&mut on_fatal) {
                PollingEnd::Over(outcome) => return outcome,
                PollingEnd::Replacement(kept) => kept,
            };
            polling = self.polling(orders, (kept, true))?;
        }
    }

    /// A consumer that has not joined its group yet; `anew` if it replaces another one.
    fn polling(&self, orders: &Arc<Orders>, (kept, anew): (ConsumerHistory, bool)) -> Result<Polling, ConsumeError> {
        let member = Member {
            monitor: Monitor::new(self.health.client(&format!("consumer of {}", self.handler))),
            intake: Arc::clone(&self.intake),
            topics: SubscribedTopics::new(&self.topics),
            assignment: Mutex::new(Assignment::default()),
            fault: Mutex::new(None),
            last_reason: Mutex::default(),
            quiet: AtomicBool::new(false),
            signature: self.signature.clone(),
            adopt: self.adopt,
            again: AtomicBool::new(false),
            lost: Mutex::default(),
            unanswered: AtomicBool::new(anew),
            fetched_by: Mutex::default(),
        };
        let consumer: BaseConsumer<Member> = self
            .settings
            .consumer(&self.group, &self.name)
            .create_with_context(member)
            .map_err(|error| ConsumeError::Settings(error.to_string()))?;
        consumer
            .subscribe(&consumer.context().topics.names())
            .map_err(|error| ConsumeError::Settings(error.to_string()))?;
        Ok(Polling::new(consumer, Arc::clone(orders), self.group.clone(), kept))
    }
}
