//! Why triggers are not run as usual: held keys, paused handlers, letters in progress.
//!
//! Pure: a part of the state behind the pipeline's lock. It runs ahead of the commit like the lanes, and is reverted with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::registry::Registry;
use sandman_core::lanes::{HandlerIx, Job, LaneKey, Millis};
use sandman_core::store::{HeldCount, Hold, LetterId, LetterWrite, Pause};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::Input;

use super::held::HeldKeys;

/// How long a trigger of a paused handler is parked, in milliseconds: until the handler is resumed.
pub(super) const PAUSED: Millis = 365 * 24 * 60 * 60 * 1_000;

/// How long a trigger of a held key waits before it is checked again whether the store has room for it, in milliseconds.
pub(super) const FULL: Millis = 1_000;

/// Held keys, paused handlers and letters in progress.
#[derive(Debug)]
pub(super) struct Detours {
    /// Letters that were read from the store and are not committed yet.
    pub(super) under_way: HashSet<LetterId>,
    /// Those of them that another host has handled, or whose redrive was cancelled: nothing is left to do.
    gone: HashSet<LetterId>,
    pub(super) held: HeldKeys,
    pub(super) paused: HashMap<HandlerIx, Pause>,
    /// Handlers that have paused because too many of their triggers failed, and may have to be rolled back.
    failing: Vec<HandlerIx>,
    /// No more letters are started.
    pub(super) closed: bool,
    /// The number of operators' orders so far.
    orders: u64,
    /// The newest of them that is durable.
    durable_order: u64,
    /// The most bytes of held letters in the store.
    held_bytes: u64,
    /// Held keys and pauses of all hosts of a fleet; `None` for a single host.
    fleet: Option<FleetLetters>,
}

/// Held keys and pauses of a fleet, as the store had them a second ago. The order of a key does not depend on it, only
/// on what is read with its state.
#[derive(Debug, Default)]
pub(super) struct FleetLetters {
    held: HashMap<LaneKey, HeldCount>,
    bytes: u64,
    /// Bytes that this host has added since, and of which keys.
    added: u64,
    added_to: HashSet<LaneKey>,
    /// Pauses in the store: if one is removed there, another host has resumed the handler.
    pauses: HashSet<HandlerIx>,
}

/// What happens to a trigger instead of a call of its guest.
pub(super) enum Detour {
    /// It is stored behind the letter that holds its key.
    Hold,
    /// It goes back to the head of its lane and waits for this time.
    Wait(Millis),
    /// Nothing: another host has handled the letter, its redrive was cancelled, or its key is no longer released.
    Leave(LetterId),
    /// The client is told that the key is held.
    Refuse,
}

impl Detours {
    pub(super) fn new(held_bytes: u64) -> Self {
        Self {
            under_way: HashSet::new(),
            gone: HashSet::new(),
            held: HeldKeys::default(),
            paused: HashMap::new(),
            failing: Vec::new(),
            closed: false,
            orders: 0,
            durable_order: 0,
            held_bytes,
            fleet: None,
        }
    }

    /// Whether the store has no more room for held letters.
    pub(super) fn is_held_full(&self) -> bool {
        let fleet = self.fleet.as_ref().map(|fleet| fleet.bytes + fleet.added);
        fleet.unwrap_or_else(|| self.held.bytes()) >= self.held_bytes
    }

    /// How many keys of a handler are held.
    pub(super) fn held_count(&self, handler: HandlerIx) -> usize {
        match &self.fleet {
            None => self.held.count(handler),
            Some(fleet) => fleet.held.keys().filter(|lane| lane.handler == handler).count(),
        }
    }

    /// Whether the key waits for an operator.
    pub(super) fn waits(&self, lane: &LaneKey) -> bool {
        match &self.fleet {
            None => self.held.waits(lane),
            Some(fleet) => fleet.held.get(lane).is_some_and(|held| !held.released),
        }
    }

    /// Keys whose letters should run.
    pub(super) fn released(&self) -> Vec<LaneKey> {
        let Some(fleet) = &self.fleet else {
            return self.held.released();
        };
        let released = fleet.held.iter().filter(|(_, held)| held.released);
        released.map(|(lane, _)| lane.clone()).collect()
    }

    /// Updates the held keys and pauses of all hosts. Returns the handlers that another host has resumed.
    pub(super) fn learn_fleet(
        &mut self,
        held: HashMap<LaneKey, HeldCount>,
        pauses: HashMap<HandlerIx, Pause>,
    ) -> Vec<HandlerIx> {
        let before = self.fleet.take().unwrap_or_default().pauses;
        let resumed = before.into_iter().filter(|ix| !pauses.contains_key(ix));
        let resumed: Vec<HandlerIx> = resumed.filter(|ix| self.paused.remove(ix).is_some()).collect();
        self.fleet = Some(FleetLetters {
            bytes: held.values().map(|held| held.bytes).sum(),
            held,
            added: 0,
            added_to: HashSet::new(),
            pauses: pauses.keys().copied().collect(),
        });
        for (ix, pause) in pauses {
            self.paused.entry(ix).or_insert(pause);
        }
        resumed
    }

