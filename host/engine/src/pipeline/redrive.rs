//! Dead letters that are redriven, keys that are held, and handlers that are paused: what an operator orders, carried out
//! through the lanes and the commits that everything else goes through.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use parking_lot::MutexGuard;

use crate::clock;
use crate::registry::Handler;
use sandman_core::event::{Record, TopicPartition};
use sandman_core::lanes::{Change, HandlerIx, Job, LaneKey, Millis, PartitionIx};
use sandman_core::outcome::StateChange;
use sandman_core::printable;
use sandman_core::progress::Span;
use sandman_core::reason::ReasonCode;
use sandman_core::store::{Attempts, GivenUp, HeldKey, HeldName, Hold, LetterId, LetterWrite, NewLetter, Pause};
use sandman_core::unit::{Finish, Unit};
use sandman_core::version::Version;
use sandman_core::work::{Answer, EventWork, Input, LetterWork};

use super::held::HeldKeys;
use super::received::{Received, Unreadable};
use super::worker::{LaneResult, done};
use super::{Pipeline, Shared, letter};

/// Letters that may be on their way at once.
const UNDER_WAY: usize = 256;

/// How long a trigger of a paused handler is parked, in milliseconds: until the handler is resumed.
const PAUSED: Millis = 365 * 24 * 60 * 60 * 1_000;

/// How long a trigger of a held key waits before it is seen whether the store has room for it, in milliseconds.
const FULL: Millis = 1_000;

/// How long an operator's order waits for its commit.
const ORDER_WAIT: Duration = Duration::from_secs(10);

/// Why letters and handlers do not go the usual way.
#[derive(Debug, Default)]
pub(super) struct Detours {
    /// Letters between the store and their commit.
    pub(super) under_way: HashSet<LetterId>,
    /// Those of them that another host has handled meanwhile: nothing is left to do.
    pub(super) gone: HashSet<LetterId>,
    pub(super) held: HeldKeys,
    pub(super) paused: HashMap<HandlerIx, Pause>,
    /// Handlers that have paused because too many of their triggers failed, for whoever may roll them back.
    failing: Vec<HandlerIx>,
    /// No letter begins any more.
    closed: bool,
}

/// Where a trigger goes instead of to its guest.
pub(super) enum Detour {
    /// Into the store, behind the letter that holds its key.
    Hold,
    /// Back to the head of its lane, for so long.
    Wait(Millis),
    /// Nowhere: another host has handled the letter, or its key is not released any more.
    Leave(LetterId),
    /// The client hears that the key is held.
    Refuse,
}

/// A letter that is to be redriven.
#[derive(Debug)]
pub struct Redrive {
    /// The letter.
    pub id: LetterId,
    /// Its handler.
    pub handler: HandlerIx,
    /// The key of its lane, where it had one.
    pub key: Option<Arc<str>>,
    /// Whether its key is held.
    pub hold: bool,
    /// On which version; `None`: on the one that serves its key then.
    pub through: Option<Arc<Version>>,
    /// The record as it came.
    pub record: Record,
}

impl Pipeline {
    /// What the store knew of held keys and paused handlers when the host, or a handler, began.
    pub fn load_letters(&self, held: Vec<HeldKey>, pauses: Vec<(Arc<str>, Pause)>) {
        let mut shared = self.shared.lock();
        for HeldKey {
            name,
            count,
            bytes,
            released,
        } in held
        {
            if let Some((handler, _)) = self.registry.find(&name.handler) {
                let lane = LaneKey { handler, key: name.key };
                shared.detours.held.load(lane, (count, bytes), released);
            }
        }
        for (name, pause) in pauses {
            if let Some((handler, _)) = self.registry.find(&name) {
                tracing::warn!(
                    handler = &*name,
                    by = pause.by,
                    reason = pause.reason,
                    "paused; `sandman resume` ends it"
                );
                shared.detours.paused.entry(handler).or_insert(pause);
            }
        }
    }

    /// Rings when letters may be waiting to be redriven.
    pub fn letters_rung(&self) -> &Receiver<()> {
        &self.letter_bell.1
    }

    /// Letters may be waiting to be redriven.
    pub fn ring_letters(&self) {
        // A full channel means that it has rung already.
        self.letter_bell.0.try_send(()).ok();
    }

    /// How many more letters may begin to be redriven.
    pub fn letter_room(&self) -> usize {
        let shared = self.shared.lock();
        match shared.detours.closed || shared.stopping {
            true => 0,
            false => UNDER_WAY.saturating_sub(shared.detours.under_way.len()),
        }
    }

