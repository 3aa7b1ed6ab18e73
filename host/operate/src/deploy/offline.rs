//! Changes the version with which a stopped host will start: necessary if the active one cannot be served under a
//! changed configuration, so that the host does not start.
//!
//! The stages are those of a running host, and so are the store and its lock: nobody else changes anything in the meantime.

use std::sync::Arc;

use super::run::Run;
use super::subject::{Before, Subject};
use super::{Done, Order, Refusal, Report, earlier};
use crate::load;
use crate::recordings::Recordings;
use sandman_config::{Config, HandlerConfig};
use sandman_core::store::VersionStore;
use sandman_sandbox::Sandbox;

/// Changes the active version in the store of a stopped host.
pub struct Offline<'a> {
    /// The configuration with which the host will start.
    pub config: Arc<Config>,
    /// The same sandbox as the host's.
    pub sandbox: Arc<Sandbox>,
    /// The store, which this process has opened.
    pub versions: &'a dyn VersionStore,
    /// The recordings in the store.
    pub recordings: Recordings,
}

impl Offline<'_> {
    /// Makes a component the active version from the next start on; reports each stage when it is passed.
    ///
    /// # Errors
    /// [`Refusal`] if nothing was started; later failures are reported by [`Done`].
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

    /// Makes an earlier version the active one from the next start on: `to`, or the one that the active version replaced.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such version; later failures are reported by [`Done`].
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
        // It may be the one that cannot be served, or be damaged: its contract is read without checking its grants, and
        // if that fails, only --force continues.
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
