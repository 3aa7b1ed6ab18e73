//! A Kafka for the demo of a fleet: a given one, or an Apache Kafka that the demo starts. The embedded broker has no
//! groups for several hosts.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use super::story::DemoStory;
use super::tethered::TetheredServer;
use sandman_kafka::{KafkaSettings, Observer};

const MISSING: &str = "the demo of a fleet needs a Kafka: install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless \
                       maven), with which it fetches one; or unpack Apache Kafka and set KAFKA_HOME; or name a broker with --brokers";

/// The project for Maven in a checkout, and the folder for the jars; the tests use the same.
const POM: &str = "tests/kafka/pom.xml";
const KEPT: &str = "target/kafka";

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a given broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The source of Kafka.
#[derive(Clone, Debug)]
pub(super) enum KafkaSource {
    /// A running one: `host:port`, comma separated.
    Named(String),
    /// The jars of an Apache Kafka.
    Jars(PathBuf),
}

impl KafkaSource {
    /// The given brokers, or else an unpacked Kafka in KAFKA_HOME, or else that of Maven, which is fetched once.
    pub(super) fn find(brokers: Option<&str>, repository: &Path, story: &DemoStory) -> Result<Self> {
        if let Some(brokers) = brokers {
            if !answers(brokers, PATIENCE) {
                bail!("--brokers {brokers}: no Kafka answers there without encryption and a password");
            }
            return Ok(Self::Named(brokers.to_owned()));
        }
        if !works("java", "-version") {
            bail!("{MISSING}; `java` is not installed");
        }
        if let Some(home) = std::env::var_os("KAFKA_HOME") {
            let jars = PathBuf::from(home).join("libs");
            if !jars.is_dir() {
                bail!("KAFKA_HOME: there is no {}", jars.display());
            }
            return Ok(Self::Jars(jars));
        }
        fetched(repository, story).map(Self::Jars)
    }
}

/// A running broker.
pub(super) struct LocalKafka {
    pub(super) brokers: String,
    _server: Option<TetheredServer>,
}

impl LocalKafka {
    /// Starts a broker with its data in `folder`, unless one runs already.
    pub(super) fn start(source: &KafkaSource, folder: &Path) -> Result<Self> {
        let jars = match source {
            KafkaSource::Named(brokers) => {
                return Ok(Self {
                    brokers: brokers.clone(),
                    _server: None,
                });
            }
            KafkaSource::Jars(jars) => jars,
        };
        let home = folder.join("kafka");
        fs::create_dir(&home)?;
        let (port, controller) = {
            // Both are bound at once, so that they differ.
            let sockets = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
            (sockets.0.local_addr()?.port(), sockets.1.local_addr()?.port())
        };
        let settings = home.join("server.properties");
        fs::write(&settings, properties(&home, port, controller))?;
        let (classes, settings) = (jars.join("*").display().to_string(), settings.display().to_string());
        let java = [
            "java",
            "-Xms128m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &classes,
        ];
        let cluster = Uuid::new_v4().simple().to_string();
        let cluster = cluster.get(..22).unwrap_or_default();
        let format = [
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster,
            "--config",
            &settings,
        ];
        let formatted = Command::new("java")
            .args(java.iter().skip(1))
            .args(format)
            .current_dir(&home)
            .output()
            .context("java")?;
        if !formatted.status.success() {
            let said = [formatted.stdout, formatted.stderr].concat();
            bail!(
                "Kafka's storage cannot be formatted: {}",
                String::from_utf8_lossy(&said).trim_end()
            );
        }
        let command: Vec<&str> = java.into_iter().chain(["kafka.Kafka", &settings]).collect();
        let mut server = TetheredServer::start(("Kafka", "KILL"), &command, &home, None)?;
        let brokers = format!("127.0.0.1:{port}");
        server.wait_until(|_| answers(&brokers, ANSWER))?;
        Ok(Self {
            brokers,
            _server: Some(server),
        })
    }
}

/// Whether a Kafka answers there.
fn answers(brokers: &str, patience: Duration) -> bool {
    // Any topic will do, even if it does not exist.
    Observer::open(&KafkaSettings::plain(brokers), &["sandman-demo"], patience).is_ok()
}

fn works(program: &str, question: &str) -> bool {
    let answer = Command::new(program).arg(question).output();
    answer.is_ok_and(|answer| answer.status.success())
}

/// The folder with the jars, which Maven fetches once for a checkout.
fn fetched(repository: &Path, story: &DemoStory) -> Result<PathBuf> {
    let (pom, kept) = (repository.join(POM), repository.join(KEPT));
    let wanted = fs::read(&pom).with_context(|| format!("{}; {MISSING}", pom.display()))?;
    fs::create_dir_all(&kept)?;
    // With two demos at the same time, the second one waits and then finds them.
    let lock = File::create(kept.join("lock"))?;
    lock.lock().context("target/kafka/lock")?;
    let jars = kept.join("jars");
    let complete = jars.join("pom.xml");
    if fs::read(&complete).is_ok_and(|made_for| made_for == wanted) {
        return Ok(jars);
    }
    if !works("mvn", "--version") {
        bail!("{MISSING}; `mvn` is not installed");
    }
    if jars.exists() {
        fs::remove_dir_all(&jars)?;
    }
    story.tell("fetching Kafka", "by Maven, 115 MB, once for this checkout");
    let maven = Command::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            "-f",
        ])
        .arg(&pom)
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .output()
        .context("mvn")?;
    if !maven.status.success() {
        let said = [maven.stdout, maven.stderr].concat();
        bail!(
            "Maven cannot fetch Kafka: {}",
            String::from_utf8_lossy(&said).trim_end()
        );
    }
    // Written last: with it the folder is complete.
    fs::write(&complete, wanted)?;
    Ok(jars)
}

fn properties(home: &Path, port: u16, controller: u16) -> String {
    let data = home.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={}
auto.create.topics.enable=false
# One node holds the internal topics.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
",
        data.display()
    )
}
