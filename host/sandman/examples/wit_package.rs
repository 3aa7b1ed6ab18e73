//! Writes the WIT package `sandman:handler` as a file that `wkg publish` takes: `cargo run -p sandman --example wit_package -- FILE`.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let file: PathBuf = std::env::args_os()
        .nth(1)
        .context("name the file to be written")?
        .into();
    let package = sandman::guest::wit_package()?;
    std::fs::write(&file, package).with_context(|| format!("{} cannot be written", file.display()))
}
