//! Errors of a consumer that may last: the unreadable partition is searched and reported by name, and the consumer ends
//! if the error does not pass and waiting does not help.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::assignment::PartitionSlot;
use super::consume_error::ConsumeError;
use super::health::KafkaHealth;
use super::probe::{Probe, Trouble, TroublePlace};
use super::rebalance::Member;
use super::served::Served;
use super::settings::KafkaSettings;
use super::verdict::{ErrorVerdict, verdict};
use super::wait::Deadline;
use sandman_core::broker::Start;

/// How long after an error its cause is searched, and the interval afterwards.
const LOOK: Duration = Duration::from_secs(3);
/// How long a whole search may take: the consumer does not poll during it.
const SURVEY: Duration = Duration::from_secs(10);
/// The same for one partition or one request.
const ONE: Duration = Duration::from_secs(3);
/// How long an error may last if it is not known to pass.
const GIVE_UP: Duration = Duration::from_secs(20);
/// An error that was not reported again for this long, and whose cause was not found, has passed.
const QUIET: Duration = Duration::from_secs(10);

/// The unresolved errors of a consumer.
pub(super) struct Doubts {
    served: Served,
    settings: KafkaSettings,
    health: Arc<KafkaHealth>,
    doubt: Option<Doubt>,
}

struct Doubt {
    since: Instant,
    /// When the library last reported it.
    heard: Instant,
    /// When its cause is searched again.
    look: Instant,
    /// The library's message.
    reason: String,
    verdict: ErrorVerdict,
}

impl Doubts {
    pub(super) fn new(served: Served, settings: KafkaSettings, health: Arc<KafkaHealth>) -> Self {
        Self {
            served,
            settings,
            health,
            doubt: None,
        }
    }

    /// The consumer has other handlers from now on. Those that had an error and still have it will report it again.
    pub(super) fn serve(&mut self, served: &Served) {
        self.served = served.clone();
        self.pass();
    }

    fn pass(&mut self) {
        self.doubt = None;
        for handler in self.served.iter() {
            self.health.well(&handler.name);
        }
    }

    /// Whether there is an unresolved error.
    pub(super) fn any(&self) -> bool {
        self.doubt.is_some()
    }

    /// Adds an error that may last.
    pub(super) fn raise(&mut self, verdict: ErrorVerdict, reason: &str) {
        let now = Instant::now();
        match &mut self.doubt {
            Some(doubt) => {
                doubt.heard = now;
                // An error that ends the consumer must not be hidden by one that only waits.
                if verdict == ErrorVerdict::Doubtful && doubt.verdict != ErrorVerdict::Doubtful {
                    (doubt.verdict, doubt.since) = (verdict, now);
                    reason.clone_into(&mut doubt.reason);
                }
            }
            None => {
                tracing::warn!(handler = self.served.listed(), reason, "the consumer has an error");
                self.doubt = Some(Doubt {
                    since: now,
                    heard: now,
                    look: now + LOOK,
                    reason: reason.to_owned(),
                    verdict,
                });
            }
        }
    }

    /// Searches for the cause if it is time.
    ///
    /// # Errors
    /// [`ConsumeError::Unreadable`] if something has been unreadable for too long.
    pub(super) fn settle(&mut self, consumer: &BaseConsumer<Member>) -> Result<(), ConsumeError> {
        let now = Instant::now();
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| now >= doubt.look) else {
            return Ok(());
        };
        doubt.look = now + LOOK;
        let (verdict, lasting) = (doubt.verdict, doubt.since.elapsed() >= GIVE_UP);
        let heard_of = doubt.heard.elapsed() < QUIET;
        let reason = doubt.reason.clone();
        let mut troubles = survey(consumer, &self.settings, (verdict, &reason));
        if troubles.is_empty() && heard_of {
            troubles.push(Trouble {
                place: TroublePlace::Unknown,
                verdict,
                reason,
            });
        }
        if troubles.is_empty() {
            tracing::info!(handler = self.served.listed(), "the consumer's error has passed");
            self.pass();
            return Ok(());
        }
        let worst = troubles.iter().find(|trouble| trouble.verdict != ErrorVerdict::Waits);
        if let Some(trouble) = worst.filter(|_| lasting) {
            return Err(unreadable(trouble));
        }
        self.report(&troubles);
        Ok(())
    }

    /// Each handler has the troubles of its topics, and those of which the topic is not known.
    fn report(&self, troubles: &[Trouble]) {
        for handler in self.served.iter() {
            let is_its = |trouble: &&Trouble| {
                let topic = trouble.place.topic();
                topic.is_none_or(|topic| handler.topics.contains(topic))
            };
            let told: Vec<_> = troubles.iter().filter(is_its).map(told).collect();
            match told.is_empty() {
                true => self.health.well(&handler.name),
                false => self.health.degraded(&handler.name, &told.join("; ")),
            }
        }
    }

    /// The error that ends a consumer that would otherwise skip a record that it cannot read.
    pub(super) fn skipped(&self, consumer: &BaseConsumer<Member>, reason: &str) -> ConsumeError {
        let mut troubles = survey(consumer, &self.settings, (ErrorVerdict::Skips, reason)).into_iter();
        let found = troubles.find(|trouble| trouble.verdict != ErrorVerdict::Waits);
        unreadable(&found.unwrap_or_else(|| Trouble {
            place: TroublePlace::Unknown,
            verdict: ErrorVerdict::Skips,
            reason: reason.to_owned(),
        }))
    }
}

