//! A handler of a running host, for a change of its version.

use std::sync::Arc;
use std::time::Duration;

use super::Deployer;
use sandman_core::store::Outcome;
use sandman_core::version::Version;
use sandman_engine::registry::Handler;

/// A served handler and its deployer.
pub(super) struct Live<'a> {
    pub(super) deployer: &'a Deployer,
    pub(super) handler: &'a Handler,
}

impl Live<'_> {
    /// Activates this version, which is already active in the store.
    pub(super) fn activate(&self, version: Arc<Version>, since_millis: i64) {
        let (name, meters) = (&self.handler.name, &self.deployer.meters);
        let (before, after) = (self.handler.active(), Arc::clone(&version));
        version.since.set(since_millis);
        self.handler.activate(version);
        meters.serves(name, (before.number, &before.digest), false);
        meters.serves(name, (after.number, &after.digest), true);
    }

    /// Records that a component was compiled.
    pub(super) fn compiled(&self, took: Duration) {
        self.deployer.meters.compiled(&self.handler.name, took);
    }

    /// Records the end of a change.
    pub(super) fn deployed(&self, outcome: Outcome) {
        self.deployer.meters.deployed(&self.handler.name, outcome.word());
    }
}
