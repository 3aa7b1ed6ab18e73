//! States of idle keys: the least recently used are dropped first when they exceed the size.

use lru::LruCache;

use super::{HandlerIx, Known, LaneKey};

/// What an entry costs beside its text: map node, list links, two reference-counted strings. Measured once with a
/// million entries, rounded up.
const ENTRY_BYTES: usize = 200;

#[derive(Debug)]
pub(super) struct Cache {
    states: LruCache<LaneKey, Known>,
    bytes: usize,
    bound: usize,
}

impl Cache {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            states: LruCache::unbounded(),
            bytes: 0,
            bound,
        }
    }

    pub(super) fn take(&mut self, key: &LaneKey) -> Option<Known> {
        let known = self.states.pop(key)?;
        self.bytes -= cost(key, &known);
        Some(known)
    }

    pub(super) fn put(&mut self, key: LaneKey, known: Known) {
        self.bytes += cost(&key, &known);
        if let Some(old) = self.states.put(key.clone(), known) {
            self.bytes -= cost(&key, &old);
        }
        while self.bytes > self.bound {
            let Some((key, known)) = self.states.pop_lru() else {
                break;
            };
            self.bytes -= cost(&key, &known);
        }
    }

    /// Drops all states of a handler.
    pub(super) fn forget(&mut self, handler: HandlerIx) {
        let theirs = self.states.iter().filter(|(key, _)| key.handler == handler);
        let theirs: Vec<LaneKey> = theirs.map(|(key, _)| key.clone()).collect();
        for key in theirs {
            self.take(&key);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(key: &LaneKey, known: &Known) -> usize {
    let document = known.document.as_ref().map_or(0, |document| document.len());
    key.key.len() + document + known.recent.as_bytes().len() + ENTRY_BYTES
}
