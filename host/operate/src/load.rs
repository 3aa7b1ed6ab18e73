//! Turns a component into a version that can become active: loads it in the sandbox, and checks its contract against
//! the grants of the configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use thiserror::Error;

use sandman_config::{Config, DEFAULT_PREFIX, HandlerConfig};
use sandman_core::contract::{Contract, ContractError, Grant, Terms};
use sandman_core::digest;
use sandman_core::limits::{ComponentParts, Instances, Limits};
use sandman_core::printable;
use sandman_core::version::{ServesSince, Version};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::purity::{self, Impure};
use sandman_sandbox::{CompileBounds, Compiler, Label, LoadError, LoadStep, Sandbox, SandboxOptions, SandboxedGuest};

/// Why a component cannot serve a handler.
#[derive(Debug, Error)]
pub enum CandidateError {
    /// It is not a valid handler, or does not run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its contract does not fit the grants of the configuration.
    #[error("the component does not fit its configuration: {}", said(.0))]
    Contract(Vec<ContractError>),
    /// The same trigger gave two outcomes.
    #[error(transparent)]
    Impure(#[from] Impure),
}

fn said(errors: &[ContractError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    printable::line(&errors.join("; "), printable::LONGEST).into_owned()
}

/// The sandbox, sized for the configured handlers.
///
/// # Errors
/// If the folder of compiled code cannot be used, or the engine cannot be created.
pub fn sandbox(config: &Config) -> Result<Arc<Sandbox>> {
    let instances = u32::try_from(config.host.workers).unwrap_or(u32::MAX);
    sandbox_with(config, Some(config.host.compiled.clone()), instances)
}

/// A sandbox for commands that only inspect components. It stores no compiled code: the folder would belong to the user
/// of the command, and the host would refuse it.
///
/// # Errors
/// If the engine cannot be created.
pub fn sandbox_that_keeps_nothing(config: &Config) -> Result<Arc<Sandbox>> {
    sandbox_with(config, None, 1)
}

fn sandbox_with(config: &Config, compiled: Option<PathBuf>, instances: u32) -> Result<Arc<Sandbox>> {
    let compiler = match compiled {
        Some(_) => Compiler::Apart(CompileBounds {
            time: config.host.compile_time,
            memory: config.host.compile_memory,
        }),
        // The user of the command can limit its process.
        None => Compiler::Here,
    };
    let options = SandboxOptions {
        allocation: config.host.allocation,
        parts: largest_parts(config),
        stack: config.host.stack,
        compiler,
        ..SandboxOptions::new(compiled, instances, largest_memory(config))
    };
    Ok(Sandbox::new(options)?)
}

/// The largest memory limit of any handler, in bytes: the size of the sandbox's slots.
pub fn largest_memory(config: &Config) -> u64 {
    let limits = config.handlers.iter().map(|handler| handler.limits.memory);
    limits.max().unwrap_or(16 << 20)
}

/// The largest limits on the parts of any handler's component: the size of the sandbox's slots.
pub fn largest_parts(config: &Config) -> ComponentParts {
    let parts = config.handlers.iter().map(|handler| handler.limits.parts);
    parts.reduce(ComponentParts::max).unwrap_or_default()
}

/// Makes versions of components: the sandbox, and the configuration with the grants.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    /// The whole configuration.
    pub config: &'a Config,
    /// The sandbox for components.
    pub sandbox: &'a Arc<Sandbox>,
}

impl Loader<'_> {
    /// Loads a component as version `number` of a handler and checks it against the grants of the configuration; calls
    /// `passed` for each step once it is done.
    ///
    /// # Errors
    /// [`CandidateError`]: all its problems.
    pub fn version(
        &self,
        handler: &HandlerConfig,
        (number, component): (u64, &[u8]),
        passed: &mut dyn FnMut(LoadStep),
    ) -> Result<Version, CandidateError> {
        let guest = guest(self.sandbox, handler, (number, component), passed)?;
        // Its logs during this check are irrelevant.
        with_default(NoSubscriber::default(), || purity::check(&guest, &handler.settings))?;
        let grant = self.config.grant(handler);
        version(guest, (handler, number), &grant, &self.config.kafka.topic_prefix)
    }