    /// Waits for the next commit, but no longer than `patience`.
    pub fn await_commit(&self, patience: Duration) {
        let mut shared = self.shared.lock();
        self.settled.wait_for(&mut shared, patience);
    }

    /// Whether a letter is on its way.
    pub fn is_redriving(&self, id: LetterId) -> bool {
        self.shared.lock().detours.under_way.contains(&id)
    }

    /// No letter begins any more: the host stops.
    pub fn close_letters(&self) {
        self.shared.lock().detours.closed = true;
    }

    /// What is held of a handler's keys is not known any more: the store has changed without a commit of the pipeline.
    pub fn forget_held(&self, handler: HandlerIx) {
        self.shared.lock().detours.held.forget(handler);
    }

    /// Keys whose letters are to be redriven, in order.
    pub fn released_keys(&self) -> Vec<LaneKey> {
        self.shared.lock().detours.held.released()
    }

    /// Puts a letter into the lane of its key. It is gone from the store, or has failed again, with its commit.
    pub fn redrive(&self, redrive: Redrive) {
        let Redrive {
            id,
            handler,
            key,
            hold,
            through,
            record,
        } = redrive;
        let Some(known) = self.registry.get(handler) else {
            return;
        };
        let received = Received::of(&record, known);
        let mut shared = self.shared.lock();
        if shared.detours.closed || !shared.detours.under_way.insert(id) {
            return;
        }
        match received {
            Received::Event(found, envelope) => {
                let event = EventWork {
                    handler,
                    partition: PartitionIx::MAX,
                    span: Span { start: 0, end: 0 },
                    key: key.unwrap_or(found),
                    envelope,
                    record,
                };
                let lane = LaneKey {
                    handler,
                    key: Arc::clone(&event.key),
                };
                let work = LetterWork {
                    id,
                    hold,
                    through,
                    event,
                };
                shared
                    .lanes
                    .offer(lane, Arc::new(Input::Letter(Box::new(work))), 0, None);
                self.wake_workers(&mut shared);
            }
            Received::Tombstone => self.queue(&mut shared, letter_unit(id, LetterWrite::Done(id))),
            Received::Unreadable(unreadable) => {
                let unit = letter_unit(id, still_unreadable(id, known, &unreadable));
                self.queue(&mut shared, unit);
            }
        }
    }

    /// Where the job goes instead of to its guest. Nearly always nowhere else, and then this looks at nothing.
    pub(super) fn detour(&self, shared: &Shared, job: &Job<Input>) -> Option<Detour> {
        let Detours { held, paused, gone, .. } = &shared.detours;
        if held.is_empty() && paused.is_empty() && gone.is_empty() {
            return None;
        }
        let lane = &job.slots.first()?.lane;
        match &*job.work {
            Input::Event(_) if paused.contains_key(&lane.handler) => Some(Detour::Wait(PAUSED)),
            Input::Event(_) if !held.holds(lane) => None,
            // Of a key that is being released it must not wait: the letters that make room are behind it in the lane.
            Input::Event(_) if held.bytes() >= self.options.held_bytes && !held.runs(lane) => Some(Detour::Wait(FULL)),
            Input::Event(_) => Some(Detour::Hold),
            Input::Letter(letter) if gone.contains(&letter.id) || letter.hold && !held.runs(lane) => {
                Some(Detour::Leave(letter.id))
            }
            Input::Letter(_) => None,
            Input::Request(_, request) => {
                let is_held = job.slots.iter().any(|slot| held.holds(&slot.lane));
                (is_held && request.method != "GET").then_some(Detour::Refuse)
            }
        }
    }

