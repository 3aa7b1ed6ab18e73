//! `sandman new`: writes a new guest.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{ConfigArgs, output};
use crate::guest::Language;
use crate::new_guest::{EVENT, NewError, NewGuest, check_name};
use sandman_config::DEFAULT_PREFIX;

const AFTER: &str = "\
A guest is a folder with a handler that counts, its tests, an event to try, and
the files that its language needs. If there is no sandman.toml, one is written
that serves the guest on the embedded broker; otherwise the table to add is
printed. Nothing is ever overwritten.

  rust   a Cargo crate. Its Cargo.toml refers to the folder of the SDK: guest/sdk in
         the sources that this sandman was built from, or the folder given by --sdk
  ts     an npm package in TypeScript, with a copy of the SDK in vendor/sandman-sdk
  py     a Python project, with a copy of the SDK in vendor/sandman-sdk
  go     a Go module, with a copy of the SDK in sandman-sdk

With --sdk, the SDK of any language is taken from that folder. Without --lang
the command asks if it runs in a terminal, and otherwise writes Rust.

To handle the first event:
  sandman new greeter
  sandman dev

Exit codes:
  0  the guest was written
  1  it was not; the reason is on stderr
  2  the command line was wrong

Examples:
  sandman new greeter
  sandman new shop --lang ts
  sandman new greeter --path guests/greeter
  sandman new greeter --sdk ../sandman/guest/sdk";

/// Write a new guest: a handler, its tests, an event to try, and its table in sandman.toml.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct NewArgs {
    /// The name of the handler and of its package: lower-case letters, digits, underscores and dashes.
    name: String,

    /// The language of the guest.
    #[arg(long, value_name = "LANG", value_parser = language)]
    lang: Option<Language>,

    /// The guest's folder. Default: a folder of its name in the current folder.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,

    /// The folder of the language's SDK in Sandman's sources, for example guest/sdk for Rust.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

fn words() -> String {
    Language::ALL.map(Language::word).join(", ")
}

fn language(word: &str) -> Result<Language, String> {
    Language::called(word).ok_or_else(|| format!("there are {}", words()))
}

/// Asks for a language, if there is a terminal.
fn ask() -> Result<Language> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(Language::Rust);
    }
    loop {
        output::line(&format!("In which language? {} (default: rust)", words()));
        let mut line = String::new();
        let read = io::stdin()
            .read_line(&mut line)
            .context("standard input cannot be read")?;
        match line.trim() {
            "" if read > 0 => return Ok(Language::Rust),
            "" => anyhow::bail!("no language was chosen; name it with --lang"),
            word => match language(word) {
                Ok(language) => return Ok(language),
                Err(known) => output::error(&format!("{word:?} is not one of them: {known}")),
            },
        }
    }
}

pub(super) fn run(args: &NewArgs) -> Result<ExitCode> {
    let language = args.lang.map_or_else(ask, Ok)?;
    check_name(&args.name, language)?;
    let file = &args.config.config;
    let known = ExistingFile::read(file)?;
    if known.has(&args.name) {
        let (file, name) = (file.clone(), args.name.clone());
        return Err(NewError::Taken { file, name }.into());
    }
    let guest = NewGuest {
        name: &args.name,
        language,
        dir: args.path.as_deref().unwrap_or(Path::new(&args.name)),
        sdk: args.sdk.as_deref(),
    };
    guest.write()?;
    let (name, title, dir) = (guest.name, language.title(), guest.dir.display());
    output::line(&format!("{name}: a guest in {title}, in {dir}"));
    match known {
        ExistingFile::Nothing => configure(guest, file)?,
        ExistingFile::There(_) => print_table(guest, file, &known)?,
    }
    if let Some(missing) = language.missing() {
        output::error(&format!("before it can be built: {missing}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The existing configuration.
enum ExistingFile {
    Nothing,
    /// As TOML; empty if it is invalid.
    There(toml::Table),
}

impl ExistingFile {
    fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            // Its mistakes are reported by `sandman check`.
            Ok(text) => Ok(Self::There(text.parse().unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }

    fn table(&self) -> Option<&toml::Table> {
        match self {
            Self::Nothing => None,
            Self::There(table) => Some(table),
        }
    }

    fn has(&self, handler: &str) -> bool {
        let handlers = self.table().and_then(|table| table.get("handlers"));
        handlers.is_some_and(|handlers| handlers.get(handler).is_some())
    }

    fn prefix(&self) -> &str {
        let kafka = self.table().and_then(|table| table.get("kafka"));
        let prefix = kafka.and_then(|kafka| kafka.get("topic_prefix")?.as_str());
        prefix.unwrap_or(DEFAULT_PREFIX)
    }
}

/// Writes the configuration, and prints the next steps.
fn configure(guest: NewGuest<'_>, file: &Path) -> Result<()> {
    let text = guest.configuration(folder(file), DEFAULT_PREFIX)?;
    let written = fs::File::create_new(file).and_then(|mut new| io::Write::write_all(&mut new, text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", file.display()))?;
    output::line(&format!("{}: serves it on the embedded broker", file.display()));
    let (name, dir) = (guest.name, guest.dir.display());
    let config = match file == Path::new("sandman.toml") {
        true => String::new(),
        false => format!(" --config {}", file.display()),
    };
    output::line(&format!(
        "\nContinue with:\n  sandman dev{config}\n  sandman invoke {name} --event {dir}/{EVENT}{config}   (once it is built)\n{}",
        own_tests(guest)
    ));
    Ok(())
}

fn print_table(guest: NewGuest<'_>, file: &Path, known: &ExistingFile) -> Result<()> {
    let table = guest.handler(folder(file), known.prefix())?;
    output::line(&format!("\nAdd to {}:\n\n{table}", file.display()));
    let dir = guest.dir.display();
    output::line(&format!("Continue with:\n  sandman dev {dir}\n{}", own_tests(guest)));
    Ok(())
}

/// A line with the command that runs the guest's own tests.
fn own_tests(guest: NewGuest<'_>) -> String {
    let toolchain = guest.language.toolchain();
    let first = match toolchain.tests_need_a_build() {
        true => "   (once it is built)",
        false => "",
    };
    format!("  (cd {} && {}){first}", guest.dir.display(), toolchain.own_tests())
}

fn folder(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
