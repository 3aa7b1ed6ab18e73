//! Who contends, and how each is started.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use sandman_tests::{Handler, Host, Process, Result, Settings, World, guest_in};

use super::throughput::Work;

/// What a contender writes when it works.
const READY: &str = "ready";

/// Settings of a handler that switch something off.
const RECORD_NOTHING: (&str, &str) = ("record.rate", "0");
const REMEMBER_NOTHING: (&str, &str) = ("dedupe", "0");

/// Who contends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// rdkafka copying records: what no design can be better than.
    Limit,
    /// The same in transactions.
    LimitTransactional,
    /// The same work in Rust on rdkafka alone, in transactions, its state only in memory.
    Native,
    /// The same without waiting for more events: a transaction begins as soon as the one before it has ended.
    NativeAtOnce,
    /// Sandman's engine with the work compiled in, where the sandbox is otherwise.
    CompiledIn,
    /// Sandman with a fresh instance for each event.
    Fresh,
    /// Sandman with reused instances.
    Reused,
    /// The same without recordings: `record.rate` is 0.
    WithoutRecordings,
    /// The same without remembered events: `dedupe` is 0.
    WithoutDedupe,
    /// The same without either.
    WithoutBoth,
    /// The same with every invocation recorded that one second allows.
    MoreRecordings,
    /// The binary of `--before`, with a fresh instance for each event.
    BeforeFresh,
    /// The same with reused instances.
    BeforeReused,
    /// Kafka Streams 4: exactly-once v2, RocksDB, Jackson, two threads.
    Streams,
    /// KafkaJS as DreamScape's services use it: a send for each event, gzip, no transactions.
    #[value(name = "kafkajs")]
    KafkaJs,
}

impl Contender {
    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Limit => "limit: rdkafka copy loop",
            Self::LimitTransactional => "limit, transactional",
            Self::Native => "native Rust, no durable state",
            Self::NativeAtOnce => "native Rust, transactions without a wait",
            Self::CompiledIn => "Sandman's engine, work compiled in",
            Self::Fresh => "Sandman, fresh instances",
            Self::Reused => "Sandman, reused instances",
            Self::WithoutRecordings => "without recordings",
            Self::WithoutDedupe => "without dedupe",
            Self::WithoutBoth => "without either",
            Self::MoreRecordings => "1,000 recordings a second",
            Self::BeforeFresh => "the binary before, fresh instances",
            Self::BeforeReused => "the binary before, reused instances",
            Self::Streams => "Kafka Streams",
            Self::KafkaJs => "KafkaJS, a send per event",
        }
    }

    /// How many of these events it is measured on: one that takes a millisecond for each is given fewer.
    pub(crate) fn share(self, events: u64) -> u64 {
        match self {
            Self::KafkaJs => (events / 40).max(1_000).min(events),
            _ => events,
        }
    }

    /// How many of the work's output topics it writes.
    pub(crate) fn outputs(self, work: &Work) -> usize {
        match self {
            Self::Limit | Self::LimitTransactional => 1,
            _ => work.outputs.len(),
        }
    }
}

/// One contender's run: its names are its own.
pub(crate) struct Run<'a> {
    pub(crate) world: &'a World,
    pub(crate) work: &'a Work,
    /// Where this run's topics and groups begin.
    pub(crate) name: String,
    pub(crate) input: &'a str,
    /// The topics it writes, there already.
    pub(crate) outputs: Vec<String>,
    /// Another `sandman` to compare with.
    pub(crate) before: Option<&'a Path>,
}

/// A contender at work. It ends when this is dropped.
pub(crate) enum Running {
    Process(Process),
    Host(Host),
}

impl Running {
    /// The process under test.
    pub(crate) fn process(&self) -> &Process {
        match self {
            Self::Process(process) => process,
            Self::Host(host) => host.process(),
        }
    }
}

