//! The relay: publishes the outbox to Kafka, in commit order, each batch exactly once for a read-committed consumer.
//!
//! Each Kafka transaction carries whole batches and the cursor that names the last of them. After a crash, or when the
//! outcome of a transaction is not known, the cursor tells what is visible; the relay continues after it.

mod held;
mod pace;
mod publish;
mod reconcile;
#[cfg(test)]
mod tests;
mod unended;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use metrics::Counter;
use thiserror::Error;

use crate::alarm::Alarm;
use crate::health::HealthView;
use crate::meters::{Meters, TopicMeters};
use crate::outbox::OutboxFeed;
use sandman_core::broker::{Broker, Cursor, CursorError, PublishError, Published, Publisher, TopicsError};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::store::{BatchNo, OutboxSize, ShardLease, ShardPublished, Store, StoreError};

use held::Held;
use pace::Pace;
pub use reconcile::CursorRefusal;
use reconcile::{Resume, provisional, reconcile};

/// How long the relay waits for a commit before it looks for other things to do.
const PATIENCE: Duration = Duration::from_millis(200);

/// The first and the longest wait after a failure; each wait is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why the relay cannot continue.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The deployment's cursor and the store do not belong together.
    #[error(transparent)]
    Refused(#[from] CursorRefusal),
    /// The cursor cannot be read.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// Topics are missing.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// Kafka refused something.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The outbox cannot be read, or the store not be taken over.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RelayError {
    /// Whether waiting and trying again may help. If not, the host must stop.
    fn passes(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Cursor(error) => matches!(error, CursorError::Unreachable { .. }),
            Self::Topics(error) => matches!(error, TopicsError::Unreachable { .. }),
            // A missing topic, a record that is too large and a missing permission are fixed by somebody else; nothing
            // is lost in the meantime. A relay that was fenced, by another producer or by a transaction that took too
            // long, reads the cursor before it opens a new publisher: if another store owns the deployment now, it
            // stops there.
            Self::Publish(error) => !matches!(error, PublishError::Settings(_)),
            Self::Store(error) => matches!(error, StoreError::Unavailable(_)),
        }
    }
}

/// The relay of a shard.
pub struct Relay {
    /// The cluster.
    pub broker: Box<dyn Broker>,
    /// `[host] deployment`: names the cursor's topic and the transactional id.
    pub deployment: String,
    /// Whether it may take over a deployment that does not belong to the store: only until a relay of this shard has
    /// published or has found the deployment to be its own, so that a later takeover by another host is final, also if
    /// this host loses the shard and gets it back. (Kafka may confirm the takeover before it is visible.)
    pub adopt: Arc<AtomicBool>,
    /// The store whose outbox is published.
    pub store: Arc<dyn Store>,
    /// The lease of the shard that this relay publishes.
    pub lease: ShardLease,
    /// Has the batches to publish, and is told what was published.
    pub outbox: Arc<OutboxFeed>,
    /// Counts what is published.
    pub meters: Arc<Meters>,
    /// Raised when the relay cannot continue.
    pub alarm: Alarm,
    /// Ends the relay once the outbox is empty.
    pub drain: Arc<AtomicBool>,
    /// Told which topics are held.
    pub view: Arc<HealthView>,
    /// Ends the relay at once.
    pub give_up: Arc<AtomicBool>,
    /// Told once, when the deployment is known to be ours and consuming may begin.
    pub ready: Sender<()>,
}

