//! Keys that are held: triggers after one that was given up wait in the store until the key is released.
//!
//! Pure: a table behind the pipeline's lock. It runs ahead of the commit like the lanes, and is reverted with them.

use std::collections::{HashMap, VecDeque};

use sandman_core::lanes::LaneKey;
use sandman_core::store::HeldCount;

/// The held letters of one key.
#[derive(Debug, Default)]
struct KeyHold {
    /// Bytes of each letter in the store, in order.
    kept: VecDeque<u64>,
    /// Those that wait for their commit.
    pending: VecDeque<u64>,
    /// An operator has ordered that they are redriven.
    released: bool,
    /// A redriven letter has failed again, but this is not committed yet.
    stalled: bool,
}

/// All keys that are held.
#[derive(Debug, Default)]
pub(super) struct HeldKeys {
    keys: HashMap<LaneKey, KeyHold>,
    bytes: u64,
}

impl HeldKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds the held letters of a key from the store.
    pub(super) fn load(&mut self, lane: LaneKey, (count, bytes): (u64, u64), released: bool) {
        if self.keys.contains_key(&lane) || count == 0 {
            return;
        }
        let each = bytes / count;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let held = KeyHold {
            kept: std::iter::repeat_n(each, count).collect(),
            released,
            ..KeyHold::default()
        };
        self.bytes += held.kept.iter().sum::<u64>();
        self.keys.insert(lane, held);
    }

    /// Updates the held letters of a key when its state is read; none of them is queued for a commit.
    pub(super) fn learn(&mut self, lane: &LaneKey, held: Option<HeldCount>) {
        if let Some(known) = self.keys.remove(lane) {
            self.bytes -= known.kept.iter().chain(&known.pending).sum::<u64>();
        }
        if let Some(held) = held {
            self.load(lane.clone(), (held.count, held.bytes), held.released);
        }
    }

    /// Whether triggers of this key have to wait.
    pub(super) fn holds(&self, lane: &LaneKey) -> bool {
        self.keys.contains_key(lane)
    }

    /// Whether letters of this key should run.
    pub(super) fn runs(&self, lane: &LaneKey) -> bool {
        self.keys.get(lane).is_some_and(|held| held.released && !held.stalled)
    }

    /// Whether the key waits for an operator.
    pub(super) fn waits(&self, lane: &LaneKey) -> bool {
        self.keys.get(lane).is_some_and(|held| !held.released)
    }

    /// Keys whose letters should run.
    pub(super) fn released(&self) -> Vec<LaneKey> {
        let released = self.keys.iter().filter(|(_, held)| held.released && !held.stalled);
        released.map(|(lane, _)| lane.clone()).collect()
    }

    /// Bytes of all held letters.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many keys of a handler are held.
    pub(super) fn count(&self, handler: sandman_core::lanes::HandlerIx) -> usize {
        self.keys.keys().filter(|lane| lane.handler == handler).count()
    }

    /// No key of a handler is held.
    pub(super) fn forget(&mut self, handler: sandman_core::lanes::HandlerIx) {
        let bytes = &mut self.bytes;
        self.keys.retain(|lane, held| {
            let is_other = lane.handler != handler;
            if !is_other {
                *bytes -= held.kept.iter().chain(&held.pending).sum::<u64>();
            }
            is_other
        });
    }

    /// A letter was added, ahead of its commit.
    pub(super) fn added(&mut self, lane: &LaneKey, bytes: u64) {
        self.bytes += bytes;
        self.keys.entry(lane.clone()).or_default().pending.push_back(bytes);
    }

    /// A letter that was redriven failed again, ahead of its commit.
    pub(super) fn failed(&mut self, lane: &LaneKey) {
        if let Some(held) = self.keys.get_mut(lane) {
            held.stalled = true;
        }
    }

    /// Reverts what is not committed.
    pub(super) fn revert(&mut self) {
        let bytes = &mut self.bytes;
        self.keys.retain(|_, held| {
            *bytes -= held.pending.drain(..).sum::<u64>();
            held.stalled = false;
            !held.kept.is_empty()
        });
    }

    /// The oldest letter that was added is committed.
    pub(super) fn committed(&mut self, lane: &LaneKey) {
        if let Some(held) = self.keys.get_mut(lane) {
            held.kept.extend(held.pending.pop_front());
        }
    }

    /// The renewed failure of a letter is committed.
    pub(super) fn stalled(&mut self, lane: &LaneKey) {
        if let Some(held) = self.keys.get_mut(lane) {
            (held.released, held.stalled) = (false, false);
        }
    }

    /// The release of the key is committed.
    pub(super) fn release(&mut self, lane: &LaneKey) {
        if let Some(held) = self.keys.get_mut(lane) {
            held.released = true;
        }
    }

    /// The removal of the first letter is committed. If it was the last one, the key is no longer held.
    pub(super) fn done(&mut self, lane: &LaneKey) {
        let Some(held) = self.keys.get_mut(lane) else { return };
        self.bytes -= held.kept.pop_front().unwrap_or_default();
        if held.kept.is_empty() && held.pending.is_empty() {
            self.keys.remove(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(key: &str) -> LaneKey {
        LaneKey {
            handler: 0,
            key: key.into(),
        }
    }

    #[test]
    fn a_key_is_held_from_its_first_letter_until_the_last_one_is_done() {
        let (mut held, ada) = (HeldKeys::default(), lane("ada"));
        held.added(&ada, 10);
        held.added(&ada, 5);
        assert!(held.holds(&ada) && !held.runs(&ada) && held.bytes() == 15);
        held.committed(&ada);
        held.committed(&ada);
        held.release(&ada);
        assert!(held.runs(&ada) && held.released() == [ada.clone()]);
        held.done(&ada);
        // One came while the last one ran.
        held.added(&ada, 7);
        held.done(&ada);
        assert!(held.holds(&ada), "it would be overtaken");
        held.committed(&ada);
        held.done(&ada);
        assert!(held.is_empty() && held.bytes() == 0);
    }

    #[test]
    fn a_handler_is_forgotten_with_its_keys_and_bytes() {
        let (mut held, ada) = (HeldKeys::default(), lane("ada"));
        held.load(ada.clone(), (2, 20), false);
        held.added(&ada, 4);
        let other = LaneKey {
            handler: 1,
            key: "ada".into(),
        };
        held.load(other.clone(), (1, 7), false);
        held.forget(0);
        assert!(!held.holds(&ada) && held.holds(&other) && held.bytes() == 7);
    }

    #[test]
    fn what_is_learned_of_a_key_replaces_what_was_known() {
        let (mut held, ada) = (HeldKeys::default(), lane("ada"));
        held.load(ada.clone(), (2, 20), false);
        let (count, bytes, released) = (3, 33, true);
        held.learn(&ada, Some(HeldCount { count, bytes, released }));
        assert!(held.runs(&ada) && held.bytes() == 33);
        held.learn(&ada, None);
        assert!(held.is_empty() && held.bytes() == 0);
    }

    #[test]
    fn what_is_not_committed_is_taken_back() {
        let (mut held, ada, bob) = (HeldKeys::default(), lane("ada"), lane("bob"));
        held.load(bob.clone(), (2, 20), true);
        held.added(&ada, 10);
        held.added(&bob, 4);
        held.failed(&bob);
        assert!(!held.runs(&bob), "what waits behind it must not run");
        held.revert();
        assert!(!held.holds(&ada) && held.runs(&bob) && held.bytes() == 20);
        held.failed(&bob);
        held.stalled(&bob);
        held.revert();
        assert!(held.holds(&bob) && !held.runs(&bob));
        assert!(held.waits(&bob) && held.count(0) == 1);
    }
}
