//! `sandman dev`: the ordinary host on the embedded broker, and beside it a loop that watches the guests' folders,
//! builds saved guests, and deploys them like `sandman deploy`.

mod events;
mod guests;
mod progress;
mod show;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use crossbeam_channel::{Receiver, bounded};
use tempfile::TempDir;

use super::deploy::When;
use super::{ConfigArgs, deploy, output};
use crate::build_guest::BuildError;
use crate::run::{self, Started};
use crate::telemetry;
use sandman_config::{Config, in_environment};
use sandman_operate::control::{Control, ReloadError};
use sandman_operate::deploy::{Order, Report};
use sandman_operate::load::{self, CandidateError, Loader};

use events::Events;
use guests::GuestFolder;
use show::Shows;
use watch::{FolderWatch, SavedFiles};

/// Logs of guests, and warnings; without what this command shows in a better way, and the connections to the embedded broker.
const LOGS: &str = "warn,sandman::guest=info,sandman::kafka=off,sandman_kafka=off,sandman_operate::deploy=error,\
    sandman_engine::pipeline=error,audit=off";

/// The name of the deployer in a handler's history.
const BY: &str = "dev";

const AFTER: &str = "\
Builds the guests and serves them on an embedded Kafka, with states in memory.
Shows each event that is consumed (in), published (out) or given up (dead) as
one line. Then it watches:

  a guest's sources         each save starts a build, and the new version serves from
                            the next event on; states are kept. If the build fails,
                            the errors are shown and the old version keeps serving
  a guest's events/*.json   all are sent at the start, and each again when it is saved
  sandman.toml              changes are applied as by `sandman reload`

A guest is expected where its component is built, or in the folder of its name
next to sandman.toml. If it is elsewhere, name its folder as DIR; then only the
named guests are watched.

A file in events/ holds one or more envelopes, as they are in Kafka. An event
goes to the topic made of kafka.topic_prefix and its type; an additional field
\"key\" sets the record's key.

The brokers, the store and the uploads of sandman.toml are not used, so nothing
real is touched. `dedupe` is off: an event that is saved again is handled again.
Routes are served on [http] listen; `sandman handlers`, `history` and `rollback`
work as usual. SIGINT (Ctrl-C) or SIGTERM stops it.

Exit codes:
  0  stopped by a signal
  1  it could not start or continue; the reason is on stderr
  2  the command line was wrong

Examples:
  sandman new greeter && sandman dev
  sandman dev guest/profile guest/preferences
  sandman dev --store /tmp/states        keep the states for the next start";

/// Build, serve, watch, swap: develop guests with everything embedded.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct DevArgs {
    /// Folders of guests. Default: those of all handlers that are found.
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,

    /// Keep states and uploaded files in this folder after the command ends.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
}

pub(super) fn run(args: &DevArgs) -> Result<ExitCode> {
    // Dropped at the end, including uploaded files.
    let passing = tempfile::tempdir().context("there is no folder for temporary files")?;
    let config = load(&args.config.config, overlay(args, &passing)?)?;
    telemetry::install(config.host.log, LOGS)?;
    let guests = guests::find(&config, &args.dirs)?;
    let watch = FolderWatch::over(&guests, &config.file)?;
    for guest in &guests {
        build_at_last(guest, &config, &watch)?;
    }
    let (sender, started) = bounded(1);
    let circle = Loop {
        config: config.clone(),
        guests,
        watch,
    };
    let options = run::RunOptions {
        started: Some(sender),
        ..run::RunOptions::default()
    };
    thread::Builder::new()
        .name("dev".to_owned())
        .spawn(move || circle.run(&started))?;
    run::run(&config, options)
}

/// Loads the configuration so that an event that is saved again is handled again, although it has the same id.
fn load(file: &Path, mut over: Vec<(String, String)>) -> Result<Config> {
    let known = Config::load_over(file, over.clone())?;
    let dedupe = |name: &str| format!("SANDMAN_HANDLERS__{}__DEDUPE", in_environment(name));
    over.extend(
        known
            .handlers
            .iter()
            .map(|handler| (dedupe(&handler.name), "0".to_owned())),
    );
    Ok(Config::load_over(file, over)?)
}

/// The keys that this command sets instead of `sandman.toml`.
fn overlay(args: &DevArgs, passing: &TempDir) -> Result<Vec<(String, String)>> {
    let kept = args.store.as_deref().map(std::path::absolute).transpose()?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a folder's name is not UTF-8");
    let folder = kept.as_deref().unwrap_or(passing.path());
    let store = match kept {
        Some(_) => format!("sqlite:{}", text(&folder.join("sandman.db"))?),
        None => "sqlite::memory:".to_owned(),
    };
    let set = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        set("SANDMAN_KAFKA__BROKERS", "embedded".to_owned()),
        set("SANDMAN_STORE__URL", store),
        set(
            "SANDMAN_UPLOADS__URL",
            format!("file:{}", text(&folder.join("uploads"))?),
        ),
        set("SANDMAN_HOST__COMPILED", text(&folder.join("compiled"))?),
    ])
}

