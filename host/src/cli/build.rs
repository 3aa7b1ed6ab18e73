//! `sandman build`: a guest's folder becomes a component.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

const AFTER: &str = "\
The component is written to target/sandman/<name>.wasm. The Rust target wasm32-unknown-unknown is
added through rustup where it is missing, and that is said. Nothing else needs to be installed.

Examples:
  sandman build guest/profile
  sandman build guest/profile --out /srv/components
  sandman build guest/profile --json | jq -r .digest";

/// Build a guest into a component.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct BuildArgs {
    /// The guest's folder, the one with its Cargo.toml.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Where the component goes instead of target/sandman.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the result (name, path, digest, bytes) as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BuildArgs) -> Result<ExitCode> {
    // `crate::build_guest::build(dir, options)` joins here.
    bail!(
        "building guests is not part of this version yet: {} (out: {:?}, json: {})",
        args.dir.display(),
        args.out,
        args.json
    )
}
