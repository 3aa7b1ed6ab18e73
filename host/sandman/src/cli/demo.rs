//! `sandman demo`: shows everything in a minute, with nothing to install.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::demo::{DemoOptions, FleetOptions, Plant, demo};

const AFTER: &str = "\
Builds guest/profile and guest/preferences, starts an embedded broker, a store
and a host on free loopback ports, and generates DreamScape's traffic:
registrations on Kafka, and profile, preferences and avatar requests over HTTP.
Under that traffic it deploys a new version, has an invalid one refused, rolls
back, and stops the broker for two seconds. At the end, every event that came
out is compared with what went in. Once everything is built, the demo takes less
than a minute. It leaves nothing behind.

With --fleet it starts a PostgreSQL, a Kafka and two hosts instead. A deploy on
one host serves on both, and one host is killed under the traffic and started
again. This needs PostgreSQL 14 or newer (`initdb` in PATH, or as Debian installs
it) and Java 17, with Maven to fetch Kafka once, or an unpacked Kafka in
KAFKA_HOME. With --brokers it uses a Kafka that runs, in topics of its own that
begin with `sandman-demo-` and stay there.

Exit codes:
  0  the demo ran; nothing was lost, duplicated or out of order
  1  the demo could not run, or the check found a fault; the reason is shown

Examples:
  sandman demo
  sandman demo --fleet             two hosts on PostgreSQL and Kafka, one of them killed
  sandman demo --keep              keep running, and print curl commands to try
  sandman demo --plant doubled     watch the check find a fault";

/// See everything at work: real traffic, a swap under load, a rollback, an outage, and a check.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct DemoArgs {
    /// Two hosts on PostgreSQL and a real Kafka, which are started for it, instead of one host with everything embedded.
    #[arg(long)]
    fleet: bool,

    /// A Kafka that runs, without encryption and passwords, instead of one that the demo starts.
    #[arg(long, value_name = "HOST:PORT,…", requires = "fleet")]
    brokers: Option<String>,

    /// Keep running at the end until Ctrl-C, and show what to try.
    #[arg(long)]
    keep: bool,

    /// Tamper with the output that the check reads: the check must fail.
    #[arg(long, value_name = "FAULT", value_enum)]
    plant: Option<Plant>,

    /// The Sandman checkout to build the guests from. Default: this folder, or the one this program was built from.
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
}

pub(super) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let options = DemoOptions {
        repository: repository(args.repository.as_deref())?,
        fleet: args.fleet.then(|| FleetOptions {
            brokers: args.brokers.clone(),
        }),
        keep: args.keep,
        plant: args.plant,
        interrupted: interrupted()?,
    };
    Ok(match demo(&options)? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn repository(named: Option<&Path>) -> Result<PathBuf> {
    let is_one = |dir: &Path| dir.join("guest/profile/Cargo.toml").is_file();
    if let Some(dir) = named {
        if !is_one(dir) {
            bail!("--repository {}: there is no guest/profile in it", dir.display());
        }
        return Ok(dir.canonicalize()?);
    }
    let here = std::env::current_dir().context("the current folder")?;
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_owned);
    let found = [Some(here), built_from].into_iter().flatten().find(|dir| is_one(dir));
    found.context("the demo builds guest/profile and guest/preferences: call it in a checkout of Sandman, or name one with --repository")
}

/// A flag that Ctrl-C and SIGTERM set.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            theirs.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
    })?;
    Ok(flag)
}
