//! A real Apache Kafka: one node, KRaft, loopback only, data in the run's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::maven::Jars;
use super::rights::{self, Operation, PASSWORD, Resource, USER};
use super::{Cluster, client, port};
use crate::Result;
use crate::keeper::keeper;
use crate::process::Process;

/// How long a broker may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(60);

/// A way to the broker on which there is room for a proxy: where clients are sent, and where the broker listens for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detour {
    pub(crate) front: u16,
    pub(crate) behind: u16,
}

/// A broker of one's own, to be stopped, killed and started again on the same port and data.
pub struct Broker {
    jars: Jars,
    folder: PathBuf,
    cluster: Cluster,
    detour: Detour,
    controller: u16,
    guarded: u16,
    /// The cluster's id, and this broker's in it.
    ids: (String, u8),
    /// The most that its heap may take.
    heap: &'static str,
    process: Mutex<Option<Process>>,
}

impl Broker {
    /// Starts a broker and returns once it answers.
    pub(crate) fn with(jars: &Jars) -> Result<Self> {
        let broker = Self::prepared(jars, (new_cluster(), 1), port::free()?, str::to_owned)?;
        broker.format()?;
        broker.start()?;
        Ok(broker)
    }

    /// Starts one more broker of the same cluster, which this one controls.
    ///
    /// # Errors
    /// If it does not start.
    pub fn beside(&self) -> Result<Self> {
        let (cluster, id) = (&self.ids.0, self.ids.1 + 1);
        let listener = format!(",CONTROLLER://127.0.0.1:{}\n", self.controller);
        let broker = Self::prepared(&self.jars, (cluster.clone(), id), self.controller, |text| {
            let text = text.replace(&listener, "\n").replace("=broker,controller", "=broker");
            text.replace("node.id=1", &format!("node.id={id}"))
        })?;
        broker.format()?;
        broker.start()?;
        Ok(broker)
    }

    /// Three brokers of a new cluster, which control it together; they do not run yet. A topic has a copy on each of them, and
    /// takes a record once two have it.
    pub(super) fn three(jars: &Jars) -> Result<Vec<Self>> {
        let cluster = new_cluster();
        let controllers = [port::free()?, port::free()?, port::free()?];
        let ids = (1..).zip(controllers);
        let voters: Vec<_> = ids.clone().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        ids.map(|(id, controller)| {
            // The last line for a key counts.
            let of_three = |text: &str| format!("{text}node.id={id}\ncontroller.quorum.voters={voters}\n{OF_THREE}");
            let broker = Self::prepared(jars, (cluster.clone(), id), controller, of_three)?;
            Ok(Self {
                heap: "-Xmx320m",
                ..broker
            })
        })
        .collect()
    }

    /// A broker that does not run yet, with the settings that `change` makes of the usual ones.
    fn prepared(jars: &Jars, ids: (String, u8), controller: u16, change: impl Fn(&str) -> String) -> Result<Self> {
        let port = port::free()?;
        let folder = keeper()?.folder().join(format!("kafka-{port}"));
        fs::create_dir_all(&folder)?;
        let detour = Detour {
            front: port::free()?,
            behind: port::free()?,
        };
        let guarded = port::free()?;
        let ports = Ports {
            plain: port,
            controller,
            guarded,
        };
        let text = change(&properties(&folder, &ports, detour));
        fs::write(folder.join("server.properties"), text)?;
        Ok(Self {
            jars: jars.clone(),
            folder,
            cluster: Cluster::at(format!("127.0.0.1:{port}")),
            detour,
            controller,
            guarded,
            ids,
            heap: "-Xmx512m",
            process: Mutex::new(None),
        })
    }

    /// `host:port`.
    pub(super) fn brokers(&self) -> String {
        self.cluster.brokers().to_owned()
    }

    /// The cluster of this one broker.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The way on which there is room for a proxy.
    pub(crate) fn detour(&self) -> Detour {
        self.detour
    }

    /// `host:port` of the listener where one logs in as [`rights::USER`], with no right but what is granted there.
    pub fn guarded(&self) -> String {
        format!("127.0.0.1:{}", self.guarded)
    }

