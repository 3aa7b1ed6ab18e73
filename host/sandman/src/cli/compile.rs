//! `sandman compile`: the child process in which the host checks and compiles components. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::output;
use sandman_sandbox::{CompileBounds, compile_in_child};

const AFTER: &str = "\
The host runs this command itself, as a child process that it can stop at its
limits.

Examples:
  sandman compile --memory 2147483648 --seconds 60 <profile.wasm
  sandman compile --cache data/compiled --memory 2147483648 --seconds 60 <profile.wasm";

/// Compile a component from stdin into a folder of compiled code, or only check it, within limits.
#[derive(Args, Debug)]
#[command(hide = true, after_long_help = AFTER)]
pub(super) struct CompileArgs {
    /// The folder of compiled code; without it the component is checked but not compiled.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Address space, in bytes.
    #[arg(long, value_name = "BYTES")]
    memory: u64,

    /// CPU time, all cores together, in seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,
}

pub(super) fn run(args: &CompileArgs) -> Result<ExitCode> {
    let bounds = CompileBounds {
        time: Duration::from_secs(args.seconds),
        memory: args.memory,
    };
    Ok(
        match compile_in_child(args.cache.as_deref(), bounds, std::io::stdin().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                output::error(&reason);
                ExitCode::FAILURE
            }
        },
    )
}
