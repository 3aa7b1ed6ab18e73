//! States of keys, read from the store.

use crate::registry::Handler;
use sandman_core::lanes::{Job, Known, LaneKey};
use sandman_core::store::{HeldCount, Store, StoreError};
use sandman_core::work::Input;

use super::Pipeline;

/// What there is of a key.
pub(super) enum Loaded {
    /// Its state, and what is held of it, in a store that hosts share.
    State(Known, Option<HeldCount>),
    /// A state that a newer version has written, on another host, than serves here: nothing may be decided from it.
    Newer,
}

/// The state of a key as the store has it.
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
}
