//! `sandman new`: a guest to start from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{ConfigArgs, output};
use crate::new_guest::{EVENT, NewError, NewGuest, check_name, find_sdk};
use sandman_config::DEFAULT_PREFIX;

const AFTER: &str = "\
The guest is a Rust crate: a handler that counts, its native tests, and an event to try it with.
Where there is no sandman.toml, one is written that serves it on the embedded broker; else the table
that it needs is printed, to be added. Nothing is ever overwritten.

The SDK is not published. The guest's Cargo.toml names its folder: guest/sdk in the sources that
this sandman was built from, or what --sdk says.

From here to the first event handled:
  sandman new greeter
  sandman dev

Exit codes:
  0  the guest is there
  1  it is not; the reason is on stderr
  2  the command line was wrong

Examples:
  sandman new greeter
  sandman new greeter --path guests/greeter
  sandman new greeter --sdk ../sandman/guest/sdk";

/// Write a new guest: a handler, its tests, an event to try, and what sandman.toml needs.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct NewArgs {
    /// The handler's name, also that of its crate: lower-case letters, digits, underscores and dashes.
    name: String,

    /// The guest's folder; one of its name where you are, if left out.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,

    /// The folder of the Rust SDK: guest/sdk in Sandman's sources.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &NewArgs) -> Result<ExitCode> {
    check_name(&args.name)?;
    let sdk = find_sdk(args.sdk.as_deref())?;
    let file = &args.config.config;
    let known = Known::read(file)?;
    if known.has(&args.name) {
        let (file, name) = (file.clone(), args.name.clone());
        return Err(NewError::Taken { file, name }.into());
    }
    let guest = NewGuest {
        name: &args.name,
        dir: args.path.as_deref().unwrap_or(Path::new(&args.name)),
        sdk: &sdk,
    };
    guest.write()?;
    output::line(&format!("{}: a guest in {}", guest.name, guest.dir.display()));
    match known {
        Known::Nothing => configure(guest, file)?,
        Known::There(_) => print_table(guest, file, &known)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration that is there already.
enum Known {
    Nothing,
    /// As TOML; empty where it is none.
    There(toml::Table),
}

impl Known {
    fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            // What is wrong with it is for `sandman check` to say.
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

/// Writes the configuration, and says how to go on.
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
        "\nGo on with:\n  sandman dev{config}\n  sandman invoke {name} --event {dir}/{EVENT}{config}   (once it is built)"
    ));
    Ok(())
}

fn print_table(guest: NewGuest<'_>, file: &Path, known: &Known) -> Result<()> {
    let table = guest.handler(folder(file), known.prefix())?;
    output::line(&format!("\nAdd to {}:\n\n{table}", file.display()));
    output::line(&format!("Go on with:\n  sandman dev {}", guest.dir.display()));
    Ok(())
}

fn folder(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
