//! One try of one event: state, version, contract, guest, unit.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::clock;
use crate::meters::Invoked;
use crate::registry::{Handler, Version};
use sandman_core::contract::Incoming;
use sandman_core::event::{DeadLetter, dead_letter, iso_millis};
use sandman_core::faults::{self, Bug};
use sandman_core::lanes::{Change, Job, Known, Millis};
use sandman_core::outcome::{Context, Fault, Outcome, StateChange};
use sandman_core::printable;
use sandman_core::store::{Attempts, Store, StoreError};
use sandman_core::unit::{Finish, Mint, Unit, records};
use sandman_core::work::{EventWork, Input};

/// What a try came to.
pub(super) enum Ran {
    /// The trigger is done: an outcome, a dead letter, an answer, or nothing to do; a change for each of its lanes.
    Done(Vec<Change>, Unit),
    /// It failed and is tried again; the unit records the attempt.
    Again { failed: u32, due: Millis, unit: Unit },
}

/// Why an invocation did not count.
struct Refusal {
    reason: String,
    /// Another try may help.
    again: bool,
    /// The guest was called.
    called: bool,
}

impl Refusal {
    fn for_good(reason: impl ToString) -> Self {
        Self {
            // It may hold what a sender or a guest wrote.
            reason: printable::line(&reason.to_string(), printable::LONGEST).into_owned(),
            again: false,
            called: true,
        }
    }

    /// The trigger is against the contract: no guest sees it.
    fn before_the_call(reason: impl ToString) -> Self {
        Self {
            called: false,
            ..Self::for_good(reason)
        }
    }

    fn by_the_guest(reason: String, again: bool) -> Self {
        Self {
            reason,
            again,
            called: true,
        }
    }
}

/// One try, from a worker's point of view.
pub(super) struct Try<'a> {
    pub(super) source: &'a str,
    pub(super) store: &'a dyn Store,
    pub(super) handler: &'a Handler,
    pub(super) work: &'a EventWork,
}

