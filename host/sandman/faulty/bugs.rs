//! Bugs to plant, named by what they break: each changes what it finds at a step on the way of an event.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandman_core::attempt::Decision;
use sandman_core::broker::{PublishError, Published};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{Job, Known, LaneKey};
use sandman_core::outcome::StateChange;
use sandman_core::store::{BatchNo, Commit, Hold, LetterWrite, OutboxBatch};
use sandman_core::unit::{Finish, Unit};
use sandman_core::version::Version;
use sandman_core::work::{Answer, Input, RequestId};
use tokio::sync::oneshot;

type Clients = HashMap<RequestId, oneshot::Sender<Answer>>;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A record counts as done that no handler has handled.
    SkipOffset,
    /// Records go to Kafka before their commit.
    PublishBeforeCommit,
    /// The relay leaves the records of a batch out.
    DropBatch,
    /// The relay publishes a batch twice.
    PublishTwice,
    /// The relay takes a batch for published although another producer has fenced it.
    IgnoreFence,
    /// A relay that starts publishes the last batch of the cursor again.
    IgnoreCursor,
    /// A trigger is run on the state that the one before it was run on, as if two workers drove one lane.
    TwoWorkers,
    /// Failed attempts are not stored.
    ForgetAttempts,
    /// States and events are committed without the progress that belongs to them.
    ForgetProgress,
    /// A request is answered before its commit.
    ReplyBeforeCommit,
    /// A lane keeps its state after the commit that it stood on has failed.
    KeepPending,
    /// The last event of a unit is not published.
    TearUnit,
    /// A batch is published in the wrong order.
    TurnBatch,
    /// A worker runs the version before the active one.
    OldVersion,
    /// A request is said to be refused, and is committed.
    RefuseDone,
    /// A dead letter stays in the store although its outcome is committed.
    KeepRedriven,
    /// What comes after a trigger that was given up does not wait for it.
    ForgetHold,
    /// A relay that starts uses another transactional id, and leaves the open transaction of its predecessor alone.
    StrayTransaction,
}

const NAMES: [(&str, Bug); 18] = [
    ("skip-offset", Bug::SkipOffset),
    ("publish-before-commit", Bug::PublishBeforeCommit),
    ("drop-batch", Bug::DropBatch),
    ("publish-twice", Bug::PublishTwice),
    ("ignore-fence", Bug::IgnoreFence),
    ("ignore-cursor", Bug::IgnoreCursor),
    ("two-workers", Bug::TwoWorkers),
    ("forget-attempts", Bug::ForgetAttempts),
    ("forget-progress", Bug::ForgetProgress),
    ("reply-before-commit", Bug::ReplyBeforeCommit),
    ("keep-pending", Bug::KeepPending),
    ("tear-unit", Bug::TearUnit),
    ("turn-batch", Bug::TurnBatch),
    ("old-version", Bug::OldVersion),
    ("refuse-done", Bug::RefuseDone),
    ("keep-redriven", Bug::KeepRedriven),
    ("forget-hold", Bug::ForgetHold),
    ("stray-transaction", Bug::StrayTransaction),
];

impl Bug {
    /// The bug of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug)
    }

    /// Changes what is at the step, if that is where the bug is; `is_due` says whether it is to show now.
    pub(crate) fn alter(self, step: Step, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        match step {
            Step::Taken => self.at_a_worker(value, is_due),
            Step::Ran => self.in_an_attempt(value, is_due),
            Step::Queued => self.before_a_commit(value, is_due),
            Step::Folded => self.in_a_commit(value, is_due),
            Step::Relayed | Step::Begun | Step::Visible => self.in_the_relay(value, is_due),
            _ => {}
        }
    }

    fn at_a_worker(self, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        match self {
            Self::TwoWorkers => with(value, |job: &mut Job<Input>| repeat_state(job, is_due)),
            Self::KeepPending => with(value, keep_failed_state),
            Self::OldVersion => with(value, |version: &mut Arc<Version>| older(version, is_due)),
            _ => {}
        }
    }

    fn in_an_attempt(self, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        match self {
            Self::SkipOffset => with(value, |decision: &mut Decision| {
                if is_due() {
                    *decision = Decision::default();
                }
            }),
            Self::TearUnit => with(value, |decision: &mut Decision| {
                if is_due() {
                    decision.records.pop();
                }
            }),
            Self::RefuseDone => with(value, |answer: &mut Answer| {
                if let Answer::Reply { status, .. } = answer
                    && *status < 400
                    && is_due()
                {
                    *status = 409;
                }
            }),
            _ => {}
        }
    }

    fn before_a_commit(self, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        if self == Self::ForgetHold {
            with(value, |unit: &mut Unit| forget_hold(unit, is_due));
        }
        if self != Self::ReplyBeforeCommit {
            return;
        }
        static QUEUED: Mutex<Option<(RequestId, Answer)>> = Mutex::new(None);
        with(value, |unit: &mut Unit| {
            if let Finish::Answered { request, answer, .. } = &unit.finish
                && is_due()
            {
                *lock(&QUEUED) = Some((*request, answer.clone()));
            }
        });
        with(value, |clients: &mut Clients| {
            if let Some((request, answer)) = lock(&QUEUED).take()
                && let Some(client) = clients.remove(&request)
            {
                client.send(answer).ok();
            }
        });
    }

    fn in_a_commit(self, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        with(value, |commit: &mut Commit| match self {
            Self::KeepRedriven => {
                let goes = |write: &LetterWrite| matches!(write, LetterWrite::Done(_)) && is_due();
                commit.letters.retain(|write| !goes(write));
            }
            Self::ForgetAttempts if is_due() => commit.attempts.clear(),
            Self::ForgetProgress if is_due() => commit.progress.clear(),
            Self::PublishBeforeCommit if is_due() => lock(&EARLY).append(&mut commit.outbox),
            Self::KeepPending => remember_states(commit),
            _ => {}
        });
    }

    fn in_the_relay(self, value: &mut dyn Any, is_due: &dyn Fn() -> bool) {
        match self {
            Self::PublishBeforeCommit => with(value, |batches: &mut Vec<OutboxBatch>| publish_early(batches)),
            Self::DropBatch => each_batch(value, is_due, Vec::clear),
            Self::TurnBatch => each_batch(value, is_due, |records| records.reverse()),
            Self::PublishTwice => each_batch(value, is_due, |records| records.extend(records.clone())),
            Self::IgnoreFence => with(value, |published: &mut Result<Published, PublishError>| {
                if published.is_err() {
                    *published = Ok(Published::Reopen);
                }
            }),
            Self::IgnoreCursor => with(value, |after: &mut BatchNo| *after = after.saturating_sub(1)),
            Self::StrayTransaction => with(value, |transactional_id: &mut String| {
                *transactional_id = format!("{transactional_id}-{}", std::process::id());
            }),
            _ => {}
        }
    }
}

