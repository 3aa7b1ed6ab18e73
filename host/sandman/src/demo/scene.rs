//! The stage: both guests built, a broker, a folder that goes with the demo, and the host on it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use uuid::Uuid;

use super::commands::HostProcess;
use super::keeper::Keeper;
use super::story::DemoStory;
use super::users::token;
use crate::build_guest::{BuildOptions, build};
use crate::run::topics;
use sandman_config::Config;
use sandman_kafka::{EmbeddedBroker, KafkaSettings};

/// The routes of DreamScape are those of the configuration that we ship.
const CONFIGURATION: &str = "sandman.toml";

/// Everything that the traffic needs. The broker is dropped after the host, the folder last.
pub(super) struct Scene {
    pub(super) host: HostProcess,
    pub(super) broker: EmbeddedBroker,
    pub(super) kafka: KafkaSettings,
    /// What the tokens are signed with.
    pub(super) secret: String,
    folder: TempDir,
    _keeper: Keeper,
}

impl Scene {
    /// Builds the guests of the checkout and starts everything.
    pub(super) fn build(repository: &Path, story: &DemoStory, interrupted: &AtomicBool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sandman-demo-").tempdir()?;
        let keeper = Keeper::of(folder.path())?;
        for (guest, out, features) in [
            ("profile", "first", &[][..]),
            ("preferences", "first", &[]),
            ("profile", "second", &["second"]),
        ] {
            let began = Instant::now();
            let options = BuildOptions {
                out_dir: Some(folder.path().join(out)),
                features: features.iter().map(|&feature| String::from(feature)).collect(),
                show: true,
                ..BuildOptions::default()
            };
            let built = build(&repository.join("guest").join(guest), &options);
            // A compiler that Ctrl-C ended would pass for a mistake in the guest.
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
        let secret = Uuid::new_v4().to_string();
        let config = configure(folder.path(), repository, &secret)?;
        let broker = EmbeddedBroker::start(&topics(&config))?;
        let host = HostProcess::start(
            folder.path(),
            [("JWT_SECRET", &secret), ("KAFKA_BROKERS", broker.brokers())],
        )?;
        story.tell("serving", &format!("{}, Kafka at {}", host.http, broker.brokers()));
        Ok(Self {
            kafka: KafkaSettings::plain(broker.brokers()),
            host,
            broker,
            secret,
            folder,
            _keeper: keeper,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stays up, and says what there is to try, until somebody has had enough.
    pub(super) fn linger(&self, story: &DemoStory, interrupted: &AtomicBool) {
        let (http, admin) = (&self.host.http, &self.host.admin);
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
        ] {
            story.to_copy("try", &line);
        }
        story.line("end", "Ctrl-C");
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Stops the host as an orchestrator would, and says whether it ended well; then everything else goes.
    pub(super) fn end(self) -> Result<bool> {
        self.host.stop()
    }
}

/// The shipped configuration, on free ports and in a folder of its own; where its broker is stands in the environment.
fn configure(folder: &Path, repository: &Path, secret: &str) -> Result<Config> {
    let shipped = repository.join(CONFIGURATION);
    let text = std::fs::read_to_string(&shipped).with_context(|| format!("{} cannot be read", shipped.display()))?;
    let mut config: toml::Table = text.parse().with_context(|| shipped.display().to_string())?;
    let mut set = |section: &str, key: &str, value: &str| {
        let section = config.entry(section).or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), value.into());
        }
    };
    set("kafka", "brokers", "embedded");
    set("http", "listen", "127.0.0.1:0");
    set("admin", "listen", "127.0.0.1:0");
    if let Some(handlers) = config.get_mut("handlers").and_then(toml::Value::as_table_mut) {
        for (name, handler) in handlers {
            if let Some(handler) = handler.as_table_mut() {
                handler.insert("component".to_owned(), format!("first/{name}.wasm").into());
            }
        }
    }
    let text = toml::to_string(&config).context("the demo's configuration")?;
    let file = folder.join(CONFIGURATION);
    std::fs::write(&file, text)?;
    let environment = [("JWT_SECRET".to_owned(), secret.to_owned())];
    Ok(Config::load(&file, environment.into_iter())?)
}
