//! `sandman import`: imports existing users' states into the store.

use std::env::temp_dir;
use std::fs::File;
use std::io::{Seek, SeekFrom, copy, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, output};
use crate::import::{Counts, Import, ImportResult, Mistakes, Reader};
use crate::{run, telemetry};
use sandman_config::{Config, LogFormat, StoreUrl};
use sandman_core::store::Store;
use sandman_operate::load::{self, Loader};

const AFTER: &str = "\
The file holds one state per line: {\"key\": \"u-1\", \"state\": {\"name\": \"Ada\"}}. The
key is the Kafka record's key, for example the user id; no key may occur twice.
The state is a document in the form in which the handler stores it, at most
limits.output long. A handler that reads imports itself, as DreamScape's
handlers do, is given each document and decides what is stored. Otherwise the
document must match the state schema of the handler's component. Blank lines are
ignored. \"-\" reads standard input, buffered in an unnamed file next to the
store.

Nothing is written unless every line is valid. The first 1000 mistakes are
listed with their line numbers, at most 5 for each state; the rest are counted.
If all lines are valid, the states are written in batches of 1000. To resume an
interrupted import, run it again: states that already exist and are equal as
JSON are skipped. A state that exists and differs is a mistake, unless
--overwrite is given.

Stop the host first. Run the import as the host's user, so that the store's
files belong to that user. Kafka and secrets are not needed, and nothing is
published. A million lines need about 40 MB of memory in addition to the store
and the component.

Exit codes:
  0  every state of the file is in the store (with --check: every line is valid)
  1  a line is invalid and nothing was written; or the import stopped, and says
     how far it got
  2  the command line was wrong

Examples:
  sandman import --handler profile --check profiles.jsonl
  sandman import --handler profile profiles.jsonl
  zcat preferences.jsonl.gz | sandman import --handler preferences -
  sandman import --handler profile profiles.jsonl --json | jq '.problems[] | .line'";

/// Import the states of existing users into the store.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct ImportArgs {
    /// The handler that owns the states.
    #[arg(long, value_name = "NAME")]
    handler: String,

    /// The states, one per line; "-" is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,

    /// Replace existing states that differ.
    #[arg(long, conflicts_with = "check")]
    overwrite: bool,

    /// Only check the file: the store is not opened, and the host may be running.
    #[arg(long)]
    check: bool,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ImportArgs) -> Result<ExitCode> {
    telemetry::install(LogFormat::Text, "warn")?;
    // An import does not need the secrets in the host's environment.
    let config = args
        .config
        .load()
        .or_else(|errors| errors.unless_only(&["JWT_SECRET", "admin.listen"]))?;
    let handler = config.find(&args.handler)?;
    let loader = Loader {
        config: &config,
        sandbox: &load::sandbox_that_keeps_nothing(&config)?,
    };
    let version = loader
        .file(handler)
        .with_context(|| format!("handlers.{}", handler.name))?;
    let shape = version.terms.state();
    if !shape.is_known() && !version.terms.takes_imports() {
        let name = &handler.name;
        output::error(&format!(
            "warning: handler {name} has no schema for its states (state-schema), so any JSON is accepted"
        ));
    }
    let store = if args.check { None } else { Some(open_store(&config)?) };
    let file = open(&args.file, &config)?;
    let import = Import {
        handler: Arc::clone(&handler.name),
        shape,
        reader: version.terms.takes_imports().then_some(Reader {
            guest: &*version.guest,
            settings: &version.settings,
        }),
        longest: handler.limits.output,
        store: store.as_deref(),
        overwrite: args.overwrite,
        show: !args.json,
    };
    let verdict = import.run(file).with_context(|| args.file.display().to_string())?;
    match &verdict {
        ImportResult::Imported(counts) => imported(args, *counts)?,
        ImportResult::Refused(mistakes) => refused(args, mistakes)?,
    }
    Ok(match verdict {
        ImportResult::Imported(_) => ExitCode::SUCCESS,
        ImportResult::Refused(_) => ExitCode::FAILURE,
    })
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>> {
    if config.store.url == StoreUrl::Memory {
        bail!("store.url is sqlite::memory:, which would be lost after this command; set it to a file");
    }
    let store = run::open_store(config)?;
    // A file is locked by the host that has it; here it is the hosts that tell.
    if store.is_shared()
        && let Some(host) = store.hosts()?.into_iter().find(|host| host.live)
    {
        bail!("host `{}` is running; stop all hosts first", host.name);
    }
    Ok(store)
}

/// The file, or standard input copied to a file, because it is read twice.
fn open(path: &Path, config: &Config) -> Result<File> {
    if path != Path::new("-") {
        return File::open(path).with_context(|| format!("{} cannot be opened", path.display()));
    }
    let beside = match &config.store.url {
        StoreUrl::Sqlite(store) => store.parent().filter(|folder| folder.is_dir()).map(Path::to_owned),
        StoreUrl::Memory | StoreUrl::Postgres(_) => None,
    };
    let folder = beside.unwrap_or_else(temp_dir);
    let kept = || -> std::io::Result<File> {
        let mut file = tempfile::tempfile_in(&folder)?;
        copy(&mut stdin().lock(), &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    };
    kept().with_context(|| format!("standard input cannot be copied to {}", folder.display()))
}

fn imported(args: &ImportArgs, counts: Counts) -> Result<()> {
    let (handler, states) = (&args.handler, counts.states);
    if args.json {
        return output::json(&json!({ "ok": true, "handler": handler, "counts": counts }));
    }
    let done = if args.check {
        "all of them valid; nothing was written".to_owned()
    } else {
        let Counts {
            added, replaced, same, ..
        } = counts;
        format!("{added} added, {replaced} replaced, {same} there already")
    };
    output::line(&format!("{handler}: {states} states, {done}"));
    Ok(())
}

fn refused(args: &ImportArgs, mistakes: &Mistakes) -> Result<()> {
    let Mistakes { problems, more } = mistakes;
    if args.json {
        let handler = &args.handler;
        return output::json(&json!({ "ok": false, "handler": handler, "problems": problems, "more": more }));
    }
    let file = args.file.display();
    for problem in problems {
        let place = if problem.place.is_empty() {
            String::new()
        } else {
            format!(", {}", problem.place)
        };
        output::error(&format!("{file}: line {}{place}: {}", problem.line, problem.problem));
    }
    if *more > 0 {
        output::error(&format!("{file}: and {more} more"));
    }
    let count = problems.len() as u64 + more;
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    output::error(&format!("{file}: {count} {noun}, nothing was written"));
    Ok(())
}
