//! `sandman invoke`: runs a component once, without a host.

use std::fs;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::de::IgnoredAny;

use super::{ConfigArgs, output};
use crate::invoke::{Around, Bench, Emitted, InvokeReport, InvokeVerdict, RequestFile, State};
use sandman_config::{Config, HandlerConfig};
use sandman_core::printable;
use sandman_engine::clock;
use sandman_operate::load::{self, Loader};

/// The exit code if the handler gave no outcome.
const NO_OUTCOME: u8 = 4;

const AFTER: &str = "\
Touches no Kafka, no store and nothing outside: the trigger takes the same path
as in the host and passes the same checks. NAME is a handler of sandman.toml,
with its limits, settings and grants. A FILE.wasm has the default limits, no
settings, and is granted everything that it asks for.

--event takes the value of a Kafka record: an envelope, or the value of a dead
letter, which fails here as it failed in the host. The key is --key if given;
otherwise it is found as the handler's `key` in sandman.toml says: at a place in
the payload, or as the record's key, which is the additional field \"key\" of the
envelope, or else the event's id. The headers of a dead letter tell its time and
attempt: pass sandman.time (ISO) as --now and sandman.attempts as --attempt.

--request takes a request as the guest sees it:
  {\"method\": \"GET\", \"route\": \"/users/{id}\", \"key\": \"u-1\", \"params\": {\"id\": \"u-1\"},
   \"query\": {}, \"claims\": {\"userId\": \"u-1\"}, \"body\": null}

Prints the new state, the events, the reply, the log, the CPU time (including
the creation of the instance) and the peak of linear memory.

Exit codes:
  0  the handler returned an outcome, or does not consume the event
  1  it could not be run: a file, the component or the configuration is wrong
  2  the command line was wrong
  4  no outcome: rejected, to be retried, trapped, over a limit, or invalid

Examples:
  sandman invoke greeter --event greeter/events/created.json
  sandman invoke greeter --event letter.json --key u-1 --state state.json --now 1735689600000
  sandman invoke target/sandman/profile.wasm --request get.json --json | jq .reply.body
  kcat -C -t dreamscape.user.created.dlq -o -1 -c 1 -e | sandman invoke profile --event -";

/// Run a component once, without a host, and print the outcome.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct InvokeArgs {
    /// A handler in the configuration, or a component file.
    #[arg(value_name = "NAME|FILE.wasm")]
    target: String,

    #[command(flatten)]
    trigger: TriggerArgs,

    /// The key of the trigger.
    #[arg(long)]
    key: Option<String>,

    /// The key's state, a JSON document. Default: no state.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// The handler's settings, a JSON object or a file with one. Default: the configured ones.
    #[arg(long, value_name = "JSON|FILE")]
    settings: Option<String>,

    /// The time that the handler sees, in milliseconds since 1970. Default: now.
    #[arg(long, value_name = "MILLIS")]
    now: Option<i64>,

    /// The number of the attempt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,

    #[command(flatten)]
    config: ConfigArgs,

    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct TriggerArgs {
    /// An event: the value of a Kafka record; "-" is standard input.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,

    /// A request, as JSON; "-" is standard input.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

pub(super) fn run(args: &InvokeArgs) -> Result<ExitCode> {
    let report = if is_file(&args.target) {
        let handler = HandlerConfig::of_file(Path::new(&args.target));
        let (version, granted) = load::alone(&handler)?;
        let source = "sandman";
        invoke(
            args,
            &Bench {
                handler: &handler,
                version,
                granted,
                source,
            },
        )?
    } else {
        let config = configuration(args)?;
        let handler = config.find(&args.target)?;
        let sandbox = load::sandbox_that_keeps_nothing(&config)?;
        let loader = Loader {
            config: &config,
            sandbox: &sandbox,
        };
        let (version, granted) = (loader.file(handler)?, config.grant(handler));
        let source = &config.host.source;
        invoke(
            args,
            &Bench {
                handler,
                version,
                granted,
                source,
            },
        )?
    };
    if args.json {
        output::json(&report)?;
    } else {
        print(&report);
    }
    Ok(match report.outcome.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NO_OUTCOME),
    })
}

fn is_file(target: &str) -> bool {
    target.contains('/')
        || Path::new(target)
            .extension()
            .is_some_and(|extension| extension == "wasm")
}