    /// The component in the handler's file, as its first version.
    ///
    /// # Errors
    /// All its problems.
    pub fn file(&self, handler: &HandlerConfig) -> Result<Version> {
        let component = read(&handler.component)?;
        Ok(self.version(handler, (1, &component), &mut |_| {})?)
    }
}

/// Loads a component without a configuration, granted everything that it asks for, and returns the grant.
///
/// # Errors
/// All its problems.
pub fn alone(handler: &HandlerConfig) -> Result<(Version, Grant)> {
    let component = read(&handler.component)?;
    let sandbox = Sandbox::new(SandboxOptions::new(None, 1, handler.limits.memory))?;
    let guest = guest(&sandbox, handler, (1, &component), &mut |_| {})?;
    let grant = Grant::all(guest.contract());
    Ok((version(guest, (handler, 1), &grant, DEFAULT_PREFIX)?, grant))
}

/// Loads a component for replaying recordings of a handler, granted everything that it asks for, with the recorded
/// limits, and with reused instances if the recorded ones were reused. What a host has compiled in the folder
/// `compiled` is not compiled again.
///
/// # Errors
/// All its problems.
pub fn for_replay(
    handler: &str,
    component: (u64, &[u8]),
    (limits, reused): (Limits, bool),
    compiled: Option<&Path>,
) -> Result<Version> {
    let handler = HandlerConfig {
        limits,
        instances: match reused {
            true => Instances::Reused,
            false => Instances::Fresh,
        },
        ..HandlerConfig::of_file(Path::new(handler))
    };
    let options = SandboxOptions {
        cache_is_read_only: true,
        ..SandboxOptions::new(compiled.map(Path::to_owned), 1, limits.memory)
    };
    let sandbox = Sandbox::new(options)?;
    let guest = guest(&sandbox, &handler, component, &mut |_| {})?;
    let grant = Grant::all(guest.contract());
    Ok(version(guest, (&handler, component.0), &grant, DEFAULT_PREFIX)?)
}

/// The contract of a component, regardless of its grants.
///
/// # Errors
/// [`LoadError`] if it does not load.
pub fn describe(
    sandbox: &Arc<Sandbox>,
    handler: &HandlerConfig,
    component: (u64, &[u8]),
) -> Result<Contract, LoadError> {
    let guest = guest(sandbox, handler, component, &mut |_| {})?;
    Ok(guest.contract().clone())
}

fn guest(
    sandbox: &Arc<Sandbox>,
    handler: &HandlerConfig,
    (number, component): (u64, &[u8]),
    passed: &mut dyn FnMut(LoadStep),
) -> Result<SandboxedGuest, LoadError> {
    let label = Label {
        handler: Arc::clone(&handler.name),
        version: number,
    };
    sandbox.load_in_steps((label, handler.limits, handler.instances), component, passed)
}

fn version(
    guest: SandboxedGuest,
    (handler, number): (&HandlerConfig, u64),
    grant: &Grant,
    topic_prefix: &str,
) -> Result<Version, CandidateError> {
    let topic = |event_type: &str| format!("{topic_prefix}{event_type}").into();
    let terms = Terms::new(guest.contract(), grant, topic).map_err(CandidateError::Contract)?;
    Ok(Version {
        number,
        digest: guest.digest().into(),
        terms,
        guest: Box::new(guest),
        settings: Arc::clone(&handler.settings),
        retry: handler.retry,
        tombstones: handler.tombstones,
        dedupe: handler.dedupe,
        limits: handler.limits,
        recordings: handler.recordings,
        since: ServesSince::default(),
    })
}

/// Describes the consumed events in which the handler's key cannot be found; `None` if there are none, as far as the
/// schemas tell.
pub fn key_not_found(version: &Version, handler: &HandlerConfig) -> Option<String> {
    let lacking = version.terms.without_key(&handler.key).join("; ");
    (!lacking.is_empty()).then(|| {
        let lacking = printable::line(&lacking, printable::LONGEST);
        format!(
            "events without the handler's `key` become dead letters, and by their schemas they have none: {lacking}"
        )
    })
}

/// The component in a file.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!(
            "component {} cannot be read; make it with `sandman build DIR`",
            path.display()
        )
    })
}

/// The digest of the component in a file; `None` if the file does not exist.
pub fn file_digest(path: &Path) -> Option<String> {
    std::fs::read(path).ok().map(|component| digest(&component))
}