fn told(trouble: &Trouble) -> String {
    match &trouble.place {
        TroublePlace::Record(partition, offset) => format!("{partition} at offset {offset}: {}", trouble.reason),
        TroublePlace::Topic(_) | TroublePlace::Unknown => trouble.reason.clone(),
    }
}

fn unreadable(trouble: &Trouble) -> ConsumeError {
    ConsumeError::Unreadable {
        topic: trouble.place.topic().cloned(),
        reason: told(trouble),
    }
}

/// The problems of a consumer's topics and partitions. Partitions whose offset the library named come first, because
/// there may not be time for all of them.
fn survey(
    consumer: &BaseConsumer<Member>,
    settings: &KafkaSettings,
    (verdict, reason): (ErrorVerdict, &str),
) -> Vec<Trouble> {
    let deadline = Deadline::after(SURVEY);
    let mut troubles = topics(consumer, deadline);
    // Nothing is polled while partitions are examined, and other handlers must not wait for what is known by now.
    if consumer.context().served.is_shared() && verdict == ErrorVerdict::Waits && !troubles.is_empty() {
        return troubles;
    }
    let mut slots: Vec<PartitionSlot> = consumer
        .context()
        .assignment
        .lock()
        .slots()
        .map(|slot| slot.clone())
        .collect();
    slots.retain(|slot| !slot.stale);
    let named = |slot: &PartitionSlot| {
        reason
            .split(|c: char| !c.is_ascii_digit())
            .any(|word| word == slot.next.to_string())
    };
    slots.sort_by_key(|slot| !named(slot));
    let probe = match Probe::open(settings) {
        Ok(probe) => probe,
        Err(error) => {
            tracing::warn!(%error, "no client to examine the partitions");
            return troubles;
        }
    };
    for slot in slots.iter().take_while(|_| !deadline.passed()) {
        let offset = match slot.start {
            Start::Beginning if slot.next == 0 => Offset::Beginning,
            _ => Offset::Offset(slot.next),
        };
        troubles.extend(probe.look(&slot.partition, offset, deadline.slice(ONE)));
    }
    troubles
}

/// Topics that cannot be read, or have partitions without a leader.
fn topics(consumer: &BaseConsumer<Member>, deadline: Deadline) -> Vec<Trouble> {
    let waits = |name: &str, reason| Trouble {
        place: TroublePlace::Topic(name.into()),
        verdict: ErrorVerdict::Waits,
        reason,
    };
    let mut troubles = Vec::new();
    for name in consumer.context().topics.names() {
        // An unreachable cluster is reported elsewhere.
        let Ok(metadata) = consumer.fetch_metadata(Some(name), deadline.slice(ONE)) else {
            return troubles;
        };
        for topic in metadata.topics().iter().filter(|topic| topic.name() == name) {
            if let Some(error) = topic.error() {
                let code = rdkafka::types::RDKafkaErrorCode::from(error);
                if verdict(code) != ErrorVerdict::Passes {
                    troubles.push(waits(name, format!("topic `{name}`: {code}")));
                }
            }
            let leaderless: Vec<_> = topic.partitions().iter().filter(|one| one.leader() < 0).collect();
            for partition in leaderless {
                troubles.push(waits(name, format!("{name}[{}] has no leader", partition.id())));
            }
        }
    }
    troubles
}
