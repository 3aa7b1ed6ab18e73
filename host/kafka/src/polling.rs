//! The loop of a consumer: polls, hands records over, and never skips.

mod errors;
mod lost_offset;
mod stalled;
mod telling;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};

use super::assignment::list;
use super::consume_error::ConsumeError;
use super::doubt::Doubts;
use super::orders::Orders;
use super::rebalance::Member;
use super::record::owned;
use super::renewal::Renewals;
use super::stall::Stalls;
use super::wait::{Deadline, POLL, drop_apart};
use sandman_core::broker::Flow;
use sandman_core::event::TopicPartition;

/// The same when nothing has come for a while: a host may have hundreds of idle handlers.
const POLL_QUIET: Duration = Duration::from_secs(1);
/// After this many empty polls, about ten seconds.
const QUIET: u32 = 100;
/// The same while a partition is paused and may have to be resumed.
const POLL_PAUSED: Duration = Duration::from_millis(5);
/// How often the intake is asked for partitions to resume while records keep coming.
const RECORDS_PER_LOOK: u32 = 64;
/// How often our progress is committed to the group.
const TELL: Duration = Duration::from_secs(3);
/// How often the intake is told the read positions.
const POSITIONS: Duration = Duration::from_secs(1);
/// How long a consumer that leaves its group for good continues to poll, so that the group is told before it closes.
const LEAVE: Duration = Duration::from_secs(1);
/// How long closing a consumer may hold up its replacement.
const CLOSE: Duration = Duration::from_secs(3);

/// Called with the handlers that consume nothing any more, and why.
pub(super) type OnFatal = Box<dyn Fn(&[Arc<str>], &ConsumeError) + Send>;

/// A consumer and its loop.
pub(super) struct Polling {
    consumer: BaseConsumer<Member>,
    orders: Arc<Orders>,
    group: String,
    told: Instant,
    positioned: Instant,
    unlooked: u32,
    /// Polls since something came.
    quiet: u32,
    kept: ConsumerHistory,
}

/// The data of a consumer that its replacement takes over.
pub(super) struct ConsumerHistory {
    pub(super) doubts: Doubts,
    pub(super) renewals: Renewals,
    pub(super) stalls: Stalls,
}

/// How a consumer ended.
pub(super) enum PollingEnd {
    /// For good.
    Over(Result<(), ConsumeError>),
    /// It is to be replaced, without this handler.
    Replacement(Box<ConsumerHistory>, Option<Arc<str>>),
}

/// Why it is to be replaced.
#[derive(Clone, Copy, Debug)]
enum Replacement {
    Fenced,
    Unanswered,
    /// The library has stopped reading a partition.
    Stalled,
    /// One of several handlers cannot go on, or there are others from now on.
    OtherHandlers,
}

impl Polling {
    pub(super) fn new(
        consumer: BaseConsumer<Member>,
        orders: Arc<Orders>,
        group: String,
        kept: ConsumerHistory,
    ) -> Self {
        Self {
            consumer,
            orders,
            group,
            told: Instant::now(),
            positioned: Instant::now(),
            unlooked: 0,
            quiet: 0,
            kept,
        }
    }

    /// Closing the consumer can hang as long as the cluster does not answer; it happens on this thread, for which only
    /// [`ConsumerHandle::join`] waits, or on a separate one if the consumer is replaced.
    pub(super) fn run(mut self, on_fatal: &OnFatal) -> PollingEnd {
        let outcome = self.poll_until_stopped();
        if !self.orders.stop.load(Ordering::Relaxed) {
            let at_fault = outcome.as_ref().err().and_then(|error| self.alone_at_fault(error));
            let anew = match &outcome {
                Ok(why) => *why,
                Err(ConsumeError::Fenced(_)) if self.fenced_itself() => Some(Replacement::Fenced),
                Err(error) => at_fault.as_ref().map(|handler| {
                    on_fatal(std::slice::from_ref(handler), error);
                    Replacement::OtherHandlers
                }),
            };
            if let Some(why) = anew {
                return PollingEnd::Replacement(Box::new(self.give_back(why)), at_fault);
            }
        }
        match &outcome {
            Ok(_) => self.last_word(),
            Err(error) => {
                on_fatal(&self.member().served.names(), error);
            }
        }
        if self.orders.leave.load(Ordering::Relaxed) {
            self.leave();
        }
        drop(self.consumer);
        PollingEnd::Over(outcome.map(drop))
    }

    /// Whether this consumer has fenced itself. After an outage the library joins under a new member id, and a request
    /// of the former one that it sends again is refused as that of a fenced member; so are offset commits that waited
    /// for the coordinator, which it sends without a member id. A second host fences a member whose session is alive;
    /// if it came during an outage, the next refusal reveals it.
    fn fenced_itself(&self) -> bool {
        self.member().outage.is_recent()
    }

    /// The handler whose topic has the error, if others can go on without it.
    fn alone_at_fault(&self, error: &ConsumeError) -> Option<Arc<str>> {
        let served = &self.member().served;
        let topic = error.topic().filter(|_| served.is_shared())?;
        Some(Arc::clone(&served.of_topic(topic)?.name))
    }

    fn has_other_handlers(&self) -> bool {
        self.orders.served.lock().is_some()
    }

    /// Gives its partitions back to the intake and closes the consumer, which may take a while: nothing more is handed over.
    fn give_back(self, why: Replacement) -> ConsumerHistory {
        let group = &*self.group;
        match why {
            Replacement::Fenced => tracing::warn!(
                group,
                "the group refuses this member after an outage, because one of its earlier requests came late; rejoining"
            ),
            Replacement::Unanswered => {
                tracing::warn!(group, "the group does not answer after the session was lost; rejoining")
            }
            // It was logged with the partition.
            Replacement::Stalled => {}
            Replacement::OtherHandlers => tracing::info!(group, "the handlers of this member have changed; rejoining"),
        }
        let left = self.member().assignment.lock().clear();
        if !left.is_empty() {
            self.member().intake.revoked(&left);
        }
        drop_apart("consumer", self.consumer, CLOSE);
        self.kept
    }

