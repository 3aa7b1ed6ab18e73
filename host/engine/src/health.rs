//! The health of the host, as its parts report it; the listeners only read it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// The host's health, shared by the parts that know it and the listeners that show it.
///
/// Initially not ready: [`HealthView::set_ready`] is called when everything is up.
#[derive(Debug, Default)]
pub struct HealthView {
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    ready: bool,
    store_fault: Option<String>,
    fatal: Option<String>,
    kafka: KafkaHealthReport,
    handlers: Vec<HandlerHealth>,
    held_topics: Vec<HeldTopicHealth>,
    fleet: Option<FleetPart>,
}

/// The role of a host in a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetPart {
    /// Its name.
    pub host: Arc<str>,
    /// The shards of the outbox that it publishes.
    pub shards: Vec<u16>,
    /// Whether it is the one that redrives dead letters.
    pub redrives: bool,
}

/// A topic that refuses a record: the records for it wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldTopicHealth {
    /// Its name.
    pub topic: Arc<str>,
    /// Why, for people.
    pub reason: String,
}

/// A degraded handler, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandlerHealth {
    /// Its name.
    pub handler: Arc<str>,
    /// Why, for people.
    pub reason: String,
    /// Whether it has stopped consuming until an operator has removed the cause.
    pub stopped: bool,
}

/// The status in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything works.
    Healthy,
    /// Kafka is down, or a handler does not consume everything that it should: requests are served, and everything else
    /// continues.
    Degraded,
    /// Nothing can be committed.
    Unhealthy,
}

/// Kafka, as `/health` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KafkaHealthReport {
    /// Whether a broker is reachable.
    pub connected: bool,
    /// The topics that events go to.
    pub topics: Vec<Arc<str>>,
}

/// Everything `/health` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// The status in one word.
    pub status: Status,
    /// Whether the host takes work.
    pub ready: bool,
    /// Kafka.
    pub kafka: KafkaHealthReport,
    /// Degraded handlers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<HandlerHealth>,
    /// Topics that refuse a record: the records for them wait, everything else is published.
    #[serde(rename = "heldTopics", skip_serializing_if = "Vec::is_empty")]
    pub held_topics: Vec<HeldTopicHealth>,
    /// The host's role in a fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetPart>,
    /// Why the host is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl HealthView {
    /// A host that is starting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the host takes work: true once everything is up, false again when it stops.
    pub fn set_ready(&self, ready: bool) {
        self.health.lock().ready = ready;
    }

    /// Whether Kafka is reachable.
    pub fn set_kafka_connected(&self, connected: bool) {
        self.health.lock().kafka.connected = connected;
    }

    /// The topics that events go to.
    pub fn set_topics(&self, topics: Vec<Arc<str>>) {
        self.health.lock().kafka.topics = topics;
    }

    /// Sets the handlers that are degraded now, one entry for each reason. Changes are logged.
    pub fn set_handlers(&self, handlers: Vec<HandlerHealth>) {
        let before = std::mem::replace(&mut self.health.lock().handlers, handlers.clone());
        for HandlerHealth { handler, reason, .. } in handlers.iter().filter(|now| !before.contains(now)) {
            tracing::warn!(%handler, reason, "degraded");
        }
        let is_over = |was: &&HandlerHealth| handlers.iter().all(|now| now.handler != was.handler);
        for HandlerHealth { handler, .. } in before.iter().filter(is_over) {
            tracing::info!(%handler, "no longer degraded");
        }
    }

    /// Sets the topics that refuse a record now, with the reasons.
    pub fn set_held_topics(&self, held: Vec<(Arc<str>, String)>) {
        let held = held
            .into_iter()
            .map(|(topic, reason)| HeldTopicHealth { topic, reason });
        self.health.lock().held_topics = held.collect();
    }

    /// Sets the host's role in a fleet.
    pub fn set_fleet(&self, part: FleetPart) {
        self.health.lock().fleet = Some(part);
    }

    /// Sets why the store cannot commit, or `None` when it can again.
    pub fn set_store_fault(&self, fault: Option<String>) {
        self.health.lock().store_fault = fault;
    }

    /// Sets a fault that only a restart can fix; the first one is kept.
    pub fn set_fatal(&self, fault: String) {
        self.health.lock().fatal.get_or_insert(fault);
    }

    /// The current report.
    pub fn report(&self) -> HealthReport {
        let health = self.health.lock();
        let reason = health.fatal.as_ref().or(health.store_fault.as_ref()).cloned();
        let goes_on = health.kafka.connected && health.handlers.is_empty() && health.held_topics.is_empty();
        let status = match (&reason, goes_on) {
            (Some(_), _) => Status::Unhealthy,
            (None, false) => Status::Degraded,
            (None, true) => Status::Healthy,
        };
        HealthReport {
            status,
            ready: health.ready && reason.is_none(),
            kafka: health.kafka.clone(),
            handlers: health.handlers.clone(),
            held_topics: health.held_topics.clone(),
            fleet: health.fleet.clone(),
            reason,
        }
    }

    /// Whether a restart would help: false after a fatal fault.
    pub fn live(&self) -> bool {
        self.health.lock().fatal.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_away_degrades_and_a_store_that_fails_is_unhealthy() {
        let view = HealthView::new();
        assert_eq!((view.report().status, view.report().ready), (Status::Degraded, false));
        view.set_ready(true);
        view.set_kafka_connected(true);
        assert_eq!((view.report().status, view.report().ready), (Status::Healthy, true));
        let kept_out = HandlerHealth {
            handler: "profile".into(),
            reason: "it has no partition".to_owned(),
            stopped: false,
        };
        view.set_handlers(vec![kept_out.clone()]);
        assert_eq!((view.report().status, view.report().ready), (Status::Degraded, true));
        assert_eq!(view.report().handlers, [kept_out]);
        view.set_handlers(Vec::new());
        assert_eq!(view.report().status, Status::Healthy);
        view.set_store_fault(Some("the disk is full".to_owned()));
        assert_eq!((view.report().status, view.report().ready), (Status::Unhealthy, false));
        view.set_store_fault(None);
        assert_eq!(view.report().status, Status::Healthy);
        assert!(view.live());
        view.set_fatal("an offset is gone".to_owned());
        view.set_fatal("another".to_owned());
        assert!(!view.live());
        assert_eq!(view.report().reason.as_deref(), Some("an offset is gone"));
    }
}
