//! The handlers of this host, and which version of each is active.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::HandlerConfig;
use crate::contract::Terms;
use crate::lanes::HandlerIx;
use crate::limits::Retry;
use crate::meters::HandlerMeters;
use crate::outcome::Guest;

/// One version of a handler, loaded and checked against what the configuration grants.
pub struct Version {
    /// Its number, from 1, per handler.
    pub number: u64,
    /// The component's sha256, lower-case hex.
    pub digest: Arc<str>,
    /// What it consumes and emits.
    pub terms: Terms,
    /// The component itself.
    pub guest: Box<dyn Guest>,
}

/// A handler: a name, its policy, and the version that serves it now.
pub struct Handler {
    /// The name in `[handlers.NAME]`.
    pub name: Arc<str>,
    /// Its settings, a JSON object as text.
    pub settings: Arc<str>,
    /// When a failed trigger is tried again.
    pub retry: Retry,
    /// Its metrics.
    pub meters: HandlerMeters,
    active: ArcSwap<Version>,
}

impl Handler {
    /// The handler of this configuration, served by `version`.
    pub fn new(config: &HandlerConfig, meters: HandlerMeters, version: Version) -> Self {
        Self {
            name: Arc::clone(&config.name),
            settings: Arc::clone(&config.settings),
            retry: config.retry,
            meters,
            active: ArcSwap::from_pointee(version),
        }
    }

    /// The version that serves now: a snapshot for one unit of work.
    pub fn active(&self) -> Arc<Version> {
        self.active.load_full()
    }
}

/// All handlers; a [`HandlerIx`] is the position in it.
pub struct Registry {
    handlers: Vec<Handler>,
}

impl Registry {
    /// A registry of these handlers.
    pub fn new(handlers: Vec<Handler>) -> Self {
        Self { handlers }
    }

    /// The handler at `ix`.
    pub fn get(&self, ix: HandlerIx) -> Option<&Handler> {
        self.handlers.get(usize::from(ix))
    }

    /// All handlers with their index.
    pub fn iter(&self) -> impl Iterator<Item = (HandlerIx, &Handler)> {
        (0..).zip(&self.handlers)
    }
}