/// Records that go ahead of their commit.
static EARLY: Mutex<Vec<OutRecord>> = Mutex::new(Vec::new());

fn with<T: Any>(value: &mut dyn Any, alter: impl FnOnce(&mut T)) {
    if let Some(value) = value.downcast_mut() {
        alter(value);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn each_batch(value: &mut dyn Any, is_due: &dyn Fn() -> bool, alter: impl Fn(&mut Vec<OutRecord>)) {
    with(value, |batches: &mut Vec<OutboxBatch>| {
        if !batches.is_empty() && is_due() {
            batches.iter_mut().for_each(|batch| alter(&mut batch.records));
        }
    });
}

/// Puts the records that are ahead of their commit into the next transaction.
fn publish_early(batches: &mut [OutboxBatch]) {
    if let Some(first) = batches.first_mut() {
        let early = std::mem::take(&mut *lock(&EARLY));
        first.records.splice(0..0, early);
    }
}

/// Runs the job on the state of the one before it in its lane, if that is known.
fn repeat_state(job: &mut Job<Input>, is_due: &dyn Fn() -> bool) {
    static BEFORE: Mutex<Option<HashMap<LaneKey, Known>>> = Mutex::new(None);
    let mut before = lock(&BEFORE);
    let before = before.get_or_insert_default();
    for slot in &mut job.slots {
        let Some(state) = &mut slot.state else { continue };
        let now = state.clone();
        if let Some(before) = before.insert(slot.lane.clone(), now)
            && is_due()
        {
            state.document = before.document;
        }
    }
}

/// The newest commit.
struct Newest {
    /// How many commits had been refused before it.
    refused: u64,
    /// Its states by key.
    states: HashMap<Arc<str>, Known>,
}

static NEWEST: Mutex<Option<Newest>> = Mutex::new(None);

fn remember_states(commit: &Commit) {
    let states = commit.states.iter().filter_map(|write| match &write.change {
        StateChange::Put(document) => {
            let known = Known {
                base: write.base,
                document: Some(Arc::clone(document)),
                ..Known::default()
            };
            Some((Arc::clone(&write.key), known))
        }
        StateChange::Keep | StateChange::Delete => None,
    });
    *lock(&NEWEST) = Some(Newest {
        refused: faults::refused(),
        states: states.collect(),
    });
}

/// Runs the job on the state that the commit which was refused would have left.
fn keep_failed_state(job: &mut Job<Input>) {
    let mut newest = lock(&NEWEST);
    let Some(Newest { refused, states }) = &mut *newest else {
        return;
    };
    if *refused == faults::refused() {
        return;
    }
    for slot in &mut job.slots {
        if slot.state.is_none() {
            slot.state = states.remove(&slot.lane.key);
        }
    }
}

/// The version before this one, if it has been met.
fn older(version: &mut Arc<Version>, is_due: &dyn Fn() -> bool) {
    static MET: Mutex<Vec<Arc<Version>>> = Mutex::new(Vec::new());
    let mut met = lock(&MET);
    if !met.iter().any(|known| Arc::ptr_eq(known, version)) {
        met.push(Arc::clone(version));
    }
    let before = met.iter().rev().find(|known| known.number + 1 == version.number);
    if let Some(before) = before.cloned()
        && is_due()
    {
        *version = before;
    }
}

fn forget_hold(unit: &mut Unit, is_due: &dyn Fn() -> bool) {
    for write in &mut unit.letters {
        if let LetterWrite::Add(letter) = write
            && letter.hold == Hold::Head
            && is_due()
        {
            letter.hold = Hold::No;
        }
    }
}
