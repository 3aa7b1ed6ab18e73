//! `sandman dlq`: the dead letters of a host.

mod filter;
mod list;
mod offline;
mod redrive;
mod remove;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

pub(super) use filter::code;
pub(super) use list::place;

use list::ListArgs;
use redrive::RedriveArgs;
use remove::{DropArgs, ReleaseArgs};
use show::ShowArgs;

const AFTER: &str = "\
A trigger that is given up becomes a dead letter: in the host's store, in the
same commit, and in Kafka, in the topic <topic>.dlq. The store keeps up to
store.dead_letters bytes of them; beyond that it drops the oldest that are in
Kafka.

What handlers were sent and what they remember is personal data: only tokens
listed in [admin] read_data may see keys, events and states.

Exit codes:
  0  it worked
  1  the host refused, or there is no such letter
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman dlq list
  sandman dlq list --handler profile --code trap --since 2h
  sandman dlq show 17
  sandman dlq redrive --handler profile --code trap --dry-run
  sandman dlq release 4711";

/// List, redrive and drop the dead letters of a host.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    List(ListArgs),
    Show(ShowArgs),
    Redrive(RedriveArgs),
    Drop(DropArgs),
    Release(ReleaseArgs),
}

pub(super) fn run(args: &DlqArgs) -> Result<ExitCode> {
    match &args.command {
        DlqCommand::List(args) => list::run(args),
        DlqCommand::Show(args) => show::run(args),
        DlqCommand::Redrive(args) => redrive::run(args),
        DlqCommand::Drop(args) => remove::drop(args),
        DlqCommand::Release(args) => remove::release(args),
    }
}
