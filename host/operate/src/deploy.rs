//! Replaces a handler's version under traffic: a component is received, passes the stages one by one, and becomes active.
//!
//! A version becomes active in the store before it does in memory, so that after a crash no key is handled by an older
//! version than the one that wrote its state. After a failure before that, the old version stays active, and the
//! history has the failure.

mod ahead;
mod busy;
mod live;
mod offline;
mod refusal;
mod replayed;
mod report;
mod run;
mod start;
mod subject;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::hosts::UnableVersion;
use crate::load::Loader;
use crate::recordings::Recordings;
use sandman_config::{Config, HandlerConfig};
use sandman_core::limits::ComponentParts;
use sandman_core::store::{Activation, KeptVersion, VersionStore};
use sandman_core::version::Version;
use sandman_engine::alarm::Alarm;
use sandman_engine::meters::Meters;
use sandman_engine::registry::{Handler, Registry};
use sandman_sandbox::Sandbox;

use ahead::Ahead;
use busy::Busy;
use live::Live;
use run::Run;
use subject::Subject;

pub use busy::Slot;
pub use offline::Offline;
pub use refusal::{AgainError, Refusal};
pub use report::{Done, Passed, Report, Stage};
pub use start::{ReadyHandler, registry};

/// The name in the history for the host itself.
pub const HOST: &str = "sandman";

/// Who requests a change, and with which flags.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Who it is, for the history.
    pub by: &'a str,
    /// Accept a version that, by its `state-version`, cannot read the states that were written since.
    pub force: bool,
    /// Accept a version that would be refused because its outcomes differ from the recorded ones.
    pub accept_diffs: bool,
}

/// Replaces versions. Shared by all that may request it.
pub struct Deployer {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) registry: Arc<Registry>,
    /// The sandbox for components.
    pub sandbox: Arc<Sandbox>,
    pub(super) versions: Arc<dyn VersionStore>,
    pub(super) recordings: Recordings,
    pub(super) meters: Arc<Meters>,
    pub(super) alarm: Alarm,
    busy: Busy,
    /// Versions that are active on other hosts and do not load here.
    unable: Mutex<HashMap<Arc<str>, UnableVersion>>,
    ahead: Ahead,
}

impl Deployer {
    /// A deployer for the handlers of `registry`, with the current `config`.
    pub fn new(
        config: Arc<ArcSwap<Config>>,
        registry: Arc<Registry>,
        sandbox: Arc<Sandbox>,
        (versions, recordings): (Arc<dyn VersionStore>, Recordings),
        (meters, alarm): (Arc<Meters>, Alarm),
    ) -> Self {
        for (_, handler) in registry.iter() {
            let version = handler.active();
            meters.serves(&handler.name, (version.number, &version.digest), true);
        }
        Self {
            config,
            registry,
            sandbox,
            versions,
            recordings,
            meters,
            alarm,
            busy: Busy::default(),
            unable: Mutex::default(),
            ahead: Ahead::default(),
        }
    }

    /// The right to change the handler of that name.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::Busy`].
    pub fn reserve(&self, name: &str) -> Result<Slot, Refusal> {
        let handler = self.handler(name)?;
        self.busy
            .one(&handler.name)
            .ok_or_else(|| Refusal::Busy(name.to_owned()))
    }

    /// The right to change the configuration.
    ///
    /// # Errors
    /// [`Refusal::Busy`] while any handler is changed.
    pub fn reserve_all(&self) -> Result<Slot, Refusal> {
        self.busy.all().ok_or_else(|| Refusal::Busy("a handler".to_owned()))
    }

