//! The setup of the demo: both guests, a broker, a temporary folder and the host; or two hosts on PostgreSQL and a Kafka.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use uuid::Uuid;

use super::DemoOptions;
use super::commands::HostProcess;
use super::kafka::{KafkaSource, LocalKafka};
use super::keeper::Keeper;
use super::postgres::{LocalPostgres, PgPrograms};
use super::story::DemoStory;
use super::users::token;
use crate::build_guest::{BuildOptions, build};
use crate::run::topics;
use sandman_config::Config;
use sandman_kafka::{EmbeddedBroker, KafkaSettings};

/// The shipped configuration, with DreamScape's routes.
const CONFIGURATION: &str = "sandman.toml";

/// The prefix of topics in the shipped configuration.
const PREFIX: &str = "dreamscape.";

/// The names of the hosts of a fleet.
pub(super) const NAMES: [&str; 2] = ["one", "two"];

/// The servers that the hosts need.
pub(super) enum Backing {
    /// One host, with everything in this process and its folder.
    Alone(EmbeddedBroker),
    /// Several hosts.
    Fleet(FleetServers),
}

/// The servers of a fleet. They end when this is dropped.
pub(super) struct FleetServers {
    kafka: LocalKafka,
    postgres: LocalPostgres,
}

/// The parts of a fleet, found before anything is built.
struct FleetParts {
    kafka: KafkaSource,
    postgres: PgPrograms,
}

/// Everything that the traffic needs. The hosts are dropped before their servers, and the folder last.
pub(super) struct Scene {
    hosts: Vec<Option<HostProcess>>,
    pub(super) backing: Backing,
    pub(super) kafka: KafkaSettings,
    /// The prefix of topics.
    pub(super) prefix: String,
    /// The key of the tokens.
    pub(super) secret: String,
    folder: TempDir,
    _keeper: Keeper,
}

impl Scene {
    /// Builds the guests of the checkout and starts everything.
    pub(super) fn build(options: &DemoOptions, story: &DemoStory) -> Result<Self> {
        let repository = &options.repository;
        let parts = options.fleet.as_ref().map(|fleet| {
            let postgres = PgPrograms::find(repository)?;
            let kafka = KafkaSource::find(fleet.brokers.as_deref(), repository, story)?;
            anyhow::Ok(FleetParts { kafka, postgres })
        });
        let parts = parts.transpose()?;
        let folder = tempfile::Builder::new().prefix("sandman-demo-").tempdir()?;
        let keeper = Keeper::of(folder.path())?;
        build_guests(repository, folder.path(), story, &options.interrupted)?;
        let secret = Uuid::new_v4().to_string();
        let backing = match &parts {
            None => {
                let config = configure(folder.path(), repository, (&secret, PREFIX), None)?;
                Backing::Alone(EmbeddedBroker::start(&topics(&config))?)
            }
            Some(parts) => {
                let (kafka, postgres) = (
                    LocalKafka::start(&parts.kafka, folder.path())?,
                    LocalPostgres::start(&parts.postgres, folder.path())?,
                );
                story.tell("PostgreSQL", &postgres.url());
                Backing::Fleet(FleetServers { kafka, postgres })
            }
        };
        let prefix = match &parts {
            // The cluster may have other topics with these names.
            Some(FleetParts {
                kafka: KafkaSource::Named(_),
                ..
            }) => format!("sandman-demo-{}.", Uuid::new_v4().simple()),
            _ => PREFIX.to_owned(),
        };
        if let Backing::Fleet(fleet) = &backing {
            configure(folder.path(), repository, (&secret, &prefix), Some(fleet))?;
        }
        let mut scene = Self {
            hosts: Vec::new(),
            kafka: KafkaSettings::plain(backing.brokers()),
            backing,
            prefix,
            secret,
            folder,
            _keeper: keeper,
        };
        let count = if parts.is_some() { NAMES.len() } else { 1 };
        for index in 0..count {
            scene.hosts.push(None);
            scene.start_again(index)?;
        }
        let hosts: Vec<_> = scene.addresses().collect();
        story.tell(
            "serving",
            &format!("{}, Kafka at {}", hosts.join(" and "), scene.backing.brokers()),
        );
        Ok(scene)
    }

    /// The running host at an index.
    pub(super) fn host(&self, index: usize) -> Result<&HostProcess> {
        let host = self.hosts.get(index).and_then(Option::as_ref);
        host.with_context(|| format!("host {index} does not run"))
    }

    /// The addresses of the hosts' routes.
    pub(super) fn addresses(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().flatten().map(|host| host.http.clone())
    }

    /// Kills a host without warning.
    pub(super) fn kill(&mut self, index: usize) -> Result<()> {
        let host = self.hosts.get_mut(index).and_then(Option::take);
        host.map(drop).with_context(|| format!("host {index} does not run"))
    }

