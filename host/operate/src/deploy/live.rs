//! A handler of a host that runs, as a change of its version sees it.

use std::sync::Arc;
use std::time::Duration;

use super::Deployer;
use sandman_core::store::Outcome;
use sandman_core::version::Version;
use sandman_engine::registry::Handler;

/// A handler that serves, and whoever replaces its version.
pub(super) struct Live<'a> {
    pub(super) deployer: &'a Deployer,
    pub(super) handler: &'a Handler,
}

impl Live<'_> {
    /// From now on this version serves, as the store has it already.
    pub(super) fn activate(&self, version: Arc<Version>, since_millis: i64) {
        let (name, meters) = (&self.handler.name, &self.deployer.meters);
        let (before, after) = (self.handler.active(), Arc::clone(&version));
        version.since.set(since_millis);
        self.handler.activate(version);
        meters.serves(name, (before.number, &before.digest), false);
        meters.serves(name, (after.number, &after.digest), true);
    }

    /// A component was compiled.
    pub(super) fn compiled(&self, took: Duration) {
        self.deployer.meters.compiled(&self.handler.name, took);
    }

    /// A change has ended.
    pub(super) fn deployed(&self, outcome: Outcome) {
        self.deployer.meters.deployed(&self.handler.name, outcome.word());
    }
}
