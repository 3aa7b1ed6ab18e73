//! Why triggers do not go the usual way: keys that are held, handlers that are paused, letters that are on their way.
//!
//! Pure: a part of what is behind the pipeline's lock. It runs ahead of the commit as lanes do, and goes back with them.

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

/// How long a trigger of a held key waits before it is seen whether the store has room for it, in milliseconds.
pub(super) const FULL: Millis = 1_000;

/// Why letters and handlers do not go the usual way.
#[derive(Debug)]
pub(super) struct Detours {
    /// Letters between the store and their commit.
    pub(super) under_way: HashSet<LetterId>,
    /// Those of them that another host has handled meanwhile, or whose order was taken back: nothing is left to do.
    gone: HashSet<LetterId>,
    pub(super) held: HeldKeys,
    pub(super) paused: HashMap<HandlerIx, Pause>,
    /// Handlers that have paused because too many of their triggers failed, for whoever may roll them back.
    failing: Vec<HandlerIx>,
    /// No letter begins any more.
    pub(super) closed: bool,
    /// Orders of operators so far.
    orders: u64,
    /// The newest of them that is durable.
    durable_order: u64,
    /// Bytes of what is held in the store, at most.
    held_bytes: u64,
    /// What all hosts of a fleet hold and pause; `None` where there is one host.
    fleet: Option<FleetLetters>,
}

/// What a fleet holds and pauses, as the store said a second ago. It decides nothing of the order of a key, which what comes
/// with its state decides.
#[derive(Debug, Default)]
pub(super) struct FleetLetters {
    held: HashMap<LaneKey, HeldCount>,
    bytes: u64,
    /// Bytes that this host has added since, and of which keys.
    added: u64,
    added_to: HashSet<LaneKey>,
    /// Pauses that the store has: where it has one no more, another host has resumed the handler.
    pauses: HashSet<HandlerIx>,
}

/// Where a trigger goes instead of to its guest.
pub(super) enum Detour {
    /// Into the store, behind the letter that holds its key.
    Hold,
    /// Back to the head of its lane, for so long.
    Wait(Millis),
    /// Nowhere: another host has handled the letter, its order was taken back, or its key is not released any more.
    Leave(LetterId),
    /// The client hears that the key is held.
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

    /// Whether there is room in the store for more of what is held.
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

    /// Keys whose letters are to run.
    pub(super) fn released(&self) -> Vec<LaneKey> {
        let Some(fleet) = &self.fleet else {
            return self.held.released();
        };
        let released = fleet.held.iter().filter(|(_, held)| held.released);
        released.map(|(lane, _)| lane.clone()).collect()
    }

    /// What all hosts hold and pause. Returns the handlers that another host has resumed.
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

    /// Where the job goes instead of to its guest. Nearly always nowhere else, and then this looks at nothing.
    pub(super) fn of(&self, job: &Job<Input>) -> Option<Detour> {
        let Self { held, paused, gone, .. } = self;
        if held.is_empty() && paused.is_empty() && gone.is_empty() {
            return None;
        }
        let lane = &job.slots.first()?.lane;
        match &*job.work {
            Input::Event(_) if paused.contains_key(&lane.handler) => Some(Detour::Wait(PAUSED)),
            Input::Event(_) if !held.holds(lane) => None,
            // The letters that make room go before it in the lane. Where another host may have ended the hold, the commit tells.
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

    /// A unit is on its way to the commit; if it has letters, the next trigger of its lane must know.
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

    /// Nothing that waited for its commit happened.
    pub(super) fn revert(&mut self) {
        self.held.revert();
    }

    /// Some units run again; these are still on their way to the commit.
    pub(super) fn requeued<'a>(&mut self, units: impl Iterator<Item = &'a Unit>, registry: &Registry) {
        self.revert();
        units.for_each(|unit| self.queued(unit, registry));
    }

    /// What a unit says of letters is durable. Returns whether letters may be waiting to be redriven.
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

    /// Whether an order is durable.
    pub(super) fn is_durable(&self, order: u64) -> bool {
        self.durable_order >= order
    }

    /// Another host has handled these letters.
    pub(super) fn handled_elsewhere(&mut self, letters: &[LetterId]) {
        self.gone.extend(letters);
    }

    /// Those of these letters that are on their way are not to be redriven any more.
    pub(super) fn leave(&mut self, letters: &[LetterId]) {
        let under_way = letters.iter().filter(|id| self.under_way.contains(id));
        self.gone.extend(under_way);
    }

    /// A letter is on its way no more.
    pub(super) fn ended(&mut self, letter: LetterId) {
        self.under_way.remove(&letter);
        self.gone.remove(&letter);
    }

    /// Handlers that have paused because too many of their triggers failed, since this was asked before.
    pub(super) fn take_failing(&mut self) -> Vec<HandlerIx> {
        std::mem::take(&mut self.failing)
    }
}
