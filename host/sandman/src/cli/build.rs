//! `sandman build`: a guest's folder becomes a component.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::output;
use crate::build_guest::{self, BuildOptions};

const AFTER: &str = "\
The language is known by the folder: Cargo.toml is Rust, package.json is TypeScript or JavaScript,
pyproject.toml is Python, go.mod is Go.
The component is written to target/sandman/<name>.wasm of the guest's folder, in Rust of its workspace.

  Rust         the target wasm32-unknown-unknown is added through rustup where it is missing, and that
               is said; nothing else needs to be installed
  TypeScript   Node.js 20 or newer and npm; the packages of package-lock.json are installed by npm where
               they are missing. Types are checked by tsc where there is a tsconfig.json
  Python       Python 3.11 or newer with venv; what requirements.txt pins is installed by pip into .venv of
               the guest's folder. Sources that have not changed are not built again: two builds of the same
               would be two components
  Go           Go 1.24 or newer; go.mod pins the release, which go downloads where it has another

A tool that is missing is named with the command that installs it. Progress and the compiler's errors go to stderr, the result to stdout.

Examples:
  sandman build guest/profile
  sandman build guest/profile --out /srv/components
  sandman build guest/profile --json | jq -r .digest";

/// Build a guest into a component.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct BuildArgs {
    /// The guest's folder, the one with its Cargo.toml, package.json, pyproject.toml or go.mod.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Where the component goes instead of target/sandman.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Features of the guest's crate to switch on, separated by commas; for Rust alone.
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,

    /// Print the result (name, path, digest, bytes) as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BuildArgs) -> Result<ExitCode> {
    let options = BuildOptions {
        out_dir: args.out.clone(),
        target_dir: None,
        features: args.features.clone(),
        show: true,
    };
    let built = build_guest::build(&args.dir, &options)?;
    if args.json {
        output::json(&json!({
            "name": built.name,
            "path": built.path,
            "digest": built.digest,
            "bytes": built.bytes,
        }))?;
    } else {
        let (path, bytes, digest) = (built.path.display(), built.bytes, &built.digest);
        output::line(&format!("{}: {path}, {bytes} bytes, sha256 {digest}", built.name));
    }
    Ok(ExitCode::SUCCESS)
}