    pub(super) fn follow(&self, job: &Job<Input>, detour: &Detour) -> LaneResult {
        let keep = job.slots.iter().map(|slot| Change {
            seen: slot.state.clone(),
            change: StateChange::Keep,
        });
        let changes = job
            .slots
            .iter()
            .map(|slot| (slot.lane.clone(), StateChange::Keep))
            .collect();
        let unit = |letters, finish| Unit {
            changes,
            letters,
            ..letter::nothing(finish)
        };
        match (detour, &*job.work) {
            (Detour::Hold, Input::Event(work)) => {
                let letter = self.behind(work);
                LaneResult::Done(keep.collect(), unit(letter, done(work, job.failed)))
            }
            (Detour::Refuse, Input::Request(id, _)) => {
                let reason = "an event of this key failed, and what comes after it waits until the key is released";
                let finish = Finish::Answered {
                    request: *id,
                    answer: Answer::Unavailable(reason.to_owned()),
                    remember: None,
                };
                LaneResult::Done(keep.collect(), unit(Vec::new(), finish))
            }
            (Detour::Leave(id), _) => LaneResult::Done(keep.collect(), unit(Vec::new(), Finish::Redriven(*id))),
            (Detour::Wait(wait), _) => again(job, *wait),
            (Detour::Hold | Detour::Refuse, _) => again(job, FULL),
        }
    }

    /// The event as a letter that waits behind the one that holds its key.
    fn behind(&self, work: &EventWork) -> Vec<LetterWrite> {
        let Some(handler) = self.registry.get(work.handler) else {
            return Vec::new();
        };
        let version = handler.active();
        vec![LetterWrite::Add(Box::new(NewLetter {
            handler: Arc::clone(&handler.name),
            key: Some(Arc::clone(&work.key)),
            record: work.record.clone(),
            given_up: GivenUp {
                code: ReasonCode::Held,
                reason: "it waits behind a dead letter of its key".to_owned(),
                version: version.number,
                digest: Arc::clone(&version.digest),
                attempts: 0,
                state: None,
                at_millis: clock::wall_millis(),
            },
            hold: Hold::Behind,
        }))]
    }

