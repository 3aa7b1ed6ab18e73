//! Loads the versions that are active when the host starts: those that are active in the store; at the very first start
//! the components in `sandman.toml`.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use thiserror::Error;

use crate::load::{self, CandidateError, Loader};
use sandman_config::{Config, HandlerConfig};
use sandman_core::digest;
use sandman_core::store::{Action, Activation, Active, NewVersion, Outcome, VersionStore};
use sandman_core::version::Version;
use sandman_engine::clock;
use sandman_engine::meters::Meters;
use sandman_engine::registry::{Handler, Registry};
use sandman_sandbox::Sandbox;

/// Who activates a first version.
const BY: &str = "sandman.toml";

/// A handler's version, and its component if it was never active before.
struct FoundVersion {
    version: Version,
    first: Option<Vec<u8>>,
}

/// The active version does not fit the current configuration.
#[derive(Debug, Error)]
#[error(
    "version {number}, which is active in the store, cannot serve: {error}; change it back, or make a version that fits \
     the active one while the host is stopped: `sandman deploy --offline {name} FILE` or `sandman rollback --offline {name}`"
)]
struct Unfit {
    number: u64,
    error: CandidateError,
    name: String,
}

/// Loads the active version of each handler.
///
/// # Errors
/// Every handler that cannot be served, with all its problems.
pub fn registry(
    config: &Config,
    sandbox: &Arc<Sandbox>,
    versions: &dyn VersionStore,
    meters: &Meters,
) -> Result<Registry> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for handler in &config.handlers {
        match find(Loader { config, sandbox }, handler, versions) {
            Ok(version) => found.push((handler, version)),
            Err(error) => problems.push(format!("handlers.{}: {error:#}", handler.name)),
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    // Only now, so that a host that does not start has activated nothing.
    let made = found.into_iter().map(|(handler, found)| {
        let version = first(handler, found, versions, config.host.versions)?;
        let meters = meters.handler(&handler.name, &handler.topics);
        Ok(Handler::new(&handler.name, meters, version)
            .keyed_by(handler.key.clone())
            .in_group(&handler.group))
    });
    Ok(Registry::new(made.collect::<Result<_>>()?))
}

/// A loaded handler that is not stored as active yet.
pub struct ReadyHandler(FoundVersion);

impl super::Deployer {
    /// Loads the active version of a handler that was added to the configuration.
    ///
    /// # Errors
    /// All its problems.
    pub fn ready(&self, config: &Config, handler: &HandlerConfig) -> Result<ReadyHandler> {
        let loader = Loader {
            config,
            sandbox: &self.sandbox,
        };
        Ok(ReadyHandler(find(loader, handler, &*self.versions)?))
    }

    /// Stores that the handler's version is active, if it is the first one.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn begin(&self, config: &Config, handler: &HandlerConfig, ready: ReadyHandler) -> Result<Version> {
        let version = first(handler, ready.0, &*self.versions, config.host.versions)?;
        self.meters
            .serves(&handler.name, (version.number, &version.digest), true);
        Ok(version)
    }
}

fn find(loader: Loader<'_>, handler: &HandlerConfig, versions: &dyn VersionStore) -> Result<FoundVersion> {
    let name = &handler.name;
    let (found, number) = match versions.active(name)? {
        Some(active) => (stored(loader, handler, versions, active)?, active.number),
        None => {
            let component = load::read(&handler.component)?;
            let kept = versions.versions(name)?;
            let digest = digest(&component);
            let known = kept.iter().find(|version| *version.digest == *digest);
            let newest = kept.iter().map(|version| version.number).max().unwrap_or_default();
            let number = known.map_or(newest + 1, |version| version.number);
            let version = loader.version(handler, (number, &component), &mut |_| {})?;
            let first = Some(component);
            (FoundVersion { version, first }, number)
        }
    };
    tracing::info!(
        handler = &**name,
        version = number,
        digest = &*found.version.digest,
        "loaded"
    );
    if let Some(warning) = load::key_not_found(&found.version, handler) {
        tracing::warn!(handler = &**name, "{warning}");
    }
    Ok(found)
}

fn stored(
    loader: Loader<'_>,
    handler: &HandlerConfig,
    versions: &dyn VersionStore,
    active: Active,
) -> Result<FoundVersion> {
    let Active { number, .. } = active;
    let kept = versions.versions(&handler.name)?;
    let kept = kept.iter().find(|version| version.number == number);
    let component = kept.map(|kept| versions.component(&kept.digest)).transpose()?.flatten();
    let component =
        component.with_context(|| format!("the store has no component of version {number}, the active one"))?;
    let version = loader
        .version(handler, (number, &component), &mut |_| {})
        .map_err(|error| Unfit {
            number,
            error,
            name: handler.name.to_string(),
        })?;
    if load::file_digest(&handler.component).is_some_and(|file| *file != *version.digest) {
        let (name, file) = (&*handler.name, handler.component.display());
        tracing::warn!(
            handler = name,
            version = number,
            "{file} is not the version that serves, it is the first version only; `sandman deploy {name} {file}` makes it serve"
        );
    }
    version.since.set(active.since_millis);
    Ok(FoundVersion { version, first: None })
}

/// Stores the first active version of a handler.
fn first(handler: &HandlerConfig, found: FoundVersion, versions: &dyn VersionStore, keep: usize) -> Result<Version> {
    let FoundVersion { version, first } = found;
    let Some(component) = first else {
        return Ok(version);
    };
    let (name, number, now) = (&handler.name, version.number, clock::wall_millis());
    let kept = versions.versions(name)?;
    if !kept.iter().any(|known| known.number == number) {
        let new = NewVersion {
            handler: name,
            number,
            digest: &version.digest,
            component: &component,
        };
        versions.keep(&new, now).context("the store")?;
    }
    let entry = Activation {
        number: Some(number),
        digest: Some(Arc::clone(&version.digest)),
        at_millis: now,
        by: BY.to_owned(),
        action: Action::Start,
        outcome: Outcome::Active,
        detail: String::new(),
    };
    versions.activate(name, &entry, keep).context("the store")?;
    let active = versions.active(name).context("the store")?;
    version.since.set(active.map_or(now, |active| active.since_millis));
    Ok(version)
}
