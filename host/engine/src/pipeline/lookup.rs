//! States of keys, read from the store.

use crate::registry::Handler;
use sandman_core::lanes::{Job, Known, LaneKey};
use sandman_core::store::{HeldCount, Store, StoreError};
use sandman_core::work::Input;

use super::Pipeline;

/// The stored data of a key.
pub(super) enum Loaded {
    /// Its state, and its held letters in a store that hosts share.
    State(Known, Option<HeldCount>),
    /// A state that a newer version has written on another host: triggers must not be run on it here.
    Newer,
}

/// Loads the state of a key from the store.
pub(super) fn load(store: &dyn Store, handler: &Handler, key: &str) -> Result<Loaded, StoreError> {
    let stored = store.state(&handler.name, key)?;
    Ok(match stored {
        Some(stored) if !handler.may_read(stored.since_millis) => Loaded::Newer,
        Some(stored) => Loaded::State(
            Known {
                base: Some(stored.revision),
                document: stored.document,
                recent: stored.recent,
            },
            stored.held,
        ),
        None => Loaded::State(Known::default(), None),
    })
}

impl Pipeline {
    /// Reads the unknown states of a job's lanes, and with them the held letters of their keys. States that cannot be
    /// read stay unknown.
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
}
