//! In a fleet, every host loads a component before any of them activates it, so that no host has to refuse a trigger
//! because its key is at a version that does not run there yet.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{AgainError, Deployer};
use crate::hosts::{HostLine, UnableVersion, is_changing};
use sandman_config::{Config, HandlerConfig};
use sandman_core::printable;
use sandman_core::version::Version;

/// A version that was loaded before another host activates it.
struct PreparedVersion {
    version: Arc<Version>,
    /// The configuration with its limits, settings and grants.
    config: Arc<Config>,
}

/// The versions of this host's handlers that are about to become active.
#[derive(Default)]
pub(super) struct Ahead {
    /// The versions that this host is about to activate, for the others to load.
    changing: Mutex<HashMap<Arc<str>, u64>>,
    /// The versions that other hosts are about to activate, and that are loaded here.
    prepared: Mutex<HashMap<Arc<str>, PreparedVersion>>,
}

impl Deployer {
    /// The version of a handler that this host is about to activate, or has activated while it waits for the others.
    pub fn changing(&self, name: &str) -> Option<u64> {
        self.ahead.changing.lock().get(name).copied()
    }

    /// The version of a handler that this host has loaded before another one activates it.
    pub fn prepared(&self, name: &str) -> Option<u64> {
        self.ahead
            .prepared
            .lock()
            .get(name)
            .map(|prepared| prepared.version.number)
    }

    /// Announces a version that the others should load before it is activated here.
    pub fn begin_change(&self, name: &Arc<str>, number: u64) {
        self.ahead.changing.lock().insert(Arc::clone(name), number);
    }

    /// The change has ended on this host, and the others have followed or are no longer waited for.
    pub fn end_change(&self, name: &str, number: u64) {
        let mut changing = self.ahead.changing.lock();
        if changing.get(name) == Some(&number) {
            changing.remove(name);
        }
    }

    /// Loads the version that another host is about to activate, if any. Returns whether there is something new to report.
    ///
    /// # Errors
    /// [`AgainError`] if it does not load here, once for each such version, or the store cannot be read.
    pub fn prepare(
        &self,
        config: &Arc<Config>,
        handler: &HandlerConfig,
        hosts: &[HostLine],
    ) -> Result<bool, AgainError> {
        let name = &handler.name;
        let Some((_, known)) = self.registry.find(name) else {
            return Ok(false);
        };
        let Some(number) = is_changing(hosts, name) else {
            self.ahead.prepared.lock().remove(name);
            return Ok(false);
        };
        let has_tried = self.unable(name).is_some_and(|unable| unable.version == number);
        let is_prepared = self.prepared_for(config, name, number).is_some();
        if known.active().number == number || has_tried || is_prepared {
            return Ok(false);
        }
        match self.elsewhere(config, (handler, known), number) {
            Ok(None) => Ok(false),
            Ok(Some(version)) => {
                let prepared = PreparedVersion {
                    version,
                    config: Arc::clone(config),
                };
                self.ahead.prepared.lock().insert(Arc::clone(name), prepared);
                Ok(true)
            }
            Err(error) => {
                // Nothing was activated: the version that is active here is still the right one.
                self.cannot_load(name, (number, 0), &error);
                Err(error)
            }
        }
    }

    /// Records why a version does not load here, and when it became active, unless the store is the reason.
    pub(super) fn cannot_load(&self, name: &Arc<str>, (version, since_millis): (u64, i64), error: &AgainError) -> bool {
        let AgainError::Candidate(reason) = error else {
            return false;
        };
        let unable = UnableVersion {
            version,
            since_millis,
            reason: printable::line(&reason.to_string(), printable::LONGEST).into_owned(),
        };
        self.unable.lock().insert(Arc::clone(name), unable);
        true
    }

    /// The version that was loaded beforehand, if it has this number and the current configuration.
    pub(super) fn prepared_for(&self, config: &Arc<Config>, name: &str, number: u64) -> Option<Arc<Version>> {
        let prepared = self.ahead.prepared.lock();
        let found = prepared
            .get(name)
            .filter(|prepared| prepared.version.number == number && Arc::ptr_eq(&prepared.config, config));
        found.map(|prepared| Arc::clone(&prepared.version))
    }
}
