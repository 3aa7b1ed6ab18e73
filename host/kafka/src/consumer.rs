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
use super::polling::{Kept, OnFatal, Polling, PollingEnd};
use super::rebalance::Member;
use super::renewal::Renewals;
use super::settings::KafkaSettings;
use sandman_core::broker::Intake;

/// What a consumer is told.
pub struct ConsumerOptions {
    /// The handler, for names and logs.
    pub handler: Arc<str>,
    /// The consumer group.
    pub group: String,
    /// The name of this member of the group, which is its own over restarts: one that joins under it has the partitions of
    /// the one before it at once, and that one is fenced. At most 249 of the characters of a topic's name.
    pub member: String,
    /// The topics.
    pub topics: Vec<Arc<str>>,
    /// Who commits the group's offsets, the store above all: goes with them as their metadata, and is how a store that has
    /// lost its progress is found out. At most 200 bytes.
    pub signature: String,
    /// Begin anew where the store has no progress, even if it has told the group of some.
    pub adopt: bool,
    /// Called once, on the consumer's thread, before it closes, if the consumer ends by itself.
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
    /// Hands nothing over any more, but stays in the group, so that what is under way can be finished and committed.
    pub fn quiesce(&self) {
        self.orders.quiesce.store(true, Ordering::Relaxed);
    }

    /// Leaves the group and joins it, so that it divides its partitions anew.
    pub fn rejoin(&self) {
        self.orders.rejoin.store(true, Ordering::Relaxed);
    }

    /// Stops, and leaves the group for good: nobody waits for this member's return. Does not wait for it.
    pub fn leave(&self) {
        self.orders.leave.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Tells the group our progress once more and closes; does not wait for it. The group keeps the partitions for the next
    /// member of the same name until `session.timeout.ms` is over.
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
    /// [`ConsumeError`] if it had ended by itself, or does not end within `patience`.
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
    /// A consumer that nobody holds any more ends by itself.
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
    let make = Making {
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
    let kept = Kept {
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
            // Nobody may be waiting any more.
            drop(end.send(outcome));
        })?;
    Ok(ConsumerHandle {
        handler,
        orders,
        ended: Mutex::new(ended),
        thread,
    })
}

/// Everything that a consumer is made of, and made of again.
struct Making {
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

impl Making {
    fn run(&self, first: Polling, orders: &Arc<Orders>, mut on_fatal: Option<OnFatal>) -> Result<(), ConsumeError> {
        let mut polling = first;
        loop {
            let kept = match polling.run(&mut on_fatal) {
                PollingEnd::Over(outcome) => return outcome,
                PollingEnd::Anew(kept) => kept,
            };
            polling = self.polling(orders, (kept, true))?;
        }
    }

    /// A consumer that has joined nothing yet; `anew` where another one had the group's partitions before.
    fn polling(&self, orders: &Arc<Orders>, (kept, anew): (Kept, bool)) -> Result<Polling, ConsumeError> {
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
