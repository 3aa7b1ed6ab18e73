//! A behaviour's own world: a folder, topics and a deployment that no other behaviour touches.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, anyhow};
use sandman::guest::Language;
use uuid::Uuid;

use crate::Result;
use crate::broker::maven::Jars;
use crate::broker::{Broker, Cluster, Means, Shared, ThreeBrokers, maven};
use crate::consumer::{Reader, Seen};
use crate::database::{is_on_the_server, on_the_server};
use crate::event::Event;
use crate::host::{self, Ended, Host};
use crate::keeper::keeper;
use crate::log::Log;
use crate::member::{self, ForeignMember};
use crate::process::Process;
use crate::producer::{Compression, Producer};
use crate::rival::Rival;
use crate::settings::Settings;
use crate::store::StoreFile;

/// Partitions of a topic, as DreamScape has them.
pub const PARTITIONS: i32 = 3;

/// What a behaviour is given.
pub struct World {
    name: String,
    folder: PathBuf,
    means: &'static Means,
    language: Option<Language>,
    /// Set by [`World::own_broker`]: from then on it is this world's Kafka.
    own: OnceLock<Broker>,
    /// Set by [`World::three_brokers`]: likewise.
    three: OnceLock<ThreeBrokers>,
    /// Set by [`World::talk_to`]: likewise.
    other: OnceLock<Cluster>,
    logs: Mutex<Vec<Log>>,
}

impl World {
    pub(crate) fn new(behaviour: &str, (means, language): (&'static Means, Option<Language>)) -> Result<Self> {
        let short: String = behaviour.chars().take(40).collect();
        let unique = Uuid::new_v4().simple().to_string();
        let name = format!("{}-{}", short.replace('_', "-"), unique.get(..6).unwrap_or_default());
        let folder = keeper()?.folder().join(&name);
        fs::create_dir_all(&folder)?;
        Ok(Self {
            name,
            folder,
            means,
            language,
            own: OnceLock::new(),
            three: OnceLock::new(),
            other: OnceLock::new(),
            logs: Mutex::default(),
        })
    }

    /// The language that the behaviour is shown in, where it is shown in one.
    pub fn language(&self) -> Option<Language> {
        self.language
    }

    /// Whether this run has the stores of hosts on PostgreSQL.
    pub fn is_on_postgres(&self) -> bool {
        is_on_the_server()
    }

    /// A folder of this world alone.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store of the host in this world's folder, while it is stopped.
    pub fn store(&self) -> StoreFile {
        StoreFile::new(self.folder.join("data/sandman.db"))
    }

    /// The deployment's name.
    pub fn deployment(&self) -> &str {
        &self.name
    }

    /// The topic of an event type, or of anything else that is named here.
    pub fn topic(&self, event_type: &str) -> String {
        format!("{}{event_type}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("{}.", self.name)
    }

    /// Starts a broker that only this world uses, so that it may be stopped and killed.
    ///
    /// # Errors
    /// If none can be started.
    pub fn own_broker(&self) -> Result<&Broker> {
        if self.own.get().is_none() {
            let broker = Broker::with(self.jars()?)?;
            let _ = self.own.set(broker);
        }
        self.own.get().context("no broker of one's own")
    }

    /// Starts three brokers of one cluster that only this world uses, so that one of them may be stopped and killed.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn three_brokers(&self) -> Result<&ThreeBrokers> {
        if self.three.get().is_none() {
            let _ = self.three.set(ThreeBrokers::with(self.jars()?)?);
        }
        self.three.get().context("no brokers of one's own")
    }

    fn jars(&self) -> Result<&Jars> {
        let own = self.means.own.as_ref();
        own.map_err(|why| anyhow!("no broker of one's own: {why}"))
    }

    /// The cluster that this world talks to.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn cluster(&self) -> Result<&Cluster> {
        let own = self.own.get().map(Broker::cluster);
        let three = self.three.get().map(ThreeBrokers::cluster);
        match own.or(three).or(self.other.get()) {
            Some(cluster) => Ok(cluster),
            None => Cluster::shared(self.means),
        }
    }

