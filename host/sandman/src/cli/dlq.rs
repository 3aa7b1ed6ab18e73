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
A trigger that is given up becomes a dead letter: in the store of the host, in the very commit that gives
it up, and on Kafka, in the topic <topic>.dlq. The store keeps store.dead_letters bytes of them; beyond
that the oldest go that are on Kafka.

What handlers were sent and what they remember is personal data: keys, events and states are told to
tokens alone that [admin] read_data names.

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

/// See the dead letters of a host, and put right what failed.
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
