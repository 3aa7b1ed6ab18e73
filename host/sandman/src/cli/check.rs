//! `sandman check`: finds every mistake in a configuration and its components, without a broker.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::{ConfigArgs, output};
use crate::telemetry;
use sandman_config::{Config, ConfigErrors, Problem};
use sandman_operate::load::{self, Loader};

const AFTER: &str = "\
Reports all mistakes at once, each with its key, the allowed values and the
nearest known name. The component of a handler is checked only if the handler's
own keys are valid. Needs no Kafka and writes nothing. Reads the same
environment variables as `sandman run`.

Examples:
  sandman check
  sandman check --config staging/sandman.toml
  sandman check --json | jq '.problems[].key'";

/// Check a configuration and its components.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Checked {
    ok: bool,
    file: String,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    handlers: Vec<CheckedHandler>,
}

#[derive(Debug, Serialize)]
struct CheckedHandler {
    name: String,
    component: String,
    /// SHA-256 of the component, lower-case hex.
    digest: String,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode> {
    telemetry::install(sandman_config::LogFormat::Text, "warn")?;
    let checked = check(args)?;
    if args.json {
        output::json(&checked)?;
    } else {
        print(&checked);
    }
    Ok(if checked.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check(args: &CheckArgs) -> Result<Checked> {
    let file = args.config.config.display().to_string();
    match args.config.load() {
        Ok(config) => {
            let looked = CheckedParts::at(&config, |_| true)?;
            let problems = [looked.problems, unreachable(&config)].concat();
            Ok(Checked {
                ok: problems.is_empty(),
                file,
                problems,
                warnings: [config.warnings(), looked.warnings].concat(),
                handlers: looked.handlers,
            })
        }
        Err(errors) => {
            let looked = CheckedParts::at_what_is_readable(&errors)?;
            Ok(Checked {
                ok: false,
                file,
                problems: [errors.problems, looked.problems].concat(),
                warnings: looked.warnings,
                handlers: looked.handlers,
            })
        }
    }
}

/// The results of the checks beyond the file itself.
#[derive(Default)]
struct CheckedParts {
    handlers: Vec<CheckedHandler>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl CheckedParts {
    /// Checks the components of correctly configured handlers, and the Kafka clients, so that one run shows everything.
    fn at_what_is_readable(errors: &ConfigErrors) -> Result<Self> {
        let Some(config) = &errors.readable else {
            return Ok(Self::default());
        };
        let mut looked = Self::at(config, |name| !errors.concern(&format!("handlers.{name}")))?;
        looked.problems.extend(unreachable(config));
        Ok(looked)
    }

    /// Loads the components of the selected handlers, and compares their contracts with the grants of the configuration.
    fn at(config: &Config, asked_for: impl Fn(&str) -> bool) -> Result<Self> {
        let sandbox = load::sandbox_that_keeps_nothing(config)?;
        let mut looked = Self::default();
        let loader = Loader {
            config,
            sandbox: &sandbox,
        };
        for handler in config.handlers.iter().filter(|handler| asked_for(&handler.name)) {
            match loader.file(handler) {
                Ok(version) => {
                    let warning = load::key_not_found(&version, handler);
                    let warning = warning.map(|warning| format!("handlers.{}.key: {warning}", handler.name));
                    looked.warnings.extend(warning);
                    looked.handlers.push(CheckedHandler {
                        name: handler.name.to_string(),
                        component: handler.component.display().to_string(),
                        digest: version.digest.to_string(),
                    });
                }
                Err(error) => looked.problems.push(Problem {
                    key: format!("handlers.{}.component", handler.name),
                    problem: super::reasons(&error),
                    allowed: None,
                    nearest: None,
                    variable: None,
                }),
            }
        }
        Ok(looked)
    }
}

/// The problems of creating clients for other servers; none of them connects.
fn unreachable(config: &Config) -> Vec<Problem> {
    let mut problems = crate::run::kafka_problems(config);
    if let Err(error) = sandman_http::check_uploads(&config.uploads) {
        problems.push(Problem {
            key: "uploads.url".to_owned(),
            problem: error.to_string(),
            allowed: None,
            nearest: None,
            variable: None,
        });
    }
    problems
}

fn print(checked: &Checked) {
    for warning in &checked.warnings {
        output::error(&format!("warning: {warning}"));
    }
    for problem in &checked.problems {
        output::error(&format!("{}: {problem}", checked.file));
    }
    for handler in &checked.handlers {
        output::line(&format!(
            "handler {}: {}, sha256 {}",
            handler.name, handler.component, handler.digest
        ));
    }
    if checked.ok {
        output::line(&format!("{}: no mistakes", checked.file));
    } else {
        let count = checked.problems.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        output::error(&format!("{}: {count} {noun}", checked.file));
    }
}
