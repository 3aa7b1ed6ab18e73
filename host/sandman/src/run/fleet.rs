//! This host in the fleet: its report about itself, and the reports of the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sandman_config::{Config, HandlerConfig};
use sandman_core::digest;
use sandman_core::store::{Action, Outcome, Shard, StoreError};
use sandman_engine::health::FleetPart;
use sandman_operate::deploy::Done;
use sandman_operate::hosts::{self, HostLine, HostReport, ServedHandler};

use super::Host;
use super::control::HostControl;

/// How long a deploy waits for the other hosts to follow.
const FOLLOW: Duration = Duration::from_secs(30);
/// The time between two checks whether they have.
const LOOK: Duration = Duration::from_millis(200);

impl HostControl {
    pub(super) fn known_hosts(&self) -> Result<Vec<HostLine>, StoreError> {
        Ok(self.store.hosts()?.into_iter().map(HostLine::of).collect())
    }

    /// Updates this host's report for the others.
    pub(super) fn tell_hosts(&self) {
        let config = self.config.load();
        let serving = self.registry.iter().filter(|(_, handler)| !handler.is_retired());
        let handlers = serving.map(|(ix, handler)| {
            let version = handler.active();
            let configured = config.handlers.iter().find(|known| known.name == handler.name);
            let partitions = self.pipeline.assigned_to(ix);
            ServedHandler {
                name: handler.name.to_string(),
                version: version.number,
                since_millis: version.since.get(),
                changing: self.deployer.changing(&handler.name),
                ready: self.deployer.prepared(&handler.name),
                unable: self.deployer.unable(&handler.name),
                partitions: partitions.iter().map(ToString::to_string).collect(),
                lag: configured.and_then(|handler| self.lag.of(ix, &handler.topics)),
            }
        });
        let report = HostReport {
            sandman: env!("CARGO_PKG_VERSION").to_owned(),
            admin: self.address.lock().clone(),
            configuration: fingerprint(&config),
            handlers: handlers.collect(),
        };
        match serde_json::to_string(&report) {
            Ok(report) => self.store.tell(&config.host.name, report),
            Err(error) => tracing::warn!(%error, "this host's report for the others cannot be stored"),
        }
    }

    /// Waits until the other hosts have loaded the version that is about to be activated, or have reported why they cannot.
    pub(super) fn await_ready(&self, handler: &Arc<str>, version: u64) {
        if !self.store.is_shared() {
            return;
        }
        self.deployer.begin_change(handler, version);
        let until = Instant::now() + 2 * self.config.load().host.compile_time + FOLLOW;
        while Instant::now() < until {
            self.tell_hosts();
            match self.known_hosts() {
                Ok(hosts) if hosts::are_ready(&hosts, handler, version) => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "it is not known which versions the other hosts have loaded"),
            }
            self.pipeline.await_commit(LOOK);
        }
        tracing::warn!(
            handler = &**handler,
            version,
            "another host has not loaded this version; it becomes active nevertheless"
        );
    }

    /// Reads the held keys and pauses of the fleet; after an error this is repeated a second later.
    pub(super) fn look_at_holds(&self) {
        match (self.store.held_keys(), self.store.pauses()) {
            (Ok(held), Ok(pauses)) => self.pipeline.load_letters(held, pauses),
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "the fleet's held keys cannot be read now"),
        }
    }

    /// Waits until the other hosts serve the version that has just been activated, or have reported why not.
    pub(super) fn followed(&self, done: Done) -> Done {
        if !self.store.is_shared() {
            return done;
        }
        let (name, version) = (done.handler.clone(), done.version);
        let done = if done.outcome == Outcome::Active {
            self.await_followers(done)
        } else {
            done
        };
        if let Some(version) = version {
            self.deployer.end_change(&name, version);
        }
        done
    }

    fn await_followers(&self, mut done: Done) -> Done {
        let Some((_, handler)) = self.registry.find(&done.handler) else {
            return done;
        };
        let since = handler.active().since.get();
        let until = Instant::now() + FOLLOW;
        let mut known = Vec::new();
        while Instant::now() < until {
            self.tell_hosts();
            match self.known_hosts() {
                Ok(hosts) => known = hosts,
                Err(error) => tracing::warn!(%error, "it is not known which versions the other hosts serve"),
            }
            if hosts::have_followed(&known, &done.handler, since) {
                break;
            }
            self.pipeline.await_commit(LOOK);
        }
        done.hosts = hosts::versions(&known, &done.handler);
        for host in done.hosts.iter().filter(|host| Some(host.version) != done.version) {
            let (name, version, error) = (&host.host, host.version, host.error.as_deref().unwrap_or("not yet"));
            let action = done.action == Action::Rollback;
            tracing::warn!(
                handler = done.handler,
                host = name,
                version,
                error,
                action,
                "a host does not follow"
            );
        }
        done
    }
}

impl Host {
    /// Called about once a second.
    pub(super) fn look_at_fleet(&self) {
        self.control.tell_hosts();
        if !self.store.is_shared() {
            return;
        }
        self.control.look_at_holds();
        let statistics = self.store.statistics();
        let meters = &self.meters.host;
        meters.store_round_trips.absolute(statistics.round_trips);
        meters.lease_changes.absolute(statistics.lease_changes);
        meters.hosts.set(statistics.live_hosts as f64);
        meters.oldest_snapshot.set(statistics.oldest_snapshot as f64);
        let oldest = Duration::from_millis(statistics.oldest_transaction_millis);
        meters.oldest_transaction.set(oldest.as_secs_f64());
        for (table, bytes) in &statistics.tables {
            self.meters.table(table, *bytes);
        }
        let shards: Vec<u16> = self.store.leases().iter().map(|lease| lease.shard.0).collect();
        self.view.set_fleet(FleetPart {
            host: Arc::from(self.control.config.load().host.name.as_str()),
            redrives: shards.contains(&Shard::default().0),
            shards,
        });
    }
}

/// The configuration that hosts of one deployment should have in common: handlers, without the files of their first
/// components, and routes.
fn fingerprint(config: &Config) -> String {
    let mut text = String::new();
    for handler in &config.handlers {
        let handler = HandlerConfig {
            component: std::path::PathBuf::new(),
            ..handler.clone()
        };
        text.push_str(&format!("{handler:?}\n"));
    }
    text.push_str(&format!("{:?}", config.routes));
    digest(text.as_bytes()).chars().take(12).collect()
}