    /// Starts a host, for the first time or as the replacement of a killed one.
    pub(super) fn start_again(&mut self, index: usize) -> Result<()> {
        let name = NAMES.get(index).context("a host without a name")?;
        let compiled = format!("data/compiled-{name}");
        let mut environment = vec![("JWT_SECRET", &*self.secret), ("KAFKA_BROKERS", self.backing.brokers())];
        if let Backing::Fleet(fleet) = &self.backing {
            environment.extend([
                ("SANDMAN_HOST__NAME", *name),
                ("SANDMAN_HOST__COMPILED", &compiled),
                ("PGPASSWORD", &fleet.postgres.password),
            ]);
        }
        let host = HostProcess::start(self.folder.path(), name, &environment)?;
        if let Some(slot) = self.hosts.get_mut(index) {
            *slot = Some(host);
        }
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps running and prints commands to try, until it is interrupted.
    pub(super) fn linger(&self, story: &DemoStory, interrupted: &AtomicBool) {
        let Ok(HostProcess { http, admin, .. }) = self.host(0) else {
            return;
        };
        let token = token("you", &self.secret);
        let own = format!("{http}/api/v1/users/profile");
        story.pause();
        for line in [
            format!(
                "curl -X PUT {own} -H 'Authorization: {token}' -H 'Content-Type: application/json' -d '{{\"profile\":{{\"name\":\"You\"}}}}'"
            ),
            format!("curl {own} -H 'Authorization: {token}'"),
            format!("curl {http}/health"),
            format!("curl {admin}/metrics"),
            format!("sandman handlers --host {admin}"),
            format!("sandman hosts --host {admin}"),
            format!("sandman explain --key you --host {admin}"),
            format!("sandman recordings profile --host {admin}"),
        ] {
            story.to_copy("try", &line);
        }
        story.line("end", "Ctrl-C");
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Stops the hosts like an orchestrator, and returns whether they ended cleanly; then stops everything else.
    pub(super) fn end(mut self) -> Result<bool> {
        let mut well = true;
        for host in self.hosts.drain(..).flatten() {
            well &= host.stop()?;
        }
        Ok(well)
    }
}

impl Backing {
    fn brokers(&self) -> &str {
        match self {
            Self::Alone(broker) => broker.brokers(),
            Self::Fleet(fleet) => &fleet.kafka.brokers,
        }
    }
}

fn build_guests(repository: &Path, folder: &Path, story: &DemoStory, interrupted: &AtomicBool) -> Result<()> {
    for (guest, out, features) in [
        ("profile", "first", &[][..]),
        ("preferences", "first", &[]),
        ("profile", "second", &["second"]),
    ] {
        let began = Instant::now();
        let options = BuildOptions {
            out_dir: Some(folder.join(out)),
            features: features.iter().map(|&feature| String::from(feature)).collect(),
            show: true,
            ..BuildOptions::default()
        };
        let built = build(&repository.join("guest").join(guest), &options);
        // A compiler that was ended by Ctrl-C would look like a mistake in the guest.
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        let built = built?;
        let (kilobytes, took) = (built.bytes / 1000, began.elapsed().as_secs_f64());
        story.tell(
            "built",
            &format!("{guest}, the {out} version: {kilobytes} kB in {took:.1} s"),
        );
    }
    Ok(())
}

/// Writes the shipped configuration with free ports to its own folder; its broker is set in the environment.
fn configure(
    folder: &Path,
    repository: &Path,
    (secret, prefix): (&str, &str),
    fleet: Option<&FleetServers>,
) -> Result<Config> {
    let shipped = repository.join(CONFIGURATION);
    let text = std::fs::read_to_string(&shipped).with_context(|| format!("{} cannot be read", shipped.display()))?;
    let mut config: toml::Table = text.parse().with_context(|| shipped.display().to_string())?;
    let mut set = |section: &str, key: &str, value: toml::Value| {
        let section = config.entry(section).or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), value);
        }
    };
    set("kafka", "brokers", "embedded".into());
    set("http", "listen", "127.0.0.1:0".into());
    set("admin", "listen", "127.0.0.1:0".into());
    if let Some(fleet) = fleet {
        set("kafka", "brokers", fleet.kafka.brokers.as_str().into());
        set("kafka", "topic_prefix", prefix.into());
        set("store", "url", fleet.postgres.url().into());
        set("store", "shards", 4.into());
        set("host", "deployment", prefix.trim_end_matches('.').into());
    }
    if let Some(handlers) = config.get_mut("handlers").and_then(toml::Value::as_table_mut) {
        for (name, handler) in handlers {
            if let Some(handler) = handler.as_table_mut() {
                handler.insert("component".to_owned(), format!("first/{name}.wasm").into());
                let topics = handler.get_mut("topics").and_then(toml::Value::as_array_mut);
                for topic in topics.into_iter().flatten() {
                    let renamed = topic.as_str().map(|topic| topic.replacen(PREFIX, prefix, 1));
                    *topic = renamed.unwrap_or_default().into();
                }
            }
        }
    }
    let text = toml::to_string(&config).context("the demo's configuration")?;
    let file = folder.join(CONFIGURATION);
    std::fs::write(&file, text)?;
    let environment = [("JWT_SECRET".to_owned(), secret.to_owned())];
    Ok(Config::load(&file, environment.into_iter())?)
}
