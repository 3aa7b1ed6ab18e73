//! `sandman run`: the host itself.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::ConfigArgs;
use crate::telemetry;
use sandman_config::{Config, ConfigErrors};

const AFTER: &str = "\
When everything is up, one line on stdout gives the addresses:
  sandman ready: admin http://127.0.0.1:3902

SIGTERM or SIGINT stops the host gracefully within host.grace: it stops
consuming, drains the lanes, and commits and publishes everything. A second
signal stops it at once and loses nothing: what was not committed is handled
again after the next start.

Examples:
  sandman run
  sandman run --config /etc/sandman/sandman.toml
  KAFKA_BROKERS=kafka1:9092,kafka2:9092 SANDMAN_LOG=debug sandman run
  sandman run --adopt        after restoring a backup of the store on purpose";

/// Run the host: consume, call the handlers, commit, publish.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Take over a deployment even if its relay cursor belongs to another store or is ahead of this one.
    ///
    /// Without --adopt the host refuses to start in that case: a second host may be running, or the store may be an old
    /// backup. Events that the other store committed but did not publish are lost to this one. The takeover happens once:
    /// if another store then takes over the deployment, this host stops.
    #[arg(long)]
    adopt: bool,

    /// End at once when the process that started this one has gone. For a host that belongs to a demonstration.
    #[arg(long, hide = true)]
    with_parent: bool,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode> {
    if args.with_parent {
        set_parent_process_death_signal(Some(Signal::KILL)).context("the parent process cannot be watched")?;
    }
    let config = load(&args.config)?;
    telemetry::install(config.host.log, "info")?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }

    let options = crate::run::RunOptions {
        adopt: args.adopt,
        ..crate::run::RunOptions::default()
    };
    crate::run::run(&config, options)
}

/// Loads the configuration, and also checks the settings of Kafka's clients.
fn load(args: &ConfigArgs) -> Result<Config, ConfigErrors> {
    match args.load() {
        Ok(config) => {
            let problems = crate::run::kafka_problems(&config);
            if problems.is_empty() {
                return Ok(config);
            }
            let (file, readable) = (config.file, None);
            Err(ConfigErrors {
                file,
                problems,
                readable,
            })
        }
        Err(mut errors) => {
            let more = errors.readable.as_deref().map(crate::run::kafka_problems);
            errors.problems.extend(more.unwrap_or_default());
            Err(errors)
        }
    }
}