    /// Whether something is held of the key, as far as the fleet knows, or since then by this host.
    fn is_held_somewhere(&self, lane: &LaneKey) -> bool {
        let knows = |fleet: &FleetLetters| fleet.held.contains_key(lane) || fleet.added_to.contains(lane);
        self.fleet.as_ref().is_none_or(knows)
    }

    /// What happens to the job instead of a call of its guest; usually `None`, which is found without a lookup.
    pub(super) fn of(&self, job: &Job<Input>) -> Option<Detour> {
        let Self { held, paused, gone, .. } = self;
        if held.is_empty() && paused.is_empty() && gone.is_empty() {
            return None;
        }
        let lane = &job.slots.first()?.lane;
        match &*job.work {
            Input::Event(_) if paused.contains_key(&lane.handler) => Some(Detour::Wait(PAUSED)),
            Input::Event(_) if !held.holds(lane) => None,
            // The letters that make room are run before it in the lane. If another host may have ended the hold, the
            // commit tells.
            Input::Event(_) if self.is_held_full() && self.is_held_somewhere(lane) => Some(Detour::Wait(FULL)),
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

    /// A unit is queued for the commit; if it has letters, the next trigger of its lane must see them.
    pub(super) fn queued(&mut self, unit: &Unit, registry: &Registry) {
        let lane = unit.changes.first().map(|(lane, _)| lane);
        for write in &unit.letters {
            match (write, lane) {
                (LetterWrite::Add(letter), Some(lane)) if letter.hold != Hold::No => {
                    self.held.added(lane, letter.bytes());
                    if let Some(fleet) = &mut self.fleet {
                        fleet.added += letter.bytes();
                        fleet.added_to.insert(lane.clone());
                    }
                }
                (LetterWrite::Failed(..), Some(lane)) => self.held.failed(lane),
                (LetterWrite::Pause(name, Some(pause)), _) => {
                    if let Some((ix, handler)) = registry.find(name) {
                        self.paused.entry(ix).or_insert_with(|| pause.clone());
                        if handler.active().retry.failing.is_some() {
                            self.failing.push(ix);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Everything that waited for its commit is reverted.
    pub(super) fn revert(&mut self) {
        self.held.revert();
    }

    /// Some units run again; these are still queued for the commit.
    pub(super) fn requeued<'a>(&mut self, units: impl Iterator<Item = &'a Unit>, registry: &Registry) {
        self.revert();
        units.for_each(|unit| self.queued(unit, registry));
    }

    /// The unit's changes to letters are durable. Returns whether letters may be waiting to be redriven.
    pub(super) fn settled(&mut self, unit: &Unit, registry: &Registry) -> bool {
        let lane = unit.changes.first().map(|(lane, _)| lane);
        let held = &mut self.held;
        for write in &unit.letters {
            match (write, lane) {
                (LetterWrite::Add(letter), Some(lane)) if letter.hold != Hold::No => held.committed(lane),
                (LetterWrite::Done(_) | LetterWrite::Duplicate(_), Some(lane)) => held.done(lane),
                (LetterWrite::Failed(..), Some(lane)) => held.stalled(lane),
                (LetterWrite::Release(name) | LetterWrite::DropHead(name), _) => {
                    if let Some((handler, _)) = registry.find(&name.handler) {
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
        match &unit.finish {
            Finish::Redriven(id) => self.ended(*id),
            // They are committed in their order.
            Finish::Ordered(order) => self.durable_order = self.durable_order.max(*order),
            _ => {}
        }
        !unit.letters.is_empty() || matches!(unit.finish, Finish::Redriven(_))
    }

    /// The number of the next order of an operator.
    pub(super) fn next_order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    /// Orders whose commit is still to come.
    #[cfg(test)]
    pub(super) fn orders_under_way(&self) -> u64 {
        self.orders - self.durable_order
    }

    /// Whether an order is durable.
    pub(super) fn is_durable(&self, order: u64) -> bool {
        self.durable_order >= order
    }

    /// Another host has handled these letters.
    pub(super) fn handled_elsewhere(&mut self, letters: &[LetterId]) {
        self.gone.extend(letters);
    }

    /// Those of these letters that are in progress are no longer to be redriven.
    pub(super) fn leave(&mut self, letters: &[LetterId]) {
        let under_way = letters.iter().filter(|id| self.under_way.contains(id));
        self.gone.extend(under_way);
    }

    /// A letter is no longer in progress.
    pub(super) fn ended(&mut self, letter: LetterId) {
        self.under_way.remove(&letter);
        self.gone.remove(&letter);
    }

    /// Handlers that have paused because too many of their triggers failed, since the last call.
    pub(super) fn take_failing(&mut self) -> Vec<HandlerIx> {
        std::mem::take(&mut self.failing)
    }
}
