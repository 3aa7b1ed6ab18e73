//! `sandman dlq list`: dead letters in groups, and the newest ones.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::filter::FilterArgs;
use super::offline;
use crate::cli::client::{self, HostArgs};
use crate::cli::output;
use sandman_core::printable;
use sandman_operate::letters::{LetterGroup, LetterLine, LetterList};

const AFTER: &str = "\
First shows groups by handler, version and code, each with its latest reason,
then the letters, newest first. AT is when a letter was given up, or given up
again if it was redriven. KEY is the key if the token may read data ([admin]
read_data), and otherwise the hash that the log uses; a letter that never got a
key shows the key of its record. Only those tokens see the guest's own text:
others see the code, and where the guest panicked.

--offline is for a stopped host: run the command as the host's user, with the
host's configuration.

Exit codes:
  0  it worked, even if there are no letters
  1  the host refused: there is no such handler
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq list
  sandman dlq list --handler profile --since 2h
  sandman dlq list --code trap --json | jq '.groups[] | {handler, version, code, count}'";

/// Bytes of a reason in a table; `sandman dlq show` has all of it.
const REASON: usize = 200;

/// List dead letters, grouped by handler, version and code.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// The most letters to list; the groups count all of them.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,

    #[command(flatten)]
    host: HostArgs,

    /// Read the store of a stopped host.
    #[arg(long, conflicts_with = "host")]
    offline: bool,

    /// Print count, groups and letters as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ListArgs) -> Result<ExitCode> {
    let query = args.filter.query(None);
    if args.offline {
        let (letters, config) = offline::open(&args.host.file())?;
        let list = letters.list(&query.into(), args.limit, true)?;
        if let Some(name) = args.filter.handler.as_ref().filter(|_| list.count == 0) {
            config.find(name)?;
        }
        client::show(args.json, &list, print)?;
        return Ok(ExitCode::SUCCESS);
    }
    client::asking(|| {
        let asked = json!({ "letters": query, "limit": args.limit });
        let list: LetterList = args.host.client()?.ask("/v1/letters/search", &asked)?;
        client::show(args.json, &list, print)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(list: &LetterList) {
    if list.count == 0 {
        return output::line("no dead letters");
    }
    let head = ["HANDLER", "VERSION", "CODE", "COUNT", "OLDEST", "NEWEST", "REASON"];
    let rows: Vec<_> = list.groups.iter().map(group).collect();
    client::table(head, &rows);
    if list.letters.is_empty() {
        return;
    }
    output::line("");
    table(&list.letters);
    let shown = list.letters.len() as u64;
    if shown < list.count {
        output::line(&format!("\nthe newest {shown} of {}; --limit shows more", list.count));
    }
}

/// Letters, a line each.
pub(super) fn table(letters: &[LetterLine]) {
    let head = ["ID", "AT", "HANDLER", "CODE", "KEY", "FROM", "ATTEMPTS", "REDRIVEN"];
    let rows: Vec<_> = letters.iter().map(line).collect();
    client::table(head, &rows);
}

fn group(group: &LetterGroup) -> [String; 7] {
    [
        group.handler.clone(),
        group.version.to_string(),
        group.code.clone(),
        group.count.to_string(),
        group.oldest.clone(),
        group.newest.clone(),
        printable::line(&group.reason, REASON).into_owned(),
    ]
}

fn line(letter: &LetterLine) -> [String; 8] {
    [
        letter.id.to_string(),
        letter.at.clone(),
        letter.handler.clone(),
        letter.code.clone(),
        key(letter),
        place(letter),
        letter.attempts.to_string(),
        letter.redriven.to_string(),
    ]
}

/// The key, or its hash as in logs.
pub(super) fn key(letter: &LetterLine) -> String {
    let hash = || letter.key_hash.as_ref().map(|hash| format!("#{hash}"));
    letter.key.clone().or_else(hash).unwrap_or_else(|| "-".to_owned())
}

/// The place of the record.
pub(in crate::cli) fn place(letter: &LetterLine) -> String {
    format!("{}/{}/{}", letter.topic, letter.partition, letter.offset)
}
