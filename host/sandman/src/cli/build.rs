//! `sandman build`: builds a component from a guest's folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::output;
use crate::build_guest::{self, BuildOptions};

const AFTER: &str = "\
The language is detected by a file in the folder: Cargo.toml means Rust,
package.json TypeScript or JavaScript, pyproject.toml Python, go.mod Go. The
component is written to target/sandman/<name>.wasm in the guest's folder, or in
the folder of its Cargo workspace.

  Rust         the target wasm32-unknown-unknown is added with rustup if it is
               missing, with a message; nothing else needs to be installed
  TypeScript   needs Node.js 20 or newer and npm; npm installs the packages of
               package-lock.json if they are missing; tsc checks the types if there
               is a tsconfig.json
  Python       needs Python 3.11 or newer with venv; pip installs the packages of
               requirements.txt into the guest's .venv. Unchanged sources are not
               built again, because two builds would give two different components
  Go           needs Go 1.24 or newer; go.mod pins the release, and go downloads it
               if another one is installed

If a tool is missing, the error names it and the command that installs it.
Progress and compiler errors go to stderr, the result to stdout.

Examples:
  sandman build guest/profile
  sandman build guest/profile --out /srv/components
  sandman build guest/profile --json | jq -r .digest";

/// Build a guest into a component.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct BuildArgs {
    /// The guest's folder, with its Cargo.toml, package.json, pyproject.toml or go.mod.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Write the component to this folder instead of target/sandman.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Features of the guest's crate to enable, separated by commas (Rust only).
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
