//! What a deploy on one host of several does before the switch: every host loads the component first, so that none has to
//! turn a trigger away because its key is at a version that does not run there yet.

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
    /// Which configuration it has its limits, settings and grants from.
    config: Arc<Config>,
}

/// The versions of this host's handlers that are about to serve.
#[derive(Default)]
pub(super) struct Ahead {
    /// Which version this host is about to activate, for the others to load.
    changing: Mutex<HashMap<Arc<str>, u64>>,
    /// What others are about to activate.
    ready: Mutex<HashMap<Arc<str>, PreparedVersion>>,
}

impl Deployer {
    /// The version of a handler that this host is about to activate, or has activated and waits for the others.
    pub fn changing(&self, name: &str) -> Option<u64> {
        self.ahead.changing.lock().get(name).copied()
    }

    /// The version of a handler that this host has loaded before another one activates it.
    pub fn prepared(&self, name: &str) -> Option<u64> {
        self.ahead.ready.lock().get(name).map(|ready| ready.version.number)
    }

    /// The others are to load this version before it is activated here.
    pub fn begin_change(&self, name: &Arc<str>, number: u64) {
        self.ahead.changing.lock().insert(Arc::clone(name), number);
    }

    /// The change has ended on this host, and the others have followed or are not waited for any more.
    pub fn end_change(&self, name: &str, number: u64) {
        let mut changing = self.ahead.changing.lock();
        if changing.get(name) == Some(&number) {
            changing.remove(name);
        }
    }

    /// Loads what another host is about to activate, if one is. Returns whether there is something new to say of it.
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
            self.ahead.ready.lock().remove(name);
            return Ok(false);
        };
        let has_tried = self.unable(name).is_some_and(|unable| unable.version == number);
        let is_ready = self.prepared_for(config, name, number).is_some();
        if known.active().number == number || has_tried || is_ready {
            return Ok(false);
        }
        match self.elsewhere(config, (handler, known), number) {
            Ok(None) => Ok(false),
            Ok(Some(version)) => {
                let ready = PreparedVersion {
                    version,
                    config: Arc::clone(config),
                };
                self.ahead.ready.lock().insert(Arc::clone(name), ready);
                Ok(true)
            }
            Err(error) => {
                // Nothing was activated: the version that serves here is still the right one.
                self.cannot_load(name, (number, 0), &error);
                Err(error)
            }
        }
    }

    /// Remembers why a version does not load here, and since when it is the active one, unless the store is the reason.
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

    /// The version that was loaded beforehand, if it is this one and has the configuration of now.
    pub(super) fn prepared_for(&self, config: &Arc<Config>, name: &str, number: u64) -> Option<Arc<Version>> {
        let ready = self.ahead.ready.lock();
        let found = ready
            .get(name)
            .filter(|ready| ready.version.number == number && Arc::ptr_eq(&ready.config, config));
        found.map(|ready| Arc::clone(&ready.version))
    }
}