/// Trying a handler does not need the secrets in the host's environment.
fn configuration(args: &InvokeArgs) -> Result<Config> {
    let config = args.config.load();
    Ok(config.or_else(|errors| errors.unless_only(&["JWT_SECRET", "admin.listen"]))?)
}

fn invoke(args: &InvokeArgs, bench: &Bench<'_>) -> Result<InvokeReport> {
    let state = args.state.as_deref().map(json_in).transpose()?;
    let settings = match &args.settings {
        None => bench.version.settings.to_string(),
        Some(given) => settings(given)?,
    };
    let around = Around {
        state: state.as_deref(),
        settings: &settings,
        now_millis: args.now.unwrap_or_else(clock::wall_millis),
        attempt: args.attempt,
    };
    let key = args.key.as_deref();
    match (&args.trigger.event, &args.trigger.request) {
        (Some(file), _) => Ok(bench.event(&read(file)?, key, around)),
        (None, Some(file)) => {
            let request = RequestFile::read(&read(file)?);
            let request = request.with_context(|| file.display().to_string())?.with_key(key);
            Ok(bench.request(&request, around)?)
        }
        (None, None) => bail!("there is nothing to run: use --event or --request"),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("standard input cannot be read")?;
        return Ok(bytes);
    }
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn json_in(file: &Path) -> Result<String> {
    let text = String::from_utf8(read(file)?).with_context(|| format!("{} is not UTF-8", file.display()))?;
    serde_json::from_str::<IgnoredAny>(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    Ok(text)
}

/// A JSON object, given as text or in a file.
fn settings(given: &str) -> Result<String> {
    let (text, place) = match given.trim_start().starts_with('{') {
        true => (given.to_owned(), "--settings"),
        false => (json_in(Path::new(given))?, given),
    };
    serde_json::from_str::<IgnoredAny>(&text).with_context(|| format!("{place} is not JSON"))?;
    if !text.trim_start().starts_with('{') {
        bail!("{place} is not a JSON object, such as {{\"limit\": 3}}");
    }
    Ok(text)
}

fn print(report: &InvokeReport) {
    for line in &report.logs {
        output::line(&format!("log     {:<5} {}", line.level, shown(&line.message)));
    }
    let (millis, mebibytes) = (
        report.cpu_micros as f64 / 1e3,
        report.memory_bytes as f64 / f64::from(1 << 20),
    );
    let cost = format!("{millis:.2} ms of CPU time, {mebibytes:.1} MiB of memory");
    if let Some(reason) = &report.reason {
        let verdict = match report.outcome {
            InvokeVerdict::Done => "done",
            InvokeVerdict::Ignored => "ignored",
            InvokeVerdict::Rejected => "rejected",
            InvokeVerdict::Retry => "to be retried",
            InvokeVerdict::Trap => "trapped",
            InvokeVerdict::Exceeded => "over a limit",
            InvokeVerdict::Invalid => "no valid outcome",
        };
        let line = format!("{}: {verdict}: {}", report.handler, shown(reason));
        match report.outcome.is_good() {
            true => output::line(&line),
            false => output::error(&line),
        }
    } else {
        print_outcome(report);
    }
    if report.memory_bytes > 0 {
        output::line(&format!("cost    {cost}"));
    }
}

/// The guest's complete text, on a single line.
fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    printable::line(text, usize::MAX)
}

fn print_outcome(report: &InvokeReport) {
    output::line(&match &report.state {
        State::Keep => "state   stays as it is".to_owned(),
        State::Put(document) => format!("state   {}", shown(document.get())),
        State::Delete => "state   is deleted".to_owned(),
    });
    for event in &report.events {
        let Emitted {
            event_type, version, ..
        } = event;
        let key = event
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!(" key {}", shown(key)));
        let (event_type, version) = (shown(event_type), shown(version));
        output::line(&format!(
            "event   {event_type} {version}{key} {}",
            shown(event.payload.get())
        ));
        if let Some(metadata) = &event.metadata {
            output::line(&format!("        metadata {}", shown(metadata.get())));
        }
    }
    if let Some(reply) = &report.reply {
        let body = reply.body.as_ref().map_or("", |body| body.get());
        output::line(format!("reply   {} {}", reply.status, shown(body)).trim_end());
    }
    if report.is_refusal() {
        output::line("        with an error as its reply a request changes nothing: no state, no events");
    }
}
