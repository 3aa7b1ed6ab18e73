//! From the configured components to the registry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::config::{Config, HandlerConfig};
use crate::contract::Terms;
use crate::meters::Meters;
use crate::outcome::{self, Failure, Fault, Outcome, Trigger};
use crate::registry::{Handler, Registry, Version};
use crate::sandbox::{Guest, InvokeError, Label, Sandbox, SandboxOptions};

/// The sandbox, sized for the configured handlers.
///
/// # Errors
/// If the folder of compiled code cannot be used, or the engine not be made.
pub fn sandbox(config: &Config) -> Result<Arc<Sandbox>> {
    let instances = u32::try_from(config.host.workers).unwrap_or(u32::MAX);
    sandbox_with(config, Some(config.host.compiled.clone()), instances)
}

/// A sandbox for commands that only look at components. It leaves no compiled code behind: the folder would belong to
/// whoever ran the command, and the host would refuse it.
///
/// # Errors
/// If the engine cannot be made.
pub fn sandbox_that_keeps_nothing(config: &Config) -> Result<Arc<Sandbox>> {
    sandbox_with(config, None, 1)
}

fn sandbox_with(config: &Config, compiled: Option<PathBuf>, instances: u32) -> Result<Arc<Sandbox>> {
    let memory = config
        .handlers
        .iter()
        .map(|handler| handler.limits.memory)
        .max()
        .unwrap_or(16 << 20);
    Ok(Sandbox::new(SandboxOptions::new(compiled, instances, memory))?)
}

/// Loads every handler's component and checks it against what the configuration grants it.
///
/// # Errors
/// Every handler that cannot serve, with all that is wrong with it.
pub fn registry(config: &Config, sandbox: &Arc<Sandbox>, meters: &Meters) -> Result<Registry> {
    let mut handlers = Vec::new();
    let mut problems = Vec::new();
    for handler in &config.handlers {
        match version(config, handler, sandbox) {
            Ok(version) => {
                tracing::info!(
                    handler = &*handler.name,
                    version = version.number,
                    digest = &*version.digest,
                    "loaded"
                );
                let meters = meters.handler(&handler.name, &handler.topics);
                handlers.push(Handler::new(handler, meters, version));
            }
            Err(error) => problems.push(format!("handlers.{}: {error:#}", handler.name)),
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(Registry::new(handlers))
}

/// Loads one handler's component as version 1 and checks it against what the configuration grants it.
///
/// # Errors
/// All that is wrong with it.
pub fn version(config: &Config, handler: &HandlerConfig, sandbox: &Arc<Sandbox>) -> Result<Version> {
    let wasm = read(&handler.component)?;
    let label = Label {
        handler: Arc::clone(&handler.name),
        version: 1,
    };
    let guest = sandbox.load(label, &wasm, handler.limits, handler.instances)?;
    let topic = |event_type: &str| format!("{}{event_type}", config.kafka.topic_prefix).into();
    let terms = Terms::new(guest.contract(), &config.grant(handler), topic).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the component does not fit its configuration: {}", errors.join("; "))
    })?;
    Ok(Version {
        number: 1,
        digest: guest.digest().into(),
        terms,
        guest: Box::new(Called(guest)),
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!(
            "component {} cannot be read; make it with `sandman build DIR`",
            path.display()
        )
    })
}

/// The sandbox's guest, as the pipeline calls it.
struct Called(Guest);

impl outcome::Guest for Called {
    fn invoke(
        &self,
        trigger: Trigger<'_>,
        state: Option<&str>,
        context: outcome::Context<'_>,
    ) -> Result<Outcome, Fault> {
        self.0.invoke(trigger, state, context).map_err(|error| match error {
            InvokeError::Refused(Failure::Rejected(reason)) => Fault::Rejected(reason),
            InvokeError::Refused(Failure::Retry(reason)) => Fault::Retry(reason),
            error @ InvokeError::Invalid { .. } => Fault::Rejected(error.to_string()),
            error @ InvokeError::Exceeded { .. } => Fault::Exceeded(error.to_string()),
            error @ (InvokeError::Trap { .. } | InvokeError::NoInstance { .. }) => Fault::Trap(error.to_string()),
        })
    }
}
