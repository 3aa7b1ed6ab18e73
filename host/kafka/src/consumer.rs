//! A consumer: a member of its group on a thread of its own, for one handler, or for several of the same group.

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
use super::outage::LastOutage;
use super::polling::{ConsumerHistory, OnFatal, Polling, PollingEnd};
use super::rebalance::Member;
use super::renewal::Renewals;
use super::served::{HandlerTopics, Served};
use super::settings::KafkaSettings;
use super::stall::Stalls;
use sandman_core::broker::Intake;

/// The options of a consumer.
pub struct ConsumerOptions {
    /// Its handlers; at least one.
    pub handlers: Vec<HandlerTopics>,
    /// The consumer group.
    pub group: String,
    /// The name of this static member of the group, which stays the same across restarts: a member that joins under it
    /// gets the partitions of the previous one at once, and the previous one is fenced. At most 249 characters, those
    /// of a topic's name.
    pub member: String,
    /// Begin at the start where the store has no progress, even if the group has offsets of this store.
    pub adopt: bool,
    /// Called on the consumer's thread with the handlers that consume nothing any more: all of them, before it closes, if
    /// it ends on its own; one, if the others can go on without it.
    pub on_fatal: OnFatal,
}

/// A running consumer.
pub struct ConsumerHandle {
    name: String,
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

    /// Reads for these handlers from now on, among them those that stay. The others' work is committed or given up first;
    /// the group assigns the partitions again.
    pub fn serve(&self, handlers: Vec<HandlerTopics>, intake: Arc<dyn Intake>) {
        *self.orders.served.lock() = Some((Served::new(handlers), intake));
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
            Err(mpsc::RecvTimeoutError::Timeout) => Err(ConsumeError::NotClosed(self.name.clone())),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ConsumeError::Failed(format!(
                "the thread of the consumer of `{}` panicked",
                self.name
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

/// Starts a consumer on a thread of its own.
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
    let served = Served::new(options.handlers);
    let name = served.listed();
    let mut make = ConsumerParts {
        served: served.clone(),
        group: options.group,
        name: options.member,
        on_fatal: options.on_fatal,
        adopt: options.adopt,
        settings: settings.clone(),
        intake,
        health: Arc::clone(health),
    };
    let orders = Arc::new(Orders::default());
    let kept = ConsumerHistory {
        doubts: Doubts::new(served, settings.clone(), Arc::clone(health)),
        renewals: Renewals::new(),
        stalls: Stalls::default(),
    };
    let first = make.polling(&orders, (kept, false))?;
    let (end, ended) = mpsc::channel();
    let told = Arc::clone(&orders);
    let thread = thread::Builder::new().name(format!("consume {name}")).spawn(move || {
        let outcome = make.run(first, &told);
        // The receiver may be gone.
        drop(end.send(outcome));
    })?;
    Ok(ConsumerHandle {
        name,
        orders,
        ended: Mutex::new(ended),
        thread,
    })
}

/// Everything that is needed to create a consumer, and to create it again.
struct ConsumerParts {
    served: Served,
    group: String,
    name: String,
    on_fatal: OnFatal,
    adopt: bool,
    settings: KafkaSettings,
    intake: Arc<dyn Intake>,
    health: Arc<KafkaHealth>,
}

impl ConsumerParts {
    fn run(&mut self, first: Polling, orders: &Arc<Orders>) -> Result<(), ConsumeError> {
        let mut polling = first;
        loop {
            let (mut kept, without) = match polling.run(&self.on_fatal) {
                PollingEnd::Over(outcome) => return outcome,
                PollingEnd::Replacement(kept, without) => (*kept, without),
            };
            if let Some((served, intake)) = orders.served.lock().take() {
                (self.served, self.intake) = (served, intake);
                kept.doubts.serve(&self.served);
            } else if let Some(without) = without {
                self.served = self.served.without(&without);
                kept.doubts.serve(&self.served);
            }
            polling = self.polling(orders, (kept, true))?;
        }
    }

    /// A consumer that has not joined its group yet; `anew` if it replaces another one.
    fn polling(&self, orders: &Arc<Orders>, (kept, anew): (ConsumerHistory, bool)) -> Result<Polling, ConsumeError> {
        let member = Member {
            monitor: Monitor::new(self.health.client(&format!("consumer of {}", self.served.listed()))),
            intake: Arc::clone(&self.intake),
            topics: SubscribedTopics::new(&self.served.topics()),
            served: self.served.clone(),
            assignment: Mutex::new(Assignment::default()),
            fault: Mutex::new(None),
            last_reason: Mutex::default(),
            quiet: AtomicBool::new(false),
            adopt: self.adopt,
            again: AtomicBool::new(false),
            outage: LastOutage::default(),
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
