//! Torture: every scenario in full, with the checker's verdict on each.
//!
//! `cargo run --release -p sandman-tests --bin torture -- --help`

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sandman_tests::torture::Plant;
use sandman_tests::{Wanted, note, run_torture, torture};

/// Runs Sandman under faults and holds everything that went in against everything that came out.
///
/// Each scenario starts hosts of the real binary on a real Apache Kafka (fetched by Maven into `target/`, or the one in
/// KAFKA_BROKERS), breaks something while clients send events and requests, and then judges: lost, duplicate, aborted,
/// order, torn, state, version, stuck, attempts, phantom. Exits with 0 if nothing was wrong, 1 if something was or a
/// scenario could not go on to its end, 2 if none could be begun.
#[derive(Parser)]
#[command(name = "torture")]
struct Arguments {
    /// Only scenarios whose name starts with this, such as `crash` or `crash-anywhere`; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// What all choices follow from; any where it is left out. It is printed with each report.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// The short form of each, as `cargo test` runs it.
    #[arg(long)]
    short: bool,
    /// A bug that every host is to have, so that the verdict must not be clean: a name of the host's feature `faults` and how
    /// seldom, such as `drop-batch:50`, or `keep-document`: the store keeps the old document at one write in eleven for one
    /// key in seven.
    #[arg(long, value_name = "BUG")]
    plant: Option<Plant>,
    /// One JSON object a scenario, on stdout.
    #[arg(long)]
    json: bool,
    /// Run nothing, and write docs/evidence.md to stdout from saved reports: files of what --json prints.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["scenario", "seed", "short", "plant", "json", "list"])]
    evidence: Vec<PathBuf>,
    /// Name the scenarios and what they show.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let say = |line: &str| {
        let _ = writeln!(stdout(), "{line}");
    };
    if arguments.list {
        torture::all().for_each(|scenario| say(&format!("{:32} {}", scenario.name, scenario.about)));
        return ExitCode::SUCCESS;
    }
    if !arguments.evidence.is_empty() {
        return match torture::evidence(&arguments.evidence) {
            Ok(page) => {
                say(page.trim_end());
                ExitCode::SUCCESS
            }
            Err(error) => {
                note(&format!("error: {error:#}"));
                ExitCode::from(2)
            }
        };
    }
    let wanted = Wanted {
        scenarios: arguments.scenario,
        seed: arguments.seed,
        short: arguments.short,
        plant: arguments.plant,
    };
    let outcome = run_torture(&wanted, |report| {
        if arguments.json {
            say(&serde_json::json!(report).to_string());
        } else {
            say(&report.text());
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
