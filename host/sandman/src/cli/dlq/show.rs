//! `sandman dlq show`: shows one letter with all its data.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::list::{key, place};
use super::offline;
use crate::cli::client::{self, HostArgs};
use crate::cli::output;
use sandman_core::printable;
use sandman_operate::letters::{Data, HeldAs, LetterReport};

const AFTER: &str = "\
Key, headers, value and the state that the last attempt saw are shown only to a
token listed in [admin] read_data. Binary data is shown as base64.

--offline is for a stopped host: run the command as the host's user, with the
host's configuration.

Exit codes:
  0  it worked
  1  there is no such letter: it was redriven or dropped, or the store was full
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq show 17
  sandman dlq show 17 --json | jq -r .data.value.text";

/// Show a dead letter: its reason, version, origin and content.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ShowArgs {
    /// The number of the letter, from `sandman dlq list`.
    id: u64,

    #[command(flatten)]
    host: HostArgs,

    /// Read the store of a stopped host.
    #[arg(long, conflicts_with = "host")]
    offline: bool,

    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs) -> Result<ExitCode> {
    if args.offline {
        let (letters, _) = offline::open(&args.host.file())?;
        let letter = letters.show(args.id, true)?;
        let letter = letter.with_context(|| format!("there is no dead letter {}", args.id))?;
        client::show(args.json, &letter, print)?;
        return Ok(ExitCode::SUCCESS);
    }
    client::asking(|| {
        let letter: LetterReport = args.host.client()?.get(&format!("/v1/letters/{}", args.id))?;
        client::show(args.json, &letter, print)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(letter: &LetterReport) {
    let LetterReport {
        line,
        digest,
        timestamp,
        bytes,
        data,
    } = letter;
    // One line each, so that text of senders cannot look like our own lines.
    let say = |name: &str, value: &str| output::line(&format!("{name:<10} {}", printable::line(value, usize::MAX)));
    let short: String = digest.chars().take(12).collect();
    say("letter", &line.id.to_string());
    say("code", &line.code);
    say("reason", &line.reason);
    say(
        "handler",
        &format!("{}, version {} ({short})", line.handler, line.version),
    );
    let called = match line.attempts {
        0 => "the guest was never called".to_owned(),
        1 => "after 1 attempt".to_owned(),
        attempts => format!("after {attempts} attempts"),
    };
    match line.held {
        Some(HeldAs::Behind) => say(
            "waits",
            &format!("since {}, behind the letter that holds its key", line.at),
        ),
        _ => say("given up", &format!("{}, {called}", line.at)),
    }
    let produced = timestamp.as_ref().map(|at| format!(", produced {at}"));
    say("from", &format!("{}{}", place(line), produced.unwrap_or_default()));
    say("redriven", &format!("{} times", line.redriven));
    say("key", &key(line));
    let Some(data) = data else {
        say(
            "value",
            &format!("{bytes} bytes; [admin] read_data does not let this token read them"),
        );
        return;
    };
    let shown = |data: &Option<Data>| data.as_ref().map_or_else(|| "null".to_owned(), Data::shown);
    say("state", data.state.as_deref().unwrap_or("none"));
    for header in &data.headers {
        say("header", &format!("{}: {}", header.name, shown(&header.value)));
    }
    say("value", &shown(&data.value));
}