impl Relay {
    /// Runs the relay: takes over the deployment and publishes until it is told to stop.
    pub fn run(self) {
        let mut state = RelayState {
            open: None,
            topics: Topics::default(),
            progress: RelayProgress {
                confirmed: 0,
                began: false,
                told: 0,
            },
            held: Held::default(),
            pace: Pace::default(),
        };
        let mut wait = FIRST_WAIT;
        while !self.give_up.load(Ordering::Relaxed) {
            match self.step(&mut state) {
                Ok(StepResult::Publish) => wait = FIRST_WAIT,
                Ok(StepResult::Nothing) => {
                    if self.drain.load(Ordering::Relaxed) {
                        return;
                    }
                    self.outbox.wait(self.lease.shard, PATIENCE);
                }
                Err(error) if error.passes() => {
                    self.meters.host.relay_failures.increment(1);
                    tracing::warn!(%error, brokers = self.broker.address(), ?wait, "publishing waits");
                    // A late request of the old publisher could affect the next transaction: never continue with it.
                    state.open = None;
                    state.pace.failed();
                    self.rest(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => {
                    self.meters.host.relay_failures.increment(1);
                    self.alarm.raise(&error);
                    return;
                }
            }
        }
    }

    /// Waits, but not after it is told to give up.
    fn rest(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while !self.give_up.load(Ordering::Relaxed) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn count<'a>(
        &self,
        topics: &mut Topics,
        records: impl Iterator<Item = &'a OutRecord>,
        counter: fn(&TopicMeters) -> &Counter,
    ) {
        let mut counts: Vec<(&Arc<str>, u64)> = Vec::new();
        for record in records {
            // Few topics, and one name for all records of a topic.
            match counts.iter_mut().find(|(topic, _)| Arc::ptr_eq(topic, &record.topic)) {
                Some((_, count)) => *count += 1,
                None => counts.push((&record.topic, 1)),
            }
        }
        for (topic, count) in counts {
            let known = topics.entry(Arc::clone(topic));
            counter(known.or_insert_with(|| self.meters.topic(topic))).increment(count);
        }
    }

    /// The cursor at this batch, with no topic held.
    fn cursor(&self, batch: BatchNo) -> Cursor {
        Cursor {
            store: self.store.id().to_string(),
            batch,
            held: BTreeMap::new(),
        }
    }

    /// Takes over the deployment: reads the cursor first, in order not to fence its rightful owner, and again when
    /// nobody else can move it any more.
    fn open(&self, progress: RelayProgress, held: &mut Held) -> Result<Open, RelayError> {
        provisional(self.found(self.size(progress)?)?)?;
        let created = match self.broker.prepare() {
            // A topic that was deleted while the host runs, and cannot be created again, holds up only its own records.
            Err(error @ (TopicsError::NotAllowed(_) | TopicsError::Refused { .. })) if progress.began => {
                tracing::warn!(%error, "publishing continues with the topics that exist");
                Vec::new()
            }
            prepared => prepared?,
        };
        if !created.is_empty() {
            tracing::info!(topics = created.join(", "), "topics created");
        }
        let mut publisher = self.broker.publisher()?;
        let settled = self.settled(&mut *publisher, progress)?;
        if publisher.is_spent() {
            return self.open(progress, held);
        }
        let after = match settled {
            Resume::Behind(mut batch) => {
                faults::alter(Step::Begun, &mut batch);
                self.adopt.store(false, Ordering::Relaxed);
                let cursor = self.broker.cursor()?;
                held.reread(cursor.map(|cursor| cursor.held).unwrap_or_default(), Instant::now());
                batch
            }
            Resume::Claim { batch, raise } => {
                if raise {
                    self.store.adopt(self.lease.shard, batch)?;
                }
                // From there on, waiting batches are published to all topics.
                *held = Held::default();
                tracing::info!(deployment = self.deployment, store = %self.store.id(), batch, "this store takes the deployment");
                if publisher.publish(&mut [].iter(), &self.cursor(batch))? == Published::Reopen {
                    return self.open(progress, held);
                }
                batch
            }
        };
        let OutboxSize {
            published: covered,
            claimed,
            ..
        } = self.store.outbox_size(self.lease.shard)?;
        if !claimed {
            self.store.claimed(self.lease.shard)?;
        }
        let published = held.published(after);
        if published > covered {
            // Published before a crash, but not yet recorded in the store.
            self.published(published);
        }
        Ok(Open { publisher, after })
    }

    /// The next commit tells the store that batches up to this one are in Kafka.
    fn published(&self, batch: BatchNo) {
        self.outbox.published(ShardPublished {
            shard: self.lease.shard,
            epoch: self.lease.epoch,
            batch,
        });
    }

    /// Compares the cursor with the store.
    fn found(&self, size: OutboxSize) -> Result<Result<Resume, CursorRefusal>, RelayError> {
        let cursor = self.broker.cursor()?;
        let size = self.until_read(size, cursor.as_ref())?;
        Ok(self.compared(cursor.as_ref(), size))
    }

    fn compared(&self, cursor: Option<&Cursor>, size: OutboxSize) -> Result<Resume, CursorRefusal> {
        reconcile(cursor, &self.store.id().0, size, self.adopt.load(Ordering::Relaxed))
    }

    /// The outbox including commits up to the time at which the cursor was read: in a fleet another host may have
    /// published them in the meantime, and then the store is not too old. It is if no batch has the cursor's number, however
    /// many have a higher one.
    fn until_read(&self, size: OutboxSize, cursor: Option<&Cursor>) -> Result<OutboxSize, RelayError> {
        let (Some(Cursor { batch, .. }), shard) = (cursor, self.lease.shard) else {
            return Ok(size);
        };
        let last = match self.store.skipped(shard, *batch)? {
            Some(before) => before,
            None if *batch <= size.last => size.last,
            None => self.store.outbox_size(shard)?.last,
        };
        Ok(OutboxSize { last, ..size })
    }

    /// The outbox, including what Kafka has confirmed to this process and the store does not know yet.
    fn size(&self, progress: RelayProgress) -> Result<OutboxSize, RelayError> {
        let size = self.store.outbox_size(self.lease.shard)?;
        Ok(OutboxSize {
            published: size.published.max(progress.confirmed),
            ..size
        })
    }
}

/// Handles by topic, created at a topic's first record.
type Topics = HashMap<Arc<str>, TopicMeters>;

/// The state of the relay.
struct RelayState {
    /// `None` before the first publisher, and if the last one cannot be used again.
    open: Option<Open>,
    topics: Topics,
    progress: RelayProgress,
    held: Held,
    pace: Pace,
}

/// What this process knows besides the cursor and the store.
#[derive(Clone, Copy)]
struct RelayProgress {
    /// The last batch that Kafka has confirmed to it: the next commit tells the store.
    confirmed: BatchNo,
    /// Whether the deployment has been ours before.
    began: bool,
    /// The last batch that is published to all topics, held ones included: the store drops batches up to it.
    told: BatchNo,
}

struct Open {
    publisher: Box<dyn Publisher>,
    /// The last batch that is visible.
    after: BatchNo,
}

enum StepResult {
    Publish,
    Nothing,
}
