//! `sandman run`: the host itself.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::ConfigArgs;
use crate::telemetry;
use sandman_config::{Config, ConfigErrors};

const AFTER: &str = "\
Once everything is up, one line on stdout names the addresses:
  sandman ready: admin http://127.0.0.1:3902

SIGTERM or SIGINT stops gracefully within host.grace: intake stops, lanes drain, everything is
committed and published. A second signal ends at once, and loses nothing: what was not committed
is done again at the next start.

Examples:
  sandman run
  sandman run --config /etc/sandman/sandman.toml
  KAFKA_BROKERS=kafka1:9092,kafka2:9092 SANDMAN_LOG=debug sandman run
  sandman run --adopt        after a backup of the store was restored on purpose";

/// Run the host: consume, call the handlers, commit, publish.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Take over a deployment whose relay cursor names another store, or is ahead of this one.
    ///
    /// Without it the host refuses to start in that case, because a second host may be running or the store may be an
    /// old backup. Events that the other store had committed and not published are not known here. It takes over once:
    /// if another store takes the deployment over in turn, this host stops.
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

/// The configuration, if it has no mistake, those of Kafka's clients included.
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