    /// From now on, this world's Kafka is the one at these brokers.
    pub fn talk_to(&self, brokers: &str) {
        let _ = self.other.set(Cluster::at(brokers.to_owned()));
    }

    /// Makes a topic of three partitions, as others find it before the host is there, and returns its name.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_topic(&self, event_type: &str) -> Result<String> {
        let topic = self.topic(event_type);
        self.cluster()?
            .create_topics(std::slice::from_ref(&topic), PARTITIONS)?;
        Ok(topic)
    }

    /// A producer.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn producer(&self, compression: Compression) -> Result<Producer> {
        Producer::open(self.cluster()?.brokers(), compression)
    }

    /// Sends events in order, and returns where each landed.
    ///
    /// # Errors
    /// If one does not arrive.
    pub fn send(&self, topic: &str, events: &[Event]) -> Result<Vec<(i32, i64)>> {
        self.producer(Compression::None)?.send(topic, events)
    }

    /// Reads a topic from its beginning, as a read-committed client does.
    ///
    /// # Errors
    /// If it is not there in time.
    pub fn reader(&self, topic: &str) -> Result<Reader> {
        Reader::open(self.cluster()?.brokers(), topic, "read_committed")
    }

    /// Reads the dead letters of a topic.
    ///
    /// # Errors
    /// If their topic is not there in time.
    pub fn dead_letters(&self, topic: &str) -> Result<Reader> {
        self.reader(&format!("{topic}.dlq"))
    }

    /// Everything that lies in a topic now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn all_of(&self, topic: &str) -> Result<Vec<Seen>> {
        self.reader(topic)?.into_end()
    }

    /// Joins a handler's group as a stranger.
    ///
    /// # Errors
    /// If it cannot.
    pub fn foreign_member(&self, handler: &str, topic: &str) -> Result<ForeignMember> {
        let group = format!("{}-{handler}", self.name);
        ForeignMember::join(self.cluster()?.brokers(), &group, &[topic], "cooperative-sticky")
    }

    /// Joins a handler's group as a client that divides partitions in another way, as KafkaJS does.
    ///
    /// # Errors
    /// If it cannot.
    pub fn foreign_member_of_another_kind(&self, handler: &str, topic: &str) -> Result<ForeignMember> {
        let group = format!("{}-{handler}", self.name);
        ForeignMember::join(self.cluster()?.brokers(), &group, &[topic], "roundrobin")
    }

    /// Joins a handler's group by the newer protocol, whose members are not seen by those who ask for members by the older one.
    ///
    /// # Errors
    /// If it cannot.
    pub fn unseen_member(&self, handler: &str, topic: &str) -> Result<ForeignMember> {
        let group = format!("{}-{handler}", self.name);
        ForeignMember::join_as(
            self.cluster()?.brokers(),
            &group,
            &[topic],
            &[("group.protocol", "consumer")],
        )
    }

    /// Joins a handler's group as the member that the host is: as a second host of this deployment would.
    ///
    /// # Errors
    /// If it cannot.
    pub fn second_self(&self, handler: &str, topic: &str) -> Result<ForeignMember> {
        let group = format!("{}-{handler}", self.name);
        let settings = [
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("group.instance.id", &*group),
        ];
        ForeignMember::join_as(self.cluster()?.brokers(), &group, &[topic], &settings)
    }

    /// Fences this deployment's relay.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn rival(&self) -> Result<Rival> {
        Rival::rise(self.cluster()?.brokers(), &format!("{}-relay-0", self.name))
    }

    /// Settings of a host in this world, without handlers.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn settings(&self) -> Result<Settings> {
        Ok(self.settings_for(self.cluster()?.brokers()))
    }

    /// The same, naming a broker that nobody runs.
    pub fn settings_without_broker(&self) -> Settings {
        self.settings_for("127.0.0.1:1")
    }

    fn settings_for(&self, brokers: &str) -> Settings {
        on_the_server(Settings::new(&self.name, &self.prefix(), brokers), &self.name)
    }

    /// The sum of the offsets that a handler's group has committed for a topic: how many records are done.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn group_offsets(&self, handler: &str, topic: &str) -> Result<i64> {
        let group = format!("{}-{handler}", self.name);
        member::committed(self.cluster()?.brokers(), &group, topic, PARTITIONS)
    }

    /// Says for a group, as the service before us did, that these records of a topic are done.
    ///
    /// # Errors
    /// If it cannot be said.
    pub fn commit_for_group(&self, group: &str, topic: &str, records: &[(i32, i64)]) -> Result {
        member::commit(self.cluster()?.brokers(), group, topic, records)
    }

    /// Writes the `sandman.toml` of these settings into a folder below this world's, and returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configured(&self, folder: &str, settings: &Settings) -> Result<PathBuf> {
        Ok(self.write(folder, settings)?.join("sandman.toml"))
    }

    /// Starts a program in Node that finds the packages of `tests/node`.
    ///
    /// # Errors
    /// If there is no Node, or it does not start.
    pub fn start_in_node(&self, program: &str, environment: &[(&str, &str)]) -> Result<Process> {
        let node = self.means.node.as_ref().map_err(|why| anyhow!("no Node: {why}"))?;
        node.start(program, environment)
    }

    /// The jars for a Java program in a folder of the repository with a `pom.xml`, and the folder of its compiled classes.
    ///
    /// # Errors
    /// If they cannot be fetched, or it does not compile.
    pub fn java(&self, folder: &str) -> Result<(PathBuf, PathBuf)> {
        maven::program(folder)
    }

    /// Starts a host in this world's folder and returns once it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn host(&self, settings: &Settings) -> Result<Host> {
        self.host_in("", settings, &[])
    }

    /// Starts a host in a folder below this world's, with arguments after `sandman run`.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn host_in(&self, folder: &str, settings: &Settings, arguments: &[&str]) -> Result<Host> {
        let folder = self.write(folder, settings)?;
        if matches!(self.means.shared, Shared::InProcess(_)) {
            self.cluster()?
                .make_what_nobody_can_ask_for(&settings.topics(), PARTITIONS)?;
        }
        Host::start(settings.is_faulty(), &folder, arguments, settings.variables(), |log| {
            self.remember(log);
        })
    }

    /// Starts a host in a folder below this world's with a `sandman.toml` as it stands, and with what the environment says
    /// of it; `topics` are those that it reads or writes.
    pub(crate) fn host_as_configured(
        &self,
        (folder, toml): (&str, &str),
        environment: &[(String, String)],
        topics: &[String],
    ) -> Result<Host> {
        let folder = self.folder.join(folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("sandman.toml"), toml)?;
        if matches!(self.means.shared, Shared::InProcess(_)) {
            self.cluster()?.make_what_nobody_can_ask_for(topics, PARTITIONS)?;
        }
        Host::start(false, &folder, &[], environment, |log| self.remember(log))
    }

    /// Runs a program of the tests in Node, which finds the packages of `tests/node`; returns what it printed.
    ///
    /// # Errors
    /// If there is no Node, or the program fails.
    pub fn node(&self, program: &str, environment: &[(&str, &str)]) -> Result<String> {
        let node = self.means.node.as_ref().map_err(|why| anyhow!("no Node: {why}"))?;
        node.run(program, environment)
    }

    /// Starts a host that is expected to end by itself.
    ///
    /// # Errors
    /// If it does not end.
    pub fn host_that_ends(&self, folder: &str, settings: &Settings) -> Result<Ended> {
        let folder = self.write(folder, settings)?;
        let variables = settings.variables().iter();
        let variables: Vec<_> = variables.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        host::run(&folder, &["run", "--config", "sandman.toml"], &variables)
    }

    /// Writes `sandman.toml` and runs a command of `sandman` with it, to its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn sandman(&self, arguments: &[&str], toml: &str, environment: &[(&str, &str)]) -> Result<Ended> {
        fs::write(self.folder.join("sandman.toml"), toml)?;
        host::run(&self.folder, arguments, environment)
    }

    /// Runs a command of `sandman` in this world's folder, to its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
        host::run(&self.folder, arguments, environment)
    }

    /// The same with the binary that has faults compiled in, one of which the environment may ask for: `SANDMAN_TEST_<name>`.
    ///
    /// # Errors
    /// If it does not end.
    pub fn faulty_command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ended> {
        host::run_faulty(&self.folder, arguments, environment)
    }

    /// Runs a command of `sandman` in this world's folder with temporary files in `temporary`; has a look as soon as a line
    /// on its standard output holds `last`, and kills it.
    ///
    /// # Errors
    /// If there is no such line, or what `look` says.
    pub fn command_killed_at(
        &self,
        arguments: &[&str],
        temporary: &Path,
        last: &str,
        look: impl FnOnce() -> Result,
    ) -> Result {
        let mut command = host::command(&self.folder, arguments)?;
        command.env("TMPDIR", temporary);
        host::run_and_kill(command, last, look)
    }

    /// Writes a file into this world's folder, and returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, bytes)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Runs `sandman import` with the `sandman.toml` of these settings, to its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn import(&self, settings: &Settings, arguments: &[&str]) -> Result<Ended> {
        let folder = self.write("", settings)?;
        host::run(&folder, &[&["import"], arguments].concat(), &[])
    }

    /// The same, with text on its standard input.
    ///
    /// # Errors
    /// If it does not end.
    pub fn import_reading(&self, settings: &Settings, arguments: &[&str], input: &str) -> Result<Ended> {
        let folder = self.write("", settings)?;
        host::run_reading(&folder, &[&["import"], arguments].concat(), input)
    }

    /// Starts `sandman import` and kills it as soon as it says `last`.
    ///
    /// # Errors
    /// If it does not say that.
    pub fn import_killed_at(&self, settings: &Settings, arguments: &[&str], last: &str) -> Result {
        let folder = self.write("", settings)?;
        host::run_until(&folder, &[&["import"], arguments].concat(), last)
    }

    /// Runs a host that is expected to end by itself, with the limits that the shell's `ulimit` sets for these arguments.
    ///
    /// # Errors
    /// If it does not end.
    pub fn host_limited(&self, settings: &Settings, ulimit: &str) -> Result<Ended> {
        let folder = self.write("", settings)?;
        host::run_limited(&folder, ulimit, &["run", "--config", "sandman.toml"])
    }

    fn write(&self, folder: &str, settings: &Settings) -> Result<PathBuf> {
        let folder = self.folder.join(folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("sandman.toml"), settings.text())?;
        Ok(folder)
    }

    pub(crate) fn remember(&self, log: Log) {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).push(log);
    }

    /// The lines that all hosts of this world have logged, in the order of their starts.
    pub fn logged(&self) -> Vec<String> {
        self.logs_of_each().concat()
    }

    /// The same, of each host.
    pub(crate) fn logs_of_each(&self) -> Vec<Vec<String>> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().map(Log::lines).collect()
    }

    /// The ends of the logs of all hosts of this world.
    pub(crate) fn logs(&self) -> String {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = logs.iter().enumerate();
        shown
            .map(|(number, log)| format!("\nlog of host {}:\n{}", number + 1, log.tail()))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A broker that is not ours would keep the topics for ever.
        if let (Shared::Given(_), Ok(cluster)) = (&self.means.shared, self.cluster()) {
            let _ = cluster.remove_topics(&self.prefix());
        }
    }
}