    /// Deploys a component to the reserved handler; reports each stage when it is passed, and then the end. `None`
    /// stands for a component that was larger than `host.component` and was not received. When the end is reported the
    /// slot is free, so that the next change can be requested. `others` is called with the version's number before it
    /// becomes active: it waits until the other hosts have loaded it.
    pub fn deploy(
        &self,
        slot: Slot,
        (order, component): (Order<'_>, Option<&[u8]>),
        others: &dyn Fn(&Arc<str>, u64),
        tell: &mut dyn FnMut(Report),
    ) {
        let Some(handler) = slot.handler().and_then(|name| self.handler(name).ok()) else {
            return;
        };
        let mut run = Run::deploy(Subject::of_live(self, handler), order, tell).after(others);
        let ended = run.component(component);
        let done = run.finish(ended);
        drop(slot);
        tell(Report::Done(done));
    }

    /// Makes an earlier version the active one: `to`, or the one that the active version replaced. Its code is already
    /// compiled, so this takes milliseconds.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such version; later failures are reported by [`Done`].
    pub fn rollback(&self, slot: &Slot, order: Order<'_>, to: Option<u64>) -> Result<Done, Refusal> {
        let name = slot.handler().cloned().unwrap_or_default();
        let handler = self.handler(&name)?;
        let target = earlier(&*self.versions, (&handler.name, handler.active().number), to)?;
        let mut quiet = |_| {};
        let mut run = Run::rollback(Subject::of_live(self, handler), order, &mut quiet);
        let ended = run.version(&target);
        Ok(run.finish(ended))
    }

    /// The same for the version that `failed`, ordered by the host itself, which says why in the history. Where another host was
    /// faster, the version before it serves already.
    ///
    /// # Errors
    /// Like a rollback.
    pub fn rollback_because(&self, slot: &Slot, failed: u64, reason: String) -> Result<Done, Refusal> {
        let name = slot.handler().cloned().unwrap_or_default();
        let handler = self.handler(&name)?;
        let target = earlier(&*self.versions, (&handler.name, failed), None)?;
        let mut quiet = |_| {};
        let order = Order {
            by: HOST,
            force: false,
            accept_diffs: false,
        };
        let mut run = Run::rollback(Subject::of_live(self, handler), order, &mut quiet).because(reason);
        let ended = run.version(&target);
        Ok(run.finish(ended))
    }

    /// The largest memory limit that a handler may have without a restart, in bytes.
    pub fn largest_memory(&self) -> u64 {
        self.sandbox.largest_memory()
    }

    /// The largest limits on a component's parts that a handler may have without a restart.
    pub fn largest_parts(&self) -> &ComponentParts {
        self.sandbox.largest_parts()
    }

    /// Records that a handler is no longer served.
    pub fn retired(&self, handler: &Handler) {
        let version = handler.active();
        self.meters
            .serves(&handler.name, (version.number, &version.digest), false);
    }

    /// The active version of a handler once more, with the limits, settings and grants of another configuration.
    ///
    /// # Errors
    /// [`AgainError::Candidate`] if it does not fit them; the store's error if its component cannot be read.
    pub fn again(&self, config: &Config, handler: &HandlerConfig) -> Result<Option<Version>, AgainError> {
        let Some((_, known)) = self.registry.find(&handler.name) else {
            return Ok(None);
        };
        let active = known.active();
        let Some(component) = self.versions.component(&active.digest)? else {
            return Ok(None);
        };
        let loader = Loader {
            config,
            sandbox: &self.sandbox,
        };
        let version = loader.version(handler, (active.number, &component), &mut |_| {})?;
        version.since.set(active.since.get());
        // What other hosts serve and did not load here may do so now.
        known.cannot_follow(0);
        self.unable.lock().remove(&handler.name);
        Ok(Some(version))
    }

    /// The component of a stored version.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::NotKept`], [`Refusal::Store`].
    pub fn component(&self, name: &str, number: u64) -> Result<Vec<u8>, Refusal> {
        let handler = self.handler(name)?;
        let kept = earlier(&*self.versions, (&handler.name, handler.active().number), Some(number))?;
        let not_kept = || Refusal::NotKept {
            name: name.to_owned(),
            number,
            kept: "its component is not in the store".to_owned(),
        };
        self.versions.component(&kept.digest)?.ok_or_else(not_kept)
    }

    /// Serves what the store has as the active version, where another host has made it so. Returns its number if it changed.
    /// What does not load here is not tried again.
    ///
    /// # Errors
    /// [`AgainError::Candidate`] if it does not fit this host's configuration; the version that served before still does. The store's
    /// error if it cannot be read.
    pub fn follow(&self, config: &Arc<Config>, handler: &HandlerConfig) -> Result<Option<u64>, AgainError> {
        let name = &handler.name;
        let (Some((_, known)), Some(active)) = (self.registry.find(name), self.versions.active(name)?) else {
            return Ok(None);
        };
        let serving = known.active();
        if active.since_millis == serving.since.get() || active.since_millis == known.unable() {
            return Ok(None);
        }
        // Who deploys here changes both at once.
        let Ok(_slot) = self.reserve(name) else { return Ok(None) };
        if active.number == serving.number {
            known.serves_since(active.since_millis);
            return Ok(None);
        }
        let ready = self.prepared_for(config, name, active.number);
        match ready.map_or_else(
            || self.elsewhere(config, (handler, known), active.number),
            |ready| Ok(Some(ready)),
        ) {
            Ok(Some(version)) => {
                let live = Live {
                    deployer: self,
                    handler: known,
                };
                live.activate(version, active.since_millis);
                self.unable.lock().remove(name);
                Ok(Some(active.number))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                if self.cannot_load(name, (active.number, active.since_millis), &error) {
                    known.cannot_follow(active.since_millis);
                }
                Err(error)
            }
        }
    }

    /// A version that another host has activated, as it would serve here.
    fn elsewhere(
        &self,
        config: &Config,
        (handler, known): (&HandlerConfig, &Handler),
        number: u64,
    ) -> Result<Option<Arc<Version>>, AgainError> {
        if let Some(version) = known.standby(number) {
            return Ok(Some(version));
        }
        let kept = self.versions.versions(&handler.name)?;
        let Some(kept) = kept.iter().find(|kept| kept.number == number) else {
            return Ok(None);
        };
        let Some(component) = self.versions.component(&kept.digest)? else {
            return Ok(None);
        };
        let loader = Loader {
            config,
            sandbox: &self.sandbox,
        };
        let version = loader.version(handler, (number, &component), &mut |_| {})?;
        Ok(Some(Arc::new(version)))
    }

    /// The version of a handler that other hosts serve and that does not load on this one.
    pub fn unable(&self, name: &str) -> Option<UnableVersion> {
        self.unable.lock().get(name).cloned()
    }

    /// The handlers' history, the newest entry first.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Store`].
    pub fn history(&self, name: &str, most: usize) -> Result<Vec<Activation>, Refusal> {
        self.handler(name)?;
        Ok(self.versions.history(name, most)?)
    }

    fn handler(&self, name: &str) -> Result<&Handler, Refusal> {
        let mut serving = self.registry.iter().filter(|(_, handler)| !handler.is_retired());
        let found = serving.find(|(_, handler)| &*handler.name == name);
        found.map(|(_, handler)| handler).ok_or_else(|| self.unknown(name))
    }

    /// The refusal of a name that no handler has.
    pub fn unknown(&self, name: &str) -> Refusal {
        let serving = self.registry.iter().filter(|(_, handler)| !handler.is_retired());
        let known: Vec<&str> = serving.map(|(_, handler)| &*handler.name).collect();
        Refusal::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// The version that a rollback goes to: `to`, or the one that the active version of the handler replaced.
fn earlier(versions: &dyn VersionStore, (name, active): (&str, u64), to: Option<u64>) -> Result<KeptVersion, Refusal> {
    let kept = versions.versions(name)?;
    let find = |number| kept.iter().find(|version| version.number == number);
    let numbers: Vec<String> = kept.iter().map(|version| version.number.to_string()).collect();
    let (name, all) = (name.to_owned(), numbers.join(", "));
    let target = match to {
        Some(number) => find(number).ok_or(Refusal::NotKept {
            name,
            number,
            kept: all,
        }),
        None => find(active)
            .and_then(|version| find(version.replaced?))
            .ok_or(Refusal::NothingBefore {
                name,
                active,
                kept: all,
            }),
    };
    target.cloned()
}
