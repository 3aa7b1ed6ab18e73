//! A gate on the way of an event: a host that comes to a chosen step waits there while something is done to it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::wait::eventually;
use crate::{Host, Result, Settings};

use super::run::Run;

/// The gate of a run's hosts.
pub struct Gate {
    file: PathBuf,
    held: PathBuf,
}

impl Gate {
    /// A gate that is open, and settings of hosts that come by it.
    ///
    /// # Errors
    /// If the world's folder has a strange name.
    pub fn new(run: &Run<'_>, settings: Settings) -> Result<(Self, Settings)> {
        let file = run.world.folder().join("hold");
        let path = file
            .to_str()
            .context("the world's folder has a strange name")?
            .to_owned();
        let held = PathBuf::from(format!("{path}.held"));
        Ok((Self { file, held }, settings.fault("HOLD", &path)))
    }

    /// Waits until the host stands at this step.
    ///
    /// # Errors
    /// If it does not come to it in time.
    pub fn hold(&self, host: &Host, step: &str) -> Result {
        fs::write(&self.file, step)?;
        eventually(&format!("the host comes to the step {step}"), || {
            host.still_runs()?;
            Ok(self.held.exists().then_some(()))
        })
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If nobody waits.
    pub fn go_on(&self) -> Result {
        fs::remove_file(&self.held).context("nobody waits at the gate: this shows nothing")
    }
}
