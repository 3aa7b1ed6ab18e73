//! The version that a host is to start with, changed while it is stopped: the way out where the active one cannot serve
//! under a configuration that changed, so that the host does not start and nobody can be asked.
//!
//! The stages are those of a host that runs, and so are the store and its lock: nobody else changes anything meanwhile.

use std::sync::Arc;

use super::run::Run;
use super::subject::{Before, Subject};
use super::{Done, Order, Refusal, Report, earlier};
use crate::load;
use crate::recordings::Recordings;
use sandman_config::{Config, HandlerConfig};
use sandman_core::store::VersionStore;
use sandman_sandbox::Sandbox;

/// Changes what is active in the store of a host that is stopped.
pub struct Offline<'a> {
    /// What the host will be started with.
    pub config: Arc<Config>,
    /// As the host has it.
    pub sandbox: Arc<Sandbox>,
    /// The store, which this process has opened.
    pub versions: &'a dyn VersionStore,
    /// What is recorded in it.
    pub recordings: Recordings,
}

impl Offline<'_> {
    /// Makes a component the version that serves from the next start on; tells each stage as it is passed.
    ///
    /// # Errors
    /// [`Refusal`] if nothing was begun; what goes wrong later is told by [`Done`].
    pub fn deploy(
        &self,
        handler: &HandlerConfig,
        (order, component): (Order<'_>, &[u8]),
        tell: &mut dyn FnMut(Report),
    ) -> Result<Done, Refusal> {
        let mut run = Run::deploy(self.subject(handler)?, order, tell);
        let ended = run.component(Some(component));
        Ok(run.finish(ended))
    }

    /// Makes an earlier version the one that serves from the next start on: `to`, or the one that the active one replaced.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such version; what goes wrong later is told by [`Done`].
    pub fn rollback(&self, handler: &HandlerConfig, order: Order<'_>, to: Option<u64>) -> Result<Done, Refusal> {
        let subject = self.subject(handler)?;
        let target = earlier(self.versions, (&handler.name, subject.before.number), to)?;
        let mut quiet = |_| {};
        let mut run = Run::rollback(subject, order, &mut quiet);
        let ended = run.version(&target);
        Ok(run.finish(ended))
    }

    fn subject<'s>(&'s self, handler: &'s HandlerConfig) -> Result<Subject<'s>, Refusal> {
        let name = &handler.name;
        let never = || Refusal::NeverServed(name.to_string());
        let number = self.versions.active(name)?.ok_or_else(never)?.number;
        let kept = self.versions.versions(name)?;
        let active = kept.into_iter().find(|version| version.number == number);
        let digest = active.ok_or_else(never)?.digest;
        // It may be the very one that cannot serve, or not be whole any more: what it says of itself is asked without what it
        // is granted, and if it says nothing, only --force goes on.
        let component = self.versions.component(&digest).ok().flatten();
        let writes = component.and_then(|component| {
            let described = load::describe(&self.sandbox, handler, (number, &component));
            described.map(|contract| contract.state_version).ok()
        });
        Ok(Subject {
            config: Arc::clone(&self.config),
            sandbox: &self.sandbox,
            versions: self.versions,
            recordings: &self.recordings,
            name,
            before: Before { number, digest, writes },
            live: None,
        })
    }
}