    /// Grants that user everything on all of this kind that begins with the name.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn grant(&self, of: Resource, prefix: &str) -> Result {
        rights::grant(self.cluster.brokers(), of, prefix)
    }

    /// Takes a right on a topic from that user.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn deny(&self, topic: &str, operation: Operation) -> Result {
        rights::deny(self.cluster.brokers(), topic, operation)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn deny_no_more(&self, topic: &str, operation: Operation) -> Result {
        rights::deny_no_more(self.cluster.brokers(), topic, operation)
    }

    /// Starts it, again or for the first time, and returns once it answers.
    ///
    /// # Errors
    /// If it ends or does not answer.
    pub fn start(&self) -> Result {
        let mut java = self.java();
        java.arg("kafka.Kafka").arg(self.folder.join("server.properties"));
        let process = Process::start("the broker", &mut java)?;
        let alive = || match process.ended() {
            None => Ok(()),
            Some(status) => bail!(
                "the broker ended with {status}:\n{}{}",
                process.stdout.tail(),
                process.stderr.tail()
            ),
        };
        client::reach(self.cluster.brokers(), alive)?;
        *self.slot() = Some(process);
        Ok(())
    }

    /// Stops it as an operator would; returns when it is gone.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result {
        self.end(Signal::TERM)
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// If it does not end.
    pub fn kill(&self) -> Result {
        self.end(Signal::KILL)
    }

    /// Stops it where it stands, as a machine that swaps does, until [`Broker::thaw`].
    ///
    /// # Errors
    /// If it is not running.
    pub fn freeze(&self) -> Result {
        self.send(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it is not running.
    pub fn thaw(&self) -> Result {
        self.send(Signal::CONT)
    }

    /// Removes all that it has, as a new disk does. The broker is stopped, and finds its topics in the others.
    ///
    /// # Errors
    /// If its folder cannot be made anew.
    pub fn empty(&self) -> Result {
        fs::remove_dir_all(self.folder.join("data"))?;
        self.format()
    }

    /// Turns a bit of a record in the log of a partition, as a disk may. The broker is stopped.
    ///
    /// # Errors
    /// If the log does not hold the text.
    pub fn spoil(&self, topic: &str, partition: i32, text: &str) -> Result {
        let folder = self.folder.join(format!("data/{topic}-{partition}"));
        let log = folder.join("00000000000000000000.log");
        let mut bytes = fs::read(&log).with_context(|| log.display().to_string())?;
        let mut windows = bytes.windows(text.len());
        let at = windows.position(|window| window == text.as_bytes());
        let byte = at.and_then(|at| bytes.get_mut(at));
        *byte.with_context(|| format!("nothing of {text:?} in the log"))? ^= 1;
        fs::write(log, bytes)?;
        Ok(())
    }

    fn send(&self, signal: Signal) -> Result {
        let slot = self.slot();
        slot.as_ref().context("the broker is not running")?.signal(signal)
    }

    fn end(&self, signal: Signal) -> Result {
        let process = self.slot().take().context("the broker is not running")?;
        process.signal(signal)?;
        process.wait(STOP)?;
        Ok(())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn format(&self) -> Result {
        let mut java = self.java();
        java.args(["kafka.tools.StorageTool", "format", "--cluster-id"])
            .arg(&self.ids.0)
            .arg("--config")
            .arg(self.folder.join("server.properties"));
        let made = java.output().context("java does not start")?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            bail!(
                "the broker's storage cannot be formatted:\n{}",
                String::from_utf8_lossy(&said)
            );
        }
        Ok(())
    }

    /// A small JVM that starts fast: bounded heap, one collector thread, the quick compiler only.
    fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xms128m", self.heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.apache.logging.log4j.level=WARN")
            .arg("-cp")
            .arg(self.jars.0.join("*"))
            .current_dir(&self.folder);
        java
    }
}

/// What three brokers have that one has not. A broker that is lost is noticed sooner than by default, and one that is back leads
/// its share again soon: else the next one that is lost would lead nothing.
const OF_THREE: &str = "\
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
broker.session.timeout.ms=6000
leader.imbalance.check.interval.seconds=5
";

/// The id of a new cluster.
fn new_cluster() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.get(..22).unwrap_or_default().to_owned()
}

/// Where it listens.
struct Ports {
    plain: u16,
    controller: u16,
    guarded: u16,
}

fn properties(folder: &Path, ports: &Ports, detour: Detour) -> String {
    let Detour { front, behind } = detour;
    let Ports {
        plain: port,
        controller,
        guarded,
    } = ports;
    let data = folder.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind},GUARDED://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{front},GUARDED://127.0.0.1:{guarded}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
# Who does not log in may do everything; who does may do what is granted.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";
log.dirs={}
# A topic that a behaviour forgot to make, or the host to check, is a fault and not a topic.
auto.create.topics.enable=false
# One node holds the internal topics.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Tests start many groups and kill their members.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Two cores, little data.
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.segment.bytes=16777216
transaction.state.log.segment.bytes=16777216
",
        data.display()
    )
}