    fn member(&self) -> &Member {
        self.consumer.context()
    }

    /// Polls until it is told to stop, or should be replaced.
    fn poll_until_stopped(&mut self) -> Result<Option<Replacement>, ConsumeError> {
        while !self.orders.stop.load(Ordering::Relaxed) {
            if self.orders.quiesce.load(Ordering::Relaxed) {
                self.quiesce();
            }
            let wait = patience(self.member().assignment.lock().any_paused(), self.quiet);
            let mut polled = self.consumer.poll(Duration::ZERO);
            if polled.is_none() {
                self.member().intake.caught_up();
                polled = self.consumer.poll(wait);
            }
            self.quiet = match polled {
                Some(_) => 0,
                None => self.quiet.saturating_add(1),
            };
            let idle = match polled {
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
                let replacement = self.look_around()?;
                if replacement.is_some() {
                    return Ok(replacement);
                }
            }
        }
        Ok(None)
    }

    fn take(&self, message: &BorrowedMessage<'_>) -> Result<(), ConsumeError> {
        let member = self.member();
        if member.quiet.load(Ordering::Relaxed) {
            return Ok(());
        }
        let source = {
            let mut assignment = member.assignment.lock();
            let slot = assignment.find(message.topic(), message.partition());
            let Some(slot) = slot.filter(|slot| message.offset() >= slot.next && !slot.stale) else {
                // It is of a revoked partition, or was handed over before: it is accounted for elsewhere.
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
            // Pausing discards prefetched records, so it is done once and not for each late record.
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

    /// Leaves the group and rejoins, in order to be assigned the partitions again that were not taken.
    fn join_again(&self) -> Result<(), ConsumeError> {
        self.consumer.unsubscribe();
        self.consumer
            .subscribe(&self.member().topics.names())
            .map_err(|error| ConsumeError::Failed(error.to_string()))
    }

    /// Leaves the group. Closing is not enough for a static member: the group waits for its return.
    fn leave(&self) {
        self.consumer.unsubscribe();
        let deadline = Deadline::after(LEAVE);
        while !deadline.passed() {
            // Gives the partitions back; records that still come are dropped.
            drop(self.consumer.poll(deadline.slice(POLL)));
        }
    }

    /// The work that need not happen for each record. Returns why this consumer is to be replaced, if it is.
    fn look_around(&mut self) -> Result<Option<Replacement>, ConsumeError> {
        self.member().monitor.health().polled();
        let ordered = self.orders.rejoin.swap(false, Ordering::Relaxed);
        if self.member().again.swap(false, Ordering::Relaxed) || ordered {
            self.join_again()?;
        }
        if !self.member().intake.fenced().is_empty() {
            tracing::warn!(
                group = &*self.group,
                "the store has given partitions of this member to another one; rejoining"
            );
            self.join_again()?;
        }
        let resumed = self.member().intake.resumed();
        if !resumed.is_empty() && !self.member().quiet.load(Ordering::Relaxed) {
            self.resume(&resumed)?;
        }
        let mut stalled = false;
        if self.positioned.elapsed() >= POSITIONS {
            self.positioned = Instant::now();
            stalled = self.look_at_positions();
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell_group();
        }
        self.kept.doubts.settle(&self.consumer)?;
        Ok(if self.has_other_handlers() {
            Some(Replacement::OtherHandlers)
        } else if self.is_to_be_made_anew() {
            Some(Replacement::Unanswered)
        } else {
            stalled.then_some(Replacement::Stalled)
        })
    }

    /// Reports the positions, and returns whether one of them stands still although its partition has more. The library
    /// moves a position when it hands over a record and when it passes a control record.
    fn look_at_positions(&mut self) -> bool {
        match self.consumer.position() {
            Ok(positions) => {
                self.tell_positions(&positions);
                self.is_stalled(&positions)
            }
            Err(error) => {
                tracing::debug!(%error, "the positions of the partitions are not known");
                false
            }
        }
    }

    /// Whether the group has not answered for too long since the session was lost. An error counts as an answer.
    fn is_to_be_made_anew(&mut self) -> bool {
        let member = self.consumer.context();
        let waits = member.unanswered.load(Ordering::Relaxed)
            && !member.quiet.load(Ordering::Relaxed)
            && !self.kept.doubts.any();
        let connected = member.monitor.health().is_connected();
        self.kept.renewals.is_due(waits, connected, Instant::now())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        let mut assignment = self.member().assignment.lock();
        let mut going = Vec::new();
        for partition in partitions {
            // A partition that has been revoked in the meantime is no longer ours to resume.
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
            // Records that still come are dropped.
            tracing::debug!(%error, "partitions cannot be paused");
        }
    }
}

/// How long one poll waits after this many empty ones.
fn patience(any_paused: bool, quiet: u32) -> Duration {
    match any_paused {
        true => POLL_PAUSED,
        false if quiet >= QUIET => POLL_QUIET,
        false => POLL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_without_work_polls_seldom_and_one_that_waits_for_room_often() {
        assert_eq!(patience(false, 0), POLL);
        assert_eq!(patience(false, QUIET - 1), POLL);
        assert_eq!(patience(false, QUIET), POLL_QUIET);
        assert_eq!(patience(true, u32::MAX), POLL_PAUSED);
    }
}
