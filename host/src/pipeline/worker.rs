//! One try of one trigger: state, version, contract, guest, unit.

use std::time::Instant;

use uuid::Uuid;

use crate::clock;
use crate::contract::Incoming;
use crate::event::{DeadLetter, dead_letter, iso_millis};
use crate::lanes::{Change, Job, Known, Millis};
use crate::meters::Invoked;
use crate::outcome::{Context, Fault, Outcome, StateChange};
use crate::registry::{Handler, Version};
use crate::store::{Attempts, Store, StoreError};
use crate::unit::{Finish, Mint, Unit, records};
use crate::work::EventWork;

/// What a try came to.
pub(super) enum Ran {
    /// The trigger is done: an outcome, a dead letter, or nothing to do.
    Done(Change, Unit),
    /// It failed and is tried again; the unit records the attempt.
    Again { failed: u32, due: Millis, unit: Unit },
}

/// Why an invocation did not count.
struct Refusal {
    reason: String,
    /// Another try may help.
    again: bool,
}

impl Refusal {
    fn for_good(reason: impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            again: false,
        }
    }
}

/// One try, from a worker's point of view.
pub(super) struct Try<'a> {
    pub(super) source: &'a str,
    pub(super) store: &'a dyn Store,
    pub(super) handler: &'a Handler,
}

impl Try<'_> {
    /// Runs the job's trigger on the version that is active now.
    ///
    /// # Errors
    /// [`StoreError`] if the state cannot be read: the job is to be handed back as it is.
    pub(super) fn run(&self, job: &Job<EventWork>) -> Result<Ran, StoreError> {
        let work = &*job.work;
        let seen = match job.seats.first().and_then(|seat| seat.state.clone()) {
            Some(known) => known,
            None => self.load(&work.key)?,
        };
        let version = self.handler.active();
        let now = clock::wall_millis();
        Ok(match self.invoke(work, &version, &seen, (job.failed + 1, now)) {
            Ok((change, out)) => {
                let unit = self.unit(job, change.clone(), out);
                Ran::Done(Change { seen, change }, unit)
            }
            Err(refusal) => self.refused(job, &version, seen, refusal),
        })
    }

    fn load(&self, key: &str) -> Result<Known, StoreError> {
        let stored = self.store.state(&self.handler.name, key)?;
        Ok(stored.map_or_else(Known::default, |stored| Known {
            base: Some((stored.row, stored.revision)),
            document: Some(stored.document),
        }))
    }

    fn invoke(
        &self,
        work: &EventWork,
        version: &Version,
        seen: &Known,
        (attempt, now_millis): (u32, i64),
    ) -> Result<(StateChange, Vec<crate::event::OutRecord>), Refusal> {
        let envelope = &work.envelope;
        let incoming = version
            .terms
            .incoming(&envelope.event_type, &envelope.version, envelope.payload.get());
        if incoming.map_err(Refusal::for_good)? == Incoming::Ignored {
            return Ok((StateChange::Keep, Vec::new()));
        }
        let context = Context {
            now_millis,
            attempt,
            settings: &self.handler.settings,
        };
        let began = Instant::now();
        let outcome = version.guest.invoke(work.trigger(), seen.document.as_deref(), context);
        self.handler.meters.seconds.record(began.elapsed());
        self.count(outcome.as_ref().map_or_else(invoked, |_| Invoked::Ok));
        let Outcome { state, events, .. } = outcome.map_err(|fault| match fault {
            Fault::Rejected(reason) => Refusal { reason, again: false },
            Fault::Retry(reason) | Fault::Trap(reason) | Fault::Exceeded(reason) => Refusal { reason, again: true },
        })?;
        let mint = Mint {
            source: self.source,
            now_millis,
            correlation_id: envelope.correlation_id.as_deref(),
            causation_id: Some(&envelope.event_id),
            traceparent: work.record.header("traceparent"),
            id: Uuid::new_v4,
        };
        let records = records(events, &work.key, &version.terms, &mint).map_err(|error| {
            self.count(Invoked::Contract);
            Refusal::for_good(error)
        })?;
        Ok((state, records))
    }

    fn count(&self, invoked: Invoked) {
        self.handler.meters.invoked(invoked).increment(1);
    }

    fn unit(&self, job: &Job<EventWork>, change: StateChange, records: Vec<crate::event::OutRecord>) -> Unit {
        let lanes = job.seats.iter().map(|seat| seat.lane.clone());
        Unit {
            changes: lanes.map(|lane| (lane, change.clone())).collect(),
            records,
            finish: done(&job.work, job.failed),
        }
    }

    fn refused(&self, job: &Job<EventWork>, version: &Version, seen: Known, refusal: Refusal) -> Ran {
        let work = &*job.work;
        let failed = job.failed + 1;
        let wait = if refusal.again {
            self.handler.retry.wait_after(failed)
        } else {
            None
        };
        let key_hash = key_hash(&work.key);
        let (topic, partition, offset) = (
            &work.record.source.topic,
            work.record.source.partition,
            work.record.offset,
        );
        let (handler, number, reason) = (&*self.handler.name, version.number, refusal.reason.as_str());
        if let Some(wait) = wait {
            tracing::warn!(handler, version = number, key_hash, %topic, partition, offset, failed, ?wait, reason, "trying again later");
            if let Some(meters) = self.handler.meters.topic(topic) {
                meters.retries.increment(1);
            }
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let due_millis = clock::wall_millis().saturating_add_unsigned(wait);
            let attempts = Attempts {
                offset,
                failed,
                due_millis,
            };
            let finish = Finish::Attempt {
                partition: work.partition,
                attempts,
            };
            let unit = Unit {
                changes: Vec::new(),
                records: Vec::new(),
                finish,
            };
            return Ran::Again {
                failed,
                due: clock::monotonic_millis() + wait,
                unit,
            };
        }
        tracing::error!(handler, version = number, key_hash, %topic, partition, offset, failed, reason, "given up, dead letter");
        if let Some(meters) = self.handler.meters.topic(topic) {
            meters.dead_letters.increment(1);
        }
        let letter = DeadLetter {
            handler,
            version: number,
            digest: &version.digest,
            attempts: failed,
            reason,
            time: &iso_millis(clock::wall_millis()),
        };
        let unit = self.unit(job, StateChange::Keep, vec![dead_letter(&work.record, &letter)]);
        Ran::Done(
            Change {
                seen,
                change: StateChange::Keep,
            },
            unit,
        )
    }
}

/// What it means for an event's record that it is done.
pub(super) fn done(work: &EventWork, failed: u32) -> Finish {
    Finish::Done {
        partition: work.partition,
        span: work.span,
        failed,
        produced_millis: work.record.timestamp_millis,
        weight: work.record.weight(),
    }
}

/// A key as logs show it: enough to follow one key through the log, too little to know whose it is.
pub(super) fn key_hash(key: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn invoked(fault: &Fault) -> Invoked {
    match fault {
        Fault::Rejected(_) => Invoked::Rejected,
        Fault::Retry(_) => Invoked::Retry,
        Fault::Trap(_) => Invoked::Trap,
        Fault::Exceeded(_) => Invoked::Exceeded,
    }
}