/// Builds a guest, and again after each change until there is a valid component, because there is no earlier version to serve.
fn build_at_last(guest: &GuestFolder, config: &Config, watch: &FolderWatch) -> Result<()> {
    loop {
        match guest.build() {
            Ok(()) => match unusable(guest, config)? {
                None => return Ok(()),
                Some(error) => output::error(&format!("{}: {error}", guest.handler)),
            },
            Err(error) => {
                not_built(guest, &error);
                if !matches!(
                    error,
                    BuildError::Compile { .. } | BuildError::Component { .. } | BuildError::Start { .. }
                ) {
                    anyhow::bail!("{} is not built", guest.dir.display());
                }
            }
        }
        output::error(&format!("waiting for a change in {}", guest.dir.display()));
        while !watch.next()?.guests.contains(&guest.handler) {}
    }
}

/// Why the guest must be built again, if it must. Contracts that do not fit `sandman.toml` are reported by the start,
/// because the mistake may be in that file.
fn unusable(guest: &GuestFolder, config: &Config) -> Result<Option<CandidateError>> {
    let Some(handler) = config.handlers.iter().find(|handler| handler.name == guest.handler) else {
        return Ok(None);
    };
    // The host will find the code that is compiled here.
    let sandbox = &load::sandbox(config)?;
    let component = load::read(&guest.component)?;
    let loaded = progress::compiling(&guest.handler, || {
        Loader { config, sandbox }.version(handler, (1, &component), &mut |_| {})
    });
    Ok(loaded
        .err()
        .filter(|error| !matches!(error, CandidateError::Contract(_))))
}

fn not_built(guest: &GuestFolder, error: &BuildError) {
    output::error(&format!("{}: {error}", guest.handler));
}

/// The loop that runs beside the host.
struct Loop {
    config: Config,
    guests: Vec<GuestFolder>,
    watch: FolderWatch,
}

impl Loop {
    fn run(self, started: &Receiver<Started>) {
        // No message means that the host could not start, which it reports itself.
        if let Ok(started) = started.recv()
            && let Err(error) = self.follow(&started)
        {
            output::error(&format!(
                "sandman: {}; files are no longer watched",
                super::reasons(&error)
            ));
        }
    }

    fn follow(mut self, Started { control, kafka }: &Started) -> Result<()> {
        let mut shows = Shows::new(kafka.clone());
        shows.all(&self.config)?;
        let events = Events::open(kafka)?;
        output::line(&format!("kafka at {}, for other clients", kafka.brokers));
        // In a kept store another version than the one that was just built may be active.
        for guest in &self.guests {
            deploy(control.as_ref(), guest, &mut |report| quiet(&report))?;
        }
        for guest in &self.guests {
            output::line(&format!("watching {} for {}", guest.dir.display(), guest.handler));
            events.send_all(&guest.events(), &self.config);
        }
        loop {
            let SavedFiles {
                guests,
                events: saved,
                configuration,
            } = self.watch.next()?;
            if configuration {
                self.reload(control.as_ref(), &mut shows)?;
            }
            for guest in self.guests.iter().filter(|guest| guests.contains(&guest.handler)) {
                match guest.build() {
                    Ok(()) => deploy(control.as_ref(), guest, &mut |report| tell(&report))?,
                    Err(error) => not_built(guest, &error),
                }
            }
            events.send_all(&saved, &self.config);
        }
    }

    /// Applies `sandman.toml`, and deploys again guests that did not fit before.
    fn reload(&mut self, control: &dyn Control, shows: &mut Shows) -> Result<()> {
        let file = self.config.file.display();
        match control.reload(BY) {
            Ok(_) => {}
            Err(error) => {
                let again = match error {
                    ReloadError::NeedsRestart(_) => "; stop this with Ctrl-C and start it again",
                    _ => "",
                };
                output::error(&format!("{file}: {error}{again}; nothing changed"));
                return Ok(());
            }
        }
        output::line(&format!("{file}: followed"));
        // If it has been saved with a mistake in the meantime, the next round reports it.
        if let Ok(config) = self.config.again() {
            self.config = config;
        }
        shows.all(&self.config)?;
        for guest in &self.guests {
            deploy(control, guest, &mut |report| quiet(&report))?;
        }
        Ok(())
    }
}

/// Deploys a built guest, with the code of the admin API.
fn deploy(control: &dyn Control, guest: &GuestFolder, tell: &mut dyn FnMut(Report)) -> Result<()> {
    let component = load::read(&guest.component)?;
    match control.reserve(&guest.handler) {
        Ok(slot) => {
            // States and versions are only for trying things out.
            let order = Order {
                by: BY,
                force: true,
                accept_diffs: true,
            };
            progress::compiling(&guest.handler, || {
                control.deploy(slot, (order, Some(&component)), tell);
            });
        }
        Err(refusal) => output::error(&format!("{}: {refusal}", guest.handler)),
    }
    Ok(())
}

fn tell(report: &Report) {
    if let Report::Done(done) = report {
        // The exit code is only for commands that end.
        let _ = deploy::end(done, false, When::Now);
    }
}

/// Reports a deploy that nobody asked for only if it failed.
fn quiet(report: &Report) {
    if let Report::Done(done) = report
        && done.outcome != sandman_core::store::Outcome::Unchanged
    {
        let _ = deploy::end(done, false, When::Now);
    }
}
