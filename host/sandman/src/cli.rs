//! The commands of `sandman`: they take arguments and return an exit code. Each command has a module.

mod build;
mod check;
mod client;
mod compile;
mod demo;
mod deploy;
mod dev;
mod dlq;
mod diff;
mod explain;
mod forget;
mod handlers;
mod health;
mod history;
mod hosts;
mod import;
mod invoke;
mod move_store;
mod new;
mod offline;
mod output;
mod recorded;
mod recordings;
mod reload;
mod replay;
mod resume;
mod rollback;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use sandman_config::{Config, ConfigErrors, variables};

const AFTER: &str = "\
Exit codes:
  0  it worked
  1  it failed; the reason is on stderr
  2  the command line was wrong
  3  the host could not be asked (commands that talk to a running host)
  4  the handler returned no outcome (invoke), or nothing could be run (replay, diff)

Environment:
  SANDMAN_<SECTION>__<KEY>  sets any key of the configuration, for example
                            SANDMAN_HOST__WORKERS=16 or
                            SANDMAN_HANDLERS__PROFILE__LIMITS__TIME=100ms
  SANDMAN_ADMIN_TOKEN       bearer token of the admin listener; commands send it too
  SANDMAN_LOG               which logs are written: error, warn, info (default), debug,
                            trace, or by module: info,sandman_engine::relay=debug
  KAFKA_BROKERS, KAFKA_SSL, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD,
  KAFKA_SASL_MECHANISM, JWT_SECRET, PORT
                            as in DreamScape's services

First steps:
  sandman demo                             see everything at work
  sandman new greeter && sandman dev       write a guest, and change it while it serves
  sandman build guest/profile              build a component
  sandman check --config sandman.toml      find every mistake before the start
  sandman run --config sandman.toml        run the host
  sandman deploy profile profile.wasm      replace a version under traffic
  sandman handlers                         see what serves now, and how well
  sandman dlq list                         see what failed, and why";

/// A host for WebAssembly event handlers on Kafka.
///
/// A handler is a pure function in a WebAssembly component: an event and the state of its key go in, a new state and
/// new events come out. Sandman runs it in a sandbox, commits state and progress together, and publishes each event
/// exactly once.
#[derive(Debug, Parser)]
#[command(name = "sandman", version, after_long_help = AFTER, arg_required_else_help = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Import(import::ImportArgs),
    Build(build::BuildArgs),
    New(new::NewArgs),
    Dev(dev::DevArgs),
    Invoke(invoke::InvokeArgs),
    Deploy(deploy::DeployArgs),
    Rollback(rollback::RollbackArgs),
    Handlers(handlers::HandlersArgs),
    Move(move_store::MoveArgs),
    Hosts(hosts::HostsArgs),
    Health(health::HealthArgs),
    History(history::HistoryArgs),
    Reload(reload::ReloadArgs),
    Dlq(dlq::DlqArgs),
    Explain(explain::ExplainArgs),
    Recordings(recordings::RecordingsArgs),
    Replay(replay::ReplayArgs),
    Diff(diff::DiffArgs),
    Forget(forget::ForgetArgs),
    Resume(resume::ResumeArgs),
    Compile(compile::CompileArgs),
}

/// The exit code of commands that run recordings if none could be run; 1 means that outcomes differ.
const NOT_RUN: u8 = 4;

/// The path of the configuration; shared by the commands that need it.
#[derive(Args, Debug)]
struct ConfigArgs {
    /// The configuration; relative paths in it start from its folder.
    #[arg(long, value_name = "FILE", default_value = "sandman.toml")]
    config: PathBuf,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigErrors> {
        load(&self.config)
    }
}

fn load(file: &Path) -> Result<Config, ConfigErrors> {
    Config::load(file, variables())
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Build(args) => build::run(&args),
        Command::New(args) => new::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Invoke(args) => invoke::run(&args),
        Command::Deploy(args) => deploy::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::Handlers(args) => handlers::run(&args),
        Command::Move(args) => move_store::run(&args),
        Command::Hosts(args) => hosts::run(&args),
        Command::Health(args) => health::run(&args),
        Command::History(args) => history::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Dlq(args) => dlq::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Recordings(args) => recordings::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Resume(args) => resume::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Import(args) => import::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("sandman: {}", reasons(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line; causes that the error's own text contains are not repeated.
fn reasons(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{name}:\n{help}");
        }
    }

    #[test]
    fn commands_are_read() {
        let cli = Cli::try_parse_from(["sandman", "run", "--config", "x.toml", "--adopt"]).expect("a run");
        assert!(matches!(cli.command, Command::Run(_)));
        let cli = Cli::try_parse_from(["sandman", "build", "guest/profile", "--json"]).expect("a build");
        assert!(matches!(cli.command, Command::Build(_)));
        let cli = Cli::try_parse_from(["sandman", "import", "--handler", "profile", "-"]).expect("an import");
        assert!(matches!(cli.command, Command::Import(_)));
        let cli = Cli::try_parse_from(["sandman", "invoke", "x.wasm", "--event", "-", "--now", "1"]).expect("a call");
        assert!(matches!(cli.command, Command::Invoke(_)));
        let cli = Cli::try_parse_from(["sandman", "dev", "a", "b", "--store", "s"]).expect("a loop");
        assert!(matches!(cli.command, Command::Dev(_)));
        for wrong in [
            &["sandman", "rnu"][..],
            &["sandman", "build"],
            &["sandman", "import", "states.jsonl"],
            &["sandman", "import", "--handler", "x", "--check", "--overwrite", "-"],
            &["sandman", "check", "x.toml"],
            &["sandman", "new"],
            &["sandman", "invoke", "x.wasm"],
            &["sandman", "invoke", "x.wasm", "--event", "a", "--request", "b"],
            &["sandman", "invoke", "x.wasm", "--event", "a", "--attempt", "0"],
        ] {
            assert_eq!(
                Cli::try_parse_from(wrong)
                    .expect_err("a wrong command line")
                    .exit_code(),
                2,
                "{wrong:?}"
            );
        }
    }
}