impl Run<'_> {
    /// Starts it; returns when it says that it is ready.
    pub(crate) fn start(&self, contender: Contender) -> Result<Running> {
        let work = self.work.native;
        match contender {
            Contender::Limit => self.native("copy", &[]),
            Contender::LimitTransactional => self.native("copy-transactional", &[]),
            Contender::Native => self.native(work, &[]),
            Contender::NativeAtOnce => self.native(work, &["--gather-ms", "0"]),
            Contender::CompiledIn => self.compiled_in(),
            Contender::Fresh => self.host("fresh").map(Running::Host),
            Contender::Reused => self.host("reused").map(Running::Host),
            Contender::WithoutRecordings => self.host_with(&[RECORD_NOTHING]),
            Contender::WithoutDedupe => self.host_with(&[REMEMBER_NOTHING]),
            Contender::WithoutBoth => self.host_with(&[RECORD_NOTHING, REMEMBER_NOTHING]),
            Contender::MoreRecordings => self.host_with(&[("record.rate", "1000")]),
            Contender::BeforeFresh => self.before("fresh"),
            Contender::BeforeReused => self.before("reused"),
            Contender::Streams => self.streams(work),
            Contender::KafkaJs => self.kafkajs(work),
        }
    }

    fn native(&self, work: &str, options: &[&str]) -> Result<Running> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "contend",
            work,
            "--brokers",
            self.brokers()?,
            "--name",
            &self.name,
            "--input",
            self.input,
        ]);
        command.args(options);
        for output in &self.outputs {
            command.args(["--outputs", output]);
        }
        ready(Process::start("the native contender", &mut command)?, READY)
    }

    fn streams(&self, work: &str) -> Result<Running> {
        let (jars, classes) = self.world.java("tests/bench/streams")?;
        let state = self.world.folder().join(&self.name);
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-cp"])
            .arg(format!("{}/*:{}", jars.display(), classes.display()))
            .args(["Contender", self.brokers()?, &self.name])
            .arg(state)
            .args([self.input, work])
            .args(&self.outputs);
        ready(Process::start("Kafka Streams", &mut command)?, READY)
    }

    fn kafkajs(&self, work: &str) -> Result<Running> {
        let task = serde_json::json!({
            "brokers": self.brokers()?,
            "name": self.name,
            "input": self.input,
            "work": work,
            "outputs": self.outputs,
        });
        let environment = [("TASK", &*task.to_string())];
        ready(
            self.world.start_in_node("tests/bench/kafkajs.mjs", &environment)?,
            READY,
        )
    }

    fn before(&self, instances: &str) -> Result<Running> {
        let binary = self.before.context("--before names no binary")?;
        let file = self.world.configured(&self.name, &self.settings(instances)?)?;
        let mut command = Command::new(binary);
        command
            .args(["run", "--config"])
            .arg(file)
            .current_dir(self.world.folder().join(&self.name));
        ready(Process::start("the binary before", &mut command)?, "sandman ready")
    }

    fn compiled_in(&self) -> Result<Running> {
        let file = self.world.configured(&self.name, &self.settings("reused")?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("compiled-in").arg(file);
        ready(Process::start("the engine", &mut command)?, READY)
    }

    /// A host with the work's guest.
    pub(crate) fn host(&self, instances: &str) -> Result<Host> {
        self.world.host_in(&self.name, &self.settings(instances)?, &[])
    }

    /// A host with reused instances and other settings of its handler.
    fn host_with(&self, settings: &[(&str, &str)]) -> Result<Running> {
        let settings = self.settings_with("reused", settings)?;
        self.world.host_in(&self.name, &settings, &[]).map(Running::Host)
    }

    /// The settings of a host that does the work.
    pub(crate) fn settings(&self, instances: &str) -> Result<Settings> {
        self.settings_with(instances, &[])
    }

    fn settings_with(&self, instances: &str, others: &[(&str, &str)]) -> Result<Settings> {
        let handler = Handler::new("bench", &guest_in(self.work.guest)?)
            .consumes(&[&self.input.to_owned()])
            .emits(self.work.outputs)
            .set("instances", &format!("{instances:?}"));
        let set = |handler: Handler, (name, value): &(&str, &str)| handler.set(name, value);
        let handler = others.iter().fold(handler, set);
        let settings = self
            .world
            .settings()?
            .set("host.deployment", &format!("{:?}", self.name))
            .set("kafka.topic_prefix", &format!("{:?}", format!("{}.", self.name)))
            .handler(handler);
        Ok(if self.work.serves {
            settings.route("/users/{key}", &["bench"])
        } else {
            settings
        })
    }

    fn brokers(&self) -> Result<&str> {
        Ok(self.world.cluster()?.brokers())
    }
}

fn ready(process: Process, line: &str) -> Result<Running> {
    let said = process.says(line);
    ensure!(said.is_some(), "a contender did not start: {}", process.written());
    Ok(Running::Process(process))
}