impl Try<'_> {
    /// Runs the job's trigger on the version that is active now.
    ///
    /// # Errors
    /// [`StoreError`] if the state cannot be read: the job is to be handed back as it is.
    pub(super) fn run(&self, job: &Job<Input>) -> Result<Ran, StoreError> {
        let work = self.work;
        let seen = match job.seats.first().and_then(|seat| seat.state.clone()) {
            Some(known) => known,
            None => load(self.store, self.handler, &work.key)?,
        };
        let mut version = self.handler.active();
        if faults::planted(Bug::OldVersion) {
            version = self
                .handler
                .standby(version.number.saturating_sub(1))
                .unwrap_or(version);
        }
        let now = clock::wall_millis();
        Ok(match self.invoke(work, &version, &seen, (job.failed + 1, now)) {
            Ok((change, out)) => {
                let unit = self.unit(job, change.clone(), out);
                done_with(seen, change, unit)
            }
            Err(refusal) => self.refused(job, &version, seen, refusal),
        })
    }

    fn invoke(
        &self,
        work: &EventWork,
        version: &Version,
        seen: &Known,
        (attempt, now_millis): (u32, i64),
    ) -> Result<(StateChange, Vec<sandman_core::event::OutRecord>), Refusal> {
        let envelope = &work.envelope;
        let incoming = version
            .terms
            .incoming(&envelope.event_type, &envelope.version, envelope.payload.get());
        if incoming.map_err(Refusal::before_the_call)? == Incoming::Ignored {
            return Ok((StateChange::Keep, Vec::new()));
        }
        let context = Context {
            now_millis,
            attempt,
            settings: &version.settings,
        };
        let began = Instant::now();
        let outcome = version.guest.invoke(work.trigger(), seen.document.as_deref(), context);
        self.handler.meters.seconds.record(began.elapsed());
        self.count(outcome.as_ref().map_or_else(invoked, |_| Invoked::Ok));
        let Outcome { state, events, .. } = outcome.map_err(|fault| match fault {
            Fault::Rejected(reason) | Fault::Invalid(reason) => Refusal::by_the_guest(reason, false),
            Fault::Retry(reason) | Fault::Trap(reason) | Fault::Exceeded(reason) => Refusal::by_the_guest(reason, true),
        })?;
        let mint = Mint {
            source: self.source,
            now_millis,
            correlation_id: envelope.correlation_id.as_deref(),
            causation_id: Some(&envelope.event_id),
            trace: work.record.trace(),
            id: Uuid::new_v4,
        };
        let mut records = records(events, &work.key, &version.terms, &mint).map_err(|error| {
            self.count(Invoked::Contract);
            Refusal::for_good(error)
        })?;
        if faults::planted(Bug::TearUnit) {
            records.pop();
        }
        Ok((state, records))
    }

    fn count(&self, invoked: Invoked) {
        self.handler.meters.invoked(invoked).increment(1);
    }

    fn unit(&self, job: &Job<Input>, change: StateChange, records: Vec<sandman_core::event::OutRecord>) -> Unit {
        let lanes = job.seats.iter().map(|seat| seat.lane.clone());
        Unit {
            changes: lanes.map(|lane| (lane, change.clone())).collect(),
            records,
            finish: done(self.work, job.failed),
        }
    }

    fn refused(&self, job: &Job<Input>, version: &Version, seen: Known, refusal: Refusal) -> Ran {
        let failed = job.failed + 1;
        let wait = version.retry.wait_after(failed).filter(|_| refusal.again);
        self.tell(job, version, &refusal.reason, wait);
        match wait {
            Some(wait) => again(self.work, failed, wait),
            None => {
                let letter = DeadLetter {
                    handler: &self.handler.name,
                    version: version.number,
                    digest: &version.digest,
                    attempts: job.failed + u32::from(refusal.called),
                    reason: &refusal.reason,
                    time: &iso_millis(clock::wall_millis()),
                };
                let change = StateChange::Keep;
                let unit = self.unit(job, change.clone(), vec![dead_letter(&self.work.record, &letter)]);
                done_with(seen, change, unit)
            }
        }
    }

    fn tell(&self, job: &Job<Input>, version: &Version, reason: &str, wait: Option<Duration>) {
        let (record, failed) = (&self.work.record, job.failed + 1);
        let (topic, partition, offset) = (&record.source.topic, record.source.partition, record.offset);
        let (handler, version, key) = (&*self.handler.name, version.number, key_hash(&self.work.key));
        let meters = self.handler.meters.topic(topic);
        if let Some(wait) = wait {
            tracing::warn!(handler, version, key, %topic, partition, offset, failed, ?wait, reason, "trying again later");
            meters.inspect(|meters| meters.retries.increment(1));
        } else {
            tracing::error!(handler, version, key, %topic, partition, offset, failed, reason, "given up, dead letter");
            meters.inspect(|meters| meters.dead_letters.increment(1));
        }
    }
}

/// The record goes back to the head of its lane; that it failed is kept over a restart.
fn again(work: &EventWork, failed: u32, wait: Duration) -> Ran {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let attempts = Attempts {
        offset: work.record.offset,
        failed,
        due_millis: clock::wall_millis().saturating_add_unsigned(millis),
    };
    let unit = Unit {
        changes: Vec::new(),
        records: Vec::new(),
        finish: Finish::Attempt {
            partition: work.partition,
            attempts,
        },
    };
    Ran::Again {
        failed,
        due: clock::monotonic_millis() + millis,
        unit,
    }
}

fn done_with(seen: Known, change: StateChange, unit: Unit) -> Ran {
    Ran::Done(
        vec![Change {
            seen: Some(seen),
            change,
        }],
        unit,
    )
}

/// The state of a key as the store has it.
pub(super) fn load(store: &dyn Store, handler: &Handler, key: &str) -> Result<Known, StoreError> {
    let stored = store.state(&handler.name, key)?;
    Ok(stored.map_or_else(Known::default, |stored| Known {
        base: Some((stored.row, stored.revision)),
        document: Some(stored.document),
    }))
}

/// What it means for an event's record that it is done.
fn done(work: &EventWork, failed: u32) -> Finish {
    Finish::Done {
        partition: work.partition,
        span: work.span,
        failed,
        produced_millis: work.record.timestamp_millis,
        weight: work.record.weight(),
    }
}

/// A key as logs show it: enough to follow one key through the log, too little to know whose it is.
fn key_hash(key: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub(super) fn invoked(fault: &Fault) -> Invoked {
    match fault {
        Fault::Rejected(_) => Invoked::Rejected,
        Fault::Invalid(_) => Invoked::Contract,
        Fault::Retry(_) => Invoked::Retry,
        Fault::Trap(_) => Invoked::Trap,
        Fault::Exceeded(_) => Invoked::Exceeded,
    }
}
