//! What the work of a handler costs here and with what people would use instead, against the same Kafka in one run:
//! `just bench`, and `just bench stateful` for a case by itself.
//!
//! The contenders of a case take turns, five rounds of them; the table has the median and the spread. The main figure is
//! the CPU time of the process under test per million events: a busy machine changes it least.

mod compiled;
mod contender;
mod deploy;
mod fleet;
mod idle;
mod input;
mod latency;
mod measure;
mod native;
mod outputs;
mod table;
mod throughput;
mod visible;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use sandman_tests::{Result, World, bench, note};

use contender::Contender;
use native::Native;
use table::Report;

/// The contenders in Rust have the allocator that the host has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    about = "Measures Sandman against what people would use instead",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    /// The cases, in their order; all where none is named.
    cases: Vec<Case>,
    /// Events of each run. Contenders that take a millisecond for each are given fewer.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How often each contender is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// For how long latencies are measured, seconds; 0 leaves them out.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these contenders.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Another `sandman`, built before a change: it contends as well.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Writes the figures to this file as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// A contender in Rust, as a process of its own. The bench starts these itself.
    #[command(hide = true)]
    Contend(Native),
    /// A consumer of rdkafka for each topic, likewise.
    #[command(hide = true)]
    Consumers {
        #[arg(long)]
        brokers: String,
        topics: Vec<String>,
    },
    /// Sandman's engine with the stateful work compiled in, likewise.
    #[command(hide = true)]
    CompiledIn {
        /// The `sandman.toml`.
        file: PathBuf,
    },
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// A document per user, two events out.
    Stateful,
    /// The same with recordings and remembered events switched off.
    Costs,
    /// One event out.
    Stateless,
    /// The stateful work for one user.
    HotKey,
    /// The stateful work for a thousand users in one partition.
    OnePartition,
    /// From an event or a request to its outcome being visible, at 20 and 300 a second.
    Visible,
    /// What a deploy under load costs.
    Deploy,
    /// A hundred handlers without work.
    Idle,
    /// One host on SQLite, one and two on PostgreSQL.
    Fleet,
}

/// How much of it.
struct Plan {
    events: u64,
    rounds: usize,
    time: Duration,
    only: Vec<Contender>,
    before: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result {
    match arguments.part {
        Some(Part::Contend(native)) => return native.run(),
        Some(Part::CompiledIn { file }) => return compiled::run(&file),
        Some(Part::Consumers { brokers, topics }) => return idle::consumers(&brokers, &topics),
        None => {}
    }
    let plan = Plan {
        events: arguments.events,
        rounds: arguments.rounds,
        time: Duration::from_secs(arguments.seconds),
        only: arguments.only,
        before: arguments.before,
    };
    let cases = if arguments.cases.is_empty() {
        Case::value_variants()
    } else {
        &arguments.cases
    };
    let mut report = Report::begin(&plan);
    bench(|world| {
        for case in cases {
            measure_case(*case, world, &plan, &mut report)?;
        }
        Ok(())
    })?;
    report.end();
    writeln!(std::io::stdout(), "{}", report.text())?;
    if let Some(path) = arguments.json {
        std::fs::write(path, report.json()?)?;
    }
    Ok(())
}

fn measure_case(case: Case, world: &World, plan: &Plan, report: &mut Report) -> Result {
    match case {
        Case::Stateful => throughput::run(&throughput::STATEFUL, world, plan, report),
        Case::Costs => throughput::run(&throughput::COSTS, world, plan, report),
        Case::Stateless => throughput::run(&throughput::STATELESS, world, plan, report),
        Case::HotKey => throughput::run(&throughput::HOT_KEY, world, plan, report),
        Case::OnePartition => throughput::run(&throughput::ONE_PARTITION, world, plan, report),
        Case::Visible => visible::run(world, plan, report),
        Case::Deploy => deploy::run(world, plan, report),
        Case::Idle => idle::run(world, plan, report),
        Case::Fleet => fleet::run(world, plan, report),
    }
}
