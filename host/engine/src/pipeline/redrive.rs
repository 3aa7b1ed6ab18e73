//! Dead letters that are redriven, keys that are held, and handlers that are paused: what an operator orders, carried out
//! through the lanes and the commits that everything else goes through.

use std::collections::HashMap;
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
use sandman_core::store::{
    Attempts, GivenUp, HeldCount, HeldKey, HeldName, Hold, LetterId, LetterWrite, NewLetter, Pause, StoreError,
};
use sandman_core::unit::{Finish, Unit};
use sandman_core::version::Version;
use sandman_core::work::{Answer, EventWork, Input, LetterWork};

use super::detours::{Detour, FULL, PAUSED};
use super::received::{Received, Unreadable};
use super::state::EngineState;
use super::worker::{LaneResult, Loaded, done, load};
use super::{Pipeline, letter};

/// Letters that may be on their way at once.
const UNDER_WAY: usize = 256;

/// How long an operator's order waits for its commit.
const ORDER_WAIT: Duration = Duration::from_secs(10);

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
        if self.store.is_shared() {
            self.learn_fleet(held, pauses);
            return;
        }
        let mut state = self.state.lock();
        for HeldKey { name, held } in held {
            if let Some((handler, _)) = self.registry.find(&name.handler) {
                let lane = LaneKey { handler, key: name.key };
                state.detours.held.load(lane, (held.count, held.bytes), held.released);
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
                state.detours.paused.entry(handler).or_insert(pause);
            }
        }
    }

    /// What all hosts of a fleet hold and pause, about once a second.
    fn learn_fleet(&self, held: Vec<HeldKey>, pauses: Vec<(Arc<str>, Pause)>) {
        let held = held.into_iter().filter_map(|HeldKey { name, held }| {
            let (handler, _) = self.registry.find(&name.handler)?;
            Some((LaneKey { handler, key: name.key }, held))
        });
        let held = held.collect();
        let mut state = self.state.lock();
        let mut paused = HashMap::new();
        for (name, pause) in pauses {
            let Some((handler, _)) = self.registry.find(&name) else {
                continue;
            };
            if !state.detours.paused.contains_key(&handler) {
                let (by, reason) = (&pause.by, &pause.reason);
                tracing::warn!(handler = &*name, by, reason, "paused; `sandman resume` ends it");
            }
            paused.insert(handler, pause);
        }
        for handler in state.detours.learn_fleet(held, paused) {
            if let Some(known) = self.registry.get(handler) {
                tracing::info!(handler = &*known.name, "goes on: it was resumed on another host");
                go_on(&mut state, handler, known);
            }
        }
    }

    /// Reads what is not known of the states of a job's lanes, and with it what is held of their keys. What cannot be read
    /// stays unknown.
    pub(super) fn look_up(&self, job: &mut Job<Input>) -> Vec<(LaneKey, Option<HeldCount>)> {
        let mut found = Vec::new();
        for slot in job.slots.iter_mut().filter(|slot| slot.state.is_none()) {
            let Some(handler) = self.registry.get(slot.lane.handler) else {
                continue;
            };
            if let Ok(Loaded::State(known, held)) = load(&*self.store, handler, &slot.lane.key) {
                slot.state = Some(known);
                found.push((slot.lane.clone(), held));
            }
        }
        found
    }

    /// Has a message when letters may be waiting to be redriven.
    pub fn letter_signals(&self) -> &Receiver<()> {
        &self.letter_signal.1
    }

    /// Letters may be waiting to be redriven.
    pub fn signal_letters(&self) {
        // A full channel means that it has been said already.
        self.letter_signal.0.try_send(()).ok();
    }

    /// How many more letters may begin to be redriven.
    pub fn letter_room(&self) -> usize {
        let state = self.state.lock();
        match state.detours.closed || state.stopping {
            true => 0,
            false => UNDER_WAY.saturating_sub(state.detours.under_way.len()),
        }
    }

    /// Waits for the next commit, but no longer than `patience`.
    pub fn await_commit(&self, patience: Duration) {
        let mut state = self.state.lock();
        self.settled.wait_for(&mut state, patience);
    }

    /// Whether a letter is on its way.
    pub fn is_redriving(&self, id: LetterId) -> bool {
        self.state.lock().detours.under_way.contains(&id)
    }

    /// The order of these letters is taken back: those of them that are on their way are left as they are.
    pub fn leave_letters(&self, letters: &[LetterId]) {
        let mut state = self.state.lock();
        state.detours.leave(letters);
        state.scheduler.wake();
    }

    /// So many letters went to make room.
    pub fn letters_gone(&self, gone: u64) {
        if gone > 0 {
            self.meters.letters_gone.increment(gone);
        }
    }

    /// No letter begins any more: the host stops.
    pub fn close_letters(&self) {
        self.state.lock().detours.closed = true;
    }

    /// Keys whose letters are to be redriven, in order.
    pub fn released_keys(&self) -> Vec<LaneKey> {
        self.state.lock().detours.released()
    }

    /// What is held of a handler's keys is not known any more: the store has changed without a commit of the pipeline.
    pub fn forget_held(&self, handler: HandlerIx) {
        self.state.lock().detours.held.forget(handler);
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
        let mut state = self.state.lock();
        if state.detours.closed || !state.detours.under_way.insert(id) {
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
                let input = Input::Letter(Box::new(work));
                state.scheduler.offer(lane, input, (0, None));
                state.scheduler.wake();
            }
            Received::Tombstone => state.queue(letter_unit(id, LetterWrite::Done(id))),
            Received::Unreadable(unreadable) => {
                let unit = letter_unit(id, still_unreadable(id, known, &unreadable));
                state.queue(unit);
            }
        }
    }

    /// The unit of a job that does not go to its guest.
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
                let finish = Finish::Answered {
                    request: *id,
                    answer: Answer::Unavailable(HELD.to_owned()),
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

    /// Has what is held of a key redriven, in order; with `drop` without the letter that holds it. Returns whether there is
    /// a key that waits to be released.
    ///
    /// # Errors
    /// [`StoreError`] if the order is not durable in time; it stands, and is carried out when it is.
    pub fn release(&self, handler: HandlerIx, key: &str, drop: bool) -> Result<bool, StoreError> {
        let Some(known) = self.registry.get(handler) else {
            return Ok(false);
        };
        let lane = LaneKey {
            handler,
            key: key.into(),
        };
        let mut state = self.state.lock();
        if !state.detours.waits(&lane) {
            return Ok(false);
        }
        let name = HeldName {
            handler: Arc::clone(&known.name),
            key: lane.key,
        };
        let write = match drop {
            true => LetterWrite::DropHead(name),
            false => LetterWrite::Release(name),
        };
        self.order(&mut state, write)?;
        Ok(true)
    }

    /// The intake of a handler goes on. Returns whether it stood still.
    ///
    /// # Errors
    /// [`StoreError`] if that is not durable in time; it goes on all the same.
    pub fn resume(&self, handler: HandlerIx) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let (Some(known), true) = (self.registry.get(handler), state.detours.paused.contains_key(&handler)) else {
            return Ok(false);
        };
        let ordered = self.order(&mut state, LetterWrite::Pause(Arc::clone(&known.name), None));
        state.detours.paused.remove(&handler);
        go_on(&mut state, handler, known);
        ordered.map(|()| true)
    }

    /// Why the intake of a handler stands still, if it does.
    pub fn paused(&self, handler: HandlerIx) -> Option<Pause> {
        self.state.lock().detours.paused.get(&handler).cloned()
    }

    /// Handlers that have paused because too many of their triggers failed, since this was asked before.
    pub fn take_failing(&self) -> Vec<HandlerIx> {
        self.state.lock().detours.take_failing()
    }

    /// How many keys of a handler are held, and whether all of them together are at the bound.
    pub fn held(&self, handler: HandlerIx) -> (usize, bool) {
        let state = self.state.lock();
        (state.detours.held_count(handler), state.detours.is_held_full())
    }

    /// Waits until an order is durable, however much is committed besides; units that nothing stands on survive whatever
    /// happens meanwhile.
    fn order(&self, state: &mut MutexGuard<'_, EngineState>, write: LetterWrite) -> Result<(), StoreError> {
        let order = state.detours.next_order();
        let unit = Unit {
            letters: vec![write],
            ..letter::nothing(Finish::Ordered(order))
        };
        state.queue(unit);
        let deadline = Instant::now() + ORDER_WAIT;
        while !state.detours.is_durable(order) {
            if state.stopping || Instant::now() >= deadline {
                return Err(StoreError::Unavailable(NOT_DURABLE.to_owned()));
            }
            self.settled.wait_for(state, Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Why an order is not confirmed.
const NOT_DURABLE: &str = "the order waits for its commit, and is carried out with it";

/// What a client hears whose key is held.
pub(super) const HELD: &str = "an event of this key failed, and what comes after it waits until the key is released";

/// The intake of a handler goes on, and so does what is parked because it stood still.
fn go_on(state: &mut EngineState, handler: HandlerIx, known: &Handler) {
    let due = clock::monotonic_millis() + PAUSED / 2;
    state.scheduler.wake_parked(handler, due);
    known.resumable.store(true, Ordering::Relaxed);
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