    /// A unit with letters is on its way to the commit; the next trigger of its lane must know.
    pub(super) fn letters_ahead(&self, shared: &mut Shared, unit: &Unit) {
        let lane = unit.changes.first().map(|(lane, _)| lane);
        for write in &unit.letters {
            match (write, lane) {
                (LetterWrite::Add(letter), Some(lane)) if letter.hold != Hold::No => {
                    shared.detours.held.added(lane, letter.bytes());
                }
                (LetterWrite::Failed(..), Some(lane)) => shared.detours.held.failed(lane),
                (LetterWrite::Pause(name, Some(pause)), _) => {
                    if let Some((ix, handler)) = self.registry.find(name) {
                        shared.detours.paused.entry(ix).or_insert_with(|| pause.clone());
                        if handler.active().retry.failing.is_some() {
                            shared.detours.failing.push(ix);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Some units run again, the others are still on their way to the commit.
    pub(super) fn recount_held(&self, shared: &mut Shared) {
        shared.detours.held.revert();
        let units = std::mem::take(&mut shared.units);
        for unit in units.iter().filter(|unit| !unit.letters.is_empty()) {
            self.letters_ahead(shared, unit);
        }
        shared.units = units;
    }

    /// What a unit says of letters is durable.
    pub(super) fn letters_settled(&self, shared: &mut Shared, unit: &Unit) {
        let lane = unit.changes.first().map(|(lane, _)| lane);
        let held = &mut shared.detours.held;
        for write in &unit.letters {
            match (write, lane) {
                (LetterWrite::Add(letter), Some(lane)) if letter.hold != Hold::No => held.committed(lane),
                (LetterWrite::Done(_), Some(lane)) => held.done(lane),
                (LetterWrite::Failed(..), Some(lane)) => held.stalled(lane),
                (LetterWrite::Release(name) | LetterWrite::DropHead(name), _) => {
                    if let Some((handler, _)) = self.registry.find(&name.handler) {
                        let key = Arc::clone(&name.key);
                        let lane = LaneKey { handler, key };
                        held.release(&lane);
                        if matches!(write, LetterWrite::DropHead(_)) {
                            held.done(&lane);
                        }
                    }
                }
                _ => {}
            }
        }
        if let Finish::Redriven(id) = &unit.finish {
            shared.detours.under_way.remove(id);
            shared.detours.gone.remove(id);
        }
        if !unit.letters.is_empty() || matches!(unit.finish, Finish::Redriven(_)) {
            self.ring_letters();
        }
    }

    /// Has what is held of a key redriven, in order; with `drop` without the letter that holds it. Returns whether there is
    /// a key that waits to be released.
    pub fn release(&self, handler: HandlerIx, key: &str, drop: bool) -> bool {
        let Some(known) = self.registry.get(handler) else {
            return false;
        };
        let lane = LaneKey {
            handler,
            key: key.into(),
        };
        let mut shared = self.shared.lock();
        if !shared.detours.held.waits(&lane) {
            return false;
        }
        let name = HeldName {
            handler: Arc::clone(&known.name),
            key: lane.key,
        };
        let write = match drop {
            true => LetterWrite::DropHead(name),
            false => LetterWrite::Release(name),
        };
        self.order(&mut shared, write);
        true
    }

    /// The intake of a handler goes on. Returns whether it stood still.
    pub fn resume(&self, handler: HandlerIx) -> bool {
        let mut shared = self.shared.lock();
        let (Some(known), true) = (self.registry.get(handler), shared.detours.paused.contains_key(&handler)) else {
            return false;
        };
        self.order(&mut shared, LetterWrite::Pause(Arc::clone(&known.name), None));
        shared.detours.paused.remove(&handler);
        let due = clock::monotonic_millis() + PAUSED / 2;
        shared.lanes.wake_parked(handler, due);
        known.resumable.store(true, Ordering::Relaxed);
        self.wake_workers(&mut shared);
        true
    }

    /// Why the intake of a handler stands still, if it does.
    pub fn paused(&self, handler: HandlerIx) -> Option<Pause> {
        self.shared.lock().detours.paused.get(&handler).cloned()
    }

    /// Handlers that have paused because too many of their triggers failed, since this was asked before.
    pub fn take_failing(&self) -> Vec<HandlerIx> {
        std::mem::take(&mut self.shared.lock().detours.failing)
    }

    /// How many keys of a handler are held, and whether all of them together are at the bound.
    pub fn held(&self, handler: HandlerIx) -> (usize, bool) {
        let shared = self.shared.lock();
        let held = &shared.detours.held;
        (held.count(handler), held.bytes() >= self.options.held_bytes)
    }

    /// Waits until an order is durable; units that nothing stands on survive whatever happens meanwhile.
    fn order(&self, shared: &mut MutexGuard<'_, Shared>, write: LetterWrite) {
        let unit = Unit {
            letters: vec![write],
            ..letter::nothing(Finish::Ordered)
        };
        self.queue(shared, unit);
        let deadline = Instant::now() + ORDER_WAIT;
        while (shared.committing || !shared.units.is_empty()) && !shared.stopping && Instant::now() < deadline {
            self.settled.wait_for(shared, Duration::from_millis(20));
        }
    }
}

/// Why a trigger of a handler that pauses stays where it is; the handler, and whatever may have to be rolled back, hear of it.
pub(super) fn pause(handler: &Handler, work: &EventWork, reason: String) -> Unit {
    let TopicPartition { topic, partition } = &work.record.source;
    let reason = format!("{reason} ({topic}/{partition}/{})", work.record.offset);
    tracing::error!(handler = &*handler.name, reason, "paused; `sandman resume` ends it");
    let pause = Pause {
        at_millis: clock::wall_millis(),
        by: "sandman".to_owned(),
        reason,
    };
    // It begins anew when the handler does.
    let attempts = Attempts {
        offset: work.record.offset,
        failed: 0,
        due_millis: 0,
    };
    Unit {
        letters: vec![LetterWrite::Pause(Arc::clone(&handler.name), Some(pause))],
        ..letter::nothing(Finish::Attempt {
            partition: work.partition,
            attempts,
        })
    }
}

/// Until when a trigger of a handler is parked that pauses.
pub(super) fn paused_until() -> Millis {
    clock::monotonic_millis() + PAUSED
}

fn again(job: &Job<Input>, wait: Millis) -> LaneResult {
    LaneResult::Again {
        failed: job.failed,
        due: clock::monotonic_millis() + wait,
        unit: None,
    }
}

/// The unit of a letter that never reached a lane.
fn letter_unit(id: LetterId, write: LetterWrite) -> Unit {
    Unit {
        letters: vec![write],
        ..letter::nothing(Finish::Redriven(id))
    }
}

/// The record of the letter is no event for its handler, still.
fn still_unreadable(id: LetterId, handler: &Handler, unreadable: &Unreadable) -> LetterWrite {
    let version = handler.active();
    handler.meters.redriven(false);
    let given_up = GivenUp {
        code: unreadable.code,
        reason: printable::line(&unreadable.reason, printable::LONGEST).into_owned(),
        version: version.number,
        digest: Arc::clone(&version.digest),
        attempts: 0,
        state: None,
        at_millis: clock::wall_millis(),
    };
    LetterWrite::Failed(id, Box::new(given_up))
}
